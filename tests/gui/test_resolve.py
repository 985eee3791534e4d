"""From the values of a form and a layer to the arguments of a run, without any widget."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_genprior._napari import layers as _layers
from napari_genprior._napari.resolve import (
    NO_IMAGE,
    NO_KERNEL,
    SEVERAL_AXES,
    FormValues,
    Scope,
    axis_options,
    outlook,
    resolve,
    scope_of,
    with_kernel,
)
from napari_genprior.methods.registry import METHODS
from napari_genprior.pipeline.plan import make_plan

RNG = np.random.default_rng(0)


def values(scope: Scope, method: str = "auto", **fields) -> FormValues:
    return FormValues(scope, METHODS[method], **fields)


@pytest.fixture
def stack() -> _layers.SelectedImage:
    labels = ("t", "c", "z", "y", "x")
    data = RNG.random((2, 3, 5, 24, 28), np.float32)
    return _layers.select_all(Image(data, axis_labels=labels, scale=(1, 1, 300, 100, 100), units=["nm"] * 5))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scope", "wanted"),
    [
        (Scope.STACK, {"axes": "TCZYX", "kernel_per": "stack"}),
        (Scope.CHANNEL, {"axes": "TCZYX", "kernel_per": "channel"}),
        (Scope.FRAME, {"axes": "TCZYX", "kernel_per": "frame"}),
        (Scope.VOLUME, {"axes": "TCZYX", "mode": "3d"}),
    ],
)
def test_a_scope_becomes_arguments_that_can_be_planned(stack, scope, wanted):
    resolved = resolve(values(scope, axes="TCZYX", seed=3, device="cpu"), stack)
    assert not resolved.missing
    assert wanted.items() <= resolved.arguments.items()
    assert make_plan(stack.image, **resolved.arguments).seed == 3


def test_a_volume_gets_its_voxel_size_from_the_layer_and_no_settings_of_planes(stack):
    given = values(Scope.VOLUME, "classical", axes="TCZYX", choices={"kernel_size": 9})
    arguments = resolve(given, stack).arguments
    assert arguments["voxel_size_um"] == pytest.approx((0.3, 0.1, 0.1))
    assert arguments["method"] == "auto"
    assert "kernel_size" not in arguments


def test_a_plane_of_a_stack_needs_no_axes(stack):
    arguments = resolve(values(Scope.VARYING, tiles=2, choices={"kernel_size": 9}), stack).arguments
    assert arguments["tiles"] == (2, 2)
    assert arguments["kernel_size"] == 9
    assert "axes" not in arguments


def test_what_is_missing_is_named(stack):
    assert resolve(values(Scope.IMAGE), None).missing == NO_IMAGE
    assert resolve(values(Scope.IMAGE, "known-kernel", choices={"kernel": None}), stack).missing == NO_KERNEL
    unlabelled = _layers.select_all(Image(RNG.random((3, 40, 48))))
    assert resolve(values(Scope.STACK), unlabelled).missing == SEVERAL_AXES
    assert not resolve(values(Scope.STACK, axes="TYX"), unlabelled).missing


def test_axes_of_volumes_have_depth():
    unlabelled = _layers.select_all(Image(RNG.random((3, 40, 48))))
    assert axis_options(Scope.STACK, unlabelled) == ["TYX", "CYX", "ZYX"]
    assert axis_options(Scope.VOLUME, unlabelled) == ["ZYX"]


def test_a_batch_of_no_images_cannot_be_started():
    plane = _layers.select_displayed(Image(RNG.random((40, 48))))
    assert outlook(values(Scope.SELECTED), plane, runs=0)[1] is False
    text, usable = outlook(values(Scope.SELECTED), plane, runs=2)
    assert usable
    assert "2 images, one after the other" in text


@pytest.mark.parametrize("scope", [Scope.STACK, Scope.CHANNEL, Scope.FRAME, Scope.VOLUME, Scope.VARYING])
def test_the_scope_is_found_again_in_stored_arguments(stack, scope):
    arguments = resolve(values(scope, axes="TCZYX"), stack).arguments
    assert scope_of(arguments, Scope.IMAGE) is scope


def test_a_stored_request_for_an_image_keeps_a_batch():
    assert scope_of({"method": "auto"}, Scope.SELECTED) is Scope.SELECTED
    assert scope_of({"method": "auto"}, Scope.VOLUME) is Scope.IMAGE
    assert scope_of({}, Scope.SELECTED) is Scope.IMAGE


def test_another_kernel_is_used_on_the_same_image(stack):
    arguments = resolve(values(Scope.VOLUME, axes="TCZYX", device="cpu", settings={"steps": 3}), stack).arguments
    kernel = np.full((3, 3, 3), 1 / 27, np.float32)
    plan = make_plan(stack.image, **with_kernel(arguments, kernel))
    assert plan.is_volume
    assert plan.kernels is not None
    assert plan.settings.steps == 3
