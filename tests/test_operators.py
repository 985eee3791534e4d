"""Operators and deconvolutions in two and three dimensions: exact adjoints, and one algorithm for both."""

import numpy as np
import pytest
import torch

from images import blocks
from napari_genprior import blur, metrics
from napari_genprior.core.iteration import run_to_end
from napari_genprior.deconvolution.known_kernel import deconvolve_known, final_image
from napari_genprior.deconvolution.richardson_lucy import richardson_lucy
from napari_genprior.deconvolution.total_variation import deconvolve, image_splitting, tv_admm, tv_weighted
from napari_genprior.deconvolution.wiener import wiener
from napari_genprior.operators.boundary import is_periodic, smooth_wrap
from napari_genprior.operators.convolution import BOUNDARIES, convolve, crop_kernel, transfer_function
from napari_genprior.operators.finite_differences import (
    add_differences,
    add_differences_adjoint,
    differences,
    differences_adjoint,
    gradients,
    gradients_adjoint,
    second_order_count,
    slope_power,
)
from napari_genprior.operators.noise import KERNEL_NOISE, LEAST_NOISE, NoiseModel, effective_noise
from napari_genprior.operators.observation import Observation, pad_periodic, pad_zero
from napari_genprior.settings import KnownKernelSettings

SHAPES = [(9, 8), (5, 8, 7)]
WEIGHTS = {2: (0.5, 2.0), 3: (0.3, 1.0, 0.7)}
SHARP, KERNEL = blocks(48, 52, seed=1), blur.motion(7, 30)


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def tensor(array):
    return torch.from_numpy(np.asarray(array, np.float32))[None, None]


def repeated(x, planes=4):
    """An image as a volume that is the same in each plane."""
    return x[:, :, None].expand(-1, -1, planes, -1, -1).contiguous()


def as_volume(observation):
    planes = None if observation.data_shape is None else (4, *observation.data_shape)
    parts = (observation.canvas, observation.masked, observation.at_least, observation.at_most)
    return Observation(*map(repeated, parts), planes)


