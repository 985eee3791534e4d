"""Recipes without a learned prior: a classical kernel search, and the known-kernel solve."""

from __future__ import annotations

from torch.nn.functional import interpolate

from .._generators import relay
from ..classical.kernel_l0 import Level
from ..classical.known_kernel import deconvolve, noise_std, residual_std, strength_for
from ..classical.rivals import pick, search_by_rivals
from ..settings import ClassicalSettings, KnownKernelSettings
from .base import Problem, Recipe, Snapshot, Solution
from .final import final_picture

KERNEL_NOISE = 0.01  # an estimated kernel errs like at least this much noise, fraction of the range
LEAST_NOISE = 0.002  # of a given kernel and rounding


def classical(problem: Problem) -> Recipe:
    """Kernel by rival coarse-to-fine L0 searches (:mod:`.classical`), then the picture for it."""
    s, blurred = problem.settings, problem.blurred
    assert isinstance(s, ClassicalSettings)
    if problem.kernel is not None:
        return (yield from known_kernel(problem))
    noise = float(noise_std(blurred).mean())

    def snapshot(level: Level) -> Snapshot:
        preview = interpolate(level.image, size=blurred.shape[-2:], mode="bilinear").expand_as(blurred)
        return Snapshot(
            level.index, level.total, f"kernel, search {level.index + 1} of {level.total}", preview, level.kernel
        )

    kernels = yield from relay(search_by_rivals(blurred, problem.kernel_size, noise), snapshot)
    told = max(noise, KERNEL_NOISE)
    images = [deconvolve(blurred, kernel, s.smoothing * strength_for(told)) for kernel in kernels]
    best = pick(kernels, [residual_std(blurred, x, k) for x, k in zip(images, kernels, strict=True)])
    return Solution(final_picture(blurred, kernels[best], told, s), kernels[best], chosen=best)


def known_kernel(problem: Problem) -> Recipe:
    """Picture for a given kernel."""
    s, blurred = problem.settings, problem.blurred
    assert isinstance(s, KnownKernelSettings)
    assert problem.kernel is not None
    yield Snapshot(0, 1, "picture", blurred, problem.kernel)
    noise = max(float(noise_std(blurred).mean()), LEAST_NOISE)
    return Solution(final_picture(blurred, problem.kernel, noise, s), problem.kernel)
