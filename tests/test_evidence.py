"""Kernels by their marginal likelihood: compared with dense formulas, and on images with a known answer."""

import numpy as np
import pytest
import torch

import napari_genprior as gp
from napari_genprior.blur.support import off_center
from napari_genprior.core.arrays import cpu_generator
from napari_genprior.core.iteration import run_to_end
from napari_genprior.estimation import evidence_search as search
from napari_genprior.estimation import guided_deconvolution as guided
from napari_genprior.estimation import sparse_evidence as sparse
from napari_genprior.estimation.evidence_search import find_kernels
from napari_genprior.estimation.gaussian_evidence import DataView, LinearEvidence
from napari_genprior.methods.evidence import noise_level
from napari_genprior.nets.initializer import Mixture
from napari_genprior.nets.linear_gaussian import fit
from napari_genprior.operators.convolution import convolve

SIDE, NOISE = 8, 0.05


@pytest.fixture(scope="module")
def net():
    random = cpu_generator(0)
    smooth = torch.rand(60, 2, SIDE, SIDE, generator=random)
    return fit((smooth + smooth.roll(1, -1) + smooth.roll(1, -2)) / 3, 6)


def kernels(count, side=3):
    k = torch.rand(count, 1, side, side, generator=cpu_generator(1))
    return k / k.sum((2, 3), keepdim=True)


def dense(operator, pixels):
    """Build the matrix of a linear map of images [1, C, Y, X]."""
    columns = [operator(e.view(1, -1, SIDE, SIDE)).flatten() for e in torch.eye(pixels)]
    return torch.stack(columns, 1).double()


def stationary(power):
    """Build the covariance of stationary noise of a (unitary) spectrum [C, Y, X // 2 + 1]."""

    def apply(x):
        return torch.fft.irfft2(torch.fft.rfft2(x) * power, s=(SIDE, SIDE))

    return dense(apply, power.shape[0] * SIDE * SIDE)


def reference(net, y, k):
    """Compute log p(y | k) and the posterior mean of x with dense matrices."""
    pixels = net.mean.numel()
    blur = dense(lambda x: convolve(x, k[None], "circular"), pixels)
    covariance = net.basis.double().T @ net.basis.double() + stationary(net.residual_spectrum)
    total = blur @ covariance @ blur.T + NOISE**2 * torch.eye(pixels)
    rest = y.flatten().double() - blur @ net.mean.double()
    solved = torch.linalg.solve(total, rest)
    log = -(rest @ solved + torch.linalg.slogdet(total).logabsdet) / 2
    return log, net.mean.double() + covariance @ blur.T @ solved


@pytest.fixture
def blurred(net):
    x = net.linear(torch.randn(1, net.latent, generator=cpu_generator(2)))
    return convolve(x, kernels(1), "circular") + NOISE * torch.randn(x.shape, generator=cpu_generator(3))


def test_the_evidence_is_that_of_the_dense_normal_distribution(net, blurred):
    k = kernels(3)
    values = LinearEvidence(net, blurred, DataView(99, grey=False))(k, NOISE, torch.zeros(1, 2)).double()
    expected = torch.stack([reference(net, blurred, each)[0] for each in k])
    torch.testing.assert_close(values - values[0], expected - expected[0], atol=2e-3, rtol=1e-4)


def test_components_left_out_count_as_stationary_noise(net, blurred):
    k = kernels(2)
    few, all_ = (LinearEvidence(net, blurred, DataView(n, grey=False)) for n in (2, 6))
    assert few.basis.shape[-1] == 2
    spectrum = torch.fft.rfft2(net.basis[2:].view(-1, 2, SIDE, SIDE), norm="ortho").abs().square().sum(0)
    torch.testing.assert_close((few.power - all_.power).view(spectrum.shape), spectrum, atol=1e-6, rtol=1e-4)
    assert torch.isfinite(few(k, NOISE, torch.zeros(1, 2))).all()


def test_the_guided_deconvolution_without_edges_is_the_posterior_mean(net, blurred, monkeypatch):
    monkeypatch.setattr(guided, "SLACK", 1.0)
    k = kernels(1)
    image, guide = guided.restore(net, blurred, k, NOISE, 0.0)
    torch.testing.assert_close(image.flatten(), reference(net, blurred, k[0])[1].float(), atol=1e-4, rtol=1e-3)
    assert guide.shape == image.shape


def test_total_variation_flattens_the_guided_deconvolution(net, blurred):
    def variation(strength):
        return float(guided.restore(net, blurred, kernels(1), NOISE, strength)[0].diff(dim=-1).abs().sum())

    assert variation(10.0) < variation(1.0) < variation(0.0)


