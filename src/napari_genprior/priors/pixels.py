"""Priors without a network: a free image, a free kernel on the simplex, and a known value."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from .base import Block, Prior


class FreeImage(Prior):
    """An image whose pixels are all free; regularization must come from a penalty.

    Parameters
    ----------
    start : Tensor [1, C, Y, X]
        Initial image; also sets device and data type.
    spread : float
        Standard deviation of the Gaussian noise added to the initial image of each restart.
    """

    def __init__(self, start: Tensor, spread: float = 0.0) -> None:
        self.start = start.detach()
        self.spread = spread

    def init(self, n: int, generator: torch.Generator) -> Block:
        return {"image": _restarts(self.start, self.spread, n, generator)}

    def decode(self, block: Block) -> Tensor:
        return block["image"]


class SoftmaxKernel(Prior):
    """A kernel >= 0 with sum 1: the softmax of free logits over its support.

    Parameters
    ----------
    start : Tensor [1, 1, kh, kw]
        Initial kernel, >= 0 (see :func:`start_kernel`); also sets device and data type.
    spread : float
        Standard deviation of the Gaussian noise added to the logits of each restart.
    floor : float
        Pixels below this fraction of the initial kernel's maximum are raised to it: the gradient of a softmax
        vanishes where the kernel does.
    """

    def __init__(self, start: Tensor, spread: float = 0.0, floor: float = 1e-3) -> None:
        self.logits = start.detach().clamp(min=floor * float(start.max())).log()
        self.spread = spread

    def init(self, n: int, generator: torch.Generator) -> Block:
        return {"logits": _restarts(self.logits, self.spread, n, generator)}

    def decode(self, block: Block) -> Tensor:
        logits = block["logits"]
        return logits.flatten(1).softmax(dim=1).view_as(logits)


class Known(Prior):
    """A known value ``[1, ...]``; its block is empty."""

    def __init__(self, value: Tensor) -> None:
        self.value = value.detach()

    def init(self, n: int, generator: torch.Generator) -> Block:
        return {}

    def decode(self, block: Block) -> Tensor:
        return self.value

    def penalty(self, block: Block) -> Tensor:
        return self.value.new_zeros(1)


def start_kernel(
    kind: Literal["gaussian", "delta", "flat"], shape: tuple[int, int], device: torch.device | str = "cpu"
) -> Tensor:
    """Make an initial kernel ``[1, 1, kh, kw]``: a Gaussian with a sigma of half the kernel's side, a point, or flat.

    References
    ----------
    For the wide Gaussian: Kotera, Sroubek and Smidl, Improving neural blind deconvolution, ICIP 2021, section 3.
    """
    kernel = torch.ones(shape)
    if kind == "delta":
        kernel.zero_()[shape[0] // 2, shape[1] // 2] = 1.0
    elif kind == "gaussian":
        rows, columns = (torch.arange(side) - side // 2 for side in shape)
        halves = [max(side / 2, 0.5) for side in shape]
        kernel = torch.exp(-0.5 * ((rows[:, None] / halves[0]) ** 2 + (columns[None] / halves[1]) ** 2))
    return (kernel / kernel.sum())[None, None].to(device)


def _restarts(start: Tensor, spread: float, n: int, generator: torch.Generator) -> Tensor:
    """Repeat an initial value for ``n`` restarts, with Gaussian noise of standard deviation ``spread`` added."""
    values = start.repeat(n, *[1] * (start.ndim - 1))
    if spread:
        values = values + spread * torch.randn(values.shape, generator=generator).to(values)
    return values.requires_grad_()
