"""*Blur simulation*, from a layer to two layers."""

from __future__ import annotations

import numpy as np
import pytest
from napari.utils.notifications import notification_manager

from napari_genprior import blur
from napari_genprior._napari.simulate_widget import SimulateWidget
from napari_genprior.core.image_io import as_type
from napari_genprior.simulation import simulate


@pytest.fixture
def widget(qtbot, viewer):
    made = SimulateWidget(viewer)
    qtbot.addWidget(made)
    return made


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_run_gives_what_the_function_gives_in_the_layers_type(widget, viewer, finish, image, dtype):
    sharp = image.astype(dtype) * (3 if dtype is np.uint16 else 1)
    viewer.add_image(sharp, name="sharp", scale=(0.5, 0.25), units=("um", "um"), translate=(1, 2))
    widget.seed.setValue(5)
    widget.blur.set_values({"length": 9.0, "angle_deg": 60.0})
    widget.run()
    finish(widget)
    blurred, kernel = viewer.layers["sharp blurred"], viewer.layers["sharp blur kernel"]
    expected = simulate(sharp, blur.motion(9, 60), noise=0.01, seed=5)
    assert blurred.data.dtype == dtype
    np.testing.assert_array_equal(blurred.data, as_type(expected.blurred, np.dtype(dtype)))
    np.testing.assert_array_equal(kernel.data, expected.kernel)
    for layer in (blurred, kernel):
        np.testing.assert_allclose(layer.scale, (0.5, 0.25))
        assert layer.units == viewer.layers["sharp"].units
        assert layer.metadata["genprior"]["seed"] == 5
        assert layer.metadata["genprior"]["blur"]["angle_deg"] == 60
        assert layer.metadata["genprior"]["noise"]["noise"] == 0.01
    np.testing.assert_allclose(blurred.translate, (1, 2))
    assert widget.outcome.kind == "good"


def test_rgb_stays_rgb(widget, viewer, finish):
    viewer.add_image(np.random.default_rng(1).integers(0, 255, (40, 50, 3), dtype=np.uint8), name="colour", rgb=True)
    widget.run()
    finish(widget)
    assert viewer.layers["colour blurred"].rgb
    assert viewer.layers["colour blurred"].data.shape == (40, 50, 3)


def test_the_kernel_is_drawn_as_it_is_set(widget, wait_until):
    widget.blur.set_values({"kind": "defocus", "radius_px": 3.0})
    wait_until(lambda: widget.view.kernel is not None and widget.view.kernel.shape == blur.defocus(3).shape)
    np.testing.assert_array_equal(widget.view.kernel, blur.defocus(3))


def test_only_what_matters_to_the_blur_is_shown(widget):
    widget.blur.set_values({"kind": "defocus"})
    assert not widget.blur.editor("radius_px").isHidden()
    assert widget.blur.editor("length").isHidden()
    widget.from_layer.setChecked(True)
    assert widget.blur.isHidden()
    assert not widget.kernel.isHidden()


def test_a_kernel_from_a_layer(widget, viewer, finish, image):
    viewer.add_image(np.array([[0, 2.0, 0], [1, 0, 1]]), name="a kernel")
    viewer.add_image(image, name="sharp")
    assert widget.image.layer.name == "sharp"
    widget.from_layer.setChecked(True)
    assert widget.kernel.layer.name == "a kernel"
    widget.run()
    finish(widget)
    assert viewer.layers["sharp blur kernel"].data.sum() == pytest.approx(1)
    assert viewer.layers["sharp blurred"].metadata["genprior"]["blur"] == {"layer": "a kernel"}


@pytest.mark.parametrize(
    ("kernel", "says"),
    [(np.zeros((3, 3)), "zero everywhere"), (-np.eye(3), "negative"), (np.ones((99, 99)), "larger than the image")],
)
def test_an_unusable_kernel_is_named_and_nothing_happens(widget, viewer, image, kernel, says):
    viewer.add_image(kernel, name="kernel")
    viewer.add_image(image, name="sharp")
    widget.from_layer.setChecked(True)
    widget.refresh()
    assert says in widget.sentence.text()
    assert not widget.run_button.isEnabled()
    assert len(viewer.layers) == 2


def test_without_layers_it_says_what_to_do(widget):
    assert "image layer" in widget.sentence.text()
    widget.run()
    assert not widget.running


def test_an_error_in_the_thread_is_shown_and_the_widget_goes_on(widget, viewer, finish, image, monkeypatch):
    from napari_genprior._napari import workers as _worker

    def broken(*_, **__):
        raise RuntimeError("the disk burns")

    notes = []
    notification_manager.notification_ready.connect(notes.append)
    viewer.add_image(image, name="sharp")
    with monkeypatch.context() as patch:
        patch.setattr(_worker, "simulate", broken)
        widget.run()
        finish(widget)
    assert "the disk burns" in widget.outcome.text()
    assert widget.outcome.kind == "bad"
    assert any("the disk burns" in note.message for note in notes)
    assert len(viewer.layers) == 1
    widget.run()
    finish(widget)
    assert len(viewer.layers) == 3


def test_valid_border_shrinks_the_image_and_moves_it(widget, viewer, finish, image):
    viewer.add_image(image, name="sharp", scale=(2, 2))
    widget.blur.set_values({"kind": "box", "length": 5.0})
    widget.noise.set_values({"boundary": "valid"})
    widget.run()
    finish(widget)
    layer = viewer.layers["sharp blurred"]
    assert layer.data.shape == (36, 44)
    np.testing.assert_allclose(layer.translate, (4, 4))
