"""Masks from layers: drawn, chosen, refused, and what is said of them."""

from __future__ import annotations

import shlex

import numpy as np
import pytest
from napari.layers import Image, Labels, Shapes
from qtpy.QtWidgets import QApplication

from napari_genprior import cli
from napari_genprior._napari.mask_layers import is_mask, mask_over
from napari_genprior._napari.resolve import Scope
from napari_genprior.core.errors import InputError
from napari_genprior.core.image_io import read_image, write_image

PLACE = {"scale": (0.5, 0.25), "translate": (3.0, 4.0), "units": ("um", "um")}
SPOT = (slice(10, 13), slice(20, 24))  # 12 pixels


def of_labels(mask: np.ndarray) -> Labels:
    return Labels(mask.astype(int), name="dust", **PLACE)


def of_image(mask: np.ndarray) -> Image:
    return Image(mask.astype(np.float32), name="dust", **PLACE)


def of_shapes(mask: np.ndarray) -> Shapes:
    """Return a rectangle around the pixels, in a layer without translation, as napari's button makes it."""
    (top, left), (bottom, right) = np.argwhere(mask).min(0) - 0.4, np.argwhere(mask).max(0) + 0.4
    corners = np.array([[top, left], [top, right], [bottom, right], [bottom, left]])
    world = corners * PLACE["scale"] + PLACE["translate"]
    place = {"scale": (0.2, 0.2), "units": PLACE["units"]}
    return Shapes([world / place["scale"]], shape_type="rectangle", name="dust", **place)


KINDS = [of_labels, of_image, of_shapes]


@pytest.fixture
def mask(image) -> np.ndarray:
    mask = np.zeros(image.shape, bool)
    mask[SPOT] = True
    return mask


@pytest.fixture
def blurred(viewer, image) -> Image:
    return viewer.add_image(image, name="b", **PLACE)


def arguments_of(layer) -> dict:
    return layer.metadata["genprior"]["provenance"]["arguments"]


class TestMaskOver:
    @pytest.mark.parametrize("kind", KINDS)
    def test_every_kind_of_layer_gives_the_same_mask(self, image, mask, kind):
        layer = kind(mask)
        assert is_mask(layer)
        np.testing.assert_array_equal(np.asarray(mask_over(layer, Image(image, **PLACE))) != 0, mask)

    @pytest.mark.parametrize("kind", ["rectangle", "ellipse", "polygon"])
    def test_shapes_are_filled_and_lines_drawn(self, image, kind):
        corners = np.array([[5, 6], [5, 26], [25, 26], [25, 6]], float)
        filled = mask_over(Shapes([corners], shape_type=kind), Image(image))
        drawn = mask_over(Shapes([corners[:2]], shape_type="line"), Image(image))
        assert filled[15, 16]
        assert 250 < filled.sum() < 450
        assert drawn[5, 6:26].all()
        assert drawn.sum() < 25

    def test_a_mask_of_a_stack_is_taken_by_plane_and_one_of_a_plane_serves_all(self, mask):
        stack = Image(np.zeros((3, 2, *mask.shape)))
        whole = np.zeros((3, 2, *mask.shape), int)
        whole[2, 1] = mask
        for layer, index, wanted in (
            (Labels(whole), (2, 1), mask),
            (Labels(whole), (2, 0), 0 * mask),
            (Labels(whole), (), whole),
            (Labels(whole[2]), (0, 1), mask),
            (Labels(mask.astype(int)), (0, 0), mask),
            (Labels(mask.astype(int)), (), mask),
        ):
            np.testing.assert_array_equal(mask_over(layer, stack, index), wanted)

    def test_shapes_count_in_the_planes_where_they_were_drawn(self, image):
        corners = np.array([[5, 6], [5, 26], [25, 26], [25, 6]], float)
        in_one, in_two = np.insert(corners, 0, 2, axis=1), np.insert(corners, 0, [0, 1, 1, 0], axis=1)
        stack, layer = Image(np.zeros((4, *image.shape))), Shapes([in_one, in_two], shape_type="polygon")
        whole = mask_over(layer, stack)
        assert whole.shape == (4, *image.shape)
        assert whole[:3, 15, 16].all()
        assert not whole[3].any()
        for plane in range(4):
            np.testing.assert_array_equal(mask_over(layer, stack, (plane,)), whole[plane])
        outside = Shapes([in_one - [9, 0, 0], in_one + [9, 0, 0]], shape_type="polygon")
        assert not mask_over(outside, stack).any()

    def test_colours_are_no_axis(self, image, mask):
        colour = Image(np.stack([image] * 3, -1), rgb=True)
        np.testing.assert_array_equal(mask_over(Labels(mask.astype(int)), colour) != 0, mask)
        assert not is_mask(colour)

    @pytest.mark.parametrize(
        ("place", "apart"),
        [
            ({"translate": (0, 9)}, "9 px"),
            ({"scale": (1, 1.1)}, "4.7 px"),
            ({"rotate": 90}, "px"),
            ({"affine": np.diag([1, 2, 1])}, "47 px"),
        ],
    )
    def test_a_mask_that_lies_elsewhere_is_refused(self, image, mask, place, apart):
        with pytest.raises(InputError, match=f"does not lie on the image.*{apart}"):
            mask_over(Labels(mask.astype(int), **place), Image(image))

    @pytest.mark.parametrize("shape", [(39, 48), (2, 40, 48)])
    def test_a_mask_of_another_size_is_refused_with_both_sizes(self, image, shape):
        with pytest.raises(InputError, match=f"{'x'.join(map(str, shape))} px, the image 'b' 40x48"):
            mask_over(Labels(np.zeros(shape, int)), Image(image, name="b"))
        with pytest.raises(InputError, match="3 axes"):
            mask_over(Shapes(ndim=3), Image(image, name="b"))


