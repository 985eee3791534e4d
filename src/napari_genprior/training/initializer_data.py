"""Training examples of initializers: blur images, with the latents of their image and kernel."""

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
from .learners import augmentation

NOISE_STD = (0.005, LARGEST_NOISE)  # fraction of the range, drawn log-uniformly
N_SAMPLES = 10_000  # images or kernels decoded from random latents, where no data are given
N_HELD_OUT = 256

Decoded = tuple[Tensor, Tensor]  # images or kernels [B, C, Y, X], and their latents [B, latent]


@dataclass(frozen=True)
class Examples:
    """Blurred images ``[B, C, Y, X]``, their images and kernels, and the latents of both, ``[B, latent]`` each."""

    blurred: Tensor
    image: Tensor
    kernel: Tensor
    image_latent: Tensor
    kernel_latent: Tensor


class DatasetSource:
    """Images or kernels of a dataset, with the latents from the prior's encoder, or without latents."""

    def __init__(self, prior: Generator, images: data.Images, settings: TrainingSettings, latents: bool = True) -> None:
        card = prior.card
        self.latents = latents
        if latents and (getattr(prior.net, "encoder", True) is None or not hasattr(prior.net, "encode")):
            raise InputError(
                f"{card.name} has no encoder, so the latents of given {card.kind}s are unknown; give none: "
                f"{card.kind}s are then sampled from the prior."
            )
        channels, *sides = images.train.shape[1:]
        if images.kind != card.kind or channels != card.channels or min(sides) < min(card.size):
            raise InputError(
                f"{card.name} has {card.kind}s of {card.shape}; got {images.kind}s [N, C, Y, X] of shape "
                f"{tuple(images.train.shape)}."
            )
        self.net: Any = prior.net
        self.images, self.size = images, card.size[0]
        self.count, self.about = len(images.train), images.about
        self.augmentation = augmentation(settings, images) if card.kind == "image" else {"turn": images.turn}

    def fingerprint(self) -> str:
        """Return the SHA-256 of the training images."""
        return self.images.fingerprint()

    def some(self, indices: Tensor, random: torch.Generator) -> Decoded:
        """Return augmented training images ``[B, C, Y, X]`` and their latents ``[B, latent]``."""
        return self._encoded(data.batch(self.images.train, indices, self.size, random, **self.augmentation))

    def held_out(self) -> Decoded:
        """Return the held-out images and their latents."""
        count = min(N_HELD_OUT, len(self.images.held_out))
        return self._encoded(data.batch(self.images.held_out, torch.arange(count), self.size))

    @torch.no_grad()
    def _encoded(self, x: Tensor) -> Decoded:
        x = x.to(device_of(self.net))
        return x, self.net.encode(x)[0] if self.latents else x.new_empty(len(x), 0)


class PriorSource:
    """Images or kernels decoded from random latents of a prior."""

    def __init__(self, prior: Generator, seed: int) -> None:
        self.latents = torch.randn(N_SAMPLES, prior.card.latent, generator=cpu_generator(seed)).to(device_of(prior.net))
        with torch.no_grad():
            self.images = torch.cat([prior.decode(z) for z in self.latents.split(128)])
        self.count = N_SAMPLES - N_HELD_OUT
        self.about = f"{N_SAMPLES} {prior.card.kind}s drawn from {prior.card.name}"

    def fingerprint(self) -> str:
        """Return a description of the samples; the task's fingerprint holds the prior's hash."""
        return self.about

    def some(self, indices: Tensor, random: torch.Generator) -> Decoded:
        """Return sampled images ``[B, C, Y, X]`` and their latents ``[B, latent]``."""
        return self.images[indices], self.latents[indices]

    def held_out(self) -> Decoded:
        """Return the held-out samples and their latents."""
        return self.images[-N_HELD_OUT:], self.latents[-N_HELD_OUT:]


def blur(images: Decoded, kernels: Decoded, random: torch.Generator) -> Examples:
    """Blur images by kernels (periodic boundary), add Gaussian noise and clip to [0, 1] as a camera does."""
    (image, image_latent), (kernel, kernel_latent) = images, kernels
    low, high = np.log(NOISE_STD)
    sigma = (low + (high - low) * torch.rand(len(image), 1, 1, 1, generator=random)).exp()
    noisy = convolve(image, kernel) + (sigma * torch.randn(image.shape, generator=random)).to(image)
    return Examples(noisy.clamp(0, 1), image, kernel, image_latent, kernel_latent)
