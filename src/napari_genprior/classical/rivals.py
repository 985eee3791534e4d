"""Several searches for the kernel, and the pick among them.

A search that went wrong goes wrong in its own way, searches that went right end alike: so the pick is the kernel that
the others agree with most. But a kernel that explains the picture clearly worse than another is out first.
"""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from .._generators import drain, relay
from .kernel_l0 import Level, estimate_kernel

LAMS = (8e-3, 16e-3, 32e-3)  # starts of the L0 weight: they fail on different pictures; a fourth gained nothing
SIZE_LAM = 8e-3  # of the search that finds the size
FAIR = 1.1  # residual over the least one, up to which a kernel explains the picture nearly as well


def search_by_rivals(
    blurred: Tensor, size: tuple[int, int] | None, noise: float, lams: tuple[float, ...] = LAMS
) -> Generator[Level, None, list[Tensor]]:
    """Run :func:`.kernel_l0.estimate_kernel` once per start; parameters as there. Returns their kernels.

    Without a size, one search more goes first: the support it ends with is what the others are given.
    """
    searches = len(lams) + (size is None)
    kernels: list[Tensor] = []
    if size is None:
        kernel = yield from _search(blurred, None, SIZE_LAM, noise, 0, searches)
        size = (kernel.shape[-2], kernel.shape[-1])
    for number, lam in enumerate(lams, searches - len(lams)):
        kernels.append((yield from _search(blurred, size, lam, noise, number, searches)))
    return kernels


def find_size(blurred: Tensor, noise: float) -> tuple[int, int]:
    """The support ``(kh, kw)`` that a search ends with whose size is free."""
    kernel = drain(estimate_kernel(blurred, None, SIZE_LAM, noise))
    return kernel.shape[-2], kernel.shape[-1]


def _search(
    blurred: Tensor, size: tuple[int, int] | None, lam: float, noise: float, number: int, searches: int
) -> Generator[Level, None, Tensor]:
    """One search, its levels counted among those of all searches."""

    def counted(level: Level) -> Level:
        return Level(number * level.total + level.index, searches * level.total, level.image, level.kernel)

    return relay(estimate_kernel(blurred, size, lam, noise), counted)


def pick(kernels: list[Tensor], residuals: list[float]) -> int:
    """The kernel that the others agree with most, among those that explain the picture nearly best."""
    agreement = agreements(kernels)
    fair = [i for i, residual in enumerate(residuals) if residual <= FAIR * min(residuals)]
    return max(fair, key=agreement.__getitem__)


def agreements(kernels: list[Tensor]) -> list[float]:
    """For each kernel, the mean of its normalised correlation with the others at the best shift."""
    side = [max(k.shape[axis] for k in kernels) + 2 for axis in (-2, -1)]
    spectra = []
    for kernel in kernels:
        # blurring by a pixel lets thin lines that lie half a pixel apart count as alike
        soft = avg_pool2d(pad(kernel, (2, 2, 2, 2)), 3, stride=1)
        spectra.append(torch.fft.rfft2(soft / soft.norm(), s=(2 * side[0], 2 * side[1])))
    table = [[float(torch.fft.irfft2(a * b.conj()).max()) for b in spectra] for a in spectra]
    others = max(1, len(kernels) - 1)
    return [(sum(row) - row[i]) / others for i, row in enumerate(table)]