@pytest.mark.parametrize("kind", KINDS)
def test_masked_pixels_keep_their_values_and_are_counted_below_the_verdict(
    widget, viewer, slow, blurred, image, mask, finish, kind
):
    assert widget.mask_layer.currentText() == "none"
    layer = viewer.add_layer(kind(mask))
    assert widget.mask_layer.layer is None  # nobody has chosen it yet
    widget.mask_layer.setCurrentText("dust")
    widget.refresh()
    assert widget.run_button.isEnabled()
    slow.step(100)
    widget.run_or_cancel()
    finish(widget)
    result = viewer.layers["b deblurred"]
    np.testing.assert_array_equal(result.data == image, mask)
    assert widget.remarks.text() == "12 pixels were left out (12 masked)."
    assert not widget.remarks.isHidden()
    assert "left out" not in widget.verdict.text()
    assert arguments_of(result)["mask_sha256"]
    viewer.layers.remove(layer)
    assert widget.mask_layer.currentText() == "none"
    widget.run_or_cancel()
    finish(widget)
    assert widget.remarks.isHidden()
    assert arguments_of(viewer.layers["b deblurred [1]"])["mask_sha256"] is None


def test_hot_pixels_are_told_without_a_mask(widget, viewer, slow, finish):
    rows, columns = np.mgrid[:40, :48]
    smooth = (100 + 20 * np.sin(rows / 6) + 20 * np.cos(columns / 7)).astype(np.uint8)
    smooth[9, 30] = 255
    viewer.add_image(smooth, name="b")
    slow.step(100)
    widget.run_or_cancel()
    finish(widget)
    assert widget.remarks.text() == "1 pixel was left out (1 hot or dead)."


def test_another_kernel_leaves_out_the_same_pixels(widget, viewer, slow, blurred, mask, finish):
    viewer.add_layer(of_labels(mask))
    widget.mask_layer.setCurrentText("dust")
    slow.step(100)
    widget.run_or_cancel()
    finish(widget)
    before = arguments_of(viewer.layers["b deblurred"])["mask_sha256"]
    widget.apply_candidate(np.full((3, 3), 1 / 9, np.float32))
    finish(widget)
    assert arguments_of(viewer.layers["b deblurred"])["mask_sha256"] == before
    assert "12 masked" in widget.remarks.text()


def test_a_mask_that_cannot_be_used_is_named_until_it_can(widget, viewer, blurred, mask, wait_until):
    layer = viewer.add_layer(of_labels(mask))
    layer.translate = (0, 0)
    widget.mask_layer.setCurrentText("dust")
    widget.refresh()
    assert "does not lie on the image 'b'" in widget.sentence.text()
    assert not widget.run_button.isEnabled()
    layer.translate = blurred.translate
    wait_until(widget.run_button.isEnabled)
    layer.data_setitem(tuple(np.indices(mask.shape).reshape(2, -1)), 3)  # what the brush calls
    wait_until(lambda: "too few are left" in widget.sentence.text())
    layer.data = mask.astype(int)
    wait_until(widget.run_button.isEnabled)


def test_a_mask_that_is_moved_at_the_last_moment_stops_the_run(widget, viewer, slow, blurred, mask):
    layer = viewer.add_layer(of_labels(mask))
    widget.mask_layer.setCurrentText("dust")
    widget.refresh()
    layer.translate = (0, 0)
    widget.run_or_cancel()
    assert not widget.running
    assert "does not lie on" in widget.sentence.text()


