"""Evidence under nonlinear generators: exact for linear ones, and kernels estimated where the answer is known."""

import numpy as np
import pytest
import torch
from torch import nn

import napari_genprior as gp
from napari_genprior.blur.support import off_center
from napari_genprior.core.arrays import cpu_generator
from napari_genprior.core.iteration import run_to_end
from napari_genprior.estimation import laplace_evidence as laplace
from napari_genprior.estimation.gaussian_evidence import DataView, LinearEvidence
from napari_genprior.nets.linear_gaussian import LinearGenerator
from napari_genprior.operators.convolution import convolve
from napari_genprior.optim.batched_lbfgs import lbfgs

SIDE, LATENT, NOISE, ERROR = 8, 5, 0.05, 0.03


class Curved(nn.Module):
    """Smooth images of one channel that bend away from the plane of their latents."""

    def __init__(self, bend: float = 1.0) -> None:
        super().__init__()
        noise = torch.randn(LATENT, 1, SIDE, SIDE, generator=cpu_generator(0))
        self.patterns = (noise + noise.roll(1, 2) + noise.roll(1, 3)) / 3
        self.bend = bend

    def forward(self, z):
        image = (z @ self.patterns.flatten(1)).view(-1, 1, SIDE, SIDE)
        return 0.5 + 0.3 * torch.tanh(self.bend * image) / self.bend


def kernels(count):
    k = torch.rand(count, 1, 3, 3, generator=cpu_generator(1))
    return k / k.sum((2, 3), keepdim=True)


@pytest.fixture
def linear():
    net = LinearGenerator(LATENT, 1, SIDE, SIDE)
    net.mean.fill_(0.5)
    net.basis.copy_(0.3 * Curved().patterns.flatten(1))
    net.residual_spectrum.fill_(ERROR**2)
    return net


def test_the_linearization_of_a_linear_generator_is_itself_at_any_point(linear):
    local = laplace.local_generator(linear, torch.randn(3, LATENT, generator=cpu_generator(2)), ERROR)
    torch.testing.assert_close(local.basis, linear.basis.expand(3, -1, -1))
    torch.testing.assert_close(local.mean, linear.mean.expand(3, -1), atol=1e-5, rtol=0)
    torch.testing.assert_close(local.residual_spectrum, linear.residual_spectrum)


def test_linearizations_agree_with_the_generator_in_value_and_derivative():
    net, z = Curved(), torch.randn(3, LATENT, generator=cpu_generator(2))
    local = laplace.local_generator(net, z, ERROR)
    torch.testing.assert_close(local.linear(z), net(z))
    step = 1e-2 * torch.randn(z.shape, generator=cpu_generator(3))
    slope = (local.linear(z + step) - local.linear(z - step)) / 2
    torch.testing.assert_close(slope, (net(z + step) - net(z - step)) / 2, atol=1e-5, rtol=1e-2)


def test_laplace_is_the_exact_evidence_where_the_generator_is_linear(linear):
    k = kernels(2)
    y = convolve(linear.linear(torch.randn(1, LATENT, generator=cpu_generator(4))), k[:1], "circular")
    y = y + NOISE * torch.randn(y.shape, generator=cpu_generator(5))
    near = LinearEvidence(
        laplace.local_generator(linear, torch.zeros(2, LATENT), ERROR), y, DataView(LATENT, grey=False)
    )
    best = run_to_end(
        lbfgs(lambda z, r: z.square().sum(1) / 2 - near[r].joint(linear.linear(z), k[r], NOISE), torch.zeros(2, LATENT))
    )
    exact = LinearEvidence(linear, y, DataView(LATENT, grey=False))
    torch.testing.assert_close(-best.values, exact(k, NOISE, torch.zeros(1, 2)), atol=1e-2, rtol=1e-5)
    torch.testing.assert_close(best.x, exact.posterior(k, NOISE)[1], atol=1e-2, rtol=1e-2)


