"""Several images one after the other: selected layers, planes of a stack; cancel one or all; list failures."""

from __future__ import annotations

import numpy as np
import pytest

from napari_genprior._napari.resolve import Scope
from napari_genprior.core.intensity import Intensity


@pytest.fixture
def three(viewer, image):
    for name, factor in (("a", 1), ("b", 0), ("c", 0.5)):  # "b" is constant: it cannot be deblurred
        viewer.add_image((image * factor).astype(np.uint8), name=name)
    viewer.layers.selection = {viewer.layers[name] for name in "abc"}


@pytest.fixture
def stack(viewer, image):
    planes = np.stack([image // (i + 1) for i in range(3)])
    return viewer.add_image(planes, name="s", scale=(2, 0.5, 0.5), units=("um", "um", "um"), translate=(1, 2, 3))


def codes(layer) -> list[str]:
    return [report["status"]["code"] for report in layer.metadata["genprior"]["planes"].values()]


@pytest.mark.slow
def test_selected_layers_are_done_one_by_one_and_failures_listed(widget, viewer, slow, three, finish, wait_until):
    widget.choose_scope(Scope.SELECTED)
    wait_until(lambda: "3 images, one after the other" in widget.sentence.text())
    slow.step(100)
    widget.run_or_cancel()
    finish(widget)
    assert {"a deblurred", "c deblurred"} <= {layer.name for layer in viewer.layers}
    assert "b deblurred" not in viewer.layers
    lines = widget.verdict.text().splitlines()
    assert [line[:2] for line in lines] == ["a:", "b:", "c:"]
    assert "constant" in lines[1]
    assert widget.verdict.kind == "bad"
    assert widget.run_button.text() == "Run"
    assert widget.request.isEnabled()


@pytest.mark.slow
def test_cancel_ends_one_run_and_the_next_begins(widget, viewer, slow, three, finish, wait_until):
    widget.choose_scope(Scope.SELECTED)
    widget.run_or_cancel()
    slow.step(2)
    wait_until(lambda: "a deblurred" in viewer.layers)
    assert "1 of 3" in widget.stage.text()
    assert not widget.all_button.isHidden()
    widget.run_or_cancel()
    slow.step(100)
    finish(widget)
    assert viewer.layers["a deblurred"].metadata["genprior"]["status"]["code"] == "stopped"
    assert viewer.layers["c deblurred"].metadata["genprior"]["status"]["code"] == "done"
    assert widget.all_button.isHidden()


def test_cancel_all_begins_nothing_more(widget, viewer, slow, three, finish, wait_until):
    widget.choose_scope(Scope.SELECTED)
    widget.run_or_cancel()
    slow.step(2)
    wait_until(lambda: "a deblurred" in viewer.layers)
    widget.cancel_all()
    slow.step(100)
    finish(widget)
    assert viewer.layers["a deblurred"].metadata["genprior"]["status"]["code"] == "stopped"
    assert "c deblurred" not in viewer.layers


@pytest.mark.slow
def test_planes_of_a_stack_become_a_stack(widget, viewer, slow, stack, finish, wait_until):
    widget.choose_scope(Scope.PLANES)
    wait_until(lambda: "3 images" in widget.sentence.text())
    slow.step(100)
    widget.run_or_cancel()
    finish(widget)
    result, kernels = viewer.layers["s deblurred"], viewer.layers["s kernel"]
    brighter = [plane + Intensity.of(plane).scale * 6 / 100 for plane in stack.data]
    np.testing.assert_array_equal(result.data, np.rint(brighter).astype(np.uint8))
    for layer in (result, kernels):
        np.testing.assert_allclose(layer.scale, stack.scale)
        assert layer.units == stack.units
        assert codes(layer) == ["done"] * 3
    np.testing.assert_allclose(result.translate, stack.translate)
    assert kernels.data.shape == (3, 3, 3)
    np.testing.assert_allclose(kernels.data.sum((1, 2)), 1)
    assert len(viewer.layers) == 3


def test_a_plane_that_fails_stays_as_it_was(widget, viewer, slow, stack, finish):
    stack.data[1] = 7
    widget.choose_scope(Scope.PLANES)
    slow.step(100)
    widget.run_or_cancel()
    finish(widget)
    result = viewer.layers["s deblurred"]
    np.testing.assert_array_equal(result.data[1], 7)
    assert (result.data[2] > stack.data[2]).all()
    assert codes(result) == ["done", "stopped", "done"]
    assert codes(viewer.layers["s kernel"]) == codes(result)
    assert "constant" in widget.verdict.text()


def test_a_colour_stack_keeps_its_colours(widget, viewer, slow, image, finish):
    stack = viewer.add_image(np.stack([np.stack([image, image // 2, image // 3], -1)] * 2), name="s", rgb=True)
    widget.choose_scope(Scope.PLANES)
    slow.step(100)
    widget.run_or_cancel()
    finish(widget)
    assert viewer.layers["s deblurred"].rgb
    assert viewer.layers["s deblurred"].data.shape == stack.data.shape


def test_closing_the_widget_ends_the_batch(widget, viewer, slow, three, wait_until, qapp):
    widget.choose_scope(Scope.SELECTED)
    widget.run_or_cancel()
    wait_until(slow.entered.is_set)
    widget.close()
    slow.step(100)
    assert slow.closed.wait(20)
    qapp.processEvents()
    assert not widget.running
    assert "c deblurred" not in viewer.layers


def test_layers_selected_after_the_scope_are_counted(widget, viewer, image, wait_until):
    for name in "ab":
        viewer.add_image(image, name=name)
    widget.choose_scope(Scope.SELECTED)
    wait_until(lambda: ". 1 image." in widget.sentence.text())
    viewer.layers.selection = set(viewer.layers)
    wait_until(lambda: "2 images, one after the other" in widget.sentence.text())
