"""The results of a benchmark are written as JSON, with the command and the machine, and fit the headline table."""

import json

import numpy as np
import pytest

import napari_genprior as gp
from images import blocks
from napari_genprior.cli import main
from napari_genprior.core.errors import FileError
from napari_genprior.evaluation import benchmark_lai as lai
from napari_genprior.evaluation.benchmark_report import Row, results_file, write_rows


@pytest.fixture
def folder(tmp_path):
    """The first image of the Lai set, under its first kernel."""
    kernel = gp.blur.motion(9)
    truth = np.rint(255 * blocks(120, 110)).astype(np.uint8)
    blurred = gp.simulate(truth / 255, kernel=kernel, noise=0.01, seed=0).blurred
    for name, image in (("gt", truth), ("kernel_01", np.rint(255 * np.clip(blurred, 0, 1)).astype(np.uint8))):
        gp.core.image_io.write_image(tmp_path / f"manmade_01_{name}.png", image)
    np.savez(tmp_path / "kernels_estimated.npz", kernel_01=kernel, kernel_02=kernel)
    return tmp_path


def test_json_holds_rows_images_command_and_machine(folder, monkeypatch, capsys):
    monkeypatch.setattr(lai, "MAX_SHIFT_PX", 3)
    options = ["--method", "known-kernel", "--count", "1", "--json", str(folder / "results")]
    assert main(["bench", "lai", str(folder), *options]) == 0
    path = folder / "results" / gp.__version__ / "lai.json"
    assert capsys.readouterr().out.splitlines()[-1] == f"wrote {path}"
    content = json.loads(path.read_text())
    assert content["command"] == f"genprior bench lai {folder} --method known-kernel --count 1"
    assert (content["benchmark"], content["version"]) == ("lai", gp.__version__)
    assert content["machine"]["threads"] >= 1
    assert content["machine"]["processor"]
    rows = {row["set"]: row for row in content["rows"]}
    row = rows["Lai 2016, 1 images"]
    assert (row["method"], row["side_information"]) == ("known-kernel", "kernel")
    (image,) = row["images"]
    assert image["name"] == "manmade_01_kernel_01"
    assert row["metrics"]["gain, dB"] == pytest.approx(image["after"] - image["before"], abs=1e-4)
    assert row["metrics"]["gain, dB"] > 2


def test_a_file_is_written_as_named_and_values_that_are_not_finite_become_null(tmp_path):
    path = results_file(tmp_path / "own.json", "lai")
    write_rows(path, "lai", [Row("set", "method", {"PSNR, dB": np.float64("inf"), "n": np.int64(3)})], "command")
    (row,) = json.loads(path.read_text())["rows"]
    assert row["metrics"] == {"PSNR, dB": None, "n": 3}


def test_a_place_that_cannot_be_written_is_refused_before_the_run(tmp_path):
    (tmp_path / "file").touch()
    for target in (tmp_path / "none" / "own.json", tmp_path / "file"):
        with pytest.raises(FileError):
            results_file(target, "lai")


def test_old_names_of_benchmarks_are_hidden_and_still_work(capsys):
    assert main(["bench", "--help"]) == 0
    listed = capsys.readouterr().out
    assert "asim2020" in listed
    assert "table5" not in listed
    assert main(["bench", "table5", "--help"]) == 0
    assert "deprecated" in capsys.readouterr().out.lower()