def test_the_joint_density_has_the_gradient_of_finite_differences():
    net, z, k = Curved(), torch.randn(2, LATENT, generator=cpu_generator(6)), kernels(2).requires_grad_()
    y = convolve(net(z[:1]), k[:1].detach(), "circular")
    near = LinearEvidence(laplace.local_generator(net, z, ERROR), y, DataView(LATENT, grey=False))
    (gradient,) = torch.autograd.grad(near.joint(net(z), k, NOISE).sum(), k)
    step = 1e-3 * torch.randn(k.shape, generator=cpu_generator(7))
    with torch.no_grad():
        difference = (near.joint(net(z), k + step, NOISE) - near.joint(net(z), k - step, NOISE)) / 2
    torch.testing.assert_close((gradient * step).sum((1, 2, 3)), difference, rtol=0.02, atol=2e-3)


@pytest.mark.slow
def test_a_search_under_a_nonlinear_generator_estimates_the_kernel():
    net = Curved(2.0)

    def decode(z):  # a blur along x or along y, by one latent
        share = torch.sigmoid(2 * z[:, :1, None, None])
        along, across = torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 3, 3)
        along[..., 1, :], across[..., :, 1] = 1 / 3, 1 / 3
        return share * along + (1 - share) * across

    truth = torch.tensor([[1.0]])
    y = convolve(net(torch.randn(1, LATENT, generator=cpu_generator(8))), decode(truth), "circular")
    y = y + 0.003 * torch.randn(y.shape, generator=cpu_generator(9))
    points = torch.randn(12, LATENT + 1, generator=cpu_generator(10))
    candidates, local = run_to_end(laplace.find_kernels(net, decode, y, 0.003, 0.001, points, LATENT))
    assert float(candidates.latents[0, 0]) == pytest.approx(1.0, abs=0.3)
    assert (candidates.values.diff() <= 0).all()
    assert len(local.basis) == len(candidates.kernels)


@pytest.mark.slow
@pytest.mark.parametrize("centred", [False, True])
def test_kernels_of_a_centred_generator_are_constrained_to_the_middle(centred, monkeypatch):
    monkeypatch.setattr(laplace, "CENTRED_PX", 1e-3)
    net, sides = Curved(2.0), torch.zeros(2, 1, 3, 3)
    sides[0, 0, 1, 0] = sides[1, 0, 1, 2] = 1

    def decode(z):  # mass on the left or on the right, by one latent
        share = torch.sigmoid(2 * z[:, :1, None, None])
        return share * sides[:1] + (1 - share) * sides[1:]

    y = convolve(net(torch.randn(1, LATENT, generator=cpu_generator(8))), decode(torch.tensor([[1.0]])), "circular")
    points = torch.randn(12, LATENT + 1, generator=cpu_generator(10))
    candidates, _ = run_to_end(laplace.find_kernels(net, decode, y, 0.003, 0.001, points, LATENT, centred))
    assert bool(off_center(candidates.kernels[:1]) < 0.1**2) is centred


PRIORS = {"image_prior": "digits-28", "kernel_prior": "motion-28"}


@pytest.fixture(scope="module")
def digit():
    z = torch.randn(1, 100, generator=cpu_generator(3))
    with torch.no_grad():
        sharp = gp.load_prior("digits-28").decode(z)
    kernel = torch.from_numpy(gp.blur.shake(9, 5, 28))[None, None]
    blurred = convolve(sharp, kernel, "circular") + 0.01 * torch.randn(sharp.shape, generator=cpu_generator(12))
    return (255 * blurred.clamp(0, 1)).round().byte()[0, 0].numpy(), 255 * sharp[0, 0].numpy(), kernel[0, 0].numpy()


def psnr(a, b):
    return -10 * np.log10(np.mean(((np.clip(a, 0, 255) - b) / 255) ** 2))


@pytest.mark.slow
def test_a_digit_is_deblurred_under_an_autoencoder(digit):
    blurred, sharp, kernel = digit
    result = gp.deblur(blurred, "evidence", **PRIORS)
    assert psnr(result.image, sharp) > psnr(blurred, sharp) + 5
    assert np.linalg.norm(result.kernel - kernel) < 0.5 * np.linalg.norm(kernel)
    assert result.extra_images["generator estimate"].shape == blurred.shape


@pytest.mark.slow
def test_a_given_kernel_is_not_changed_under_an_autoencoder(digit):
    blurred, sharp, kernel = digit
    result = gp.deblur(blurred, "evidence", kernel=kernel, image_prior=PRIORS["image_prior"])
    np.testing.assert_allclose(result.kernel, kernel, atol=1e-6)
    assert psnr(result.image, sharp) > psnr(blurred, sharp) + 6
