"""What a time limit cut short says so: of one image, and of stacks, volumes and tiles how many parts."""

import json

import numpy as np
import pytest

import napari_genprior as gp
from images import blocks
from napari_genprior.cli import main
from napari_genprior.core.image_io import write_image
from napari_genprior.core.result import StatusCode
from napari_genprior.methods import Solution
from napari_genprior.methods.registry import METHODS, Method
from napari_genprior.pipeline import resume
from napari_genprior.pipeline.plan import make_plan
from napari_genprior.pipeline.run import run
from napari_genprior.settings import ClassicalSettings

NO_TIME = 1e-6
BLUR = gp.blur.motion(length=7, angle_deg=30)
IMAGE = gp.simulate(0.2 + 0.6 * blocks(64, 64), kernel=BLUR, noise=0.01, seed=0).blurred
STACK = np.stack([IMAGE, IMAGE[::-1], IMAGE.T])
MOVIE_3D = np.stack([np.stack([blocks(24, 24)] * 8)] * 2)
KERNEL_3D = np.full((3, 3, 3), 1 / 27)


@pytest.mark.slow
def test_a_classical_run_that_was_cut_short_says_so_and_is_finished_all_the_same():
    cut = gp.deblur(IMAGE, kernel_size=7, time_limit_s=NO_TIME)
    assert cut.status.code is StatusCode.STOPPED
    assert "The time limit of 1e-06 s was reached" in cut.status.sentence
    whole = gp.deblur(IMAGE, kernel_size=7, time_limit_s=1e6)
    assert whole.status.code is StatusCode.DONE
    assert len(cut.candidates) < len(whole.candidates)
    assert cut.found.mean() == pytest.approx(IMAGE.mean(), rel=1e-3)  # the flux is matched, as in a whole run


@pytest.mark.parametrize("settings", [{}, {"ensemble": 2}])
def test_a_run_of_untrained_networks_that_was_cut_short_says_so(settings):
    given = {"kernel_size": 5, "steps": 3, "settings": {"channels": 8, "report_every": 1, **settings}}
    assert gp.deblur(IMAGE[:32, :32], "selfdeblur", time_limit_s=NO_TIME, **given).status.code is StatusCode.STOPPED
    assert gp.deblur(IMAGE[:32, :32], "selfdeblur", time_limit_s=1e6, **given).status.code is StatusCode.DONE


@pytest.mark.parametrize(
    ("image", "arguments", "words"),
    [
        (STACK, {"axes": "TYX", "kernel_per": "frame", "kernel_size": 7}, "in 3 of 3 kernel estimations"),
        (STACK, {"axes": "TYX", "kernel_size": 7}, "in 1 of 1 kernel estimations"),
        (IMAGE, {"tiles": (1, 1), "kernel_size": 7}, "in 2 of 2 kernel estimations"),
        (IMAGE, {"tile_size": 64, "kernel_size": 7}, "in 1 of 1 kernel estimations"),
        (MOVIE_3D, {"axes": "TZYX", "mode": "3d", "kernel": KERNEL_3D}, "in 2 of 2 volumes"),
    ],
)
@pytest.mark.slow
def test_the_whole_is_stopped_where_a_part_was(image, arguments, words):
    status = gp.deblur(image, time_limit_s=NO_TIME, **arguments).status
    assert status.code is StatusCode.STOPPED
    assert words in status.sentence
    assert "1e-06 s" in status.sentence


def test_the_parts_that_were_cut_short_are_counted(monkeypatch):
    cut = iter([True, False, True])

    def recipe(problem):
        return Solution(problem.blurred, problem.blurred.new_ones(1, 1, 1, 1), stopped=next(cut))
        yield

    method = Method("fake", recipe, ClassicalSettings, "for tests", keeps_time_limit=True)
    monkeypatch.setitem(METHODS, "fake", method)
    status = gp.deblur(STACK, "fake", axes="TYX", kernel_per="plane", time_limit_s=60).status
    assert (status.code, "in 2 of 3 kernel estimations" in status.sentence) == (StatusCode.STOPPED, True)


@pytest.mark.parametrize("arguments", [{"kernel_per": "frame"}, {}])
def test_divergence_of_a_part_is_the_status_of_the_whole(arguments, monkeypatch):
    def recipe(problem):
        return Solution(problem.blurred, problem.blurred.new_ones(1, 1, 1, 1), diverged=True)
        yield

    monkeypatch.setitem(METHODS, "fake", Method("fake", recipe, ClassicalSettings, "for tests"))
    assert gp.deblur(STACK, "fake", axes="TYX", **arguments).status.code is StatusCode.DIVERGED


def test_planes_with_given_kernels_are_restored_whatever_the_time_limit():
    whole = gp.deblur(STACK, axes="TYX", kernel=BLUR)
    limited = gp.deblur(STACK, axes="TYX", kernel=BLUR, time_limit_s=NO_TIME)
    assert limited.status.code is StatusCode.DONE
    np.testing.assert_array_equal(limited.image, whole.image)


def test_a_resumed_run_still_says_that_its_estimation_was_cut_short(tmp_path, monkeypatch):
    pytest.importorskip("filelock")

    def start():
        return run(make_plan(IMAGE, out=tmp_path / "out.tif", tile_size=64, kernel_size=7, time_limit_s=NO_TIME))

    with monkeypatch.context() as killed:  # a killed run cleans nothing up
        killed.setattr(resume, "_remove", lambda path: None)
        first = start()
        while not next(first).stage.startswith("Tile"):
            pass
        first.close()
    assert json.loads((tmp_path / ".out.tif.part.json").read_text())["planes"] == 0
    again, stages = start(), []
    while True:
        try:
            stages.append(next(again).stage)
        except StopIteration as end:
            status = end.value.status
            break
    assert not any(stage.startswith("Kernel candidate") for stage in stages)
    assert status.code is StatusCode.STOPPED


def test_the_command_line_says_that_the_time_limit_was_reached(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_image("in.tif", IMAGE.astype(np.float32))
    assert main(["deblur", "in.tif", "-o", "out.tif", "--time-limit", "1e-6", "--report", "r.json", "--quiet"]) == 0
    assert "The time limit of 1e-06 s was reached" in capsys.readouterr().out
    assert json.loads((tmp_path / "r.json").read_text())["status"]["code"] == "stopped"
