"""What a method shows beside its result: in the input's units, and saved with it."""

import numpy as np
import pytest
import torch

import napari_genprior as gp
from napari_genprior.core.result import RESTART_STD, History, Progress
from napari_genprior.methods import Snapshot, Solution
from napari_genprior.methods.registry import METHODS, Method
from napari_genprior.settings import Settings


class NoSettings(Settings):
    """Of the recipe below."""


def recipe(problem):
    yield Snapshot(0, 1, "step", problem.blurred, torch.ones(1, 1, 1, 1))
    extra_images = {"generator estimate": problem.blurred / 2, RESTART_STD: torch.full_like(problem.blurred, 0.1)}
    return Solution(problem.blurred, torch.ones(1, 1, 1, 1), extra_images=extra_images)


@pytest.fixture(autouse=True)
def showing(monkeypatch):
    monkeypatch.setitem(METHODS, "showing", Method("showing", recipe, NoSettings, "for tests"))


def test_extras_are_in_the_units_of_the_input_and_saved(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (12, 14, 3), dtype=np.uint8)
    layers = gp.deblur(image, "showing").extra_images
    np.testing.assert_allclose(layers["generator estimate"], image / 2, atol=1e-3)
    assert layers[RESTART_STD].shape == (12, 14)
    np.testing.assert_allclose(layers[RESTART_STD], 25.5, rtol=1e-5)
    back = gp.DeblurResult.load(gp.deblur(image, "showing").save(tmp_path / "result.npz"))
    assert back.extra_images.keys() == layers.keys()
    np.testing.assert_array_equal(back.extra_images[RESTART_STD], layers[RESTART_STD])


def test_a_spread_knows_no_offset():
    image = np.linspace(-3, 1, 12 * 14, dtype=np.float32).reshape(12, 14)
    layers = gp.deblur(image, "showing").extra_images
    np.testing.assert_allclose(layers[RESTART_STD], 0.4, rtol=1e-5)
    np.testing.assert_allclose(layers["generator estimate"], (image + 3) / 2 - 3, atol=1e-5)


def test_the_history_of_restarts_that_are_given_up():
    losses = [[4.0, 3.0, 2.0], [3.0, 2.0], [1.0]]
    history = History.of([Progress(n, 3, "", losses={"total": np.array(values)}) for n, values in enumerate(losses)])
    np.testing.assert_array_equal(history.terms["total"], [[4, 3, 2], [3, 2, np.nan], [1, 1, 1]])
