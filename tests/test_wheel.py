"""A built wheel, installed, is complete: models, manifest and samples are in it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TRY = """
import napari_genprior as gp
from importlib.metadata import entry_points
from importlib.resources import files
print(gp.__file__)
assert gp.samples.clock().shape == (300, 400)
assert "motion-28-linear" in [card.name for card in gp.list_priors()]
gp.load_prior("motion-28-linear")
assert (files("napari_genprior") / "napari.yaml").is_file()
sharp = gp.samples.cat()[:64, :64, 0]
made = gp.simulate(sharp, gp.blur.gaussian(1), seed=0)
assert gp.known_kernel(made.blurred, made.kernel).image.shape == (64, 64)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (path,) = out.glob("*.whl")
    return path


def run(command: list[str], **options) -> str:
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_wheel_holds_what_the_package_needs_and_no_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "napari.yaml",
        "weights/motion-28-linear.json",
        "weights/motion-28-linear.safetensors",
        "data/clock.png",
    ):
        assert f"napari_genprior/{needed}" in names
    assert not [name for name in names if "tests" in name]


@pytest.mark.slow
def test_the_unpacked_wheel_works_on_its_own(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    where = run([sys.executable, "-c", TRY], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert where.startswith(str(tmp_path))


@pytest.mark.skipif("GENPRIOR_SLOW" not in os.environ, reason="takes minutes; set GENPRIOR_SLOW=1 (CI does)")
def test_the_wheel_installs_into_an_empty_environment(wheel, tmp_path):
    run([sys.executable, "-m", "venv", str(tmp_path / "venv")])
    python = str(tmp_path / "venv" / "bin" / "python")
    pip = [python, "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt")]
    run([*pip, "torch"])
    run([*pip, str(wheel)])
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    assert str(tmp_path / "venv") in run([python, "-c", TRY], cwd=tmp_path, env=environment)
    models = run([str(tmp_path / "venv" / "bin" / "genprior"), "models"], cwd=tmp_path, env=environment)
    assert "motion-28-linear" in models
