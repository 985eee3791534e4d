"""Priors that constrain an image or kernel to the range of a pretrained generator, or to its vicinity."""

from __future__ import annotations

import torch
from torch import Tensor

from ..zoo.projection import device_of
from ..zoo.store import Generator
from .base import Block, Prior
from .pixels import FreeImage


class GeneratorPrior(Prior):
    """An image or kernel ``G(z)``, z standard normal (Asim 2018, Asim 2020).

    Parameters
    ----------
    generator : Generator
        From :func:`~napari_genprior.load_prior`.
    latents : Tensor [N, latent], optional
        Initial latents of the restarts, used cyclically; drawn at random by default.

    Notes
    -----
    The block is ``{"z": [R, latent]}``. The penalty is the latent's negative log-density, ``|z|^2 / 2`` per restart;
    the ridge ``gamma |z|^2`` of both articles is 2 gamma times that.

    References
    ----------
    "Asim 2020": Asim, Shamshad and Ahmed, Blind image deconvolution using deep generative priors, IEEE TCI 2020.
    "Asim 2018": Asim, Shamshad and Ahmed, Solving bilinear inverse problems using deep generative priors, 2018.
    """

    def __init__(self, generator: Generator, latents: Tensor | None = None) -> None:
        self.generator = generator
        self.latents = latents

    def init(self, n: int, generator: torch.Generator) -> Block:
        device = device_of(self.generator.net)
        if self.latents is None:
            z = torch.randn(n, self.generator.card.latent, generator=generator)
        else:
            z = self.latents.detach()[torch.arange(n) % len(self.latents)].clone()
        return {"z": z.to(device).requires_grad_()}

    def decode(self, block: Block) -> Tensor:
        return self.generator.decode(block["z"])

    def penalty(self, block: Block) -> Tensor:
        return block["z"].square().sum(1) / 2


class SlackPrior(Prior):
    """A free image near an image in the range of a generator (algorithm 2 of Asim 2020).

    It decodes to both, ``[R, 2 C, Y, X]``, the channels of the free image first: an operator that treats all channels
    alike then blurs both, and the terms of the objective couple them.

    Parameters
    ----------
    generator : Generator
    free : FreeImage
    """

    def __init__(self, generator: Generator, free: FreeImage) -> None:
        self.range = GeneratorPrior(generator)
        self.free = free

    def init(self, n: int, generator: torch.Generator) -> Block:
        return self.range.init(n, generator) | self.free.init(n, generator)

    def decode(self, block: Block) -> Tensor:
        return torch.cat([self.free.decode(block), self.range.decode(block)], dim=1)

    def penalty(self, block: Block) -> Tensor:
        return self.range.penalty(block)
