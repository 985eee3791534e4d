"""An interrupted run resumes from its checkpoint and gives the same result."""

from __future__ import annotations

import numpy as np
import pytest

import napari_genprior as gp
from images import blocks
from napari_genprior.cli import main
from napari_genprior.core import image_io as io
from napari_genprior.core.errors import FileError, InputError
from napari_genprior.methods import checkpoint as checkpoints
from napari_genprior.methods.registry import METHODS

RUNS = {
    "selfdeblur": {"kernel_size": 5, "steps": 12, "settings": {"channels": 4}},
    "selfdeblur-multiscale": {"kernel_size": 5, "steps": 12, "settings": {"channels": 4}},
    "untrained": {"steps": 6},
    "of three runs": {"kernel_size": 5, "steps": 5, "settings": {"channels": 4, "ensemble": 3}},
}


@pytest.fixture
def blurred():
    return gp.simulate(blocks(40, 36), kernel=gp.blur.motion(5, 30), noise=0.01, seed=1).blurred


@pytest.fixture(autouse=True)
def at_every_step(monkeypatch):
    monkeypatch.setattr(checkpoints, "INTERVAL_S", 0.0)
    monkeypatch.setattr("napari_genprior.settings.untrained.FIRST_FIT_STEPS", 15)
    monkeypatch.setattr("napari_genprior.settings.untrained.FIT_STEPS", 15)


def steps_of(run, most=None):
    """Run until ``most`` snapshots; return them, and the result if the run completed."""
    snapshots = []
    try:
        while most is None or len(snapshots) < most:
            snapshots.append(next(run))
    except StopIteration as end:
        return snapshots, end.value
    run.close()
    return snapshots, None


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_is_interrupted_repeatedly_gives_the_same_bits_as_an_uninterrupted_one(name, blurred, tmp_path):
    method = name if name in METHODS else "selfdeblur"
    arguments = RUNS[name]
    arguments = arguments | {"settings": arguments.get("settings", {}) | {"report_every": 1}}
    whole, expected = steps_of(gp.iter_deblur(blurred, method, **arguments))
    path = tmp_path / "run.checkpoint"
    result, parts = None, []
    for _ in range(40):
        part, result = steps_of(gp.iter_deblur(blurred, method, checkpoint=path, **arguments), most=len(whole) // 4)
        parts.append([snapshot.step for snapshot in part])
        if result is not None:
            break
        assert path.exists()
    assert len(parts) > 2
    assert parts[-1][0] > 0  # the last part was resumed
    np.testing.assert_array_equal(result.image, expected.image)
    np.testing.assert_array_equal(result.kernel, expected.kernel)
    assert result.extra_images.keys() == expected.extra_images.keys()
    assert list(tmp_path.iterdir()) == []


def test_the_checkpoint_of_another_run_is_refused_and_not_changed(blurred, tmp_path):
    path = tmp_path / "run.checkpoint"
    arguments = RUNS["selfdeblur"]
    steps_of(gp.iter_deblur(blurred, "selfdeblur", checkpoint=path, **arguments), most=1)
    before = path.read_bytes()
    for other in ({"seed": 1}, {"steps": 13}):
        with pytest.raises(FileError, match="another run"):
            steps_of(gp.iter_deblur(blurred, "selfdeblur", checkpoint=path, **(arguments | other)))
    with pytest.raises(FileError, match="another run"):
        steps_of(gp.iter_deblur(blurred[:-1], "selfdeblur", checkpoint=path, **arguments))
    assert path.read_bytes() == before


def test_a_file_that_is_not_a_checkpoint_is_refused(blurred, tmp_path):
    path = tmp_path / "run.checkpoint"
    path.write_text("a letter")
    with pytest.raises(FileError, match="not a readable checkpoint"):
        steps_of(gp.iter_deblur(blurred, "selfdeblur", checkpoint=path, **RUNS["selfdeblur"]))
    assert path.read_text() == "a letter"


def test_methods_without_checkpoints_and_missing_folders_are_refused(blurred, tmp_path):
    with pytest.raises(InputError, match="classical"):
        gp.deblur(blurred, "classical", checkpoint=tmp_path / "run.checkpoint")
    with pytest.raises(FileError, match="nowhere"):
        gp.deblur(blurred, "selfdeblur", checkpoint=tmp_path / "nowhere" / "run.checkpoint")


@pytest.mark.slow
def test_on_the_command_line(blurred, tmp_path, capsys):
    io.write_image(tmp_path / "in.tif", blurred.astype(np.float32))
    options = ["deblur", str(tmp_path / "in.tif"), "--method", "selfdeblur", "--kernel-size", "5", "--steps", "8"]
    options += ["--set", "channels=4", "--quiet"]
    assert main([*options, "-o", str(tmp_path / "whole.tif")]) == 0
    path = tmp_path / "run.checkpoint"
    again = [*options, "-o", str(tmp_path / "again.tif"), "--checkpoint", str(path)]
    run = gp.iter_deblur(
        io.read_image(tmp_path / "in.tif"),
        "selfdeblur",
        checkpoint=path,
        kernel_size=5,
        steps=8,
        settings={"channels": 4},
    )
    steps_of(run, most=1)
    assert path.exists()
    assert main(again) == 0
    assert not path.exists()
    images = [io.read_image(tmp_path / f"{name}.tif") for name in ("whole", "again")]
    np.testing.assert_array_equal(*images)
    assert main([*options, "-o", str(tmp_path / "x.tif"), "--checkpoint", str(tmp_path / "in.tif")]) == 2
    assert "never overwritten" in capsys.readouterr().err
