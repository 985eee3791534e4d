"""The benchmark of the generator methods: its lines on tiny models, and searches that stop at a level or a limit."""

import numpy as np
import pytest
import torch

from napari_genprior.cli import main
from napari_genprior.evaluation import benchmark_generator as bench
from napari_genprior.settings import RelaxedSettings
from napari_genprior.zoo import store
from test_proposals import SIZE, install


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A pair of linear priors, and test images of their size."""
    monkeypatch.setattr(store, "folders", lambda: [tmp_path])
    install(tmp_path, "digits-28", "image", 0)
    install(tmp_path, "motion-28", "kernel", 1)
    (tmp_path / "mnist").mkdir()
    images = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE), dtype=np.uint8)
    np.savez(tmp_path / "mnist" / "mnist.npz", x_test=images)
    monkeypatch.setattr(bench, "MNIST", {"steps": 60, "decay_steps": 20.0})
    monkeypatch.setattr(bench, "TIMED_STEPS", 3)
    return tmp_path


@pytest.mark.slow
def test_lines_are_printed_and_speed_ups_are_compared_with_targets(world, capsys):
    threads = torch.get_num_threads()
    assert main(["bench", "generator", "--data", str(world), "--count", "2"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].startswith("2 images, 1% noise, one core")
    assert "WITHOUT an initializer" in table[0]
    assert sum(line.startswith("  image") for line in table) == 4
    assert any("extrapolated" in line for line in table)
    compared = [line for line in table if "target 30x" in line]
    assert len(compared) == 1
    assert ("met" in compared[0]) != ("MISSED" in compared[0])
    assert torch.get_num_threads() == threads
    assert main(["bench", "generator", "--data", str(world / "none")]) == 2
    assert "does not hold" in capsys.readouterr().err


def test_a_search_stops_at_the_level_or_the_limit(world, monkeypatch):
    priors = (store.load_prior("digits-28"), store.load_prior("motion-28"))
    (image,) = bench.cases(world, 1, priors)
    whole = bench.search(image, priors, "generator", schedule="paper", **bench.MNIST)
    assert whole.solution is not None
    assert whole.seconds == sorted(whole.seconds)
    level = (max(whole.objective) + min(whole.objective)) / 2
    stopped = bench.search(image, priors, "generator", level, schedule="paper", **bench.MNIST)
    assert stopped.solution is None
    assert stopped.objective == whole.objective[: len(stopped.objective)]
    assert stopped.objective[-1] <= level < min(stopped.objective[:-1])
    assert stopped.until(level) == stopped.seconds[-1]
    assert stopped.until(0.0) is None
    assert len(bench.search(image, priors, "generator", limit=0.0, schedule="paper").objective) == 1


def test_the_relaxed_objective_is_the_published_one(world):
    priors = (store.load_prior("digits-28"), store.load_prior("motion-28"))
    (image,) = bench.cases(world, 1, priors)
    resting = {"restarts": 1, "steps": 1, "learning_rate": 1e-9}
    run = bench.search(image, priors, "relaxed", schedule="paper", **resting)
    found = bench.relaxed_objective(run.solution, image.blurred, RelaxedSettings())
    assert found == pytest.approx(run.objective[0], rel=0.02)  # the image that is returned is clipped to [0, 1]
