"""Kernel initializers: the density of the kernel's latents that a network estimates from a blurred image."""

import numpy as np
import pytest
import torch

from napari_genprior.core.arrays import cpu_generator, lowpass
from napari_genprior.nets.initializer import KernelInitializer, Mixture
from napari_genprior.operators.convolution import convolve
from napari_genprior.settings import TrainingSettings
from napari_genprior.training.kernel_initializers import KernelInitializerTask, initializer_task
from napari_genprior.training.loop import run
from napari_genprior.zoo import initializers
from test_proposals import KERNEL_LATENT, LATENT, TINY, pair, world  # noqa: F401 (a fixture)


def mixture(count=1, heads=3, latent=2):
    random = cpu_generator(0)
    means, spreads = torch.randn(2, count, heads, latent, generator=random)
    return Mixture(means, spreads / 3 - 1, torch.randn(count, heads, generator=random).log_softmax(1))


def test_the_density_is_that_of_a_mixture_of_gaussians():
    m = mixture(4)
    z = torch.randn(4, 2, generator=cpu_generator(1))
    parts = torch.distributions.Independent(torch.distributions.Normal(m.means, m.log_spreads.exp()), 1)
    whole = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(logits=m.log_weights), parts)
    expected = whole.log_prob(z) + np.log(2 * np.pi)  # two dimensions
    torch.testing.assert_close(m.log_density(z), expected)
    torch.testing.assert_close(mixture(1).log_density(z).shape, torch.Size([4]))


def test_samples_have_the_mixtures_mean_and_depend_on_the_seed_alone():
    m = mixture()
    drawn = m.draw(20_000, cpu_generator(2))
    torch.testing.assert_close(drawn.mean(0), (m.log_weights[0].exp() @ m.means[0]), atol=0.03, rtol=0)
    assert torch.equal(m.draw(5, cpu_generator(3)), m.draw(5, cpu_generator(3)))


def test_the_network_is_invariant_to_brightness():
    net = KernelInitializer(2, side=8, hidden=16)
    image = torch.rand(2, 3, 16, 16, generator=cpu_generator(4))
    one, other = net(image), net(0.2 + 0.5 * image)
    torch.testing.assert_close(one.means, other.means, atol=0.02, rtol=0)
    assert torch.isfinite(net(torch.zeros(1, 3, 16, 16)).means).all()


def test_the_low_pass_keeps_low_frequencies_and_removes_high_ones():
    rows = torch.arange(16.0)[:, None].expand(16, 16)
    slow, fast = torch.cos(2 * torch.pi * rows / 16), torch.cos(2 * torch.pi * 5 * rows / 16)
    torch.testing.assert_close(lowpass(slow + fast, 8), slow[::2, ::2], atol=1e-5, rtol=0)
    torch.testing.assert_close(lowpass(slow, 16), slow, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_sampled_kernels_are_nearer_than_those_of_the_prior_and_the_network_serves_its_pair_alone(world):  # noqa: F811
    image, kernel = pair(world)
    assert initializer_task(image) is KernelInitializerTask
    task = KernelInitializerTask(image, kernel, TrainingSettings(**{**TINY, "steps": 400, "learning_rate": 3e-3}))
    assert initializers.predict_kernel_latents(image.card, kernel.card, torch.rand(1, 1, 16, 16)) is None
    running = run(task, "m", world, license_weights="none", license_data="none", recipe="", overwrite=False)
    while True:
        try:
            next(running)
        except StopIteration as end:
            made = end.value
            break
    assert initializers.find_initializer(image.card, kernel.card) is None  # an initializer of another kind
    assert made.card.metrics["relative_error_proposed"] < made.card.metrics["relative_error_prior"]
    assert made.card.metrics["nats_gained"] > 0.5
    random = cpu_generator(9)
    z_image, z_kernel = torch.randn(1, LATENT, generator=random), torch.randn(1, KERNEL_LATENT, generator=random)
    blurred = convolve(image.decode(z_image), kernel.decode(z_kernel))
    likely = initializers.predict_kernel_latents(image.card, kernel.card, blurred)
    assert likely.draw(7, random).shape == (7, KERNEL_LATENT)
    assert initializers.predict_kernel_latents(kernel.card, image.card, blurred) is None
