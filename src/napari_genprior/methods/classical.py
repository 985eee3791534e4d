"""Recipes without a learned prior: a classical kernel search, and the known-kernel solve."""

from __future__ import annotations

import time

import torch
from torch.nn.functional import interpolate

from ..core.iteration import relay
from ..estimation.l0_gradient import Level
from ..estimation.multi_start import pick, search_by_rivals
from ..operators.boundary import wraps_around
from ..operators.detail import REGION
from ..operators.noise import KERNEL_NOISE, LEAST_NOISE, noise_std
from ..quality.kernel_criteria import is_sharp
from ..settings import ClassicalSettings, KnownKernelSettings
from .base import Problem, Recipe, Snapshot, Solution
from .final_deconvolution import final_picture
from .kernel_prior import kernel_in_range

SEARCH_SHARE = 0.6  # of a time budget; the rest is for a search under way and for the picture


def classical(problem: Problem) -> Recipe:
    """Kernel by rival coarse-to-fine L0 searches (:mod:`.classical`), then the picture for it.

    A sharp picture is left as it is, unless a size says that there is a kernel.
    """
    s, blurred = problem.settings, problem.blurred
    assert isinstance(s, ClassicalSettings)
    if problem.kernel is not None:
        return (yield from known_kernel(problem))
    if problem.kernel_prior is not None:
        return (yield from kernel_in_range(problem))
    noise, begun = float(noise_std(blurred).mean()), time.monotonic()
    if problem.kernel_size is None and is_sharp(blurred, noise):
        yield Snapshot(0, 1, "the picture is sharp", blurred, blurred.new_ones(1, 1, 1, 1))
        return Solution(blurred, blurred.new_ones(1, 1, 1, 1))

    def late() -> bool:
        return problem.budget_s is not None and time.monotonic() - begun > SEARCH_SHARE * problem.budget_s

    def snapshot(level: Level) -> Snapshot:
        preview = blurred  # of a large picture only a part is searched in
        if max(blurred.shape[-2:]) <= REGION:
            preview = interpolate(level.image[:1], size=blurred.shape[-2:], mode="bilinear").expand_as(blurred)
        return Snapshot(
            level.index, level.total, f"kernel, search {level.index + 1} of {level.total}", preview, level.kernel
        )

    told = blurred if problem.beside is None else torch.cat([blurred, problem.beside])
    found = yield from relay(search_by_rivals(told, problem.kernel_size, noise, late), snapshot)
    best = pick(found)
    kernel = found[best].kernel
    image = final_picture(blurred, kernel, max(noise, KERNEL_NOISE), s, wraps_around(blurred, noise))
    return Solution(image, kernel, chosen=best, rivals=[(each.kernel, each.against) for each in found])


def known_kernel(problem: Problem, least_noise: float = LEAST_NOISE) -> Recipe:
    """Picture for a given kernel; of one that was estimated, ``least_noise`` is :data:`KERNEL_NOISE`."""
    s, blurred = problem.settings, problem.blurred
    assert isinstance(s, KnownKernelSettings)
    assert problem.kernel is not None
    yield Snapshot(0, 1, "picture", blurred, problem.kernel)
    noise = max(float(noise_std(blurred).mean()), least_noise)
    image = final_picture(blurred, problem.kernel, noise, s, wraps_around(blurred, noise))
    return Solution(image, problem.kernel)
