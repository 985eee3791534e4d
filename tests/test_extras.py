"""What a method shows beside its result: in the input's units, and saved with it."""

import numpy as np
import pytest
import torch

import napari_genprior as gp
from napari_genprior.core.result import SPREAD, History, Progress
from napari_genprior.methods import Snapshot, Solution
from napari_genprior.methods.registry import METHODS, Method
from napari_genprior.settings import Settings


class NoSettings(Settings):
    """Of the recipe below."""


def recipe(problem):
    yield Snapshot(0, 1, "step", problem.blurred, torch.ones(1, 1, 1, 1))
    extras = {"generator image": problem.blurred / 2, SPREAD: torch.full_like(problem.blurred, 0.1)}
    return Solution(problem.blurred, torch.ones(1, 1, 1, 1), extras=extras)


@pytest.fixture(autouse=True)
def showing(monkeypatch):
    monkeypatch.setitem(METHODS, "showing", Method("showing", recipe, NoSettings, "for tests"))


def test_extras_are_in_the_units_of_the_input_and_saved(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (12, 14, 3), dtype=np.uint8)
    layers = gp.deblur(image, "showing").layers
    np.testing.assert_allclose(layers["generator image"], image / 2, atol=1e-3)
    assert layers[SPREAD].shape == (12, 14)
    np.testing.assert_allclose(layers[SPREAD], 25.5, rtol=1e-5)
    back = gp.DeblurResult.load(gp.deblur(image, "showing").save(tmp_path / "result.npz"))
    assert back.layers.keys() == layers.keys()
    np.testing.assert_array_equal(back.layers[SPREAD], layers[SPREAD])


def test_a_spread_knows_no_offset():
    image = np.linspace(-3, 1, 12 * 14, dtype=np.float32).reshape(12, 14)
    layers = gp.deblur(image, "showing").layers
    np.testing.assert_allclose(layers[SPREAD], 0.4, rtol=1e-5)
    np.testing.assert_allclose(layers["generator image"], (image + 3) / 2 - 3, atol=1e-5)


def test_the_history_of_restarts_that_are_given_up():
    losses = [[4.0, 3.0, 2.0], [3.0, 2.0], [1.0]]
    history = History.of([Progress(n, 3, "", losses={"total": np.array(values)}) for n, values in enumerate(losses)])
    np.testing.assert_array_equal(history.terms["total"], [[4, 3, 2], [3, 2, np.nan], [1, 1, 1]])
