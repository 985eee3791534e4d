"""Projection onto the range: images in the range are recovered, others are replaced by the closest one."""

import numpy as np
import pytest
import torch
from torch import nn

import napari_genprior as gp
from napari_genprior import blur
from napari_genprior.core.errors import InputError
from napari_genprior.nets.linear_gaussian import LinearGenerator, fit
from napari_genprior.nets.vae import ConvVAE
from napari_genprior.priors.base import trainable
from napari_genprior.priors.generator import GeneratorPrior
from napari_genprior.zoo.card import Card
from napari_genprior.zoo.store import Generator


def generator(net, channels, size, kind="image"):
    card = Card(
        name="tiny", kind=kind, arch="linear", arguments={}, latent=net.latent, distribution="normal",
        channels=channels, size=size, output_range=(0, 1), sha256="0" * 64, license_weights="none",
        license_data="none", data="none", recipe="none", metrics={},
    )  # fmt: skip
    return Generator(card, net.eval().requires_grad_(False))


@pytest.fixture
def plane():
    """A linear generator of colour images, 6x5x3, two of whose five components are zero."""
    random = torch.Generator().manual_seed(0)
    net = LinearGenerator(5, 3, 6, 5)
    net.mean.copy_(torch.rand(90, generator=random))
    net.basis[:3].copy_(0.1 * torch.randn(3, 90, generator=random))
    return generator(net, 3, (6, 5))


def test_least_squares_is_exact_for_linear_generators(plane):
    images = np.random.default_rng(0).random((4, 6, 5, 3)).astype(np.float32)
    found = plane.project(images)
    assert found.images.shape == images.shape
    left = np.moveaxis(images - found.images, -1, 1).reshape(4, -1)
    np.testing.assert_allclose(left @ plane.net.basis.numpy().T, 0, atol=1e-4)  # at right angles to the plane
    size = np.linalg.norm(images.reshape(4, -1), axis=1)
    np.testing.assert_allclose(found.errors, np.linalg.norm(left, axis=1) / size, rtol=1e-4)
    torch.testing.assert_close(found.latents[:, 3:], torch.zeros(4, 2))
    again = plane.project(torch.from_numpy(found.images))
    assert again.errors.max() < 1e-5


def test_bytes_and_fractions_are_the_same_image(plane):
    given = np.random.default_rng(0).integers(0, 256, (2, 6, 5, 3), dtype=np.uint8)
    np.testing.assert_allclose(plane.project(given).images, plane.project(given / 255).images, atol=1e-5)


@pytest.mark.parametrize("encoder", [True, False])
def test_images_in_the_range_of_a_network_are_recovered(encoder):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = ConvVAE(3, channels=1, size=8, width=4, encoder=encoder)
        nn.init.normal_(net.decoder.linear.weight, std=0.5)
    prior = generator(net, 1, (8, 8))
    z = torch.randn(3, 3, generator=torch.Generator().manual_seed(1))
    truth = net(z)[:, 0].numpy()
    found = prior.project(truth, restarts=4)
    assert found.images.shape == (3, 8, 8)
    assert found.errors.max() < 1e-3
    np.testing.assert_array_equal(found.images, prior.project(truth, restarts=4).images)


def test_more_restarts_are_never_worse():
    net = ConvVAE(4, channels=1, size=8, width=4, encoder=False)
    prior = generator(net, 1, (8, 8))
    noise = np.random.default_rng(3).random((4, 8, 8, 1))
    few, many = (prior.project(noise, restarts=n, steps=40) for n in (0, 6))
    assert many.errors.mean() <= few.errors.mean() + 1e-4
    assert few.images.shape == noise.shape


def test_a_kernel_generator_comes_closer_than_its_encoder():
    prior = gp.load_prior("motion-28-linear")
    kernels = np.stack([blur.shake(18, seed, 28) for seed in range(4)])
    found = prior.project(kernels)
    with torch.no_grad():
        decoded = prior.net(prior.net.encode(torch.from_numpy(kernels)[:, None])[0])[:, 0].numpy()
    encoded = np.linalg.norm(decoded - kernels, axis=(1, 2)) / np.linalg.norm(kernels, axis=(1, 2))
    assert (found.errors < encoded).all()
    np.testing.assert_allclose(found.images.sum(axis=(1, 2)), 1, rtol=1e-4)


def test_volumes_are_projected_too():
    volumes = torch.rand(12, 1, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    net = fit(volumes, 4)
    assert net.residual_spectrum.shape == (1, 3, 5, 3)
    assert net(torch.zeros(2, 4)).shape == (2, 1, 3, 5, 4)
    white = float(((volumes - net(net.encode(volumes)[0])) ** 2).mean())
    assert float(net.noise_variance()) == pytest.approx(white, rel=0.05)
    found = generator(net, 1, (3, 5, 4)).project(volumes[:2, 0])
    assert found.images.shape == (2, 3, 5, 4)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 6, 5)), np.zeros((2, 5, 6, 3)), np.zeros((0, 6, 5, 3)), np.zeros((6, 5, 3)),
        np.full((1, 6, 5, 3), np.nan), np.full((1, 6, 5, 3), "a"),
    ],
    ids=["grey", "size", "none", "one", "nan", "text"],
)  # fmt: skip
def test_images_that_do_not_fit_are_refused(plane, wrong):
    with pytest.raises(InputError, match=r"6 x 5 x 3|NaN"):
        plane.project(wrong)


def test_counts_out_of_bounds_are_refused(plane):
    with pytest.raises(InputError, match="restarts"):
        plane.project(np.zeros((1, 6, 5, 3)), restarts=-1)


def test_as_a_prior_it_starts_normal_decodes_and_costs_its_density(plane):
    prior = GeneratorPrior(plane)
    block = prior.init(400, torch.Generator().manual_seed(0))
    assert block["z"].shape == (400, 5)
    assert [tensor is block["z"] for tensor in trainable(block)] == [True]
    assert float(block["z"].detach().std()) == pytest.approx(1, abs=0.05)
    torch.testing.assert_close(prior.decode(block), plane.decode(block["z"]))
    torch.testing.assert_close(prior.penalty(block), 0.5 * (block["z"] ** 2).sum(1))
    prior.decode(block).square().sum().backward()
    assert block["z"].grad.abs().sum() > 0
    starts = torch.arange(10.0).view(2, 5)
    given = GeneratorPrior(plane, starts).init(3, torch.Generator())["z"]
    torch.testing.assert_close(given.detach(), starts[[0, 1, 0]])
