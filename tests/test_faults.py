"""When something breaks in the middle: nothing is lost, nothing is half-written, one sentence says what happened."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import napari_genprior as gp
from images import blocks
from napari_genprior.cli import main
from napari_genprior.core import image_io as io
from napari_genprior.core.errors import DeviceError, FileError
from napari_genprior.core.result import StatusCode
from napari_genprior.methods import Snapshot, selfdeblur
from napari_genprior.methods import registry as methods
from napari_genprior.pipeline import runtime_estimate
from napari_genprior.pipeline.device_memory import AdaptiveBatcher
from napari_genprior.pipeline.plan import make_plan

ROOT = Path(__file__).parents[1]
SLOW = "GENPRIOR_SLOW" in os.environ
KERNEL = np.ones((3, 3))


@pytest.fixture
def image(tmp_path) -> Path:
    return io.write_image(tmp_path / "image.npy", blocks(64, 64))


def breaking(monkeypatch, error: Exception) -> None:
    """Make the method "classical" break after its first snapshot."""

    def recipe(problem):
        yield Snapshot(1, 5, "kernel", problem.blurred, torch.ones(1, 1, 3, 3))
        raise error

    monkeypatch.setitem(methods.METHODS, "classical", replace(methods.METHODS["classical"], recipe=recipe))


def one_line(capsys) -> str:
    said = capsys.readouterr().err.strip("\n")
    assert said.count("\n") == 0, said
    return said


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 18 GB)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried 8 bytes"),
        MemoryError("Unable to allocate 74.5 GiB"),
    ],
    ids=["cuda", "mps", "torch", "numpy"],
)
def test_memory_that_runs_out_in_the_middle_is_told_with_a_way_out(image, tmp_path, monkeypatch, capsys, error):
    breaking(monkeypatch, error)
    with pytest.raises(DeviceError, match="in a run of classical on 64x64 px") as told:
        gp.deblur(blocks(64, 64), "classical")
    assert told.value.__cause__ is None  # its traceback would hold the memory
    assert told.value.__context__ is None
    assert main(["deblur", str(image), "-o", str(tmp_path / "a.npy"), "--method", "classical", "--quiet"]) == 2
    assert "another device" in one_line(capsys)
    assert not (tmp_path / "a.npy").exists()


def test_memory_that_holds_no_tile_is_told():
    def solve(planes, which):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    with pytest.raises(DeviceError, match="smaller tiles"):
        AdaptiveBatcher(torch.device("cpu"))(solve, torch.zeros(2, 1, 16, 16))


def test_other_errors_of_torch_stay_what_they_are(image, tmp_path, monkeypatch, capsys):
    breaking(monkeypatch, RuntimeError("CUDA error: device-side assert triggered"))
    with pytest.raises(RuntimeError, match="device-side"):
        gp.deblur(blocks(64, 64), "classical")
    assert main(["deblur", str(image), "-o", str(tmp_path / "a.npy"), "--method", "classical", "--quiet"]) == 1
    assert "fault of ours" in one_line(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["image.npy"]


def test_nan_in_the_loss_keeps_the_last_good_state(monkeypatch):
    calls = 0

    def soon_nan(model, data):
        nonlocal calls
        calls += 1
        return (model - data).square().mean((1, 2, 3)) * (1.0 if calls < 15 else torch.nan)

    monkeypatch.setattr(selfdeblur, "squared_error", soon_nan)
    settings = {"steps": 100, "channels": 4}
    result = gp.deblur(blocks(40, 40), "selfdeblur", kernel_size=5, settings=settings)
    assert result.status.code is StatusCode.DIVERGED
    assert "last finite state" in result.status.sentence
    assert np.isfinite(result.image).all()
    assert result.kernel.sum() == pytest.approx(1, abs=1e-5)
    assert not result.verdict.improved


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_older_result_and_no_half_of_the_new(tmp_path, monkeypatch):
    result = gp.known_kernel(blocks(24, 24), KERNEL)
    result.save(tmp_path / "r.npz")
    older = (tmp_path / "r.npz").read_bytes()

    def half(file, **arrays):
        file.write(b"half")
        full()

    monkeypatch.setattr(np, "savez_compressed", half)
    with pytest.raises(FileError, match="No space left"):
        result.save(tmp_path / "r.npz")
    assert (tmp_path / "r.npz").read_bytes() == older
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_what_the_command_says_may_go_to_a_full_disk_too(image, tmp_path):
    command = [sys.executable, "-m", "napari_genprior", "deblur", image, "-o", tmp_path / "a.npy", "--quiet"]
    np.save(tmp_path / "k.npy", KERNEL)
    with Path("/dev/full").open("w") as stream:
        done = subprocess.run(
            [*map(str, command), "--kernel", str(tmp_path / "k.npy")], stdout=stream, stderr=subprocess.PIPE, text=True
        )
    assert "Traceback" not in done.stderr
    assert io.read_image(tmp_path / "a.npy").shape == (64, 64)


def test_a_full_disk_does_not_stop_a_run_that_only_wants_to_remember_its_time(tmp_path, monkeypatch):
    monkeypatch.setattr(runtime_estimate, "ratio_file", lambda: tmp_path / "seconds.json")
    monkeypatch.setattr(Path, "write_text", full)
    runtime_estimate.record(make_plan(blocks(24, 24)), 3.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["folder removed", "permission revoked"])
def test_an_output_folder_that_goes_during_the_run_is_told(image, tmp_path, monkeypatch, capsys, what):
    out, known = tmp_path / "out", methods.METHODS["known-kernel"]
    out.mkdir()
    (out / "a.npy").write_bytes(b"older")

    def recipe(problem):
        yield Snapshot(1, 5, "kernel", problem.blurred, torch.ones(1, 1, 3, 3))
        if what == "folder removed":
            (out / "a.npy").unlink()
            out.rmdir()
        else:
            monkeypatch.setattr(Path, "replace", denied)  # root may do all, so the system is asked nothing
        return (yield from known.recipe(problem))

    def denied(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setitem(methods.METHODS, "known-kernel", replace(known, recipe=recipe))
    np.save(tmp_path / "k.npy", KERNEL)
    command = ["deblur", str(image), "-o", str(out / "a.npy"), "--kernel", str(tmp_path / "k.npy"), "--quiet"]
    assert main([*command, "--method", "known-kernel"]) == 2
    said = one_line(capsys)
    assert "Cannot write" in said
    assert ("No such file" if what == "folder removed" else "Permission denied") in said
    if out.exists():
        assert [(path.name, path.read_bytes()) for path in out.iterdir()] == [("a.npy", b"older")]


@pytest.mark.slow
def test_a_clock_that_jumps_changes_no_time_limit(monkeypatch):
    jumps = iter(range(10**9, 0, -(10**6)))
    monkeypatch.setattr(time, "time", lambda: next(jumps))  # a million seconds back at each look
    result = gp.deblur(blocks(64, 64), "classical", kernel_size=5, time_limit_s=30)
    assert result.status.code is StatusCode.DONE
    assert 0 < result.provenance.seconds < 30 * 60


def test_no_duration_is_taken_from_the_wall_clock():
    sources = list((ROOT / "src").rglob("*.py"))
    assert len(sources) > 100
    guilty = [path.name for path in sources if re.search(r"\btime\.time\(|datetime\.now\(\)", path.read_text())]
    assert guilty == []


def moments() -> list[float]:
    """Seconds after the start: while Python starts, while things are loaded, while it runs, while it writes."""
    rng = np.random.default_rng(1)
    return [0.3, 0.8, *rng.uniform(1.0, 12.0 if SLOW else 6.0, 10 if SLOW else 2)]


@pytest.mark.slow
def test_ctrl_c_at_any_moment_is_one_line_and_leaves_nothing_half_written(tmp_path):
    image = io.write_image(tmp_path / "image.npy", blocks(96, 96))
    before = image.read_bytes()
    for number, moment in enumerate(moments()):
        out = tmp_path / str(number)
        out.mkdir()
        words = ["deblur", image, "-o", out / "a.npy", "--report", out / "r.json", "--kernel-size", "9", "--quiet"]
        run = subprocess.Popen(
            [sys.executable, "-m", "napari_genprior", *map(str, words)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        started = time.monotonic()
        while run.poll() is None and time.monotonic() < started + moment:
            time.sleep(0.02)
        run.send_signal(signal.SIGINT)
        said = run.communicate(timeout=120)[1]
        if run.returncode == 0:  # it was through before
            assert io.read_image(out / "a.npy").shape == (96, 96)
            continue
        # -SIGINT: before Python's first line or after its last, or while it executed a string during an import
        assert run.returncode in (130, -signal.SIGINT), said
        assert "Traceback" not in said
        if said or run.returncode == 130:
            assert said.strip("\n").count("\n") == 0
            assert "interrupted" in said
        for path in out.iterdir():  # only whole files
            assert path.name in ("a.npy", "r.json")
        if (out / "a.npy").exists():
            assert io.read_image(out / "a.npy").shape == (96, 96)
    assert image.read_bytes() == before


def test_each_row_of_the_fault_table_names_a_test_that_is_there():
    table = [line for line in (ROOT / "docs" / "reliability.md").read_text().splitlines() if line.startswith("|")]
    assert len(table) > 10
    for row in table[2:]:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row)
        assert named, row
        for path, name in named:
            assert f"def {name}(" in (ROOT / path).read_text(), (path, name)