# --- adjoints


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_differences_and_their_adjoints_agree(shape, weighted):
    weights, dimensions = WEIGHTS[len(shape)] if weighted else None, len(shape)
    x, first = draw(2, 3, *shape), draw(dimensions, 2, 3, *shape, seed=1)
    torch.testing.assert_close(
        (differences(x, weights) * first).sum(), (x * differences_adjoint(first, weights)).sum(), rtol=1e-12, atol=0
    )
    second = draw(second_order_count(dimensions), 2, 3, *shape, seed=2)
    scratch, d1, d2 = x.new_empty(dimensions + 1, *x.shape), torch.zeros_like(first), torch.zeros_like(second)
    add_differences(x, d1, d2, scratch, weights)
    torch.testing.assert_close(d1, differences(x, weights))
    there = (d1 * first).sum() + (d2 * second).sum()
    back = add_differences_adjoint(first.clone(), second, scratch, weights)
    torch.testing.assert_close(there, (x * back).sum(), rtol=1e-11, atol=0)
    only = torch.zeros_like(first)
    add_differences(x, only, None, scratch[:1], weights)
    assert torch.equal(only, d1)
    assert torch.allclose(
        add_differences_adjoint(first.clone(), None, scratch, weights), differences_adjoint(first, weights)
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_the_differences_as_channels(shape):
    x, g = draw(1, 1, *shape), draw(1, len(shape), *shape, seed=1)
    torch.testing.assert_close(gradients(x)[0], differences(x)[:, 0, 0])
    torch.testing.assert_close((gradients(x) * g).sum(), (x * gradients_adjoint(g)).sum())


@pytest.mark.parametrize("shape", SHAPES)
def test_the_spectrum_of_differences_of_both_orders_is_the_slope_power_and_its_square(shape):
    dimensions, weights = len(shape), WEIGHTS[len(shape)]
    x, axes = draw(1, 1, *shape), tuple(range(-len(shape), 0))
    first, second = x.new_zeros(dimensions, *x.shape), x.new_zeros(second_order_count(dimensions), *x.shape)
    scratch = x.new_empty(dimensions + 1, *x.shape)
    add_differences(x, first, second, scratch, weights)
    power = slope_power(shape, x.device, weights).double()
    for order, (one, other) in enumerate(((first, None), (torch.zeros_like(first), second)), start=1):
        got = add_differences_adjoint(one, other, scratch, weights).clone()
        expected = torch.fft.irfftn(power**order * torch.fft.rfftn(x, dim=axes), s=shape, dim=axes)
        torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_blur_on_a_canvas_and_its_adjoint_agree(shape, dtype):
    kernel = draw(1, 1, *(4, 3, 5)[-len(shape) :], dtype=dtype)
    for observation in (
        pad_zero(draw(1, 2, *shape, dtype=dtype), kernel.shape[2:]),
        pad_periodic(draw(1, 2, *shape, dtype=dtype), kernel.shape[2:]),
    ):
        transfer = transfer_function(kernel, observation.shape)
        x, y = draw(*observation.canvas.shape, dtype=dtype), draw(1, 2, *shape, seed=1, dtype=dtype)
        there = (observation.blur(x, transfer) * y).double().sum()
        back = (x * observation.blur_adjoint(y, transfer)).double().sum()
        assert float(there) == pytest.approx(float(back), rel=1e-3 if dtype is torch.float32 else 1e-10)


# --- two and three dimensions are one code path


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_convolution_of_a_repeated_image_is_the_repeated_convolution(boundary):
    image, kernel = draw(2, 3, 12, 11), draw(1, 1, 3, 4)
    torch.testing.assert_close(
        convolve(repeated(image), kernel[:, :, None], boundary), repeated(convolve(image, kernel, boundary))
    )


def test_a_kernel_larger_than_its_grid_is_refused_or_cropped_with_its_sum():
    kernel = draw(1, 1, 5, 9, 4).abs()
    with pytest.raises(ValueError, match="5x9x4 does not fit into 6x6x6"):
        transfer_function(kernel, (6, 6, 6))
    cropped = crop_kernel(kernel, (6, 6, 6))
    assert cropped.shape[2:] == (5, 6, 4)
    torch.testing.assert_close(cropped.sum(), kernel.sum())
    torch.testing.assert_close(cropped / cropped[..., 3:4, :], kernel[..., 1:7, :] / kernel[..., 4:5, :])
    assert crop_kernel(kernel, (9, 9, 9)) is kernel


def test_a_volume_is_wrapped_smoothly_along_each_axis():
    volume = draw(1, 1, 6, 9, 8)
    wrapped = smooth_wrap(volume, (3, 2, 0))
    assert wrapped.shape[2:] == (9, 12, 8)
    torch.testing.assert_close(wrapped[..., :6, :9, :], volume)
    torch.testing.assert_close(
        smooth_wrap(repeated(volume[:, :, 0]), (0, 3, 2)), repeated(smooth_wrap(volume[:, :, 0], (3, 2)))
    )
    assert is_periodic(volume.new_ones(1, 1, 6, 9, 8))


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("second_order", [True, False])
def test_total_variation_restores_a_repeated_image_as_the_image(periodic, second_order):
    """What does not change along a periodic axis is the same problem without that axis, whatever its voxels' length."""
    blurred, kernel = convolve(tensor(SHARP), tensor(KERNEL)), tensor(KERNEL)
    blurred[..., 20:24, 20:24] = 1  # saturated
    observation = pad_periodic(blurred, kernel.shape[2:], periodic)
    splitting = image_splitting(1e-3)
    if not second_order:
        splitting = type(splitting)(splitting.rho_data, splitting.rho, non_negative=True, tolerance=1e-3)
    problem = (observation, transfer_function(kernel, observation.shape), 1e-3, splitting)
    image = run_to_end(tv_admm(*problem, steps=12)).image
    volume = as_volume(observation)
    problem = (volume, transfer_function(kernel[:, :, None], volume.shape), 1e-3, splitting)
    for depth in (1.0, 0.3):
        found = run_to_end(tv_admm(*problem, weights=(depth, 1.0, 1.0), steps=12)).image
        torch.testing.assert_close(found, repeated(image), atol=2e-5, rtol=0)
    assert (observation.crop(image) - tensor(SHARP)).square().mean() < (blurred - tensor(SHARP)).square().mean()


def test_deconvolutions_of_photons_restore_a_repeated_image_as_the_image():
    random, kernel = np.random.default_rng(0), tensor(KERNEL)
    photons = random.poisson(200 * convolve(tensor(SHARP), kernel).clamp(min=0).numpy()) / 200
    observation = pad_zero(torch.from_numpy(photons.astype(np.float32)), (6, 6))
    volume, noise = as_volume(observation), NoiseModel(0.005, 1e-6)
    transfers = transfer_function(kernel, observation.shape), transfer_function(kernel[:, :, None], volume.shape)
    # of Wiener's filter that is not so: it takes the noise of the planes to be independent
    first = wiener(observation, transfers[0], noise).clamp(min=0)
    tv = [
        run_to_end(tv_weighted(o, t, noise, strength=1.0, steps=10, start=start)).image
        for o, t, start in zip((observation, volume), transfers, (first, repeated(first)), strict=True)
    ]
    lucy = [
        run_to_end(richardson_lucy(o, t, noise, strength=0.1, steps=10)).image
        for o, t in zip((observation, volume), transfers, strict=True)
    ]

    def error(image):
        return float((observation.crop(image) - tensor(SHARP)).square().mean())

    for image, planes in (tv, lucy):
        torch.testing.assert_close(planes, repeated(image), atol=1e-4, rtol=0)
        assert error(image) < error(observation.canvas)
    assert error(tv[0]) < error(first)


def test_axes_are_alike():
    """Exchanging the axes of a periodic volume, its kernel and its voxels' sides exchanges those of the result."""
    volume, kernel = draw(1, 1, 8, 12, 16, dtype=torch.float32), draw(1, 1, 3, 5, 4, dtype=torch.float32).abs()
    kernel = kernel / kernel.sum()

    def restored(volume, kernel, weights):
        observation = pad_zero(volume, (0, 0, 0))
        transfer = transfer_function(kernel, observation.shape)
        splitting = image_splitting(1e-2)
        return run_to_end(tv_admm(observation, transfer, 1e-2, splitting, weights=weights, steps=10)).image

    turned = restored(volume.movedim(2, 4), kernel.movedim(2, 4), (1.0, 2.0, 0.5))
    torch.testing.assert_close(turned.movedim(4, 2), restored(volume, kernel, (0.5, 1.0, 2.0)), atol=1e-4, rtol=0)


def test_several_kernels_for_one_image_are_restored_at_once():
    blurred, kernels = convolve(tensor(SHARP), tensor(KERNEL)), torch.cat([tensor(KERNEL), tensor(KERNEL).flip(-1)])
    both = deconvolve(blurred, kernels, 1e-3, steps=5)
    for one, kernel in zip(both, kernels, strict=True):
        torch.testing.assert_close(one[None], deconvolve(blurred, kernel[None], 1e-3, steps=5), atol=1e-5, rtol=0)


# --- the known-kernel step


def test_the_assumed_noise_is_that_of_the_kernel_where_the_measured_one_is_less():
    assert effective_noise(0.0, kernel_given=True) == LEAST_NOISE
    assert effective_noise(0.0, kernel_given=False) == KERNEL_NOISE
    assert effective_noise(0.05, kernel_given=True) == effective_noise(0.05, kernel_given=False) == 0.05


def test_the_known_kernel_step_measures_what_it_is_not_told():
    settings = KnownKernelSettings.checked({"deconvolution": "tv"})
    blurred = convolve(tensor(SHARP), tensor(KERNEL)) + 0.005 * draw(1, 1, *SHARP.shape, dtype=torch.float32)
    given, estimated = (deconvolve_known(blurred, tensor(KERNEL), settings, kernel_given=k) for k in (True, False))
    told = {"noise": 0.005, "periodic": True}
    torch.testing.assert_close(estimated, final_image(blurred, tensor(KERNEL), KERNEL_NOISE, settings, True))
    again = deconvolve_known(blurred, tensor(KERNEL), settings, kernel_given=True, **told)
    torch.testing.assert_close(again, final_image(blurred, tensor(KERNEL), 0.005, settings, True))
    assert estimated.diff(dim=-1).abs().mean() < given.diff(dim=-1).abs().mean(), "an estimated kernel is trusted less"
    assert metrics.psnr(given[0, 0].numpy(), SHARP) > metrics.psnr(blurred[0, 0].numpy(), SHARP) + 5
