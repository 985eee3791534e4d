"""The command line as a user meets it: files in, files out, one line and exit code 2 for what cannot be used."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
import tifffile

from images import blocks
from napari_genprior.cli import arguments, main
from napari_genprior.cli import deblur as command
from napari_genprior.core import image_io as io
from napari_genprior.methods.registry import METHODS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a sharp image, a blurred one, and its kernel."""
    folder = tmp_path_factory.mktemp("images")
    io.write_image(folder / "sharp.png", (blocks() * 255).astype(np.uint8))
    code = run(
        f"simulate {folder}/sharp.png -o {folder}/blurred.png --blur motion --length 9 --angle 30 --noise 0.005 "
        f"--seed 3 --kernel-out {folder}/kernel.tif"
    )
    assert code == 0
    return folder


def run(command: str) -> int:
    return main(command.split())


def one_line(capsys) -> str:
    error = capsys.readouterr().err.lstrip("\n")  # an interrupt first leaves the progress bar's line
    assert error.count("\n") == 1, error
    assert "Traceback" not in error
    return error


def test_simulate_blurs_in_the_type_of_its_input(folder):
    sharp, blurred, kernel = (io.read_image(folder / name) for name in ("sharp.png", "blurred.png", "kernel.tif"))
    assert blurred.dtype == np.uint8
    assert blurred.shape == sharp.shape
    assert blurred.astype(float).std() < sharp.astype(float).std()
    assert kernel.dtype == np.float32
    assert kernel.sum() == pytest.approx(1, abs=1e-5)


def test_simulate_with_the_kernel_of_a_file_is_the_same(folder, tmp_path):
    run(f"simulate {folder}/sharp.png -o {tmp_path}/b.png --kernel {folder}/kernel.tif --noise 0.005 --seed 3")
    np.testing.assert_array_equal(io.read_image(tmp_path / "b.png"), io.read_image(folder / "blurred.png"))


