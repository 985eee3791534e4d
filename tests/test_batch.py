"""Batches: results beside a manifest, from which an interrupted batch resumes."""

import json
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest

import napari_genprior as gp
from images import blocks
from napari_genprior.batch_jobs import task
from napari_genprior.batch_jobs.inputs import find_inputs
from napari_genprior.batch_jobs.manifest import Manifest
from napari_genprior.cli import main
from napari_genprior.core.errors import FileError, InputError
from napari_genprior.core.image_io import read_image, write_image
from napari_genprior.pipeline import image_source

KERNEL = np.full((3, 5), 1 / 15, np.float32)
KILLS = 20 if os.environ.get("CI") == "true" or "GENPRIOR_SLOW" in os.environ else 6


def make_images(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        blurred = gp.simulate(blocks(36, 40, number), kernel=KERNEL, noise=0.01, seed=number).blurred
        write_image(folder / f"p{number:02}.png", (np.clip(blurred, 0, 1) * 255).astype(np.uint8))
    return folder


@pytest.fixture
def images(tmp_path):
    return make_images(tmp_path / "in", 4)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture(scope="module")
def kernel_file(tmp_path_factory):
    return write_image(tmp_path_factory.mktemp("kernel") / "kernel.tif", KERNEL)


def entries(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()[1:]]


def results(out: Path) -> dict[str, bytes]:
    """Read all files in the output folder except the manifest and the lock."""
    files = (path for path in out.rglob("*") if path.is_file() and path.name not in ("manifest.jsonl", ".batch.lock"))
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


@pytest.mark.slow
def test_results_keep_name_and_type_and_the_manifest_records_their_provenance(images, out):
    write_image(images / "deep.tif", (blocks(36, 40, 9) * 60000).astype(np.uint16))
    finished = gp.batch(images, out, kernel=KERNEL)
    assert [entry.name for entry in finished] == ["deep.tif", "p00.png", "p01.png", "p02.png", "p03.png"]
    assert set(results(out)) == {entry.name for entry in finished}
    assert read_image(out / "deep.tif").dtype == np.uint16
    blurred = read_image(images / "p01.png")
    expected = gp.known_kernel(blurred, KERNEL).image
    np.testing.assert_array_equal(read_image(out / "p01.png"), np.clip(np.rint(expected), 0, 255).astype(np.uint8))
    line = next(entry for entry in entries(out) if entry["name"] == "p01.png")
    assert line["state"] == "done"
    assert line["report"]["verdict"]["features"]["noise"] > 0
    assert line["report"]["provenance"]["versions"]["napari-genprior"] == gp.__version__
    assert line["arguments"]["method"] == "known-kernel"
    assert len(line["sha256"]) == 64
    assert line["seconds"] > 0


def test_an_entry_prints_as_a_line(images, out):
    [entry] = gp.batch(images / "p00.png", out, kernel=KERNEL)
    assert repr(entry).startswith(f"<Entry p00.png: {entry.report['verdict']['label']}, ")
    assert len(repr(entry)) < 400


def test_wrong_arguments_and_sources_are_refused_before_a_folder_is_made(images, out):
    for function in (gp.batch, gp.iter_batch):
        with pytest.raises(
            TypeError, match=rf"^{function.__name__}\(\) got .* 'kernel_sze'; did you mean 'kernel_size'"
        ):
            function(images, out, kernel_sze=3)
    with pytest.raises(InputError, match="There is no file or folder"):
        gp.batch(images / "nofolder", out)
    assert not out.exists()


@pytest.mark.slow
def test_an_estimated_kernel_is_written_too(images, out):
    [entry] = gp.batch(images / "p00.png", out, method="classical", kernel_size=5)
    kernel = read_image(out / entry.outputs["kernel"])
    assert entry.outputs["kernel"] == "kernels/p00.png.tif"
    assert kernel.sum() == pytest.approx(1, abs=1e-5)


def test_an_unusable_file_is_recorded_and_does_not_stop_the_batch(images, out, kernel_file, capsys):
    (images / "p01.png").write_bytes(b"no picture")
    write_image(images / "tiny.png", np.arange(4, dtype=np.uint8).reshape(2, 2))
    code = main([*map(str, ("batch", images, "no-such.png", "-o", out, "--kernel", kernel_file)), "--quiet"])
    output = capsys.readouterr()
    assert code == 2
    assert output.err.count("\n") == 1
    assert "3 of 6 files failed" in output.err
    assert "6 files: " in output.out
    assert ", 3 failed (manifest.jsonl)" in output.out
    assert "p01.png" in output.err
    assert set(results(out)) == {"p00.png", "p02.png", "p03.png"}
    states = {entry["name"]: entry["state"] for entry in entries(out)}
    assert [name for name, state in states.items() if state == "failed"] == ["p01.png", "tiny.png", "no-such.png"]
    # once the file is fixed, the next run processes it, and no other
    make_images(images, 4)
    (images / "tiny.png").unlink()
    assert main([*map(str, ("batch", images, "-o", out, "--resume", "--kernel", kernel_file)), "--quiet"]) == 0
    assert [entry["name"] for entry in entries(out)][6:] == ["p01.png"]


def test_a_bug_has_another_exit_code_than_unusable_input(images, out, kernel_file, monkeypatch, capsys):
    monkeypatch.setattr(task, "run", lambda *_, **__: 1 / 0)
    assert main([*map(str, ("batch", images, "-o", out, "--kernel", kernel_file)), "--quiet"]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_batch_in_the_folder_is_resumed_only_on_request(images, out):
    gp.batch(images, out, kernel=KERNEL)
    with pytest.raises(InputError, match="resume"):
        gp.batch(images, out, kernel=KERNEL)
    before = results(out)
    [first] = gp.iter_batch(images, out, kernel=KERNEL, resume=True)
    assert (first.skipped, first.total) == (4, 0)
    assert len(entries(out)) == 4
    assert results(out) == before


@pytest.mark.slow
def test_files_are_processed_again_where_they_or_the_arguments_changed(images, out):
    gp.batch(images, out, kernel=KERNEL)
    write_image(images / "p02.png", 255 - read_image(images / "p02.png"))
    (images / "p03.png").touch()  # another modification time, the same content
    first = next(gp.iter_batch(images, out, kernel=KERNEL, resume=True))
    assert (first.total, first.repeated) == (1, 1)
    assert "again" in first.stage
    gp.batch(images, out, kernel=KERNEL, resume=True)
    old = results(out)
    gp.batch(images, out, kernel=KERNEL, resume=True, settings={"regularization": 3})
    assert len(entries(out)) == 4 + 1 + 4
    assert all(results(out)[name] != old[name] for name in old)
    (out / "p00.png").unlink()  # a result was deleted
    gp.batch(images, out, kernel=KERNEL, resume=True, settings={"regularization": 3})
    assert [entry["name"] for entry in entries(out)][9:] == ["p00.png"]


def test_equal_names_of_different_folders_do_not_collide(tmp_path, out):
    for name in ("a", "b"):
        make_images(tmp_path / name, 1)
    write_image(tmp_path / "b" / "p00.png", 255 - read_image(tmp_path / "b" / "p00.png"))
    finished = gp.batch(str(tmp_path / "*" / "*.png"), out, kernel=KERNEL)
    assert [entry.name for entry in finished] == ["p00.png", "p00-2.png"]
    assert (out / "p00.png").read_bytes() != (out / "p00-2.png").read_bytes()
    again = gp.batch([tmp_path / "b" / "p00.png", tmp_path / "a"], out, kernel=KERNEL, resume=True)
    assert [entry.name for entry in again] == ["p00-2.png", "p00.png"]
    assert len(entries(out)) == 2


def test_inputs_and_other_files_are_never_overwritten(images, tmp_path):
    with pytest.raises(InputError, match="never overwritten"):
        gp.batch(images, images, kernel=KERNEL)
    inside = images / "results"
    gp.batch(str(images / "**" / "*.png"), inside, kernel=KERNEL)
    assert len(find_inputs(str(images / "**" / "*.png"), inside)) == 4
    other = tmp_path / "other"
    other.mkdir()
    (other / "p01.png").write_bytes(b"mine")
    with pytest.raises(InputError, match="not of this batch"):
        gp.batch(images, other, kernel=KERNEL)
    assert (other / "p01.png").read_bytes() == b"mine"


@pytest.mark.slow
def test_stacks_keep_their_axes_and_share_a_kernel(images, out):
    import tifffile

    movie = np.stack([read_image(images / f"p0{number}.png") for number in range(3)])
    tifffile.imwrite(images / "movie.tif", movie, imagej=True, metadata={"axes": "TYX"})
    np.save(images / "unnamed.npy", movie)
    finished = {entry.name: entry for entry in gp.batch(images, out, kernel=KERNEL)}
    with tifffile.TiffFile(out / "movie.tif") as tiff:
        assert tiff.series[0].axes == "TYX"
        restored = tiff.asarray()
    assert restored.dtype == np.uint8
    expected = gp.deblur(movie, axes="TYX", kernel=KERNEL).image
    np.testing.assert_array_equal(restored, np.clip(np.rint(expected), 0, 255).astype(np.uint8))
    assert finished["unnamed.npy"].state == "failed"
    assert "several ways" in finished["unnamed.npy"].reason
    # with given axes the arguments differ, so the file is processed again
    again = gp.batch(images / "unnamed.npy", out, kernel=KERNEL, resume=True, axes="TYX")
    assert again[0].state == "done"
    np.testing.assert_array_equal(read_image(out / "unnamed.npy"), restored)


@pytest.mark.slow
def test_zarr_is_restored_to_zarr_and_replaced_when_it_changed(images, out):
    zarr = pytest.importorskip("zarr")
    image = read_image(images / "p00.png")
    array = zarr.open(images / "large.zarr", mode="w", shape=image.shape, chunks=(16, 16), dtype="u1")
    array[:] = image
    [entry] = [entry for entry in gp.batch(images, out, kernel=KERNEL) if entry.name == "large.zarr"]
    assert entry.state == "done", entry.reason
    first = zarr.open(out / "large.zarr", mode="r")["0"][:]
    assert next(gp.iter_batch(images, out, kernel=KERNEL, resume=True)).total == 0
    array[:] = 255 - image
    gp.batch(images, out, kernel=KERNEL, resume=True)
    assert [entry["name"] for entry in entries(out)][5:] == ["large.zarr"]
    assert not np.array_equal(zarr.open(out / "large.zarr", mode="r")["0"][:], first)


def test_large_images_of_any_type_are_restored_in_tiles(images, out, monkeypatch):
    monkeypatch.setattr(image_source, "LARGE_PX", 38)
    [entry] = gp.batch(images / "p00.png", out, kernel=KERNEL)
    assert entry.report["provenance"]["arguments"]["tiles_per_plane"] == 1
    assert read_image(out / "p00.png").shape == (36, 40)


def test_unusable_arguments_are_refused_before_any_file_is_read(images, out, tmp_path):
    for arguments, output in (
        ({"method": "no-such"}, "Unknown method"),
        ({"method": "known-kernel"}, "needs a kernel"),
        ({"settings": {"no_such": 1}}, "Unknown setting"),
        ({"jobs": 0}, "jobs"),
        ({"jobs": 2, "cluster": "tcp://x:1"}, "not both"),
    ):
        with pytest.raises(InputError, match=output):
            gp.iter_batch(images, out, **arguments)
    (tmp_path / "empty").mkdir()
    for nothing in (tmp_path / "empty", str(tmp_path / "*.nothing"), []):
        with pytest.raises(InputError):
            gp.iter_batch(nothing, out, kernel=KERNEL)
    assert not out.exists()


def test_two_batches_cannot_write_to_one_folder(images, out):
    first = gp.iter_batch(images, out, kernel=KERNEL)
    next(first)
    with pytest.raises(FileError, match="Another batch"):
        gp.batch(images, out, kernel=KERNEL, resume=True)
    first.close()
    assert len(gp.batch(images, out, kernel=KERNEL, resume=True)) == 4


def test_an_invalid_manifest_is_refused(images, out):
    out.mkdir()
    (out / "manifest.jsonl").write_text("something else\n")
    with pytest.raises(InputError, match="line 1"):
        gp.batch(images, out, kernel=KERNEL, resume=True)


def test_a_result_that_was_committed_but_not_renamed_is_not_lost(images, out, monkeypatch):
    class Killed(BaseException):
        """Simulates a kill: nothing is cleaned up."""

    def die(*_):
        raise Killed

    monkeypatch.setattr(Manifest, "_rename_outputs", die)
    monkeypatch.setattr(Manifest, "close", lambda self: self._lock.release())
    with pytest.raises(Killed):
        gp.batch(images, out, kernel=KERNEL)
    monkeypatch.undo()
    assert [entry["name"] for entry in entries(out)] == ["p00.png"]
    assert not (out / "p00.png").exists()
    with (out / "manifest.jsonl").open("a") as file:
        file.write('{"input": "half a li')
    gp.batch(images, out, kernel=KERNEL, resume=True)
    assert [entry["name"] for entry in entries(out)] == [f"p{number:02}.png" for number in range(4)]
    assert set(results(out)) == {f"p{number:02}.png" for number in range(4)}


@pytest.mark.slow
def test_processes_give_the_same_results_also_where_one_is_killed(images, tmp_path):
    alone = gp.batch(images, tmp_path / "alone", kernel=KERNEL)
    progress = gp.iter_batch(images, tmp_path / "two", kernel=KERNEL, jobs=2)
    killed = False
    for state in progress:
        if state.entry and not killed:
            victim = multiprocessing.active_children()[0]
            os.kill(victim.pid, signal.SIGKILL)
            killed = True
    assert killed
    assert results(tmp_path / "two") == results(tmp_path / "alone")
    assert len(entries(tmp_path / "two")) == len(alone)


def start(arguments: list[str]) -> multiprocessing.Process:
    """Run the command in a separate process, forked from a server that has loaded torch, which saves seconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "napari_genprior.cli", "napari_genprior.batch_jobs.run"])
    process = context.Process(target=run_command, args=(arguments,))
    process.start()
    return process


def run_command(arguments: list[str]) -> None:
    import torch

    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests that run in the background ignore it otherwise
    torch.set_num_threads(1)
    raise SystemExit(main(arguments))


def wait_for(process, condition, seconds=60):
    end = time.monotonic() + seconds
    while process.is_alive() and not condition() and time.monotonic() < end:
        time.sleep(0.002)


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@pytest.mark.slow
def test_repeated_kills_lose_nothing_and_repeat_nothing(tmp_path, out, kernel_file):
    """Images are small, so that kills hit reading, restoring, writing and the manifest alike."""
    count = 3 * KILLS  # a run finishes one file before it is killed, seldom three
    images = make_images(tmp_path / "in", count)
    arguments = ["batch", str(images), "-o", str(out), "--kernel", str(kernel_file), "--quiet", "--resume"]
    rng = random.Random(5)
    kills = 0
    for number in range(KILLS):
        process = start([*arguments, *(["--jobs", "2"] if number % 5 == 4 else [])])
        before = size(out / "manifest.jsonl")
        wait_for(process, lambda before=before: size(out / "manifest.jsonl") > before)
        time.sleep(rng.uniform(0, 0.08))
        if process.is_alive():
            process.kill()
            kills += 1
        process.join()
    assert kills == KILLS
    last = start(arguments)
    last.join(60)
    assert last.exitcode == 0
    counted = sorted(entry["name"] for entry in entries(out) if entry["state"] == "done")
    assert counted == [f"p{number:02}.png" for number in range(count)]
    gp.batch(images, tmp_path / "undisturbed", kernel=KERNEL)
    assert results(out) == results(tmp_path / "undisturbed")
    assert not (out / ".parts").exists()


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupted_batch_keeps_finished_files_and_says_so(tmp_path, out, kernel_file, jobs):
    images = make_images(tmp_path / "in", 30)
    arguments = ["batch", str(images), "-o", str(out), "--kernel", str(kernel_file), "--quiet", "--jobs", str(jobs)]
    process = start(arguments)
    wait_for(process, lambda: size(out / "manifest.jsonl") > 2000)
    os.kill(process.pid, signal.SIGINT)
    process.join(30)
    assert process.exitcode == 130
    finished = {entry["name"] for entry in entries(out)}
    assert 0 < len(finished) < 30
    assert set(results(out)) == finished
    assert not (out / ".parts").exists()


def test_one_mask_serves_all_files_of_its_size(images, out, tmp_path, kernel_file, capsys):
    mask = np.zeros((36, 40), np.uint8)
    mask[5:9, 7:12] = 255
    write_image(images / "small.png", read_image(images / "p00.png")[:30])
    given = ["--kernel", str(kernel_file), "--mask", str(write_image(tmp_path / "mask.png", mask))]
    assert main(["batch", str(images), "-o", str(out), *given]) == 2
    assert "small.png" in capsys.readouterr().err
    for entry in entries(out):
        if entry["name"] == "small.png":
            assert entry["reason"] == "The mask has the shape 36x40; the image needs 30x40."
            continue
        before, after = read_image(images / entry["name"]), read_image(out / entry["name"])
        np.testing.assert_array_equal(after[mask > 0], before[mask > 0])
        assert not np.array_equal(after, before)
        assert "20 masked" in entry["report"]["status"]["sentence"]
        assert len(entry["arguments"]["mask_sha256"]) == 64


@pytest.mark.slow
def test_another_mask_processes_the_files_again(images, out):
    mask = np.zeros((36, 40), bool)
    mask[5:9, 7:12] = True
    gp.batch(images, out, kernel=KERNEL, mask=mask)
    first = (out / "p00.png").read_bytes()
    *_, end = gp.iter_batch(images, out, kernel=KERNEL, mask=mask, resume=True)
    assert (end.skipped, end.repeated) == (4, 0)
    *_, end = gp.iter_batch(images, out, kernel=KERNEL, mask=np.roll(mask, 9, 1), resume=True)
    assert (end.skipped, end.repeated) == (0, 4)
    assert (out / "p00.png").read_bytes() != first
