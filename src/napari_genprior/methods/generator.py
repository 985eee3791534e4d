"""Recipes with pretrained generators: naive projection, and algorithms 1 and 2 of Asim 2020.

With ``schedule="paper"`` they are optimized as published; :mod:`.second_order` minimizes the same objectives faster.

References
----------
"Asim 2020": Asim, Shamshad and Ahmed, Blind image deconvolution using deep generative priors, IEEE TCI 2020.
"Asim 2018": Asim, Shamshad and Ahmed, Solving bilinear inverse problems using deep generative priors, 2018.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from ..core.arrays import cpu_generator
from ..core.iteration import map_states
from ..core.result import GENERATOR_ESTIMATE, RESTART_STD, StatusCode
from ..operators.bilinear import Convolution
from ..operators.data_fidelity import squared_error, summed_squared_error
from ..optim.block_coordinate import alternate
from ..optim.gradient_loop import LoopState, minimise
from ..priors.base import Prior, trainable
from ..priors.generator import GeneratorPrior, SlackPrior
from ..priors.objective import Estimate, Objective, Term
from ..priors.penalties import total_variation
from ..priors.pixels import FreeImage, Known, start_kernel
from ..settings import GeneratorSettings, ProjectSettings, RelaxedSettings
from ..zoo.projection import closest_latents
from .base import Problem, Recipe, Snapshot, Solution
from .second_order import fast_generator, fast_relaxed

POINT_KERNEL_PX = (3, 3)  # sides of the kernel of a naive projection, which is a single point


def project(problem: Problem) -> Recipe:
    """Project the blurred image onto the generator's range (Asim 2020, eq. 4): ``G(argmin_z |y - G(z)|^2)``.

    There is no blur model: the kernel of the result is a single point.
    """
    s, blurred, prior = problem.settings, problem.blurred, problem.image_prior
    assert isinstance(s, ProjectSettings)
    assert prior is not None
    point = start_kernel("delta", POINT_KERNEL_PX, blurred.device)
    yield Snapshot(0, 1, "Projection", blurred, point)
    latents = closest_latents(prior.net, blurred, restarts=s.restarts, seed=problem.seed)
    with torch.no_grad():
        return Solution(prior.decode(latents), point)


def generator(problem: Problem) -> Recipe:
    """Run algorithm 1: image and kernel strictly in the range of generators (Asim 2020, eq. 6 to 9).

    ``min over z_i, z_k of |y - G_I(z_i) * G_K(z_k)|^2 + gamma |z_i|^2 + lambda |z_k|^2``, sums over pixels and
    channels, periodic boundary. The published schedule alternates normalized gradient steps
    (:func:`~..optim.block_coordinate.alternate`), the kernel's first as in Asim 2018 and in the authors' code.

    Notes
    -----
    For colour images the authors' code sums over the frequencies of an unnormalized Fourier transform: its misfit
    is X Y times this one, so that its ridges are weaker by that factor. Here the ridges are those of eq. 6 and 7.
    """
    s, blurred = problem.settings, problem.blurred
    assert isinstance(s, GeneratorSettings)
    if s.schedule == "fast":
        return (yield from fast_generator(problem))
    assert problem.image_prior is not None
    terms = {
        "misfit": Term(lambda e: summed_squared_error(e.model, e.data)),
        "image ridge": Term(lambda e: 2 * e.image_penalty, s.image_latent_weight),
        "kernel ridge": Term(lambda e: 2 * e.kernel_penalty, s.kernel_latent_weight),
    }
    latents = (
        closest_latents(problem.image_prior.net, blurred, seed=problem.seed)
        if s.image_initialization == "projection"
        else None
    )
    objective = Objective(
        _convolution(problem), blurred, GeneratorPrior(problem.image_prior, latents), _kernel(problem), terms,
        cpu_generator(problem.seed), s.restarts,
    )  # fmt: skip
    search = alternate(
        objective,
        [*trainable(objective.kernel_block), *trainable(objective.image_block)],
        steps=s.steps,
        rate=lambda step: s.learning_rate * math.exp(-step / s.decay_steps),
    )
    status = yield from map_states(search, lambda state: _snapshot(state, objective.estimate(), "misfit"))
    return _least_misfit(objective.estimate(), status.code == StatusCode.DIVERGED)


def relaxed(problem: Problem) -> Recipe:
    """Run algorithm 2: a free image near the generator's range (Asim 2020, eq. 10 and table III).

    ``min over i, z_i, z_k of |y - i * k|^2 + tau |i - G_I(z_i)|^2 / (C Y X) + zeta |y - G_I(z_i) * k|^2
    + rho |i|_tv`` with ``k = G_K(z_k)``: misfits and (anisotropic) total variation are sums over pixels and channels,
    the distance of the images is their mean, as in the authors' code. The weights of the two misfits are those of
    eq. 10, 1 for the free image and zeta = 0.5 for the generator's; the code has them the other way round. The result
    is the restart whose free image, clipped to [0, 1], has the least residual.
    """
    s, blurred = problem.settings, problem.blurred
    assert isinstance(s, RelaxedSettings)
    if s.schedule == "fast":
        return (yield from fast_relaxed(problem))
    assert problem.image_prior is not None
    channels, pixels = blurred.shape[1], blurred[0].numel()
    terms = {
        "misfit": Term(lambda e: summed_squared_error(e.model[:, :channels], e.data[:, :channels])),
        "range misfit": Term(
            lambda e: summed_squared_error(e.model[:, channels:], e.data[:, channels:]), s.generator_data_weight
        ),
        "distance": Term(lambda e: squared_error(e.image[:, :channels], e.image[:, channels:]), s.range_weight),
        "total variation": Term(
            lambda e: pixels * total_variation(e.image[:, :channels], isotropic=False), s.total_variation
        ),
    }
    free = FreeImage(torch.full_like(blurred, 0.5), spread=0.1)
    objective = Objective(
        _convolution(problem, images=2), blurred.repeat(1, 2, 1, 1), SlackPrior(problem.image_prior, free),
        _kernel(problem), terms, cpu_generator(problem.seed), s.restarts,
    )  # fmt: skip
    optimiser = torch.optim.Adam(
        [*trainable(objective.image_block), *trainable(objective.kernel_block)], lr=s.learning_rate
    )

    def free_part() -> Estimate:
        both = objective.estimate()
        image = both.image[:, :channels].clamp(0, 1)
        return Estimate(
            image, both.kernel, objective.operator(both.kernel, image), blurred, both.image_penalty, both.kernel_penalty
        )

    search = minimise(objective, optimiser, steps=s.steps)
    status = yield from map_states(search, lambda state: _snapshot(state, free_part(), "misfit"))
    best = _least_misfit(free_part(), status.code == StatusCode.DIVERGED)
    in_range = objective.estimate().image[best.selected, None, channels:]
    return replace(best, extra_images=best.extra_images | {GENERATOR_ESTIMATE: in_range})


def _convolution(problem: Problem, images: int = 1) -> Convolution:
    """Build the periodic convolution of the articles for ``images`` images, concatenated along the channels."""
    channels, height, width = problem.blurred.shape[1:]
    if problem.kernel is not None:
        kh, kw = problem.kernel.shape[-2:]
    else:
        assert problem.kernel_prior is not None
        kh, kw = problem.kernel_prior.card.size[:2]
    return Convolution((kh, kw), (images * channels, height, width))


def _kernel(problem: Problem) -> Prior:
    """Return the prior of the kernel: its generator, or the known kernel."""
    if problem.kernel is not None:
        return Known(problem.kernel)
    assert problem.kernel_prior is not None
    return GeneratorPrior(problem.kernel_prior)


def _snapshot(state: LoopState, now: Estimate, misfit: str) -> Snapshot:
    """Return a snapshot of the restart whose loss of this name is the lowest."""
    losses = {name: torch.from_numpy(value) for name, value in state.losses.items()}
    best = int(losses[misfit].argmin())
    return Snapshot(state.step, state.total, "Image and kernel", *_restart(now, best), losses)


def _least_misfit(final: Estimate, diverged: bool) -> Solution:
    """Return the solution of the restart of least squared error."""
    misfits = summed_squared_error(final.model, final.data)
    best = int(misfits.nan_to_num(nan=math.inf).argmin())
    extra_images = {RESTART_STD: final.image.std(0, keepdim=True)} if len(final.image) > 1 else {}
    return Solution(*_restart(final, best), selected=best, diverged=diverged, extra_images=extra_images)


def _restart(estimate: Estimate, row: int) -> tuple[Tensor, Tensor]:
    """Return image and kernel of one restart; a known kernel is shared by all."""
    return estimate.image[row : row + 1], estimate.kernel[min(row, len(estimate.kernel) - 1)][None]
