"""Kernels in a generator's range without an image prior: each part by a direct computation, then the whole."""

import numpy as np
import pytest
import torch

import napari_genprior as gp
from images import blocks
from napari_genprior.blur.support import off_center
from napari_genprior.core.arrays import cpu_generator
from napari_genprior.core.errors import GenPriorError, InputError
from napari_genprior.estimation import kernel_prior as kernel_latent
from napari_genprior.estimation.kernel_prior import search_latents
from napari_genprior.estimation.l0_gradient import l0_image_step
from napari_genprior.operators.boundary import is_periodic
from napari_genprior.operators.convolution import convolve
from napari_genprior.operators.detail import most_textured
from napari_genprior.operators.finite_differences import gradients
from napari_genprior.quality.kernel_criteria import normalized_sparsity


@pytest.fixture(scope="module")
def prior():
    return gp.load_prior("motion-28")


def error(estimate, true):
    """Compute the relative error at the best shift in whole pixels."""
    size = (64, 64)
    product = np.fft.irfft2(np.fft.rfft2(estimate, size) * np.fft.rfft2(true, size).conj(), size)
    return np.sqrt(max(0, (estimate**2).sum() + (true**2).sum() - 2 * product.max()) / (true**2).sum())


@pytest.mark.slow
@pytest.mark.parametrize("colours", [1, 3])
def test_a_kernel_in_the_range_is_estimated(prior, colours):
    kernel = prior.project(gp.blur.shake(15, 3, 28)[None]).images[0]
    planes = [(1 - colour / 4) * blocks(160, 160, seed=2) for colour in range(colours)]
    sim = gp.simulate(np.stack(planes, -1) if colours > 1 else planes[0], kernel=kernel, noise=0.005, seed=0)
    blurred = sim.blurred[16:144, 16:144]  # a part of it: the border is unknown
    result = gp.deblur(blurred, kernel_prior="motion-28")
    assert result.kernel.shape == (28, 28)
    assert result.image.shape == blurred.shape
    assert error(result.kernel, kernel) < 0.25


def test_colours_share_their_edges():
    y = torch.from_numpy(blocks(40, 48)).float()[None, None]
    point = torch.zeros(1, 1, 3, 3)
    point[..., 1, 1] = 1
    faint = torch.cat([y, 0.1 * y], 1)
    together = l0_image_step(faint, point, 2e-3)
    torch.testing.assert_close(
        l0_image_step(y.expand(-1, 2, -1, -1), point, 4e-3)[:, :1], l0_image_step(y, point, 2e-3)
    )
    alone = l0_image_step(0.1 * y, point, 2e-3)
    assert (together[:, 1:] - 0.1 * y).square().mean() < (alone - 0.1 * y).square().mean()


def test_the_misfit_of_a_step_is_that_of_the_convolved_edges(prior):
    scene = torch.from_numpy(np.pad(blocks(40, 48), 12, constant_values=0.5))[None, None]
    y = convolve(scene, prior.decode(torch.zeros(1, 50)))
    kernels = kernel_latent._Kernels(prior.decode, (28, 28), centred=True)
    level = kernel_latent._Level(y, kernels, 1.0, 0.01)
    assert level.canvas.shape == y.shape  # the boundary is periodic
    z = torch.randn(3, 50, generator=cpu_generator(1))
    with torch.no_grad():
        values = level.cost(z, 2e-3)(z, torch.arange(3))
        k, off = kernels(z, 1.0)
        edges = torch.cat([gradients(l0_image_step(y, each[None], 2e-3)) for each in k])
        misfit = (convolve(edges, k) - gradients(y)).square().sum((1, 2, 3)) / gradients(y).square().sum()
    expected = kernel_latent.FIT * misfit + z.square().sum(1) / 2 + off / (2 * kernel_latent.CENTRED_PX**2)
    torch.testing.assert_close(values, expected, rtol=1e-3, atol=1e-2)


@pytest.mark.slow
def test_kernels_stay_centred_if_the_generator_was_trained_on_centred_ones(prior, monkeypatch):
    monkeypatch.setattr(kernel_latent, "PIXELS", 2**13)
    blurred = torch.from_numpy(gp.simulate(blocks(64, 64), kernel=gp.blur.shake(9, 1, 28), seed=0).blurred)[None, None]
    search = search_latents(blurred, prior.decode, 50, cpu_generator(0), centred=True)
    first = next(search)
    for state in search:
        last = state
    assert off_center(last.kernels).max() < 0.3**2
    assert last.step == last.total
    assert (last.values.diff() >= 0).all()
    assert len(last.kernels) < len(first.kernels)  # the better ones are refined
    again = search_latents(blurred, prior.decode, 50, cpu_generator(0), centred=True)
    assert torch.equal(next(again).kernels, first.kernels)
    again.close()


@pytest.mark.slow
def test_images_as_small_as_the_kernel_are_no_error():
    result = gp.deblur(blocks(28, 30), "classical", kernel_prior="motion-28")
    assert np.isfinite(result.image).all()
    assert result.kernel.shape == (28, 28)


def test_the_most_textured_part_of_a_large_image_is_used():
    image = torch.zeros(1, 3, 200, 300)
    image[..., 120:180, 200:280] = torch.rand(1, 3, 60, 80, generator=cpu_generator(0))
    part = most_textured(image, 96)
    assert part.shape == (1, 3, 96, 96)
    assert part.square().sum() > 0.9 * image.square().sum()
    assert torch.equal(most_textured(image, 300), image)


def test_periodic_images_are_detected():
    scene = torch.rand(1, 1, 80, 80, generator=cpu_generator(0))
    kernel = torch.from_numpy(gp.blur.gaussian(3.0))[None, None]
    assert is_periodic(convolve(scene, kernel))
    assert not is_periodic(convolve(scene, kernel, "valid"))
    assert is_periodic(torch.zeros(1, 1, 8, 8))


def test_noise_does_not_hide_a_seam():
    noisy = torch.linspace(0, 1, 64).expand(1, 1, 64, 64) + 0.5 * torch.randn(1, 1, 64, 64, generator=cpu_generator(1))
    assert is_periodic(noisy)
    assert not is_periodic(noisy, 0.5)


def test_the_distance_from_the_middle_of_the_grid_is_that_of_the_centre_of_mass():
    kernels = torch.zeros(2, 1, 4, 5)
    kernels[0, 0, 1:3, 2] = 0.5
    kernels[1, 0, 0, 4] = 1
    torch.testing.assert_close(off_center(kernels), torch.tensor([0.0, 1.5**2 + 2**2]))


def test_few_sharp_edges_are_sparser_than_many_or_blurred_ones():
    sharp = torch.from_numpy(blocks(64, 64))[None, None]
    soft = convolve(sharp, torch.from_numpy(gp.blur.gaussian(1.5))[None, None])
    noisy = sharp + 0.05 * torch.randn(sharp.shape, generator=cpu_generator(0))
    values = normalized_sparsity(torch.cat([sharp, soft, noisy]))
    assert values[0] < values[1] < 1
    assert values[0] < values[2] < 1


@pytest.mark.parametrize("name", ["no-such-prior", "faces-64", "microscope-3d"])
def test_a_prior_that_is_not_of_2d_kernels_is_refused(name):
    with pytest.raises(GenPriorError):
        gp.iter_deblur(blocks(64, 64), "classical", kernel_prior=name)


def test_a_kernel_prior_larger_than_the_image_is_refused_and_those_that_fit_are_listed():
    with pytest.raises(InputError, match="motion-28"):
        gp.iter_deblur(blocks(29, 64), "classical", kernel_prior="microscope-33")
