"""Spatially varying blur: tiles are asked for, and a map of kernels comes with the result."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_genprior import deblur
from napari_genprior._napari.resolve import Scope


@pytest.fixture
def layer(viewer):
    values = np.random.default_rng(0).integers(0, 128, (100, 120), dtype=np.uint8)
    return viewer.add_image(values, name="p", scale=(0.5, 0.5), units=("um", "um"))


def choose(widget, tiles):
    widget.choose_scope(Scope.VARYING)
    widget.tiles.setValue(tiles)


def test_the_tiles_are_shown_before_the_run_and_too_many_are_refused(widget, layer, wait_until):
    choose(widget, 2)
    wait_until(lambda: "2x2 tiles of 50x60 px, a kernel each" in widget.sentence.text())
    assert widget.run_button.isEnabled()
    assert not widget.tiles.isHidden()
    widget.tiles.setValue(5)
    wait_until(lambda: "Choose fewer" in widget.sentence.text())
    assert not widget.run_button.isEnabled()
    widget.scope.setCurrentIndex(0)
    wait_until(lambda: widget.tiles.isHidden())


@pytest.mark.slow
def test_the_result_comes_with_a_map_of_its_kernels(widget, viewer, slow, layer, finish, wait_until):
    choose(widget, 2)
    wait_until(lambda: "2x2 tiles" in widget.sentence.text())
    slow.step(1000)
    widget.run_or_cancel()
    finish(widget)
    assert [each.name for each in viewer.layers] == ["p", "p kernel map", "p deblurred"], widget.verdict.text()
    result, kernels = viewer.layers["p deblurred"], viewer.layers["p kernel map"]
    assert result.data.shape == kernels.data.shape == layer.data.shape
    assert result.data.dtype == np.uint8
    np.testing.assert_allclose(result.scale, layer.scale)
    assert kernels.translate[1] > 60 - 1  # beside the image, which is 60 um wide
    assert kernels.metadata["genprior"]["kernels"].shape[:2] == (2, 2)
    assert (kernels.data == 1).sum() == 4
    assert widget.run_button.text() == "Run"
    assert widget.image.layer is not kernels


@pytest.mark.slow
def test_kernels_that_are_known_come_from_a_layer_with_one_for_each_tile(widget, viewer, layer, finish, wait_until):
    known = np.zeros((2, 1, 3, 3), np.float32)
    known[:, :, 1, :] = 1 / 3
    viewer.add_image(known, name="kernels")
    viewer.add_image(known[0, 0], name="kernel")
    widget.image.choose(layer)
    widget.method.setCurrentIndex(widget.method.findData("known-kernel"))
    assert isinstance(widget.kernel.layer, Image)
    assert widget.kernel.layer.name == "kernel"
    widget.choose_scope(Scope.VARYING)
    assert widget.kernel.layer.name == "kernels"
    wait_until(lambda: "2x1 tiles" in widget.sentence.text())
    assert widget.tiles.isHidden()
    widget.run_or_cancel()
    finish(widget)
    expected = deblur(layer.data, kernel=known, tiles=(2, 1)).image
    np.testing.assert_allclose(viewer.layers["p deblurred"].data, expected.clip(0, 255), atol=1)


def test_cancelled_nothing_is_kept_and_nothing_lost(widget, viewer, slow, layer, finish, wait_until):
    choose(widget, 2)
    slow.step(3)
    widget.run_or_cancel()
    wait_until(slow.entered.is_set)
    widget.run_or_cancel()
    slow.step(1000)
    finish(widget)
    assert [each.name for each in viewer.layers] == ["p"]
    assert "Cancelled" in widget.verdict.text()
    assert widget.run_button.isEnabled()


def test_a_failure_is_shown(widget, viewer, slow, layer, finish):
    slow.fail_at = 2
    choose(widget, 2)
    slow.step(1000)
    widget.run_or_cancel()
    finish(widget)
    assert "memory" in widget.verdict.text()
    assert len(viewer.layers) == 1
