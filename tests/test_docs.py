"""The documentation: links, examples, commands and names are right, and Sphinx builds it without a warning."""

import doctest
import importlib
import inspect
import re
import shlex
import shutil
import subprocess
import sys
from operator import attrgetter
from pathlib import Path

import click
import numpy as np
import pytest

import napari_genprior
from napari_genprior import settings
from napari_genprior.cli import genprior
from napari_genprior.core.image_io import write_image
from napari_genprior.methods.registry import METHODS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PACKAGE = ROOT / "src" / "napari_genprior"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")])
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)")
IMAGES = DOCS / "images"  # made by the two scripts, not kept in the repository
BLOCK = re.compile(r"(<!-- not run: .+ -->\n)?^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
WITHOUT_EXAMPLE = {
    "batch", "iter_batch", "iter_solve_bilinear",  # pages of the guide have one
    "blur.normalize_kernel", "blur.asim_a", "blur.asim_b", "metrics.levin_score",  # plain, or for one paper
}  # fmt: skip
COMMANDS = re.compile(r"^```\n(.*?)^```", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the documentation is not part of an installed package")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def shown_images(page: Path) -> list[Path]:
    targets = [(page.parent / target).resolve() for target in LINK.findall(page.read_text(encoding="utf-8"))]
    return [target for target in targets if target.parent == IMAGES]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if (page.parent / target).resolve().parent != IMAGES:
            assert (page.parent / target).exists(), f"{target} in {page}"


def test_the_scripts_make_every_image_shown():
    scripts = "".join((DOCS / name).read_text() for name in ("make_screenshots.py", "make_gallery.py"))
    shown = {image.name for page in PAGES for image in shown_images(page)}
    assert shown
    for name in shown:
        assert f'"{name}"' in scripts


def test_files_that_the_architecture_names_exist():
    text = (DOCS / "architecture.md").read_text()
    files = set(re.findall(r"`([a-z_]+/[a-z_0-9]+\.py)`", text))
    assert len(files) > 10
    for name in files:
        assert (PACKAGE / name).exists() or (ROOT / name).exists(), name


def test_every_method_has_a_page_and_a_line_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    pages = {path.stem for path in (DOCS / "methods").glob("*.md")} - {"index"}
    assert pages == set(METHODS) - {"auto"}  # which is described with the method that it chooses
    for name in METHODS:
        assert f"`{name}`" in readme


def test_every_setting_is_in_the_reference():
    shown = "".join(page.read_text() for page in [DOCS / "reference" / "settings.md", *(DOCS / "methods").glob("*.md")])
    methods = {METHODS[name].settings.__name__ for name in METHODS if f"{{{{settings {name}}}}}" in shown}
    classes = {name for name in settings.__all__ if f"{{{{settings {name}}}}}" in shown}
    assert set(settings.__all__) - methods - classes <= {"Settings", "UntrainedSettings"}  # base classes


def test_every_public_name_is_in_the_reference():
    words = set(re.findall(r"\w+", (DOCS / "reference" / "python.md").read_text()))
    modules = (DOCS / "reference" / "modules.md").read_text()
    for name in set(napari_genprior.__all__) - {"__version__"}:
        assert name in words or f"``gp.{name}``" in modules, name


def python_pages() -> list[Path]:
    return [page for page in PAGES if any(not skipped for skipped, _ in BLOCK.findall(page.read_text()))]


@pytest.mark.slow
@pytest.mark.parametrize("page", python_pages(), ids=name_of)
def test_the_python_code_of_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, method in list(METHODS.items()):  # a page may register a method
        monkeypatch.setitem(METHODS, name, method)
    before = set(METHODS)
    text, names = page.read_text(encoding="utf-8"), {"__name__": "page"}
    try:
        for block in BLOCK.finditer(text):
            above = "\n" * text.count("\n", 0, block.start(2))  # so that a failure shows the line of the page
            code = compile(above + block[2], str(page), "exec")
            if not block[1]:
                exec(code, names)
    finally:
        for name in set(METHODS) - before:
            del METHODS[name]


def modules_with_examples() -> list[str]:
    paths = [path for path in PACKAGE.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8")]
    return sorted(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in paths)


@pytest.mark.slow
@pytest.mark.parametrize("module", modules_with_examples())
def test_the_examples_of_docstrings_run(module):
    tests = doctest.DocTestFinder().find(importlib.import_module(module.removesuffix(".__init__")))
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    for test in tests:
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0
    assert runner.tries


def documented_functions() -> list[str]:
    functions = re.findall(r"autofunction:: (\w+)", (DOCS / "reference" / "python.md").read_text())
    text = (DOCS / "reference" / "modules.md").read_text()
    for module, members in re.findall(r"automodule:: napari_genprior\.(\w+)\n   :members: (.+)", text):
        functions += [f"{module}.{name}" for name in members.split(", ")]
    return functions


@pytest.mark.parametrize("name", documented_functions())
def test_documented_functions_have_an_example(name):
    function = attrgetter(name)(napari_genprior)
    if not inspect.isfunction(function) or name in WITHOUT_EXAMPLE:
        return
    assert ">>> " in inspect.getdoc(function)


def shell_lines() -> list[str]:
    """Commands in blocks and in running text."""
    texts = [page.read_text(encoding="utf-8") for page in [*PAGES, ROOT / "benchmarks" / "README.md"]]
    lines = [line for text in texts for block in COMMANDS.findall(text) for line in block.splitlines()]
    lines += [" ".join(code.split()) for text in texts for code in re.findall(r"`(genprior [^`]+)`", text)]
    return sorted({line for line in lines if line.startswith("genprior ")})


@pytest.mark.parametrize("line", shell_lines())
def test_commands_have_only_options_that_exist(line):
    words = shlex.split(line, comments=True)[1:]
    command = genprior
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        if words[0].isupper():  # a placeholder
            return
        if "|" in words:
            assert all(word in command.commands for word in words if word != "|")
            return
        command = command.commands[words.pop(0)]
    shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]  # no old names
    known = {option for parameter in shown for option in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        assert not word.startswith("-") or word in known | {"--help"}, f"{word} is not an option of {command.name}"


@pytest.mark.slow
def test_sphinx_builds_it_without_a_warning(tmp_path):
    for extension in ("myst_parser", "furo", "sphinx_click"):
        pytest.importorskip(extension)
    source = tmp_path / "docs"
    shutil.copytree(DOCS, source, ignore=shutil.ignore_patterns("_build", "images"))
    (source / "images").mkdir()
    for image in {image for page in PAGES for image in shown_images(page)}:
        write_image(source / "images" / image.name, np.zeros((8, 8), np.uint8))
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", str(source), str(tmp_path / "built")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "built" / "methods" / "classical.html").read_text()
    assert "regularization" in page  # from the settings class
    page = (tmp_path / "built" / "reference" / "command-line.html").read_text()
    assert "--kernel-size" in page  # from the commands
    page = (tmp_path / "built" / "reference" / "python.html").read_text()
    assert "kernel_per" in page  # from the docstring


def test_the_listed_members_of_public_modules_are_present_names():
    text = (DOCS / "reference" / "modules.md").read_text(encoding="utf-8")
    for module, members in re.findall(r"automodule:: (\S+)\n\s+:members: (.+)", text):
        module = importlib.import_module(module)
        names = set(members.split(", "))
        assert not names - set(getattr(module, "__all__", vars(module)))
