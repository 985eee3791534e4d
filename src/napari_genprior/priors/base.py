"""What every prior can do: start, decode, and say what its state costs."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

Block = dict[str, Tensor]
"""The state of one unknown: named leaf tensors, each with the leading axis R (restarts). Those that require
gradients are searched for; the others were fixed by the draw."""


class Prior(ABC):
    """What is believed of an image ``[R, C, Y, X]`` or a kernel ``[R, 1, kh, kw]``.

    A prior is immutable: all that changes during a search lives in the block, so that one prior serves
    any number of searches.
    """

    @abstractmethod
    def init(self, n: int, generator: torch.Generator) -> Block:
        """Draw ``n`` starts. Random numbers come from ``generator`` (CPU) only."""

    @abstractmethod
    def decode(self, block: Block) -> Tensor:
        """The image or kernel that a block stands for; differentiable, without chance."""

    def perturbed(self, block: Block, generator: torch.Generator) -> Tensor:
        """What the search sees in place of :meth:`decode`: the same, unless the prior jitters its input."""
        return self.decode(block)

    def penalty(self, block: Block) -> Tensor:
        """Cost ``[R]`` of a block (for a latent: its negative log-density); 0 where the range itself is the prior."""
        first = next(iter(block.values()))
        return first.new_zeros(len(first))


def trainable(block: Block) -> list[Tensor]:
    """The tensors of a block that are searched for."""
    return [tensor for tensor in block.values() if tensor.requires_grad]
