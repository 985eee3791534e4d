"""The GAN generators: shapes, ranges, gradients, growing."""

import pytest
import torch

from napari_genprior.nets.dcgan import DCGAN, DCGANDiscriminator
from napari_genprior.nets.pggan import PGGAN, pixel_norm


def latents(count, length):
    return torch.randn(count, length, generator=torch.Generator().manual_seed(0))


def test_the_published_dcgan_makes_64_pixel_colour_images_and_its_discriminator_logits():
    z = latents(2, 100).requires_grad_()
    images = DCGAN()(z)
    assert images.shape == (2, 3, 64, 64)
    assert 0 <= images.min() < images.max() <= 1
    logits = DCGANDiscriminator()(images)
    assert logits.shape == (2,)
    logits.sum().backward()
    assert z.grad.abs().sum() > 0


@pytest.mark.parametrize("size", [8, 32, 128])
def test_other_sizes(size):
    images = DCGAN(latent=7, channels=1, size=size, width=4).eval()(latents(1, 7))
    assert images.shape == (1, 1, size, size)
    assert DCGANDiscriminator(channels=1, size=size, width=4).eval()(images).shape == (1,)


def test_an_impossible_size_is_refused():
    with pytest.raises(ValueError, match="got 48"):
        DCGAN(size=48)


def test_the_progressive_gan_has_the_published_channels():
    with torch.device("meta"):  # 23 million weights: shapes only
        net = PGGAN()
        image = net(torch.empty(1, 512))
    assert image.shape == (1, 3, 128, 128)
    assert [block[-1].weight.shape[0] for block in net.blocks] == [512, 512, 512, 512, 256, 128]


def test_the_progressive_gan_grows_by_mixing_the_newest_stage_in():
    net = PGGAN(latent=6, size=16, base=64, largest=16)
    z = latents(2, 6)
    assert [net(z, stage=stage).shape[-1] for stage in range(3)] == [4, 8, 16]
    older = torch.nn.functional.interpolate(2 * net(z, stage=1) - 1, scale_factor=2)
    mixed = net(z, stage=2, alpha=1e-6)
    # stages are blended before the tanh, so they are compared there
    torch.testing.assert_close(torch.atanh(2 * mixed - 1), torch.atanh(older), atol=1e-3, rtol=1e-3)
    image = net(z)
    assert 0 <= image.min() < image.max() <= 1


def test_pixel_norm_makes_the_channels_rms_one():
    normed = pixel_norm(5 * latents(3, 40).view(3, 10, 2, 2))
    torch.testing.assert_close(normed.square().mean(1), torch.ones(3, 2, 2), atol=1e-4, rtol=1e-4)


def test_a_latents_length_does_not_matter_to_the_progressive_gan():
    net, z = PGGAN(latent=6, size=8, base=32, largest=8), latents(2, 6)
    torch.testing.assert_close(net(z), net(3 * z), atol=1e-4, rtol=1e-4)
