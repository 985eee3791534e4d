"""The linear generator: exact for linear data, with the right residual spectrum otherwise."""

import pytest
import torch

from napari_genprior.nets import linear_gaussian as linear
from napari_genprior.nets.linear_gaussian import LinearGenerator, fit


def linear_world(count=800, latent=4, shape=(1, 8, 9), noise=0.0, seed=0):
    """Make images mean + z basis (+ white noise), and the basis with orthogonal rows."""
    random = torch.Generator().manual_seed(seed)
    size = shape[0] * shape[1] * shape[2]
    basis = torch.linalg.qr(torch.randn(size, latent, generator=random))[0].T * torch.arange(latent, 0, -1)[:, None]
    images = torch.randn(size, generator=random) + torch.randn(count, latent, generator=random) @ basis
    return (images + noise * torch.randn(count, size, generator=random)).view(count, *shape), basis


@pytest.mark.parametrize("exact", [True, False], ids=["eigenvectors", "randomised"])
def test_a_fit_recovers_a_linear_world(exact, monkeypatch):
    if not exact:
        monkeypatch.setattr(linear, "EXACT_UP_TO", 1)
    images, basis = linear_world()
    net = fit(images, 4)
    # the same space: each true direction is a combination of the fitted ones
    own = net.basis / net.basis.norm(dim=1, keepdim=True)
    torch.testing.assert_close(basis @ own.T @ own, basis, atol=1e-3, rtol=1e-3)
    fresh = images[:5]
    torch.testing.assert_close(net(net.encode(fresh)[0]), fresh, atol=2e-3, rtol=2e-3)
    assert net.residual_spectrum.max() < 1e-5


def test_latents_of_the_data_are_standard_normal():
    images, _ = linear_world(count=3000)
    z = fit(images, 4).encode(images)[0]
    torch.testing.assert_close(z.T @ z / len(z), torch.eye(4), atol=1e-2, rtol=1e-2)


def test_the_residual_spectrum_is_that_of_the_noise():
    images, _ = linear_world(count=4000, noise=0.1)
    net = fit(images, 4)
    assert net.residual_spectrum.shape == (1, 8, 5)
    # white noise has a flat spectrum of its variance, less the 4 of 72 directions that the basis takes
    assert net.residual_spectrum.mean() == pytest.approx(0.01 * 68 / 72, rel=0.05)
    assert float(net.noise_variance()) == pytest.approx(0.01 * 68 / 72, rel=0.02)


def test_a_structured_residual_spectrum_is_estimated():
    images, _ = linear_world(count=4000, shape=(1, 8, 8))
    random = torch.Generator().manual_seed(5)
    spectrum = torch.zeros(8, 5)
    spectrum[1, 2] = 1.0  # one wave at random phase, and its mirror image
    waves = torch.fft.irfft2(
        spectrum * torch.exp(2j * torch.pi * torch.rand(4000, 1, 1, 1, generator=random)), s=(8, 8), norm="ortho"
    )
    found = fit(images + 0.2 * waves, 4).residual_spectrum[0]
    assert found[1, 2] == pytest.approx(0.04, rel=0.2)
    assert found.sum() == pytest.approx(float(found[1, 2]), rel=0.25)


def test_the_encoders_variance_is_the_posteriors():
    images, _ = linear_world(count=4000, noise=0.5)
    net = fit(images, 4)
    mean, logvar = net.encode(images[:1])
    noise, gram = net.noise_variance(), net.basis @ net.basis.T
    posterior = torch.linalg.inv(torch.eye(4) + gram / noise)
    torch.testing.assert_close(logvar.exp()[0], posterior.diagonal(), rtol=1e-3, atol=1e-5)
    assert mean.shape == (1, 4)


def test_bytes_are_fitted_as_fractions_of_255():
    images = (torch.rand(60, 3, 6, 6, generator=torch.Generator().manual_seed(0)) * 255).byte()
    torch.testing.assert_close(fit(images, 5).mean, (images.float() / 255).mean(0).flatten())


def test_more_components_than_the_data_have_are_zero():
    images, _ = linear_world(count=6, noise=0.1, shape=(1, 5, 5))
    net = fit(images, 20)
    assert torch.isfinite(net.basis).all()
    assert net.basis[6:].abs().max() < 1e-3
    assert torch.isfinite(net.encode(images)[0]).all()


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 7, 9)])
def test_an_untrained_refiner_changes_nothing_and_learns(shape):
    images = torch.rand(40, *shape, generator=torch.Generator().manual_seed(0))
    net = fit(images, 6, refiner=True)
    z = net.encode(images)[0]
    torch.testing.assert_close(net.raw(z), net.linear(z))
    assert net(9 * z).min() >= 0
    assert net(9 * z).max() <= 1
    (net.raw(z) - images).square().mean().backward()
    assert net.refiner.layers[-2].weight.grad.abs().sum() > 0


def test_kernels_are_kernels_whatever_the_latent():
    net = LinearGenerator(3, 1, 5, 5, kernel=True)
    net.basis.normal_(generator=torch.Generator().manual_seed(0))
    kernel = net(torch.tensor([[5.0, -3.0, 2.0]]))
    assert kernel.min() >= 0
    assert float(kernel.sum()) == pytest.approx(1)
