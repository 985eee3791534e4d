"""Examples that a start network learns from: blurred images, and the latents of what they were made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.arrays import cpu_generator
from ..core.errors import InputError
from ..operators.convolution import convolve
from ..settings import TrainingSettings
from ..zoo.initializers import LARGEST_NOISE
from ..zoo.projection import device_of
from ..zoo.store import Generator
from . import data
from .learners import variations

NOISE = (0.005, LARGEST_NOISE)  # standard deviation, fraction of the range: drawn log-uniformly
DRAWN = 10_000  # images or kernels decoded from random latents, where no others are given
HELD_OUT = 256

Known = tuple[Tensor, Tensor]  # images or kernels [B, C, Y, X], and their latents [B, latent]


@dataclass(frozen=True)
class Examples:
    """Blurred images ``[B, C, Y, X]``, what they were made of, and its latents, ``[B, latent]`` each."""

    blurred: Tensor
    image: Tensor
    kernel: Tensor
    image_latent: Tensor
    kernel_latent: Tensor


class Given:
    """Images or kernels of a set, with the latents that the prior's encoder gives them, or with none."""

    def __init__(self, prior: Generator, images: data.Images, settings: TrainingSettings, latents: bool = True) -> None:
        card = prior.card
        self.latents = latents
        if latents and (getattr(prior.net, "encoder", True) is None or not hasattr(prior.net, "encode")):
            raise InputError(
                f"{card.name} has no encoder to tell the latents of {card.kind}s; leave them out, and they are drawn "
                "from it."
            )
        channels, *sides = images.train.shape[1:]
        if images.kind != card.kind or channels != card.channels or min(sides) < min(card.size):
            raise InputError(f"{card.name} has {card.kind}s of {card.shape}; got {tuple(images.train.shape)}.")
        self.net: Any = prior.net
        self.images, self.size = images, card.size[0]
        self.count, self.about = len(images.train), images.about
        self.ways = variations(settings, images) if card.kind == "image" else {"turn": images.turn}

    def fingerprint(self) -> str:
        return self.images.fingerprint()

    def some(self, indices: Tensor, random: torch.Generator) -> Known:
        return self._encoded(data.batch(self.images.train, indices, self.size, random, **self.ways))

    def held_out(self) -> Known:
        count = min(HELD_OUT, len(self.images.held_out))
        return self._encoded(data.batch(self.images.held_out, torch.arange(count), self.size))

    @torch.no_grad()
    def _encoded(self, x: Tensor) -> Known:
        x = x.to(device_of(self.net))
        return x, self.net.encode(x)[0] if self.latents else x.new_empty(len(x), 0)


class Drawn:
    """Images or kernels that random latents decode to."""

    def __init__(self, prior: Generator, seed: int) -> None:
        self.latents = torch.randn(DRAWN, prior.card.latent, generator=cpu_generator(seed)).to(device_of(prior.net))
        with torch.no_grad():
            self.images = torch.cat([prior.decode(z) for z in self.latents.split(128)])
        self.count, self.about = DRAWN - HELD_OUT, f"{DRAWN} {prior.card.kind}s drawn from {prior.card.name}"

    def fingerprint(self) -> str:
        return self.about  # the prior's hash is in the task's

    def some(self, indices: Tensor, random: torch.Generator) -> Known:
        return self.images[indices], self.latents[indices]

    def held_out(self) -> Known:
        return self.images[-HELD_OUT:], self.latents[-HELD_OUT:]


def blurred(images: Known, kernels: Known, random: torch.Generator) -> Examples:
    """Circular convolution, Gaussian noise, and cut to [0, 1] as cameras do."""
    (image, image_latent), (kernel, kernel_latent) = images, kernels
    low, high = np.log(NOISE)
    sigma = (low + (high - low) * torch.rand(len(image), 1, 1, 1, generator=random)).exp()
    noisy = convolve(image, kernel) + (sigma * torch.randn(image.shape, generator=random)).to(image)
    return Examples(noisy.clamp(0, 1), image, kernel, image_latent, kernel_latent)