def test_each_plane_has_its_part_of_the_mask(widget, viewer, slow, image, mask, finish):
    stack = np.stack([image] * 3)
    viewer.add_image(stack, name="s", axis_labels=("t", "y", "x"))
    labels = np.zeros(stack.shape, int)
    labels[1] = mask
    viewer.add_labels(labels, name="dust", axis_labels=("t", "y", "x"))
    widget.mask_layer.setCurrentText("dust")
    widget.choose_scope(Scope.PLANES)
    slow.step(100)
    widget.run_or_cancel()
    finish(widget)
    np.testing.assert_array_equal(viewer.layers["s deblurred"].data == stack, labels != 0)
    lines = widget.verdict.text().splitlines()
    assert ["12 masked" in line for line in lines] == [False, True, False]
    assert widget.remarks.isHidden()


def test_of_selected_layers_the_mask_is_none_and_one_that_it_does_not_fit_is_listed(
    widget, viewer, slow, image, mask, finish
):
    viewer.add_image(image, name="b")
    viewer.add_image(image[:30], name="small")
    viewer.add_image(mask.astype(np.float32), name="dust")
    viewer.add_image(image, name="c")
    widget.mask_layer.setCurrentText("dust")
    widget.image.choose(viewer.layers["b"])
    viewer.layers.select_all()
    widget.choose_scope(Scope.SELECTED)
    widget.refresh()
    assert "3 images, one after the other" in widget.sentence.text()
    slow.step(100)
    widget.run_or_cancel()
    finish(widget)
    assert {layer.name for layer in viewer.layers if "deblurred" in layer.name} == {"b deblurred", "c deblurred"}
    first, second, third = widget.verdict.text().splitlines()
    assert "12 masked" in first
    assert second.startswith("small: The mask 'dust' has 40x48 px")
    assert "12 masked" in third


@pytest.mark.parametrize(
    ("scope", "shape"), [(Scope.STACK, (40, 48)), (Scope.STACK, (5, 40, 48)), (Scope.VOLUME, (5, 40, 48))]
)
def test_a_stack_or_volume_takes_a_mask(widget, viewer, image, scope, shape):
    viewer.add_image(np.stack([image] * 5), name="s", axis_labels=("z", "y", "x"))
    labels = np.zeros(shape, int)
    labels[..., 10:13, 20:24] = 1
    viewer.add_labels(labels, name="dust", axis_labels=("z", "y", "x")[-len(shape) :])
    widget.method.setCurrentText("classical")
    widget.mask_layer.setCurrentText("dust")
    widget.choose_scope(scope)
    widget.refresh()
    assert widget.run_button.isEnabled(), widget.sentence.text()
    np.testing.assert_array_equal(widget.arguments()["mask"], labels)


def test_the_mask_of_a_plane_serves_a_volume(widget, viewer, image, mask):
    viewer.add_image(np.stack([image] * 5), name="s", axis_labels=("z", "y", "x"))
    viewer.add_labels(mask.astype(int), name="dust")
    widget.mask_layer.setCurrentText("dust")
    widget.choose_scope(Scope.VOLUME)
    widget.refresh()
    assert "5x40x48 voxels" in widget.sentence.text()
    assert widget.run_button.isEnabled()


@pytest.mark.slow
def test_the_copied_command_and_the_saved_mask_do_the_run_again(
    widget, viewer, image, mask, tmp_path, monkeypatch, finish
):
    monkeypatch.chdir(tmp_path)
    viewer.add_image(np.ones((1, 3), np.float32) / 3, name="kernel")
    viewer.add_layer(Shapes([np.array([[9.6, 19.6], [9.6, 23.4], [12.4, 23.4], [12.4, 19.6]])], name="dust"))
    viewer.add_image(image, name="b")
    widget.method.setCurrentText("known-kernel")
    widget.image.choose(viewer.layers["b"])
    widget.kernel.choose(viewer.layers["kernel"])
    widget.menu.save_mask(tmp_path / "mask.tif")
    assert "No mask is chosen" in widget.verdict.text()
    widget.mask_layer.setCurrentText("dust")
    widget.menu.copy_command()
    assert "save the mask as mask.tif first" in widget.verdict.text()
    command = shlex.split(QApplication.clipboard().text())
    assert command[command.index("--mask") + 1] == "mask.tif"
    widget.menu.copy_script()
    assert "mask='mask.tif'" in QApplication.clipboard().text()
    widget.menu.save_mask(tmp_path / "mask.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "mask.tif"), mask)
    write_image(tmp_path / "image.tif", image)
    write_image(tmp_path / "kernel.tif", viewer.layers["kernel"].data)
    assert cli.main(command[1:]) == 0
    widget.run_or_cancel()
    finish(widget)
    again = read_image(tmp_path / command[command.index("-o") + 1])
    np.testing.assert_array_equal(again, viewer.layers["b deblurred"].data)
    np.testing.assert_array_equal(again[mask], image[mask])
