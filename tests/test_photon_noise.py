"""Photon noise: where the light begins, how strong the noise is, and how much regularization it needs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.signal import fftconvolve

import napari_genprior as gp
from napari_genprior.core.errors import InputError
from napari_genprior.core.iteration import run_to_end
from napari_genprior.deconvolution.estimated_error import split_noise
from napari_genprior.deconvolution.photon_noise import Strength, choose_strength, restore_photons
from napari_genprior.operators.convolution import transfer_function
from napari_genprior.operators.noise import NoiseModel
from napari_genprior.operators.observation import pad_zero
from napari_genprior.operators.observed import observe
from napari_genprior.operators.photon_noise import (
    KnownNoise,
    background_level,
    estimate_noise_model,
    find_photon_noise,
)


def spot(shape, sigmas):
    axes = [np.exp(-((np.arange(n) - n // 2) ** 2) / (2 * s * s)) for n, s in zip(shape, sigmas, strict=True)]
    kernel = axes[0]
    for axis in axes[1:]:
        kernel = kernel[..., None] * axis
    return (kernel / kernel.sum()).astype(np.float32)


def light(shape, kernel, photons, seed=0):
    """Soft blobs on a dark ground and their blurred image, in photons."""
    wide = [n + k - 1 for n, k in zip(shape, kernel.shape, strict=True)]
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(wide), 2)
    sharp = ndimage.gaussian_filter((noise / noise.std() - 1).clip(0), 0.6)
    blurred = fftconvolve(sharp, kernel, "valid").clip(0)
    inner = tuple(slice(k // 2, k // 2 + n) for n, k in zip(shape, kernel.shape, strict=True))
    return sharp[inner] * photons / blurred.max(), blurred * photons / blurred.max()


def counted(photons, gain=1.0, offset=100.0, read=2.0, seed=1):
    rng = np.random.default_rng(seed)
    return gain * rng.poisson(photons) + rng.normal(offset, read, photons.shape)


def tensor(array):
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))[None, None]


VOLUME_KERNEL = spot((7, 9, 9), (1.3, 1.7, 1.7))
IMAGE_KERNEL = spot((11, 11), (1.8, 1.8))


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 100.0), (2.0, 400.0), (4.0, 200.0)])
def test_the_level_without_light_is_found_below_what_glows(gain, offset):
    _, photons = light((20, 56, 56), VOLUME_KERNEL, 300)
    volume = counted(photons + 40, gain, offset)  # nothing in it is dark
    assert background_level(tensor(volume)) == pytest.approx(offset, abs=4 + 4 * gain)
    found = estimate_noise_model(tensor(volume - offset))
    assert found.gain == pytest.approx(gain, rel=0.15)


def test_noise_that_is_the_same_everywhere_tells_no_level():
    _, photons = light((20, 56, 56), VOLUME_KERNEL, 300)
    volume = photons + np.random.default_rng(0).normal(100, 10, photons.shape)
    assert background_level(tensor(volume)) is None


def test_what_is_known_of_the_noise_is_kept():
    _, photons = light((16, 40, 40), VOLUME_KERNEL, 200)
    volume = tensor(counted(photons, 2.0, 0.0, 3.0))
    assert estimate_noise_model(volume, KnownNoise(2.0, 9.0)) == NoiseModel(2.0, 9.0)
    assert estimate_noise_model(volume, KnownNoise(gain=2.0)).read_variance == pytest.approx(9, abs=6)
    assert estimate_noise_model(volume, KnownNoise(read_variance=9.0)).gain == pytest.approx(2, rel=0.2)


def test_photon_noise_of_images_is_told_from_white_noise_and_from_texture():
    _, photons = light((160, 160), IMAGE_KERNEL, 500)
    found = find_photon_noise(observe(tensor(counted(photons) / 600)))
    assert found is not None
    assert found.level * 600 == pytest.approx(100, abs=8)
    assert found.model.gain * 600 == pytest.approx(1, rel=0.2)
    white = photons / 600 + np.random.default_rng(0).normal(0, 0.01, photons.shape)
    assert find_photon_noise(observe(tensor(white))) is None
    photograph = gp.samples.cat().mean(-1) / 255
    assert find_photon_noise(observe(tensor(photograph))) is None
    assert find_photon_noise(observe(torch.rand(1, 1, 12, 12))) is None, "too few pixels to tell"


def observed_volume(photons_at_most, seed=0):
    sharp, photons = light((20, 48, 48), VOLUME_KERNEL, photons_at_most, seed)
    volume = tensor(counted(photons, offset=0, seed=seed))
    observation = pad_zero(volume, [k - 1 for k in VOLUME_KERNEL.shape])
    transfer = transfer_function(torch.from_numpy(VOLUME_KERNEL)[None, None], observation.shape)
    return sharp, observation, transfer, NoiseModel(1.0, 4.0)


def test_the_halves_of_the_data_err_independently():
    _, photons = light((20, 48, 48), VOLUME_KERNEL, 200)
    _, observation, transfer, noise = observed_volume(200)
    halves = split_noise(observation, transfer, noise, seed=3)
    errors = [(x - tensor(photons)).flatten() for x in (halves.training.crop(halves.training.canvas), halves.held_out)]
    assert abs(float(torch.corrcoef(torch.stack(errors))[0, 1])) < 0.06
    assert float(errors[0].square().mean()) == pytest.approx(
        float(halves.noise.variance(tensor(photons)).mean()), rel=0.05
    )


@pytest.mark.slow
@pytest.mark.parametrize("photons", [40, 1000])
def test_the_strength_is_nearly_the_best_one(photons):
    sharp, observation, transfer, noise = observed_volume(photons)

    def error(strength):
        search = restore_photons(observation, transfer, noise, strength=strength, steps=30)
        return float((observation.crop(run_to_end(search).image) - tensor(sharp)).square().mean())

    chosen = run_to_end(choose_strength(split_noise(observation, transfer, noise)))
    ladder = [Strength(0.5 * s, s) for s in (0.3, 0.1, 0.03, 0.01, 0.003)]
    assert error(chosen) < 1.3 * min(error(strength) for strength in ladder)


@pytest.mark.slow
def test_a_given_background_is_the_least_value_and_a_constant_changes_nothing():
    _, photons = light((14, 32, 32), VOLUME_KERNEL, 100)
    volume = counted(photons, offset=100).astype(np.float32)
    settings = {"background": 100.0, "gain": 1.0, "read_noise": 2.0, "solver": "tv", "steps": 20}
    result = gp.deblur(volume, kernel=VOLUME_KERNEL, mode="3d", settings=settings)
    assert result.image.min() >= 100
    assert result.verdict.features["background"] == 100
    assert result.verdict.features["counts_per_photon"] == 1
    with pytest.raises(InputError, match="below the brightest voxel"):
        gp.deblur(volume, kernel=VOLUME_KERNEL, mode="3d", settings={"background": 1e5})
    moved = gp.deblur(volume + 1000, kernel=VOLUME_KERNEL, mode="3d", settings=settings | {"background": 1100.0})
    np.testing.assert_allclose(moved.image - 1000, result.image, atol=0.5)


@pytest.mark.slow
def test_an_offset_of_the_camera_is_found_and_does_no_harm():
    sharp, photons = light((16, 48, 48), VOLUME_KERNEL, 80)
    counts = counted(photons, offset=0)
    errors = []
    for offset in (0, 300):
        volume = (counts + offset).round().clip(0).astype(np.uint16)
        image = gp.deblur(volume, kernel=VOLUME_KERNEL, mode="3d").image - offset
        errors.append(float(((image - sharp) ** 2).mean()))
    assert errors[1] < 1.5 * errors[0]


def test_images_of_few_photons_gain_from_the_noise_model():
    sharp, photons = light((128, 128), IMAGE_KERNEL, 100)
    counts = counted(photons).round().clip(0).astype(np.uint16)
    result = gp.known_kernel(counts, IMAGE_KERNEL)
    white = gp.known_kernel(counts[None].repeat(3, 0).transpose(1, 2, 0), IMAGE_KERNEL)  # colours: white noise
    inner = (slice(6, -6), slice(6, -6))

    def error(image):
        return float(((image[inner] - 100 - sharp[inner]) ** 2).mean())

    assert error(result.image) < 0.85 * error(white.image[..., 0])
    assert error(result.image) < 0.5 * error(counts.astype(float))
