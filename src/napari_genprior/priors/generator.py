"""The range of a pretrained generator as a prior: what it cannot decode is not believed."""

from __future__ import annotations

import torch
from torch import Tensor

from ..zoo.projection import device_of
from ..zoo.store import Generator
from .base import Block, Prior
from .pixels import FreeImage


class GeneratorPrior(Prior):
    """An image or kernel ``G(z)``, z standard normal (Asim 2020, 001 and 003).

    Parameters
    ----------
    generator : Generator
        From :func:`~napari_genprior.load_prior`.
    starts : Tensor [R, latent], optional
        Where searches begin, in turn; by default they are drawn.

    Notes
    -----
    The block is ``{"z": [R, latent]}``. The penalty is the latent's negative log-density, ``|z|^2 / 2`` per restart;
    the papers' ridge ``gamma |z|^2`` is 2 gamma times that.
    """

    def __init__(self, generator: Generator, starts: Tensor | None = None) -> None:
        self.generator = generator
        self.starts = starts

    def init(self, n: int, generator: torch.Generator) -> Block:
        device = device_of(self.generator.net)
        if self.starts is None:
            z = torch.randn(n, self.generator.card.latent, generator=generator)
        else:
            z = self.starts.detach()[torch.arange(n) % len(self.starts)].clone()
        return {"z": z.to(device).requires_grad_()}

    def decode(self, block: Block) -> Tensor:
        return self.generator.decode(block["z"])

    def penalty(self, block: Block) -> Tensor:
        return block["z"].square().sum(1) / 2


class SlackPrior(Prior):
    """A free image beside one of a generator's range (algorithm 2 of Asim 2020).

    It decodes to both at once, ``[R, 2 C, Y, X]``, the free image's channels first: an operator that treats all
    channels alike then blurs both, and terms tie them together.

    Parameters
    ----------
    generator : Generator
    free : FreePicture
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
