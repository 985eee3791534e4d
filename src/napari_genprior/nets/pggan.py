"""The generator of a progressively grown GAN: 128x128 images from a latent of 512.

The package has the architecture only (training takes weeks on a GPU); ``genprior models import`` imports weights.

References
----------
Karras, Aila, Laine and Lehtinen, Progressive growing of GANs for improved quality, stability, and variation, ICLR 2018.
Asim 2020 uses it for 128x128 faces (section on larger images).
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu


class PGGAN(nn.Module):
    """A generator that decodes latents ``[R, latent]`` to images ``[R, channels, size, size]`` in [0, 1].

    Parameters
    ----------
    latent : int
        Length of the latent vector, 512 as published, standard normal; it is normalised to the norm sqrt(latent).
    channels, size : int
        Channels of the image, and its side in pixels: a power of two, at least 8.
    base, largest : int
        Channels at a side of s pixels: 2 base / s, at most ``largest`` (published: 8192 and 512).

    Notes
    -----
    Each resolution doubles the one before by repetition (nearest) and has two 3x3 convolutions, each followed by a
    leaky ReLU and a division by the channels' RMS (pixel norm). Each resolution has its own 1x1 convolution to colours;
    during progressive growing, the newest was blended with the one before by ``alpha``.
    """

    def __init__(
        self, latent: int = 512, channels: int = 3, size: int = 128, base: int = 8192, largest: int = 512
    ) -> None:
        super().__init__()
        if size < 8 or size & (size - 1):
            raise ValueError(f"a PG-GAN has a size of 8, 16, 32, ... pixels; got {size}")
        self.latent = latent
        widths = [min(2 * base // side, largest) for side in (2**power for power in range(2, size.bit_length()))]
        self.start = EqualConv(latent, widths[0], 4)
        self.blocks = nn.ModuleList([nn.ModuleList([EqualConv(widths[0], widths[0], 3)])])
        self.blocks.extend(
            nn.ModuleList([EqualConv(before, width, 3), EqualConv(width, width, 3)])
            for before, width in pairwise(widths)
        )
        self.colours = nn.ModuleList(EqualConv(width, channels, 1, gain=1.0) for width in widths)

    def forward(self, z: Tensor, stage: int | None = None, alpha: float = 1.0) -> Tensor:
        """Decode at the full size, or that of an earlier ``stage`` (0: 4x4), its last layers blended by ``alpha``."""
        stage = len(self.blocks) - 1 if stage is None else stage
        features = pixel_norm(leaky_relu(self.start(pixel_norm(z)[:, :, None, None]), 0.2))
        before = features
        for index, block in enumerate(self.blocks[: stage + 1]):
            if index:
                before = features
                features = interpolate(features, scale_factor=2)
            for layer in block:  # type: ignore[attr-defined]
                features = pixel_norm(leaky_relu(layer(features), 0.2))
        colours = self.colours[stage](features)
        if alpha < 1 and stage:
            older = interpolate(self.colours[stage - 1](before), scale_factor=2)
            colours = alpha * colours + (1 - alpha) * older
        return (colours.tanh() + 1) / 2


class EqualConv(nn.Module):
    """A convolution whose weights are stored standard normal and scaled when they are used (equalised learning rate).

    The scale is ``gain / sqrt(inputs size^2)``. The size 4 is that of the first layer, which maps 1x1 to 4x4.
    """

    def __init__(self, inputs: int, outputs: int, size: int, gain: float = math.sqrt(2)) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        # the published first layer is dense (fan-in `inputs`) with a gain of sqrt(2) / 4, which is the same scale
        self.scale = gain / math.sqrt(inputs * size**2)
        self.padding = 3 if size == 4 else size // 2

    def forward(self, x: Tensor) -> Tensor:
        """Convolve maps ``[R, inputs, Y, X]``, zero-padded."""
        return nn.functional.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


def pixel_norm(x: Tensor) -> Tensor:
    """Divide each pixel by its root mean square over channels."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
