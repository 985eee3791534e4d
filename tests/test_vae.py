"""The autoencoders: shapes and ranges, gradients both ways, and models without their encoder."""

import pytest
import torch

from napari_genprior.core.errors import ModelError
from napari_genprior.nets.vae import BlurVAE, ConvVAE, DigitVAE, HouseNumberVAE

CASES = {
    "blur": (BlurVAE, {}, 50, (1, 28, 28)),
    "digit": (DigitVAE, {}, 100, (1, 28, 28)),
    "house number": (HouseNumberVAE, {}, 100, (3, 32, 32)),
    "64 px": (ConvVAE, {"latent": 12, "width": 4}, 12, (3, 64, 64)),
    "odd kernel": (ConvVAE, {"latent": 5, "channels": 1, "size": 33, "width": 4, "kernel": True}, 5, (1, 33, 33)),
    "smallest": (ConvVAE, {"latent": 3, "channels": 1, "size": 8, "width": 2}, 3, (1, 8, 8)),
}


def seeded_net(cls, **arguments):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return cls(**arguments)


@pytest.mark.parametrize("case", CASES)
def test_decoded_images_have_the_right_shape_and_range(case):
    cls, arguments, latent, shape = CASES[case]
    net = seeded_net(cls, **arguments).eval()
    assert net.latent == latent
    image = net(3 * torch.randn(2, latent, generator=torch.Generator().manual_seed(1)))
    assert image.shape == (2, *shape)
    assert image.min() >= 0
    assert image.max() <= 1
    if net.kernel:
        torch.testing.assert_close(image.sum(dim=(1, 2, 3)), torch.ones(2))


@pytest.mark.parametrize("case", CASES)
def test_gradients_reach_the_latent_and_every_weight(case):
    cls, arguments, latent, shape = CASES[case]
    net = seeded_net(cls, **arguments).train()
    for module in net.modules():  # weights that are initialised with zeros would block the gradient
        if hasattr(module, "mix"):
            torch.nn.init.ones_(module.mix.weight)
    x = torch.rand(4, *shape, generator=torch.Generator().manual_seed(2))
    mean, logvar = net.encode(x)
    assert mean.shape == logvar.shape == (4, latent)
    mean.retain_grad()
    ((net.raw(mean) - x).square().sum() + logvar.sum()).backward()
    assert mean.grad.abs().sum() > 0
    assert all(parameter.grad is not None for parameter in net.parameters())
    assert all(torch.isfinite(parameter.grad).all() for parameter in net.parameters())


def test_published_autoencoders_have_the_layers_of_their_table():
    features = BlurVAE().decoder[:3](torch.zeros(1, 50))
    assert features.shape == (1, 20, 6, 6)  # 720
    assert DigitVAE().encoder[:7](torch.zeros(1, 1, 28, 28)).shape == (1, 500)
    assert HouseNumberVAE().encoder[:10](torch.zeros(1, 3, 32, 32)).shape == (1, 8192)


def test_a_zero_output_has_a_gradient_in_training():
    net = seeded_net(BlurVAE)
    torch.nn.init.constant_(net.decoder[-2].bias, -100.0)
    z = torch.randn(2, 50, generator=torch.Generator().manual_seed(0))
    assert net.train().raw(z).max() < 0
    assert (net.eval().raw(z) == 0).all()
    assert (net(z) == 0).all()  # no division by zero


def test_a_model_without_encoder_says_so():
    net = BlurVAE(encoder=False)
    assert not any(key.startswith("encoder") for key in net.state_dict())
    with pytest.raises(ModelError, match="without its encoder"):
        net.encode(torch.zeros(1, 1, 28, 28))


@pytest.mark.parametrize("arguments", [{"latent": 0}, {"latent": 3, "size": 7}, {"latent": 3, "width": 0}])
def test_impossible_sizes_are_refused(arguments):
    with pytest.raises(ValueError, match="needs"):
        ConvVAE(**arguments)
