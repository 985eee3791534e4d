"""*Kernel tools*: import, export, draw, beads, resample, measure."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from napari.layers import Labels

from napari_genprior import blur
from napari_genprior._napari.kernel_widget import KernelWidget
from napari_genprior.core.image_io import read_image


@pytest.fixture
def widget(qtbot, viewer):
    made = KernelWidget(viewer)
    qtbot.addWidget(made)
    return made


def test_a_kernel_is_drawn_and_measured_when_it_is_chosen(widget, viewer, wait_until):
    viewer.add_image(blur.motion(15, 30), name="my psf", scale=(0.1, 0.1), units=("um", "um"))
    wait_until(lambda: "30°" in widget.shape.text())
    assert "15.0 px at 30°" in widget.shape.text()
    assert "um" in widget.shape.text()
    assert widget.view.kernel is not None


def test_what_is_no_kernel_is_shown(widget, viewer, wait_until):
    viewer.add_image(np.full((5, 5), -1.0), name="psf")
    wait_until(lambda: "negative" in widget.shape.text())
    assert widget.view.kernel is None


def test_export_and_import_give_the_same_kernel(widget, viewer, tmp_path):
    kernel = blur.motion(9, 70)
    viewer.add_image(kernel * 3, name="my psf")
    widget.save(tmp_path / "mine.tif")
    np.testing.assert_allclose(read_image(tmp_path / "mine.tif"), kernel, atol=1e-7)
    widget.load(tmp_path / "mine.tif")
    np.testing.assert_allclose(viewer.layers["mine kernel"].data, kernel, atol=1e-7)
    assert widget.kernel.layer is viewer.layers["mine kernel"]


def test_files_that_are_no_kernels_are_shown(widget, viewer, tmp_path):
    np.save(tmp_path / "zero.npy", np.zeros((3, 3)))
    for name, words in (("zero.npy", "zero everywhere"), ("none.tif", "none.tif")):
        widget.load(tmp_path / name)
        assert words in widget.outcome.text()
        assert widget.outcome.kind == "bad"
    widget.save(tmp_path / "k.tif")
    assert "kernel" in widget.outcome.text()
    assert not (tmp_path / "k.tif").exists()
    assert len(viewer.layers) == 0


def test_a_drawing_becomes_a_kernel(widget, viewer):
    widget.side.setValue(11)
    widget.draw()
    drawing = viewer.layers["kernel drawing"]
    assert isinstance(drawing, Labels)
    assert drawing.mode == "paint"
    widget.draw()
    assert "Nothing was painted" in widget.outcome.text()
    drawing.data[5, 2:9] = 1
    widget.draw()
    kernel = viewer.layers["drawn kernel"].data
    assert drawing not in viewer.layers
    np.testing.assert_allclose(kernel[5, 2:9], 1 / 7)
    assert kernel.shape == (11, 11)


def test_beads_of_a_layer_become_a_kernel_with_its_scale(widget, viewer, finish):
    psf = blur.gaussian(2.0, size=15)
    image = np.full((90, 90), 10.0) + np.random.default_rng(0).normal(0, 0.2, (90, 90))
    for y, x in ((20, 25), (60, 30), (40, 65)):
        image[y - 7 : y + 8, x - 7 : x + 8] += 1000 * psf
    layer = viewer.add_image(image, name="beads", scale=(0.2, 0.2), units=("um", "um"))
    widget.side.setValue(15)
    widget.from_beads()
    finish(widget)
    made = viewer.layers["beads kernel"]
    assert np.linalg.norm(made.data - psf) < 0.05 * np.linalg.norm(psf)
    np.testing.assert_allclose(made.scale, layer.scale)
    assert made.units == layer.units
    assert "mean of 3 beads" in widget.outcome.text()
    image[:] = 0
    widget.from_beads()
    finish(widget)
    assert "No bead" in widget.outcome.text()
    assert len(viewer.layers) == 2


def test_a_kernel_gets_the_pixels_of_the_image(widget, viewer):
    viewer.add_image(np.ones((50, 50)), name="image", scale=(0.2, 0.2), units=("um", "um"))
    viewer.add_image(blur.gaussian(4.0, size=31), name="kernel", scale=(0.1, 0.1), units=("um", "um"))
    widget.resample()
    made = viewer.layers["kernel resampled kernel"]
    np.testing.assert_allclose(made.scale, (0.2, 0.2))
    assert blur.measure_kernel(made.data).fwhm_long == pytest.approx(2.3548 * 2, rel=0.05)
    widget.resample()  # the new one is chosen now
    assert "same pixel size" in widget.outcome.text()
    made.scale = (0.2, 0.3)
    widget.resample()
    assert "differ in shape" in widget.outcome.text()


def test_without_layers_every_button_says_what_is_missing(widget):
    for press in (widget.from_beads, widget.resample):
        press()
        assert widget.outcome.kind == "doubt"


def test_a_measured_kernel_is_cleaned_when_it_is_imported(widget, viewer, tmp_path):
    offsets = np.arange(21) - 10
    measured = np.round(100 + 3000 * np.exp(-(offsets[:, None] ** 2 + offsets**2) / 4)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "psf.tif", measured)
    widget.load(tmp_path / "psf.tif")
    assert viewer.layers["psf kernel"].data.min() < 1e-9
    assert "background" in widget.outcome.text()
