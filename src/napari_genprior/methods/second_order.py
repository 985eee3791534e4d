"""Fast versions of algorithms 1 and 2 of Asim 2020: the same objectives, second-order steps and successive halving.

References
----------
"Asim 2020": Asim, Shamshad and Ahmed, Blind image deconvolution using deep generative priors, IEEE TCI 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace

import torch
from torch import Tensor

from ..core.result import GENERATOR_ESTIMATE, RESTART_STD
from ..deconvolution.total_variation import STRENGTH_POWER
from ..operators.data_fidelity import censored_error, censored_std, summed_squared_error
from ..operators.noise import noise_std
from ..optim.batched_lbfgs import LbfgsState
from ..optim.successive_halving import halving
from ..settings import GeneratorSettings, RelaxedSettings
from .base import Problem, Recipe, Snapshot, Solution
from .evidence_ranking import by_evidence
from .initialization import initial_points
from .latent_pair import Pair
from .range_slack import profile_objective, solve_image

LARGE_NOISE = 0.02  # fraction of the range; above it the misfit accounts for clipping
USUAL_NOISE = 0.01  # of Asim 2020, for which the weights of algorithm 2 were chosen
RIDGE = 0.01  # of algorithm 1 where it initializes algorithm 2 (Asim 2020, table II)
POINTS_PER_RESTART = 2  # initial points, times the published number of restarts: most are dropped early
REPORT_EVERY = 5  # updates
USUAL_STEPS = 300  # until convergence; the progress refers to it, since the allowed number is seldom reached


class InRangeObjective:
    """Objective of algorithm 1, with a likelihood of clipped noise where the noise is strong.

    Images are clipped to [0, 1], which shifts the mean of noisy backgrounds. Above :data:`LARGE_NOISE` the misfit is
    therefore the likelihood of clipped Gaussian noise (:func:`~..operators.data_fidelity.censored_error`), its
    standard deviation is estimated between the rounds, and the ridges are at least ``sigma^2``.

    Parameters
    ----------
    pair : Pair
    blurred : Tensor [1, C, Y, X]
    image_latent_weight, kernel_latent_weight : float
        Ridges: weights of the squared norms of the latents.
    """

    def __init__(self, pair: Pair, blurred: Tensor, image_latent_weight: float, kernel_latent_weight: float) -> None:
        self.pair, self.blurred = pair, blurred
        self.ridges = image_latent_weight, kernel_latent_weight
        self.noise = float(noise_std(blurred).mean())
        self.noisy = self.noise > LARGE_NOISE

    def __call__(self, points: Tensor, rows: Tensor) -> Tensor:
        """Evaluate the objective of points ``[n, d]``, ``[n]``."""
        model = self.pair.model(points)
        image, kernel = self.pair.squared_norms(points)
        if not self.noisy:
            return summed_squared_error(model, self.blurred) + self.ridges[0] * image + self.ridges[1] * kernel
        image_latent_weight, kernel_latent_weight = (max(ridge, self.noise**2) for ridge in self.ridges)
        return (
            censored_error(model, self.blurred, self.noise)
            + image_latent_weight * image
            + kernel_latent_weight * kernel
        )

    @property
    def between(self) -> Callable[[Tensor], None] | None:
        """Return the action between rounds: with strong noise, estimate it from the best point's residual."""
        return self._estimate_noise if self.noisy else None

    def _estimate_noise(self, best: Tensor) -> None:
        self.noise = censored_std(self.pair.model(best), self.blurred)


def fast_generator(problem: Problem) -> Recipe:
    """Run algorithm 1 (:func:`~.generator.generator`) with second-order steps and :class:`InRangeObjective`.

    The result is the finalist of the highest evidence (:func:`~.evidence_ranking.by_evidence`). With strong noise it is
    the one of the lowest objective, since the evidence does not account for clipping.
    """
    s, pair = problem.settings, Pair(problem)
    assert isinstance(s, GeneratorSettings)
    objective = InRangeObjective(pair, problem.blurred, s.image_latent_weight, s.kernel_latent_weight)
    points = initial_points(problem, pair, POINTS_PER_RESTART * s.restarts)
    search = halving(objective, points, steps=s.steps, between=objective.between)
    final = yield from _search(search, pair, s.steps)
    if not objective.noisy:
        final = by_evidence(final, problem, pair)
    with torch.no_grad():
        return _solution(*pair.decode(final.x), final)


def fast_relaxed(problem: Problem) -> Recipe:
    """Run algorithm 2 (:func:`~.generator.relaxed`), initialized by algorithm 1, whose objective is smoother.

    The best finalist of algorithm 1, by its evidence, is refined. On digits the objective is then a third lower than
    from random initial points, and the images are 3 dB better. The free image is eliminated during the optimization of
    the latents. This leaves out the total variation, which is applied at the end, by ADMM for the estimated kernel and
    generator image. With strong noise a free image explains too much of it for the kernel to be estimated: the latents
    are then those of algorithm 1, and range_weight and total_variation grow with the noise.
    """
    assert isinstance(problem.settings, RelaxedSettings)
    s, blurred, pair = problem.settings, problem.blurred, Pair(problem)
    in_range_objective = InRangeObjective(pair, blurred, RIDGE, RIDGE)

    def with_slack(points: Tensor, rows: Tensor) -> Tensor:
        return profile_objective(*pair.decode(points), blurred, s)

    points = initial_points(problem, pair, POINTS_PER_RESTART * s.restarts)
    search = halving(in_range_objective, points, steps=s.steps, between=in_range_objective.between)
    final = yield from _search(search, pair, s.steps)
    if in_range_objective.noisy:
        ratio = max(in_range_objective.noise / USUAL_NOISE, 1.0)
        variation = s.total_variation * ratio**STRENGTH_POWER
        s = s.model_copy(update={"range_weight": s.range_weight * ratio**2, "total_variation": variation})
    else:
        final = by_evidence(final, problem, pair)
        search = halving(with_slack, final.x[:1], steps=s.steps - final.step)
        final = yield from _search(search, pair, s.steps, final.step)
    with torch.no_grad():
        in_range, kernels = pair.decode(final.x)
    solution = _solution(solve_image(in_range, kernels, blurred, s).clamp(0, 1), kernels, final)
    return replace(solution, extra_images=solution.extra_images | {GENERATOR_ESTIMATE: in_range[:1]})


def _search(
    search: Generator[LbfgsState, None, LbfgsState], pair: Pair, steps: int, done: int = 0
) -> Generator[Snapshot, None, LbfgsState]:
    """Run a search that begins after ``done`` of ``steps`` updates, with snapshots of its best point."""
    while True:
        try:
            state = next(search)
        except StopIteration as end:
            return end.value
        if state.step % REPORT_EVERY == 0:
            with torch.no_grad():
                image, kernel = pair.decode(state.x[:1])
            step = done + state.step
            total = min(steps, max(USUAL_STEPS, round(1.25 * step)))
            yield Snapshot(step, total, "Image and kernel", image, kernel, {"total": state.values})


def _solution(images: Tensor, kernels: Tensor, final: LbfgsState) -> Solution:
    """Return the solution of finalists, sorted with the best first."""
    diverged = not bool(torch.isfinite(final.values[0]))
    extra_images = {RESTART_STD: images.std(0, keepdim=True)} if len(images) > 1 else {}
    candidates = [(kernel[None], float(value)) for kernel, value in zip(kernels, final.values, strict=False)]
    return Solution(images[:1], kernels[:1], diverged=diverged, candidates=candidates, extra_images=extra_images)
