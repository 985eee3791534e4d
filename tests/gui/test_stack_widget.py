"""A whole stack in one run: the plan is shown, axes are asked for, one stack layer comes out, cancel keeps it."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from napari_genprior import known_kernel
from napari_genprior._napari import workers
from napari_genprior._napari.resolve import Scope
from napari_genprior._napari.result_layers import along_layer
from napari_genprior.core.axes import make_layout


@pytest.fixture
def stack(viewer, image):
    planes = np.stack([[image // (i + j + 1) for i in range(2)] for j in range(3)])
    labels = ("t", "c", "y", "x")
    return viewer.add_image(planes, name="s", scale=(1, 1, 0.5, 0.5), units=["um"] * 4, axis_labels=labels)


def test_the_plan_is_shown_before_the_run(widget, viewer, stack, wait_until):
    widget.choose_scope(Scope.CHANNEL)
    wait_until(lambda: "3 frames x 2 channels of 40x48 px, one kernel per channel (2)" in widget.sentence.text())
    assert widget.axes.currentData() == "TCYX"
    assert widget.run_button.isEnabled()
    widget.choose_scope(Scope.VOLUME)
    wait_until(lambda: "no Z axis" in widget.sentence.text())
    assert not widget.run_button.isEnabled()


def test_axes_without_labels_are_asked_for(widget, viewer, image, wait_until):
    viewer.add_image(np.stack([image] * 3), name="s")
    widget.choose_scope(Scope.STACK)
    wait_until(lambda: "several ways" in widget.sentence.text())
    assert not widget.run_button.isEnabled()
    assert [widget.axes.itemData(i) for i in range(widget.axes.count())] == ["TYX", "CYX", "ZYX"]
    widget.axes.setCurrentIndex(1)
    wait_until(lambda: "3 channels of 40x48 px, one kernel for all" in widget.sentence.text())
    assert widget.run_button.isEnabled()
    widget.scope.setCurrentIndex(0)
    wait_until(lambda: widget.axes.isHidden())


@pytest.mark.slow
def test_a_stack_becomes_one_layer_and_its_kernels_another(widget, viewer, slow, stack, finish, wait_until):
    widget.choose_scope(Scope.CHANNEL)
    wait_until(lambda: "per channel" in widget.sentence.text())
    slow.step(100)
    widget.run_or_cancel()
    finish(widget)
    assert len(viewer.layers) == 3
    result, kernels = viewer.layers["s deblurred"], viewer.layers["s kernel"]
    assert result.data.shape == stack.data.shape
    assert result.data.dtype == stack.data.dtype
    assert not np.array_equal(result.data, stack.data)
    for layer in (result, kernels):
        np.testing.assert_allclose(layer.scale, stack.scale)
        assert layer.units == stack.units
        assert tuple(layer.axis_labels) == ("t", "c", "y", "x")
        assert layer.metadata["genprior"]["layout"]["axes"] == "TCYX"
    assert kernels.data.shape[:2] == (3, 2)
    np.testing.assert_allclose(kernels.data.sum((2, 3)), 1, atol=1e-5)
    assert widget.run_button.text() == "Run"


def test_a_volume_has_settings_of_its_own_and_sides_in_um(widget, viewer, wait_until):
    volume = np.random.default_rng(0).random((5, 24, 20)).astype(np.float32)
    layer = viewer.add_image(volume, scale=(300, 100, 100), units=("nm", "nm", "nm"), axis_labels=("z", "y", "x"))
    widget.image.choose(layer)
    widget.choose_scope(Scope.VOLUME)
    wait_until(lambda: not widget.axes.isHidden())
    _, forms = widget.shown_forms()
    forms.set_values({"microscope": "confocal", "na": 1.3})
    assert not forms.isHidden()
    arguments = widget.arguments()
    assert arguments["settings"]["microscope"] == "confocal"
    assert arguments["settings"]["na"] == 1.3
    assert arguments["settings"]["wavelength_nm"] is None
    assert arguments["voxel_size_um"] == pytest.approx((0.3, 0.1, 0.1))
    widget.choose_scope(Scope.STACK)
    assert forms.isHidden()
    assert "microscope" not in widget.arguments()["settings"]


@pytest.mark.slow
def test_a_volume_takes_a_kernel_in_three_dimensions(widget, viewer, finish, wait_until):
    rng = np.random.default_rng(0)
    labels = ("z", "y", "x")
    volume = viewer.add_image(
        rng.integers(0, 200, (5, 16, 18), dtype=np.uint8), name="v", scale=(3, 1, 1), axis_labels=labels
    )
    kernel = np.zeros((3, 3, 3), np.float32)
    kernel[:, 1, 1] = 0.25, 0.5, 0.25
    viewer.add_image(kernel, name="psf")
    viewer.add_image(kernel[1], name="flat kernel")
    widget.image.choose(volume)
    widget.method.setCurrentIndex(widget.method.findData("known-kernel"))
    assert widget.kernel.layer.name == "flat kernel"
    widget.choose_scope(Scope.VOLUME)
    assert widget.kernel.layer.name == "psf"
    wait_until(lambda: "given kernel" in widget.sentence.text())
    assert "about" in widget.sentence.text()  # how long it will take
    widget.run_or_cancel()
    finish(widget)
    expected = known_kernel(volume.data, kernel, axes="ZYX", voxel_size_um=(3, 1, 1)).image
    np.testing.assert_allclose(viewer.layers["v deblurred"].data, expected.clip(0, 255), atol=1)
    np.testing.assert_allclose(viewer.layers["v kernel"].data, kernel, atol=1e-6)
    widget.scope.setCurrentIndex(0)
    assert widget.kernel.layer.name == "flat kernel"


def test_cancel_keeps_what_is_done(widget, viewer, slow, stack, finish, wait_until, monkeypatch):
    solved = []
    real = workers.run

    def slowly(plan):
        for progress in real(plan):
            yield progress
            if progress.index is not None:
                solved.append(progress.index)
                if len(solved) == 2:
                    widget.stop()

    monkeypatch.setattr(workers, "run", slowly)
    widget.choose_scope(Scope.STACK)
    slow.step(100)
    widget.run_or_cancel()
    finish(widget)
    result = viewer.layers["s deblurred"]
    assert result.metadata["genprior"]["status"]["code"] == "stopped"
    assert not np.array_equal(result.data[0, 0], stack.data[0, 0])
    np.testing.assert_array_equal(result.data[2, 1], stack.data[2, 1])
    assert "Stopped" in widget.verdict.text()


def test_a_failure_is_shown(widget, viewer, slow, stack, finish):
    slow.fail_at = 2
    widget.choose_scope(Scope.STACK)
    slow.step(100)
    widget.run_or_cancel()
    finish(widget)
    assert "memory" in widget.verdict.text()
    assert widget.verdict.kind == "bad"


def test_kernels_lie_along_the_axes_of_the_layer():
    layout = make_layout((3, 5, 2, 40, 48), "TZCYX", "channel")
    kernels = np.arange(2 * 9.0).reshape(2, 3, 3)
    spread = along_layer(kernels, layout)
    assert spread.shape == (3, 5, 2, 3, 3)
    np.testing.assert_array_equal(spread[2, 4, 1], kernels[1])
    layout = make_layout((5, 2, 40, 48), "ZCYX", "channel", "3d")
    spread = along_layer(np.arange(2 * 27.0).reshape(2, 3, 3, 3), layout)
    assert spread.shape == (3, 2, 3, 3)
    assert spread[1, 1, 0, 0] == 27 + 9


def test_a_piece_that_was_under_way_is_dropped_after_a_stop():
    stop, data = threading.Event(), np.zeros((2, 3), np.uint8)
    output = workers._TypedOutput(data, stop)
    output[0] = np.full(3, 7.4)
    stop.set()
    output[1] = np.full(3, 7.4)
    np.testing.assert_array_equal(data, [[7, 7, 7], [0, 0, 0]])
