"""Recipe of the classical method with a kernel prior: the kernel in a generator's range, and no learned image prior."""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor

from ..core.arrays import cpu_generator
from ..core.iteration import map_states
from ..deconvolution.total_variation import deconvolve, strength_for
from ..estimation.kernel_prior import ROUNDS, WINDOW, LatentSearchState, search_latents
from ..operators.boundary import is_periodic
from ..operators.detail import most_textured
from ..operators.noise import KERNEL_NOISE, noise_std
from ..quality.kernel_criteria import normalized_sparsity
from ..settings import ClassicalSettings
from .base import Problem, Recipe, Snapshot, Solution
from .final_deconvolution import final_image

PREVIEW_STEPS = 15  # of the deconvolution of a preview


def kernel_in_range(problem: Problem) -> Recipe:
    """Estimate a kernel in the range of ``problem.kernel_prior`` (:func:`kernels_from_prior`), then deconvolve."""
    assert isinstance(problem.settings, ClassicalSettings)
    kernels = yield from kernels_from_prior(problem)
    kernel = kernels[int(ringing_score(problem.blurred, kernels).argmin()), None]
    noise = max(problem.noise, KERNEL_NOISE)
    periodic = is_periodic(problem.blurred, noise)
    return Solution(final_image(problem.blurred, kernel, noise, problem.settings, periodic), kernel)


def kernels_from_prior(problem: Problem) -> Generator[Snapshot, None, Tensor]:
    """Estimate kernels ``[R, 1, kh, kw]`` by :func:`~..estimation.kernel_prior.search_latents`, best first."""
    prior, blurred = problem.kernel_prior, problem.blurred
    assert prior is not None
    strength = strength_for(max(float(noise_std(blurred).mean()), KERNEL_NOISE))

    def snapshot(state: LatentSearchState) -> Snapshot:
        kernel, image = state.kernels[:1], None
        if state.step % ROUNDS == 0:  # a preview of a large image takes longer than a round
            image = deconvolve(blurred, kernel, strength, PREVIEW_STEPS)
        return Snapshot(state.step, state.total, "Kernel estimation", image, kernel, {"misfit": state.values})

    centred = bool(prior.card.centred)
    search = search_latents(blurred, prior.decode, prior.card.latent, cpu_generator(problem.seed), centred)
    return (yield from map_states(search, snapshot)).kernels


@torch.no_grad()
def ringing_score(blurred: Tensor, kernels: Tensor, periodic: bool = False) -> Tensor:
    """Score kernels without ground truth, ``[R]`` (lower is better).

    The score is the :func:`~..quality.kernel_criteria.normalized_sparsity` of the images that the kernels lead to, all
    by the same deconvolution: wrong kernels leave ringing, or blur. On shoes and photographs it selects better
    kernels than the residual does.

    Parameters
    ----------
    blurred : Tensor [1, C, Y, X]
    kernels : Tensor [R, 1, kh, kw]
    periodic : bool
        The boundary is known to be periodic; otherwise this is detected.
    """
    part = most_textured(blurred, WINDOW)
    noise = float(noise_std(part).mean())
    periodic = periodic or is_periodic(part, noise)
    strength = strength_for(max(noise, KERNEL_NOISE))
    images = [deconvolve(part, kernel[None], strength, periodic=periodic).clamp(0, 1) for kernel in kernels]
    return normalized_sparsity(torch.cat(images))
