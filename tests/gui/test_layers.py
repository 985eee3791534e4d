"""Convert layers to images and back, without any widget."""

from __future__ import annotations

import dask
import dask.array as da
import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_genprior._napari import layers as _layers


def made(layer: _layers.LayerData) -> Image:
    data, arguments = layer
    return Image(data, **arguments)


@pytest.fixture
def turned(image) -> Image:
    """A layer with everything that says where it lies."""
    return Image(
        image,
        name="cells",
        scale=(0.5, 0.25),
        translate=(3, 4),
        rotate=20,
        shear=[0.1],
        affine=[[1, 0.2, 5], [0, 1, 6], [0, 0, 1]],
        units=("um", "um"),
        axis_labels=("y", "x"),
        colormap="green",
        contrast_limits=(5, 90),
        gamma=0.7,
    )


def test_the_result_lies_and_looks_like_its_source(turned, image):
    result = made(_layers.result_layer(_layers.select_displayed(turned), image, {"seed": 1}))
    assert result.name == "cells deblurred"
    assert result.metadata == {"genprior": {"seed": 1}}
    for name in ("units", "axis_labels", "contrast_limits", "gamma"):
        assert getattr(result, name) == getattr(turned, name), name
    assert result.colormap.name == "green"
    for point in ((0, 0), (7, 9), (39, 0)):
        np.testing.assert_allclose(result.data_to_world(point), turned.data_to_world(point))


def test_the_kernel_has_scale_and_units_and_lies_beside_the_image(turned):
    kernel = np.eye(5, dtype=np.float32) / 5
    layer = made(_layers.kernel_layer(_layers.select_displayed(turned), kernel, {}))
    np.testing.assert_allclose(layer.scale, turned.scale)
    assert layer.units == turned.units
    _, column = turned.world_to_data(layer.data_to_world((0, 0)))
    assert column > turned.data.shape[1]
    assert layer.contrast_limits == [0, pytest.approx(0.2)]


def test_a_valid_simulation_lies_where_its_pixels_came_from(turned, image):
    kernel_shape = (5, 9)
    layer = made(_layers.blurred_layer(_layers.select_displayed(turned), image[2:-2, 4:-4], kernel_shape, {}))
    np.testing.assert_allclose(layer.data_to_world((0, 0)), turned.data_to_world((2, 4)))


def test_of_a_stack_the_displayed_plane_is_taken(viewer):
    stack = np.arange(5 * 12 * 10, dtype=np.uint16).reshape(5, 12, 10)
    layer = viewer.add_image(
        stack, name="stack", scale=(2, 0.5, 0.5), translate=(10, 0, 0), axis_labels=("z", "y", "x")
    )
    viewer.dims.set_current_step(0, 3)
    picked = _layers.select_displayed(layer, viewer.dims.point)
    np.testing.assert_array_equal(picked.image, stack[3])
    assert picked.name == "stack [z 3]"
    assert "z 3 (of 5)" in picked.note
    assert picked.place["scale"] == (0.5, 0.5)


def test_a_stack_beside_another_of_more_axes(viewer):
    stack = np.arange(4 * 9 * 8).reshape(4, 9, 8)
    layer = viewer.add_image(stack)
    viewer.add_image(np.zeros((2, 4, 9, 8)))
    viewer.dims.set_current_step(1, 2)
    np.testing.assert_array_equal(_layers.select_displayed(layer, viewer.dims.point).image, stack[2])


def test_an_rgb_stack_gives_an_rgb_plane(viewer):
    layer = viewer.add_image(np.zeros((3, 9, 8, 3), np.uint8), rgb=True)
    picked = _layers.select_displayed(layer, viewer.dims.point)
    assert picked.image.shape == (9, 8, 3)
    assert made(_layers.result_layer(picked, picked.image, {})).rgb


@pytest.mark.parametrize(("position", "index"), [(-3.0, 0), (1.4, 1), (99.0, 4)])
def test_a_plane_outside_the_stack_is_the_nearest(position, index):
    assert _layers.plane_index((5,), (position, 0, 0)) == (index,)


def test_of_a_pyramid_the_full_resolution_is_taken(image):
    layer = Image([image, image[::2, ::2]], multiscale=True)
    np.testing.assert_array_equal(_layers.select_displayed(layer).image, image)


def reader(log: list):
    """A delayed array that notes when it is computed."""

    @dask.delayed
    def read():
        log.append(1)
        return np.zeros((64, 64), np.float32)

    return read()


def test_a_lazy_layer_stays_lazy():
    read = []
    lazy = da.from_delayed(reader(read), (64, 64), np.float32)
    layer = Image(lazy, contrast_limits=(0, 1))
    read.clear()
    picked = _layers.select_displayed(layer)
    assert not picked.cheap
    assert read == []


def test_what_is_offered(image):
    assert _layers.is_image(Image(image))
    assert not _layers.is_image(Labels(image.astype(int)))
    assert not _layers.is_kernel(Image(np.zeros((9, 9, 3), np.uint8), rgb=True))
    assert not _layers.is_kernel(Image(np.zeros((3, 9, 9))))
    assert _layers.looks_like_kernel(Image(image, name="my PSF"))
    assert not _layers.looks_like_kernel(Image(image, name="cells"))
