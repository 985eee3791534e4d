"""The generator of a progressively grown GAN: 128x128 images from a latent of 512.

The architecture only: no training of it is offered here (weeks of GPU), weights come in by ``genprior models import``.

References
----------
Karras, Aila, Laine and Lehtinen, Progressive growing of GANs for improved quality, stability, and variation, ICLR 2018.
Used for 128x128 faces by Asim, Shamshad and Ahmed (Asim 2020, section on larger images).
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu


class PGGAN(nn.Module):
    """Latents ``[R, latent]`` to images ``[R, channels, size, size]`` in [0, 1].

    Parameters
    ----------
    latent : int
        512 as published, standard normal; normalised to a length of sqrt(latent) on the way in.
    channels, size : int
        ``size`` is a power of two from 8 on.
    base, largest : int
        Channels at a side of s pixels: 2 base / s, at most ``largest`` (published: 8192 and 512).

    Notes
    -----
    Each resolution doubles the last by repetition (nearest) and has two 3x3 convolutions, each followed by a leaky
    ReLU and a division by the channels' RMS (pixel norm). Each resolution has its own 1x1 convolution to colours;
    while it was grown, the newest was mixed with the one before by ``alpha``.
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
        """Decode at the full size, or at that of an earlier ``stage`` (0: 4x4) with its newest layers at ``alpha``."""
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
    """Convolution whose weights are stored standard normal and scaled as they are used ("equalised learning rate").

    The scale is ``gain / sqrt(inputs size^2)``. A size of 4 stands for the first layer: a 1x1 map becomes a 4x4 one.
    """

    def __init__(self, inputs: int, outputs: int, size: int, gain: float = math.sqrt(2)) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        # published for the first layer: a dense one, so a fan-in of `inputs`, and a gain of sqrt(2) / 4
        self.scale = gain / math.sqrt(inputs * size**2)
        self.padding = 3 if size == 4 else size // 2

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


def pixel_norm(x: Tensor) -> Tensor:
    """Divide by the root mean square over channels."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
