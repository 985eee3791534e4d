"""Priors without a network: a free image, a free kernel on the simplex, and a value that is known."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from .base import Block, Prior


class FreeImage(Prior):
    """Every pixel is free; what is believed of the image must come from a penalty.

    Parameters
    ----------
    start : Tensor [1, C, Y, X]
        Where the search starts; also sets device and data type.
    spread : float
        Standard deviation of the Gaussian noise by which the starts of restarts differ.
    """

    def __init__(self, start: Tensor, spread: float = 0.0) -> None:
        self.start = start.detach()
        self.spread = spread

    def init(self, n: int, generator: torch.Generator) -> Block:
        return {"image": _starts(self.start, self.spread, n, generator)}

    def decode(self, block: Block) -> Tensor:
        return block["image"]


class SoftmaxKernel(Prior):
    """A kernel >= 0 with sum 1: the softmax of free logits over its support.

    Parameters
    ----------
    start : Tensor [1, 1, kh, kw]
        Kernel at which the search starts, >= 0 (:func:`start_kernel` makes some); also sets device and data type.
    spread : float
        Standard deviation of the Gaussian noise on the logits by which the starts of restarts differ.
    floor : float
        Pixels below this fraction of the start's maximum are raised to it: the gradient of a softmax
        vanishes where the kernel does.
    """

    def __init__(self, start: Tensor, spread: float = 0.0, floor: float = 1e-3) -> None:
        self.logits = start.detach().clamp(min=floor * float(start.max())).log()
        self.spread = spread

    def init(self, n: int, generator: torch.Generator) -> Block:
        return {"logits": _starts(self.logits, self.spread, n, generator)}

    def decode(self, block: Block) -> Tensor:
        logits = block["logits"]
        return logits.flatten(1).softmax(dim=1).view_as(logits)


class Known(Prior):
    """A value that is given ``[1, ...]``: nothing is left open and its block is empty."""

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
    """A kernel ``[1, 1, kh, kw]`` to start from: a Gaussian whose sigma is half the kernel's side, a point, or flat.

    References
    ----------
    The wide Gaussian: Kotera, Sroubek and Smidl, Improving neural blind deconvolution, ICIP 2021, section 3.
    """
    kernel = torch.ones(shape)
    if kind == "delta":
        kernel.zero_()[shape[0] // 2, shape[1] // 2] = 1.0
    elif kind == "gaussian":
        rows, columns = (torch.arange(side) - side // 2 for side in shape)
        halves = [max(side / 2, 0.5) for side in shape]
        kernel = torch.exp(-0.5 * ((rows[:, None] / halves[0]) ** 2 + (columns[None] / halves[1]) ** 2))
    return (kernel / kernel.sum())[None, None].to(device)


def _starts(start: Tensor, spread: float, n: int, generator: torch.Generator) -> Tensor:
    starts = start.repeat(n, *[1] * (start.ndim - 1))
    if spread:
        starts = starts + spread * torch.randn(starts.shape, generator=generator).to(starts)
    return starts.requires_grad_()
