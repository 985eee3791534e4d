"""Recipes without a learned prior: a classical kernel search, and the known-kernel solve."""

from __future__ import annotations

import time

import torch
from torch.nn.functional import interpolate

from ..core.iteration import map_states
from ..estimation.l0_gradient import Level
from ..estimation.multi_start import multi_start_search, pick
from ..operators.boundary import is_periodic
from ..operators.detail import REGION
from ..operators.noise import KERNEL_NOISE, LEAST_NOISE, noise_std
from ..quality.kernel_criteria import is_sharp
from ..settings import ClassicalSettings, KnownKernelSettings
from .base import Problem, Recipe, Snapshot, Solution
from .final_deconvolution import final_image
from .kernel_prior import kernel_in_range

SEARCH_SHARE = 0.6  # of a time budget; the rest is for a search under way and for the image


def classical(problem: Problem) -> Recipe:
    """Kernel by candidate coarse-to-fine L0 searches (:mod:`.classical`), then the image for it.

    A sharp image is left as it is, unless a size says that there is a kernel.
    """
    s, blurred = problem.settings, problem.blurred
    assert isinstance(s, ClassicalSettings)
    if problem.kernel is not None:
        return (yield from known_kernel(problem))
    if problem.kernel_prior is not None:
        return (yield from kernel_in_range(problem))
    noise, begun = float(noise_std(blurred).mean()), time.monotonic()
    if problem.kernel_size is None and is_sharp(blurred, noise):
        yield Snapshot(0, 1, "the image is sharp", blurred, blurred.new_ones(1, 1, 1, 1))
        return Solution(blurred, blurred.new_ones(1, 1, 1, 1))

    def late() -> bool:
        return problem.time_limit_s is not None and time.monotonic() - begun > SEARCH_SHARE * problem.time_limit_s

    def snapshot(level: Level) -> Snapshot:
        preview = blurred  # of a large image only a part is searched in
        if max(blurred.shape[-2:]) <= REGION:
            preview = interpolate(level.image[:1], size=blurred.shape[-2:], mode="bilinear").expand_as(blurred)
        return Snapshot(
            level.index, level.total, f"kernel, search {level.index + 1} of {level.total}", preview, level.kernel
        )

    told = blurred if problem.beside is None else torch.cat([blurred, problem.beside])
    found = yield from map_states(multi_start_search(told, problem.kernel_size, noise, late), snapshot)
    best = pick(found)
    kernel = found[best].kernel
    image = final_image(blurred, kernel, max(noise, KERNEL_NOISE), s, is_periodic(blurred, noise))
    return Solution(image, kernel, chosen=best, candidates=[(each.kernel, each.against) for each in found])


def known_kernel(problem: Problem, least_noise: float = LEAST_NOISE) -> Recipe:
    """Image for a given kernel; of one that was estimated, ``least_noise`` is :data:`KERNEL_NOISE`."""
    s, blurred = problem.settings, problem.blurred
    assert isinstance(s, KnownKernelSettings)
    assert problem.kernel is not None
    yield Snapshot(0, 1, "image", blurred, problem.kernel)
    noise = max(float(noise_std(blurred).mean()), least_noise)
    image = final_image(blurred, problem.kernel, noise, s, is_periodic(blurred, noise))
    return Solution(image, problem.kernel)