def test_without_edges_the_bound_is_the_gaussian_evidence(net, blurred):
    k = kernels(3)
    bound = sparse.SparseEvidence(net, blurred, SIDE, sparse.low_noise(blurred, SIDE, NOISE), 1e-12)
    values = bound(k, bound.initial_weights(3))
    exact = LinearEvidence(net, blurred, DataView(99))(k, NOISE, torch.zeros(1, 2))
    torch.testing.assert_close(values - values[0], exact - exact[0], atol=0.02, rtol=1e-3)


def test_updates_never_lower_the_bound_and_its_gradient_is_that_of_finite_differences(net, blurred):
    bound = sparse.SparseEvidence(net, blurred, SIDE, 0.02, 0.1)
    k, weights = kernels(2), bound.initial_weights(2)
    values = [bound(k, weights)]
    for _ in range(4):
        weights = bound.update(k, weights)
        values.append(bound(k, weights))
    rises = torch.stack(values).diff(dim=0)
    assert (rises > -1e-2).all()
    assert rises.sum() > 1
    k = k.requires_grad_()
    (gradient,) = torch.autograd.grad(bound(k, weights).sum(), k)
    step = 1e-3 * torch.randn(k.shape, generator=cpu_generator(4))
    with torch.no_grad():
        difference = (bound(k + step, weights) - bound(k - step, weights)) / 2
    torch.testing.assert_close((gradient * step).sum((1, 2, 3)), difference, rtol=0.03, atol=0.01)


def test_a_low_passed_image_keeps_its_grey_values_and_loses_noise():
    flat = torch.full((1, 3, 32, 32), 0.4)
    net = fit(torch.rand(20, 3, 32, 32, generator=cpu_generator(0)), 3)
    low = sparse.SparseEvidence(net, flat, 16, 0.01, 0.1)
    torch.testing.assert_close(low.data, torch.full((16, 16), 0.4), atol=1e-5, rtol=0)
    noise = torch.randn(1, 3, 32, 32, generator=cpu_generator(5))
    observed = sparse.SparseEvidence(net, noise, 16, 0.01, 0.1).data.std()
    assert float(observed) == pytest.approx(sparse.low_noise(noise, 16, 1.0), rel=0.15)


def test_noise_is_estimated_from_pixels_inside_the_range():
    random = cpu_generator(0)
    clean = torch.full((1, 3, 64, 64), 0.5)
    clean[..., 32:, :] = 1.0  # a white background, whose noise is clipped
    noisy = (clean + 0.03 * torch.randn(clean.shape, generator=random)).clamp(0, 1)
    assert noise_level(noisy) == pytest.approx(0.03, rel=0.1)
    assert noise_level(torch.ones(1, 1, 16, 16)) > 0


@pytest.fixture(scope="module")
def scene():
    """Make an image in the generator's range, blurred by a new camera shake: uint8 [32, 32, 3]."""
    prior = gp.load_prior("house-numbers-32-linear")
    net = prior.net
    z = 0.6 * torch.randn(1, net.latent, generator=cpu_generator(11))
    sharp = net.linear(z).clamp(0, 1)
    kernel = torch.from_numpy(gp.blur.shake(9, 5, 28))[None, None]
    blurred = convolve(sharp, kernel, "circular") + 0.01 * torch.randn(sharp.shape, generator=cpu_generator(12))
    return (
        (255 * blurred.clamp(0, 1)).round().byte()[0].permute(1, 2, 0).numpy(),
        255 * sharp[0].permute(1, 2, 0).numpy(),
        kernel[0, 0].numpy(),
    )


def psnr(a, b):
    return -10 * np.log10(np.mean(((np.clip(a, 0, 255) - b) / 255) ** 2))


PRIORS = {"image_prior": "house-numbers-32-linear", "kernel_prior": "motion-28"}


@pytest.mark.slow
def test_kernel_and_image_are_estimated_for_an_image_in_range(scene):
    blurred, sharp, kernel = scene
    result = gp.deblur(blurred, "evidence", **PRIORS)
    assert psnr(result.image, sharp) > psnr(blurred, sharp) + 4
    assert np.linalg.norm(result.kernel - kernel) < 0.5 * np.linalg.norm(kernel)
    assert result.extra_images["generator estimate"].shape == blurred.shape
    assert result.kernel.sum() == pytest.approx(1, abs=1e-5)


def test_a_given_kernel_is_not_changed(scene):
    blurred, sharp, kernel = scene
    result = gp.deblur(blurred, "evidence", kernel=kernel, image_prior=PRIORS["image_prior"])
    np.testing.assert_allclose(result.kernel, kernel, atol=1e-6)
    assert psnr(result.image, sharp) > psnr(blurred, sharp) + 6


