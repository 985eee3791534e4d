"""Interface of the priors: draw initial states, decode them, and penalize them."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

Block = dict[str, Tensor]
"""State of one unknown: named leaf tensors, each with the leading axis R (restarts). Those that require gradients are
optimized; the others stay as they were drawn."""


class Prior(ABC):
    """A prior of an image ``[R, C, Y, X]`` or a kernel ``[R, 1, kh, kw]``.

    A prior is immutable: all that changes during an optimization is in the block, so that one prior can be used in any
    number of them.
    """

    @abstractmethod
    def init(self, n: int, generator: torch.Generator) -> Block:
        """Draw ``n`` initial states. Random numbers come from ``generator`` (CPU) only."""

    @abstractmethod
    def decode(self, block: Block) -> Tensor:
        """Decode a block to its image or kernel; differentiable and deterministic."""

    def perturbed(self, block: Block, generator: torch.Generator) -> Tensor:
        """Decode a block during optimization: as :meth:`decode`, but with the noise that a prior adds to its input."""
        return self.decode(block)

    def penalty(self, block: Block) -> Tensor:
        """Compute the penalty ``[R]`` of a block: the negative log density of latents, 0 for priors without one."""
        first = next(iter(block.values()))
        return first.new_zeros(len(first))


def trainable(block: Block) -> list[Tensor]:
    """Return the tensors of a block that are optimized."""
    return [tensor for tensor in block.values() if tensor.requires_grad]
