"""Methods without a learned prior: multi-start kernel estimation, and deconvolution with a known kernel."""

from __future__ import annotations

import math
import time

from torch.nn.functional import interpolate

from ..estimation.multi_start import MultiStartSearch
from ..estimation.search_images import without_lights
from ..operators.observed import join
from ..quality.kernel_criteria import is_sharp
from ..settings import ClassicalSettings, KnownKernelSettings
from .base import Problem, Recipe, Snapshot, Solution
from .final_deconvolution import deconvolve_known
from .kernel_prior import kernel_in_range

SEARCH_SHARE = 0.6  # of a time limit; the rest is for a search under way and for the image


def classical(problem: Problem) -> Recipe:
    """Estimate the kernel by coarse-to-fine L0 searches from several starts, then deconvolve.

    A sharp image is returned as it is, unless a kernel size is given.
    """
    s, blurred = problem.settings, problem.blurred
    assert isinstance(s, ClassicalSettings)
    if problem.kernel is not None:
        return (yield from known_kernel(problem))
    if problem.kernel_prior is not None:
        return (yield from kernel_in_range(problem))
    noise, begun = problem.noise, time.monotonic()
    if problem.kernel_size is None and is_sharp(*without_lights(problem.observed)):
        yield Snapshot(0, 1, "The image is sharp", blurred, blurred.new_ones(1, 1, 1, 1))
        return Solution(blurred, blurred.new_ones(1, 1, 1, 1))

    images = problem.observed if problem.companions is None else join([problem.observed, problem.companions])
    search = MultiStartSearch(images, problem.kernel_size, noise)
    limit = math.inf if problem.time_limit_s is None else problem.time_limit_s
    for level in search.run(begun + SEARCH_SHARE * limit):
        preview = blurred  # of a large image, or of one with margins, only a part is searched
        if search.images.grey.shape[-2:] == blurred.shape[-2:]:
            preview = interpolate(level.image[:1], size=blurred.shape[-2:], mode="bilinear").expand_as(blurred)
        number = len(search.candidates)
        yield Snapshot(number, search.total, f"Kernel candidate {number + 1}/{search.total}", preview, level.kernel)
    best = search.best
    kernel = search.candidates[best].kernel
    image = deconvolve_known(problem.observed, kernel, s, kernel_given=False, noise=noise)
    ranked = [(each.kernel, each.cost) for each in search.candidates]
    stopped = len(ranked) < search.total
    return Solution(image, kernel, selected=best, stopped=stopped, candidates=ranked)


def known_kernel(problem: Problem) -> Recipe:
    """Deconvolve with a given kernel."""
    s, blurred = problem.settings, problem.blurred
    assert isinstance(s, KnownKernelSettings)
    assert problem.kernel is not None
    yield Snapshot(0, 1, "Deconvolution", blurred, problem.kernel)
    return Solution(deconvolve_known(problem.observed, problem.kernel, s, kernel_given=True), problem.kernel)