@pytest.mark.slow
def test_a_rejected_estimate_is_written_where_it_is_asked_for(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("napari_genprior.quality.classifier.ACCEPT_PROBABILITY", 2.0)
    monkeypatch.setattr("napari_genprior.quality.classifier.REJECT_PROBABILITY", 1.0)
    files = f"deblur {folder}/blurred.png --kernel-size 11 --quiet -o {tmp_path}/kept.png"
    assert run(files) == 0
    assert "no improvement: input returned unchanged" in (said := capsys.readouterr().out)
    assert "--estimate-out FILE" in said
    assert run(f"{files} --estimate-out {tmp_path}/estimate.png") == 0
    assert "--estimate-out" not in capsys.readouterr().out
    kept, estimate, sharp, blurred = (
        io.read_image(path).astype(float)
        for path in (tmp_path / "kept.png", tmp_path / "estimate.png", folder / "sharp.png", folder / "blurred.png")
    )
    np.testing.assert_array_equal(kept, blurred)
    assert np.abs(estimate - sharp).mean() < np.abs(blurred - sharp).mean()


@pytest.mark.slow
def test_deblur_writes_image_kernel_and_report_and_repeats_from_it(folder, tmp_path, capsys):
    arguments = f"--kernel-size 11 --quiet --kernel-out {tmp_path}/k.tif --report {tmp_path}/r.json"
    assert run(f"deblur {folder}/blurred.png -o {tmp_path}/result.tif {arguments}") == 0
    assert "improved: The kernel" in capsys.readouterr().out
    result, kernel = io.read_image(tmp_path / "result.tif"), io.read_image(tmp_path / "k.tif")
    assert result.dtype == np.uint8
    sharp, blurred = (io.read_image(folder / name).astype(float) for name in ("sharp.png", "blurred.png"))
    assert ((result - sharp) ** 2).mean() < ((blurred - sharp) ** 2).mean()
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["verdict"]["improved"] is True
    assert report["provenance"]["seed"] == 0
    assert report["kernels_shape"] == list(kernel.shape)

    assert run(f"deblur -o {tmp_path}/again.tif --quiet --rerun {tmp_path}/r.json --kernel-out {tmp_path}/k2.tif") == 0
    assert (tmp_path / "again.tif").read_bytes() == (tmp_path / "result.tif").read_bytes()
    assert (tmp_path / "k2.tif").read_bytes() == (tmp_path / "k.tif").read_bytes()


def test_a_run_with_a_known_kernel_repeats_from_another_folder(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    known = f"--method known-kernel --kernel kernel.tif --quiet --report {tmp_path}/r.json"
    assert run(f"deblur blurred.png -o {tmp_path}/a.npy {known}") == 0
    monkeypatch.chdir(tmp_path)
    assert run(f"deblur -o {tmp_path}/b.npy --quiet --rerun {tmp_path}/r.json") == 0
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


@pytest.mark.slow
def test_a_run_repeats_only_on_its_own_image(folder, tmp_path, capsys):
    assert (
        run(f"deblur {folder}/blurred.png -o {tmp_path}/a.png --kernel-size 5 --quiet --report {tmp_path}/r.json") == 0
    )
    capsys.readouterr()
    assert run(f"deblur {folder}/sharp.png -o {tmp_path}/b.png --quiet --rerun {tmp_path}/r.json") == 2
    assert "not the image of that run" in one_line(capsys)
    assert not (tmp_path / "b.png").exists()


@pytest.mark.parametrize(("name", "value"), [("threads", 0), ("threads", 2.5), ("threads", True), ("axes", ["Y", "X"])])
def test_a_report_with_a_wrong_number_of_threads_or_wrong_axes_is_refused(folder, tmp_path, capsys, name, value):
    known = f"--method known-kernel --kernel {folder}/kernel.tif --report {tmp_path}/r.json --quiet"
    assert run(f"deblur {folder}/blurred.png -o {tmp_path}/a.npy {known}") == 0
    report = json.loads((tmp_path / "r.json").read_text())
    place = report["provenance"]["arguments"] if name == "axes" else report["provenance"]
    place[name] = value
    (tmp_path / "r.json").write_text(json.dumps(report))
    capsys.readouterr()
    assert run(f"deblur -o {tmp_path}/b.npy --rerun {tmp_path}/r.json --quiet") == 2
    assert name in one_line(capsys)


def test_settings_come_from_a_file(folder, tmp_path, capsys):
    (tmp_path / "s.json").write_text('{"steps": 10, "channels": 4}')
    settings = f"--method selfdeblur --settings {tmp_path}/s.json --kernel-size 5 --report {tmp_path}/r.json --quiet"
    assert run(f"deblur {folder}/blurred.png -o {tmp_path}/a.png {settings}") == 0
    assert json.loads((tmp_path / "r.json").read_text())["provenance"]["settings"]["steps"] == 10
    (tmp_path / "s.json").write_text('{"stepz": 10}')
    assert run(f"deblur {folder}/blurred.png -o {tmp_path}/b.png {settings}") == 2
    assert "Unknown setting 'stepz'" in capsys.readouterr().err


def bad_files(folder: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(folder / "empty.npy", np.zeros((0, 5)))
    np.save(folder / "line.npy", rng.random(50))
    np.save(folder / "stack.npy", rng.random((4, 20, 20)))
    np.save(folder / "nan.npy", np.full((20, 20), np.nan))
    np.save(folder / "flat.npy", np.ones((20, 20)))
    np.save(folder / "tiny.npy", rng.random((12, 12)))
    np.save(folder / "zero_kernel.npy", np.zeros((5, 5)))
    np.save(folder / "negative_kernel.npy", -np.ones((5, 5)))
    np.save(folder / "large_kernel.npy", np.ones((25, 25)))
    np.save(folder / "float.npy", rng.random((20, 20)))
    (folder / "cut.png").write_bytes((folder / "blurred.png").read_bytes()[:300])
    (folder / "notes.txt").write_text("hello")
    (folder / "not.json").write_text("{")
    (folder / "axes.json").write_text('{"method": "auto", "axes": 5}')
    (folder / "list.json").write_text('{"method": "auto", "settings": [1]}')


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("deblur {f}/none.png -o {t}/a.png", "no file"),
        ("deblur {f}/cut.png -o {t}/a.png", "cannot be read"),
        ("deblur {f}/notes.txt -o {t}/a.png", "allowed are .png"),
        ("deblur {f}/blurred.png -o {t}/a.docx", "allowed are .png"),
        ("deblur {f}/blurred.png -o {t}/none/a.png", "No such file or directory"),
        ("deblur {f}/blurred.png -o {t}", "allowed are .png"),
        ("deblur {f}/blurred.png -o {f}/blurred.png", "never overwritten"),
        ("deblur {f}/float.npy -o {t}/a.png", "write .tif or .npy"),
        ("deblur {f}/empty.npy -o {t}/a.tif", "empty"),
        ("deblur {f}/line.npy -o {t}/a.tif", "1 axes"),
        ("deblur {f}/stack.npy -o {t}/a.tif", "several ways"),
        ("deblur {f}/nan.npy -o {t}/a.tif", "NaN"),
        ("deblur {f}/flat.npy -o {t}/a.tif", "constant"),
        ("deblur {f}/tiny.npy -o {t}/a.tif --kernel-size 15", "larger than the image"),
        ("deblur {f}/tiny.npy -o {t}/a.tif --kernel {f}/large_kernel.npy", "larger than the image"),
        ("deblur {f}/blurred.png -o {t}/a.png --kernel {f}/zero_kernel.npy", "zero everywhere"),
        ("deblur {f}/blurred.png -o {t}/a.png --kernel {f}/negative_kernel.npy", "negative"),
        ("deblur {f}/blurred.png -o {t}/a.png --method magic", "'magic' is not one of"),
        ("deblur {f}/blurred.png -o {t}/a.png --method known-kernel", "needs a kernel"),
        ("deblur {f}/blurred.png -o {t}/a.png --kernel-size big", "allowed are auto"),
        ("deblur {f}/blurred.png -o {t}/a.png --steps 0", "--steps"),
        ("deblur {f}/blurred.png -o {t}/a.png --device abacus", "abacus"),
        ("deblur {f}/blurred.png -o {t}/a.png --settings {f}/not.json", "not JSON"),
        ("deblur {f}/blurred.png -o {t}/a.png --rerun {f}/not.json", "not a report"),
        ("deblur {f}/blurred.png -o {t}/a.png --settings {f}/axes.json", "axes must be"),
        ("deblur {f}/blurred.png -o {t}/a.png --settings {f}/list.json --setting steps=1", "names and values"),
        ("deblur {f}/blurred.png -o {t}/a.png --kernel-per stack --kernels frame", "give --kernel-per only"),
        ("deblur -o {t}/a.png", "Missing argument IN"),
        ("deblur {f}/blurred.png", "--output"),
        ("deblur {f}/blurred.png -o {t}/a.png --nonsense", "--nonsense"),
        ("deblur {f}/blurred.png -o {t}/a.png --kernel-out {t}/k.png", "cannot hold a kernel"),
        ("deblur {f}/blurred.png -o {t}/a.png --estimate-out {t}/e.docx", "allowed are .png"),
        ("deblur {f}/blurred.png -o {t}/a.png --tiles 2x2 --estimate-out {t}/e.png", "--estimate-out is for single"),
        ("deblur {f}/blurred.png -o {t}/a.png --tiles three", "ROWSxCOLUMNS"),
        ("deblur {f}/blurred.png -o {t}/a.png --tile-size big", "allowed are auto"),
        ("deblur {f}/blurred.png -o {t}/a.png --voxel-size 1,2", "Z,Y,X in um"),
        ("deblur {f}/blurred.png -o {t}/a.png --setting steps", "NAME=VALUE"),
        ("deblur {f}/blurred.png -o {t}/a.png --rerun {f}/not.json --seed 1", "--rerun repeats a run as it was"),
        ("simulate {f}/sharp.png -o {t}/a.png --blur tornado", "tornado"),
        ("simulate {f}/sharp.png -o {t}/a.png --length 0", "length"),
        ("frobnicate", "frobnicate"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line_with_exit_code_2(folder, tmp_path, capsys, command, words):
    bad_files(folder)
    assert run(command.format(f=folder, t=tmp_path) + (" --quiet" if command.startswith("deblur") else "")) == 2
    assert words in one_line(capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_permission_is_named_before_the_run(folder, tmp_path, capsys, monkeypatch):
    tmp_path.chmod(0o500)
    if os.geteuid() == 0:  # root may write everywhere
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    assert run(f"deblur {folder}/blurred.png -o {tmp_path}/a.png --quiet") == 2
    assert "Permission denied" in one_line(capsys)


@pytest.mark.slow
def test_a_full_disk_at_the_end_keeps_the_older_result(folder, tmp_path, capsys, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"older result")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert run(f"deblur {folder}/blurred.png -o {tmp_path}/a.png --kernel-size 5 --quiet") == 2
    assert "No space left on device" in one_line(capsys)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.png", b"older result")]


def test_an_interrupted_run_writes_nothing(folder, tmp_path, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run_with_progress", interrupted)
    assert run(f"deblur {folder}/blurred.png -o {tmp_path}/a.png") == 130
    assert "nothing was written" in one_line(capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_fault_of_ours_has_exit_code_1_and_one_line(folder, tmp_path, capsys, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(command, "run_with_progress", broken)
    assert run(f"deblur {folder}/blurred.png -o {tmp_path}/a.png") == 1
    assert "fault of ours: ZeroDivisionError" in one_line(capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_models_and_doctor_say_what_is_there(capsys):
    assert run("models") == 0
    assert "motion-28-linear" in capsys.readouterr().out
    assert run("doctor") == 0
    out = capsys.readouterr().out
    words = ("torch 2", "devices: cpu", "motion-28-linear", "known-kernel deconvolution of a small image works")
    for word in (*words, "No faults"):
        assert word in out


def test_the_doctor_tells_a_damaged_model(tmp_path, capsys, monkeypatch):
    from napari_genprior.zoo import store

    (tmp_path / "bad.json").write_text("{}")
    monkeypatch.setattr(store, "folders", lambda: [tmp_path])
    assert run("doctor") == 1
    assert "WRONG: models: The card" in capsys.readouterr().out


@pytest.mark.slow
def test_the_demo_writes_all_it_promises(tmp_path, capsys):
    assert run(f"demo -o {tmp_path}/demo --quiet") == 0
    out = capsys.readouterr().out
    assert "verdict:" in out
    names = {"input.png", "result.png", "kernel.tif", "side_by_side.png", "report.json"}
    assert {p.name for p in (tmp_path / "demo").iterdir()} == names
    result = io.read_image(tmp_path / "demo" / "result.png")
    assert result.shape == (300, 400)
    assert result.dtype == np.uint8
    report = json.loads((tmp_path / "demo" / "report.json").read_text())
    assert report["provenance"]["arguments"]["kernel_size"] == "auto"
    assert report["provenance"]["seconds"] > 0


@pytest.mark.parametrize(
    "command", ["deblur a.png -o b.png --kernal x", "deblur a -o b --foun x", "batch a -o b --sett x=1"]
)
def test_deprecated_options_are_not_suggested(capsys, command):
    assert run(command) == 2
    error = one_line(capsys)
    assert "No such option" in error
    assert not {"'--set'", "'--found'", "'--kernels'", "'--depth'", "'--budget'", "'--from'"} & set(
        error.replace(",", " ").split()
    )


def test_planes_of_a_volume_are_announced_unless_the_mode_is_given(tmp_path, capsys):
    io.write_image(tmp_path / "k.npy", np.full((3, 3), 1 / 9, np.float32))
    planes = np.stack([blocks(24, 32)] * 2) + np.random.default_rng(0).normal(0, 0.01, (2, 24, 32))
    tifffile.imwrite(tmp_path / "z.tif", planes.astype(np.float32), metadata={"axes": "ZYX"}, ome=True)
    command = f"deblur {tmp_path}/z.tif -o {tmp_path}/out.tif --kernel {tmp_path}/k.npy --quiet"
    assert run(command) == 0
    assert one_line(capsys) == "2 planes, each restored in 2-D; for a volume: --mode 3d\n"
    assert run(f"{command} --mode 2d") == 0
    assert not capsys.readouterr().err


def test_help_and_version(capsys):
    assert run("--version") == 0
    assert run("deblur --help") == 0
    help_text = capsys.readouterr().out
    assert "--kernel-size" in help_text
    assert not any(old in help_text for old in ("--budget", "--found", "--from", "--kernels"))


def test_the_methods_of_the_options_are_those_of_the_registry():
    assert set(arguments.METHOD_NAMES) == set(METHODS)


def test_no_help_text_waits_for_torch():
    code = """
import sys
from napari_genprior.cli import main
for words in ([], ["deblur"], ["batch"], ["simulate"]):
    assert main([*words, "--help"]) == 0
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_every_help_text_is_a_whole_phrase():
    for option in arguments.DEBLUR_OPTIONS:
        parameter = option(lambda: None).__click_params__[0]
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert len(parameter.help.split()) > 3, parameter.name
            assert parameter.help[0].isupper(), parameter.name
