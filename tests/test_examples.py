"""The example scripts run as their docstrings say, and reach the results that they state."""

import re
import runpy
import sys
from pathlib import Path

import pytest

import napari_genprior as gp
from napari_genprior.core.image_io import read_image

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(monkeypatch, name: str, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


@pytest.mark.slow
def test_a_measured_kernel(monkeypatch, tmp_path, capsys):
    run(monkeypatch, "measured_kernel.py", "-o", str(tmp_path))
    output = capsys.readouterr().out
    assert float(re.search(r"increased by ([\d.]+) dB", output).group(1)) > 3
    assert read_image(tmp_path / "psf.tif").sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_a_photograph_within_a_time_limit(monkeypatch, tmp_path, capsys):
    run(monkeypatch, "photograph.py", "-o", str(tmp_path / "out.png"), "--seconds", "0.1")
    assert "%" in capsys.readouterr().out
    assert read_image(tmp_path / "out.png").shape == (300, 400)
    assert gp.DeblurResult.load(tmp_path / "out.png.npz").provenance.arguments["time_limit_s"] == 0.1


@pytest.mark.slow
def test_a_prior_of_ones_own(monkeypatch, capsys):
    run(monkeypatch, "own_prior.py")
    before, after = map(float, re.search(r"([\d.]+) dB -> ([\d.]+) dB", capsys.readouterr().out).groups())
    assert after > before + 4
