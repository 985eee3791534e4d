"""Photographs are coded for screens, blur adds up light."""

from __future__ import annotations

import numpy as np
import pytest

import napari_genprior as gp
from images import blocks
from napari_genprior import metrics
from napari_genprior.cli import main
from napari_genprior.core import image_io as io
from napari_genprior.core.errors import InputError
from napari_genprior.core.intensity import Intensity

KERNEL = gp.blur.motion(11, 30)
LINEAR = {"transfer_function": "srgb"}


def coded(light):
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055)


@pytest.fixture
def photograph():
    """Sharp and blurred, 8 bits: blurred as light is, then coded."""
    light = blocks(96, 112).astype(float) ** 2.2
    made = gp.simulate(light.astype(np.float32), kernel=KERNEL, noise=0.001, seed=0)
    return np.rint(255 * coded(light)), np.rint(255 * coded(np.clip(made.blurred, 0, 1))).astype(np.uint8)


def decibels(image, sharp):
    return metrics.psnr(image, sharp, align=True, peak=255, crop=12)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_there_and_back_nothing_changes(dtype):
    values = np.arange(256).astype(dtype) / (255 if dtype == np.float32 else 1)
    values = values.reshape(16, 16).astype(dtype)
    intensity = Intensity.of(values, coded=True)
    working = intensity.to_working(values)
    assert working.min() == 0
    assert working.max() == pytest.approx(1)
    assert working.flat[128] == pytest.approx(0.2159, abs=1e-3)  # IEC 61966-2-1
    np.testing.assert_allclose(intensity.to_native(working), values, atol=1e-5 * values.max())


def test_a_slope_is_what_small_differences_come_to():
    intensity = Intensity.of(np.array([0, 255], np.uint8), coded=True)
    at = np.array([0.001, 0.1, 0.5], np.float64)
    change = intensity.to_native(at + 1e-3) - intensity.to_native(at)
    np.testing.assert_allclose(intensity.derivative(at) * 1e-3, change, rtol=0.02)
    assert (Intensity.of(np.array([0, 255], np.uint8)).derivative(at) == 255).all()


def test_with_the_kernel_given_light_is_solved_better(photograph):
    sharp, blurred = photograph
    given, linear = (gp.known_kernel(blurred, KERNEL, settings=s).image for s in ({}, LINEAR))
    assert decibels(linear, sharp) > decibels(given, sharp) + 3
    assert linear.min() >= 0


@pytest.mark.slow
def test_blind_in_colours_and_the_light_is_kept(photograph):
    sharp, blurred = photograph
    image = np.stack([blurred, blurred, blurred], -1)
    result = gp.deblur(image, kernel_size=15, settings=LINEAR)
    assert decibels(result.image[..., 1], sharp) > decibels(blurred, sharp) + 3
    light = [((each / 255 + 0.055) / 1.055) ** 2.4 for each in (image.astype(float), np.maximum(result.image, 11))]
    assert light[1].mean() == pytest.approx(light[0].mean(), rel=0.02)
    assert result.provenance.settings["transfer_function"] == "srgb"


def test_planes_of_a_stack_become_what_single_images_do(photograph):
    blurred = photograph[1]
    stack = gp.deblur(np.stack([blurred, blurred]), axes="TYX", kernel=KERNEL, method="known-kernel", settings=LINEAR)
    np.testing.assert_array_equal(stack.image[1], gp.known_kernel(blurred, KERNEL, settings=LINEAR).image)


def test_in_tiles_it_is_refused(photograph, tmp_path):
    with pytest.raises(InputError, match="transfer_function"):
        gp.deblur(
            photograph[1],
            out=tmp_path / "out.tif",
            tile_size="auto",
            kernel=KERNEL,
            method="known-kernel",
            settings=LINEAR,
        )


def test_on_the_command_line(photograph, tmp_path):
    io.write_image(tmp_path / "in.png", photograph[1])
    io.write_image(tmp_path / "k.tif", KERNEL)
    files = [str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png"), "--kernel", str(tmp_path / "k.tif")]
    assert main(["deblur", *files, "--set", "transfer_function=srgb", "--quiet"]) == 0
    wanted = gp.known_kernel(photograph[1], KERNEL, settings=LINEAR).image
    np.testing.assert_array_equal(io.read_image(tmp_path / "out.png"), np.rint(wanted).clip(0, 255))
