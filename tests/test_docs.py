"""The documentation: links lead somewhere, every method and widget has its place, and Sphinx builds it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_genprior.core.image_io import write_image
from napari_genprior.methods.registry import METHODS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")])
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)")
MADE = "images/"  # by the two scripts, not kept in the repository

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the documentation is not part of an installed package")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if not target.startswith(MADE):
            assert (page.parent / target).exists(), f"{target} in {page}"


def test_the_scripts_make_every_image_shown():
    scripts = "".join((DOCS / name).read_text() for name in ("make_screenshots.py", "make_gallery.py"))
    shown = {t.removeprefix(MADE) for page in PAGES for t in LINK.findall(page.read_text()) if t.startswith(MADE)}
    assert shown
    for name in shown:
        assert f'"{name}"' in scripts


def test_every_method_has_a_page_and_a_line_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    pages = {path.stem for path in (DOCS / "methods").glob("*.md")} - {"index"}
    assert pages == set(METHODS) - {"auto"}  # which is described with what it is
    for name in METHODS:
        assert f"`{name}`" in readme


def test_sphinx_builds_it_without_a_warning(tmp_path):
    pytest.importorskip("myst_parser")
    pytest.importorskip("furo")
    source = tmp_path / "docs"
    shutil.copytree(DOCS, source, ignore=shutil.ignore_patterns("_build", "images"))
    (source / "images").mkdir()
    for page in source.rglob("*.md"):
        for target in LINK.findall(page.read_text()):
            if target.startswith(MADE):
                write_image(source / target, np.zeros((8, 8), np.uint8))
    command = [sys.executable, "-m", "sphinx", "-W", "-q", str(source), str(tmp_path / "built")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "built" / "methods" / "classical.html").read_text()
    assert "regularization" in page  # from the settings class
