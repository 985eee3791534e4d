"""The classical recipe with a kernel prior: the kernel in a generator's range, no prior of the image's class."""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor

from ..core.arrays import cpu_generator
from ..core.iteration import map_states
from ..deconvolution.total_variation import deconvolve, strength_for
from ..estimation.kernel_prior import ROUNDS, WINDOW, Found, search_latents
from ..operators.boundary import is_periodic
from ..operators.detail import most_textured
from ..operators.noise import KERNEL_NOISE, noise_std
from ..quality.kernel_criteria import normalized_sparsity
from ..settings import ClassicalSettings
from .base import Problem, Recipe, Snapshot, Solution
from .final_deconvolution import final_image

PREVIEW_STEPS = 15  # of the known-kernel solve behind a preview


def kernel_in_range(problem: Problem) -> Recipe:
    """Kernel in the range of ``problem.kernel_prior`` (:mod:`..estimation.kernel_prior`), then the image for it."""
    assert isinstance(problem.settings, ClassicalSettings)
    kernels = yield from kernels_from_prior(problem)
    kernel = kernels[int(ringing(problem.blurred, kernels).argmin()), None]
    noise = max(float(noise_std(problem.blurred).mean()), KERNEL_NOISE)
    circular = is_periodic(problem.blurred, noise)
    return Solution(final_image(problem.blurred, kernel, noise, problem.settings, circular), kernel)


def kernels_from_prior(problem: Problem) -> Generator[Snapshot, None, Tensor]:
    """The kernels ``[R, 1, kh, kw]`` that :func:`~..estimation.kernel_prior.search_latents` ends with."""
    prior, blurred = problem.kernel_prior, problem.blurred
    assert prior is not None
    strength = strength_for(max(float(noise_std(blurred).mean()), KERNEL_NOISE))

    def snapshot(found: Found) -> Snapshot:
        kernel, image = found.kernels[:1], None
        if found.step % ROUNDS == 0:  # a preview of a large image takes longer than a round
            image = deconvolve(blurred, kernel, strength, PREVIEW_STEPS)
        return Snapshot(found.step, found.total, "kernel", image, kernel, {"misfit": found.values})

    centred = bool(prior.card.centred)
    search = search_latents(blurred, prior.decode, prior.card.latent, cpu_generator(problem.seed), centred)
    return (yield from map_states(search, snapshot)).kernels


@torch.no_grad()
def ringing(blurred: Tensor, kernels: Tensor, circular: bool = False) -> Tensor:
    """What tells kernels apart without the truth, ``[R]``, less is better; ``circular``: it is known to be.

    :func:`~..quality.kernel_criteria.normalized_sparsity` of the images they lead to, all by the same plain solve: wrong
    kernels leave ringing, or blur. On shoes and photographs it is the better pick than the residual.
    """
    part = most_textured(blurred, WINDOW)
    noise = float(noise_std(part).mean())
    circular = circular or is_periodic(part, noise)
    strength = strength_for(max(noise, KERNEL_NOISE))
    images = [deconvolve(part, kernel[None], strength, circular=circular).clamp(0, 1) for kernel in kernels]
    return normalized_sparsity(torch.cat(images))