@pytest.mark.slow
def test_equal_seeds_give_equal_candidates_and_closing_stops(scene):
    net, prior = gp.load_prior(PRIORS["image_prior"]).net, gp.load_prior("motion-28")
    blurred = torch.from_numpy(scene[0]).permute(2, 0, 1)[None].float() / 255

    def first(seed):
        search = find_kernels(net, prior.decode, 50, blurred, 0.01, 0.06, cpu_generator(seed))
        candidates = next(search)
        search.close()
        return candidates

    once, again, other = first(3), first(3), first(4)
    assert torch.equal(once.kernels, again.kernels)
    assert not torch.equal(once.kernels[0], other.kernels[0])
    assert (once.values.diff() <= 0).all()
    assert 0 < once.part_done < 1


def narrow(z):
    """Make the prediction of a network that is certain of one kernel's latents."""
    return Mixture(z[:, None], torch.full_like(z[:, None], -1.0), torch.zeros(1, 1))


@pytest.mark.slow
def test_the_initial_kernels_include_those_that_a_network_predicts(scene, monkeypatch):
    monkeypatch.setattr(search, "BANK", 20)
    monkeypatch.setattr(search, "LIKELY", 20)
    net, prior = gp.load_prior(PRIORS["image_prior"]).net, gp.load_prior("motion-28")
    blurred = torch.from_numpy(scene[0]).permute(2, 0, 1)[None].float() / 255
    truth = torch.from_numpy(scene[2])

    def error(likely):
        running = find_kernels(net, prior.decode, 50, blurred, 0.01, 0.06, cpu_generator(0), likely)
        best = next(running).kernels[0, 0]
        running.close()
        return float((best - truth).norm() / truth.norm())

    informed = error(narrow(prior.project(truth[None], steps=100).latents))
    assert informed < 0.4
    assert informed < error(None)


def test_a_wrong_prediction_of_a_network_adds_no_cost():
    z = torch.randn(9, 3, generator=cpu_generator(0))
    kernels, normal = torch.rand(9, 1, 4, 4, generator=cpu_generator(1)), z.square().sum(1) / 2
    wrong = Mixture(torch.full((1, 1, 3), 50.0), torch.full((1, 1, 3), -3.0), torch.zeros(1, 1))
    torch.testing.assert_close(search._NegativeLogPrior(wrong, centred=False)(z, kernels), normal)
    assert (search._NegativeLogPrior(narrow(z[:1]), centred=False)(z, kernels)[0] < normal[0]).all()


def test_kernels_of_a_centred_generator_are_constrained_to_be_centred(scene, monkeypatch):
    monkeypatch.setattr(search, "levels_for", lambda side: (search.Level(12, 0.017, 8, 1),))
    monkeypatch.setattr(search, "BANK", 50)
    net, prior = gp.load_prior(PRIORS["image_prior"]).net, gp.load_prior("motion-28")
    assert prior.card.centred
    blurred = torch.from_numpy(scene[0]).permute(2, 0, 1)[None].float() / 255
    off = [
        off_center(
            run_to_end(
                find_kernels(net, prior.decode, 50, blurred, 0.01, 0.06, cpu_generator(0), None, centred)
            ).kernels
        )
        for centred in (True, False)
    ]
    assert off[0].max() < 0.5**2
    assert off[1].max() > 0.7**2


def test_short_medium_and_long_blurs_alternate():
    def decode(z):  # the latent is a length in pixels
        reach = torch.arange(16.0)[None, None, None] < z[:, :, None, None]
        return reach / reach.sum(3, keepdim=True)

    best_first = torch.tensor([[2.0], [3.0], [2.5], [16.0], [8.0], [15.0]])
    ordered = search._stratify_by_length(decode, best_first, torch.tensor([1 / 12, 1 / 5]))
    assert sorted(ordered[:3, 0].tolist()) == [2.0, 8.0, 16.0]
    assert sorted(ordered[:, 0].tolist()) == sorted(best_first[:, 0].tolist())


@pytest.mark.slow
def test_snapshots_carry_image_and_kernel(scene):
    progress = next(gp.iter_deblur(scene[0], "evidence", **PRIORS))
    assert progress.image.shape == scene[0].shape
    assert progress.kernel.shape == (28, 28)
    assert 0 < progress.step < progress.total


@pytest.mark.slow
def test_a_search_ends_on_images_of_noise(net):
    prior = gp.load_prior("house-numbers-32-linear")
    noise = torch.rand(1, 3, 32, 32, generator=cpu_generator(0))
    decode = gp.load_prior("motion-28").decode
    candidates = run_to_end(find_kernels(prior.net, decode, 50, noise, 0.3, 0.06, cpu_generator(0)))
    assert torch.isfinite(candidates.kernels).all()
