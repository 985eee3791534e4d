"""Several searches for the kernel, and the pick among them: the one that the others agree with most.

A search that went wrong goes wrong in its own way, searches that went right end alike. On simulated shakes this
is as good as the best single search on the mean, and it avoids most of the failures of each.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from .kernel_l0 import Level, estimate_kernel

LAMS = (8e-3, 16e-3, 32e-3)  # starts of the L0 weight: they fail on different pictures; a fourth gained nothing


@dataclass(frozen=True)
class Chosen:
    """The picked kernel ``[1, 1, kh, kw]``, its number, and the agreement of each with all others (0 to 1)."""

    kernel: Tensor
    number: int
    agreement: list[float]


def estimate_by_rivals(
    blurred: Tensor, size: tuple[int, int] | None, noise: float, lams: tuple[float, ...] = LAMS
) -> Generator[Level, None, Chosen]:
    """Run :func:`.kernel_l0.estimate_kernel` once per start and pick a kernel; parameters as there."""
    kernels: list[Tensor] = []
    for number, lam in enumerate(lams):
        search = estimate_kernel(blurred, size, lam, noise)
        while True:
            try:
                level = next(search)
            except StopIteration as end:
                kernels.append(end.value)
                break
            yield Level(number * level.total + level.index, len(lams) * level.total, level.image, level.kernel)
    agreement = agreements(kernels)
    best = max(range(len(kernels)), key=agreement.__getitem__)
    return Chosen(kernels[best], best, agreement)


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
