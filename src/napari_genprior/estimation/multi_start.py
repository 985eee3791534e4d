"""Multi-start kernel estimation: several coarse-to-fine searches, and the selection of the best candidate.

Searches fail in different ways: one that fails may succeed with another kernel size, another weight of the L0 term, or
another rule for the kernel step. Candidates are compared by the image that each kernel leads to
(:func:`~..quality.kernel_criteria.kernel_cost`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from torch import Tensor

from ..blur.support import crop_to_mass, odd, trim_empty
from ..deconvolution.total_variation import deconvolve, strength_for
from ..operators.noise import KERNEL_NOISE
from ..operators.observed import Observed
from ..quality.kernel_criteria import kernel_cost
from .l0_gradient import FREE, NON_NEGATIVE, KernelRule, Level, estimate_kernel
from .search_images import search_images


@dataclass(frozen=True)
class SearchConfig:
    """Configuration of one search.

    Attributes
    ----------
    lam : float
        Initial weight of the L0 term.
    rule : KernelRule
        Rule of the kernel step.
    support_factor : float
        Sides of the support that is searched, relative to the wanted ones.
    use_saturated : bool
        Fit the kernel to saturated pixels as well; otherwise they are filled in from their neighbours.
    """

    lam: float
    rule: KernelRule = NON_NEGATIVE
    support_factor: float = 1.0
    use_saturated: bool = True


FIRST_CONFIG = SearchConfig(8e-3)
ADDITIONAL_CONFIGS = (  # these fail on other images
    SearchConfig(8e-3, FREE), SearchConfig(16e-3), SearchConfig(16e-3, FREE), SearchConfig(16e-3, support_factor=1.4),
    SearchConfig(32e-3),
)  # fmt: skip
FIRST_MASKED_CONFIG = SearchConfig(16e-3, use_saturated=False)
ADDITIONAL_MASKED_CONFIGS = (
    SearchConfig(16e-3, FREE, use_saturated=False),
    SearchConfig(32e-3, use_saturated=False),
)
KERNEL_SIZES = (21, 41, 11, 29, 15, 57, 7, 81)  # px, about a factor of sqrt 2 apart, the most common first
SUPPORT_MARGIN_PX = 2  # added on each side of an estimated kernel in the additional searches


@dataclass(frozen=True)
class Candidate:
    """``kernel`` [1, 1, kh, kw], ``image`` [1, 1, Y, X] deconvolved with it, and its ``cost`` (lower is better)."""

    kernel: Tensor
    image: Tensor
    cost: float


class MultiStartSearch:
    """Searches for a kernel by :func:`.l0_gradient.estimate_kernel` from several configurations.

    Parameters
    ----------
    blurred : Tensor [P, C, Y, X] or Observed
        Working units; channels are averaged. Only the most textured part of a large image is used. Several images
        share a kernel: it is fitted to the first image, which should be the most textured one, and to all of them
        together; candidates are compared on the first.
    size : (int, int) or None
        Support, odd sides in pixels. None: :data:`KERNEL_SIZES` are tried, and the additional searches use the size
        of the best candidate.
    noise : float
        Standard deviation of the image's noise.
    additional : tuple of SearchConfig
        Searches at the given or estimated size, after those from :data:`FIRST_CONFIG`. For images with saturated
        pixels, searches that mask them are added.

    Attributes
    ----------
    total : int
        Number of searches.
    candidates : list of Candidate
        Those of the searches so far, in their order.
    """

    def __init__(
        self,
        blurred: Tensor | Observed,
        size: tuple[int, int] | None,
        noise: float,
        additional: tuple[SearchConfig, ...] = ADDITIONAL_CONFIGS,
    ) -> None:
        self.images, self.size = search_images(blurred, noise), size
        height, width = self.images.grey.shape[-2:]
        self.limits, masked = largest_kernel((height, width)), self.images.filled is not None
        self.sizes = [size] if size else candidate_sizes(self.limits)
        self.first = (FIRST_CONFIG, FIRST_MASKED_CONFIG) if masked else (FIRST_CONFIG,)
        self.additional = additional + ADDITIONAL_MASKED_CONFIGS if masked and additional else additional
        self.counts = (1,) if len(self.images.grey) == 1 else (1, len(self.images.grey))
        self.total = (len(self.sizes) * len(self.first) + len(self.additional)) * len(self.counts)
        self.candidates: list[Candidate] = []

    def run(self, end: float = math.inf) -> Iterator[Level]:
        """Run the searches, until a time in seconds on the monotonic clock; at least one is run.

        Yields
        ------
        Level
            After each pyramid level of each search.
        """
        for support, config, count in product(self.sizes, self.first, self.counts):
            yield from self._search(support, config, count)
            if time.monotonic() > end:
                return
        support = self._final_support()
        for config, count in product(self.additional, self.counts):
            yield from self._search(support, config, count)
            if time.monotonic() > end:
                return

    @property
    def best(self) -> int:
        """Index of the candidate of least cost."""
        return min(range(len(self.candidates)), key=lambda i: self.candidates[i].cost)

    def _search(self, support: tuple[int, int], config: SearchConfig, count: int) -> Iterator[Level]:
        """Run one search on the first ``count`` images and append its candidate."""
        sides = zip(support, self.limits, strict=True)
        kh, kw = (max(side, min(odd(side * config.support_factor), limit)) for side, limit in sides)
        noise = self.images.noise
        images, mask = self.images.choose(count, config.use_saturated)
        kernel = yield from estimate_kernel(images, (kh, kw), config.lam, noise, config.rule, mask)
        kernel = trim_empty(kernel) if self.size is None else crop_to_mass(kernel, self.size)
        first = self.images.observed.rows(slice(0, 1))
        image = deconvolve(first, kernel, strength_for(max(noise, KERNEL_NOISE)))
        # beside bright objects, of which only "at least" is said, nothing else would count
        explained = first.explained_by(image, kernel, clipped=self.images.scale != 1)
        cost = kernel_cost(explained, image, kernel)
        self.candidates.append(Candidate(kernel, image * self.images.scale, cost))

    def _final_support(self) -> tuple[int, int]:
        """Return the given size, or that of the best candidate and a margin."""
        if self.size:
            return self.size
        kh, kw = self.candidates[self.best].kernel.shape[-2:]
        return min(kh + 2 * SUPPORT_MARGIN_PX, self.limits[0]), min(kw + 2 * SUPPORT_MARGIN_PX, self.limits[1])


def find_size(blurred: Tensor | Observed, noise: float) -> tuple[int, int]:
    """Estimate the support ``(kh, kw)`` in pixels that the kernel of ``blurred`` [P, C, Y, X] needs."""
    search = MultiStartSearch(blurred, None, noise, additional=())
    for _level in search.run():
        pass
    kernel = search.candidates[search.best].kernel
    return kernel.shape[-2], kernel.shape[-1]


def largest_kernel(shape: tuple[int, int]) -> tuple[int, int]:
    """Return the largest odd sides, in pixels, that are at most half the sides of an image."""
    return odd(shape[0] // 2 - 1), odd(shape[1] // 2 - 1)


def candidate_sizes(limits: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the kernel sizes to try, :data:`KERNEL_SIZES` clipped to ``limits``, without duplicates."""
    return list(dict.fromkeys((min(side, limits[0]), min(side, limits[1])) for side in KERNEL_SIZES))
