"""The deep convolutional GAN: a generator for 64x64 images and the discriminator for its training.

References
----------
Radford, Metz and Chintala, Unsupervised representation learning with deep convolutional generative adversarial
networks, ICLR 2016. Asim 2018 and Asim 2020 use it for shoes and faces.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

INITIAL_STD = 0.02  # of the weights of all convolutions, as published


class DCGAN(nn.Module):
    """A generator that decodes latents ``[R, latent]`` to images ``[R, channels, size, size]`` in [0, 1].

    Parameters
    ----------
    latent : int
        Length of the latent vector, standard normal; 100 as published.
    channels : int
        Channels of the image.
    size : int
        Side in pixels: 8, 16, 32, 64 (as published) or 128.
    width : int
        Channels at half the size, doubled with each halving; 64 as published.

    Notes
    -----
    Transposed convolutions 4x4, stride 2 (published: 5x5; an even size overlaps evenly and leaves no checkerboard),
    batch normalisation, ReLU, and a tanh at the end, scaled from [-1, 1] to [0, 1].
    """

    def __init__(self, latent: int = 100, channels: int = 3, size: int = 64, width: int = 64) -> None:
        super().__init__()
        self.latent = latent
        widths = _widths(size, width)
        layers: list[nn.Module] = [
            nn.Unflatten(1, (latent, 1, 1)),
            nn.ConvTranspose2d(latent, widths[-1], 4, bias=False),
            nn.BatchNorm2d(widths[-1]),
            nn.ReLU(),
        ]
        for wide, narrow in pairwise(reversed(widths)):
            layers += [nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=False), nn.BatchNorm2d(narrow), nn.ReLU()]
        layers += [nn.ConvTranspose2d(width, channels, 4, 2, 1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(_initialise)

    def forward(self, z: Tensor) -> Tensor:
        """Decode latents ``[R, latent]`` to images ``[R, channels, size, size]`` in [0, 1]."""
        return (self.layers(z) + 1) / 2


class DCGANDiscriminator(nn.Module):
    """A discriminator of images ``[R, channels, size, size]`` in [0, 1], for the training of :class:`DCGAN` only."""

    def __init__(self, channels: int = 3, size: int = 64, width: int = 64) -> None:
        super().__init__()
        widths = _widths(size, width)
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for narrow, wide in pairwise(widths):
            layers += [nn.Conv2d(narrow, wide, 4, 2, 1, bias=False), nn.BatchNorm2d(wide), nn.LeakyReLU(0.2)]
        layers += [nn.Conv2d(widths[-1], 1, 4), nn.Flatten(0)]
        self.layers = nn.Sequential(*layers)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits ``[R]``, large for real images."""
        return self.layers(2 * x - 1)


def _widths(size: int, width: int) -> list[int]:
    """List the channels at half the size, a quarter, ... down to 4 pixels a side."""
    if size not in (8, 16, 32, 64, 128):
        raise ValueError(f"a DCGAN has a size of 8, 16, 32, 64 or 128 pixels; got {size}")
    return [width * 2**level for level in range(size.bit_length() - 3)]


def _initialise(layer: nn.Module) -> None:
    """Draw the initial weights of a layer, as published."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, 0.0, INITIAL_STD)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, INITIAL_STD)
