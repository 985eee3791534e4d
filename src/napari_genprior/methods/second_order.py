"""Algorithms 1 and 2 reached sooner: the same objectives, second-order steps from many starts, of which few remain."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace

import torch
from torch import Tensor

from ..core.result import SPREAD
from ..deconvolution.total_variation import POWER
from ..operators.data_fidelity import censored_error, censored_std, summed_squared_error
from ..operators.noise import noise_std
from ..optim.batched_lbfgs import LbfgsState
from ..optim.successive_halving import halving
from ..settings import GeneratorSettings, RelaxedSettings
from .base import Problem, Recipe, Snapshot, Solution
from .evidence_ranking import by_evidence
from .initialization import starts
from .latent_pair import Pair
from .range_slack import profile_objective, solve_image

LARGE_NOISE = 0.02  # fraction of the range; above it the misfit knows of clipping
USUAL_NOISE = 0.01  # the papers', for which algorithm 2's weights were chosen
RIDGE = 0.01  # of algorithm 1 where algorithm 2 falls back on it (Asim 2020, table II)
STARTS = 2  # times the published number of restarts: most drop out soon
SHOWN_EVERY = 5  # updates
USUAL_STEPS = 300  # until a search rests; what progress is measured by, as the allowed number is seldom made


class _Strict:
    """Algorithm 1's objective; with strong noise, a better one.

    Images are cut to [0, 1], which moves the mean of noisy backgrounds. So above :data:`LARGE_NOISE` the misfit
    is the likelihood of cut Gaussian noise (:func:`~..operators.data_fidelity.censored_error`), its standard deviation found
    between the rounds, and the ridges are at least what that noise asks for, ``sigma^2``.
    """

    def __init__(self, pair: Pair, blurred: Tensor, image_latent_weight: float, kernel_latent_weight: float) -> None:
        self.pair, self.blurred = pair, blurred
        self.ridges = image_latent_weight, kernel_latent_weight
        self.noise = float(noise_std(blurred).mean())
        self.noisy = self.noise > LARGE_NOISE

    def __call__(self, points: Tensor, rows: Tensor) -> Tensor:
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
        """What is to be done between rounds: with strong noise, to learn it from the best point's residual."""
        return self._learn_noise if self.noisy else None

    def _learn_noise(self, best: Tensor) -> None:
        self.noise = censored_std(self.pair.model(best), self.blurred)


def fast_generator(problem: Problem) -> Recipe:
    """Algorithm 1 (:func:`~.pretrained.generator`), its objective as :class:`_Strict` has it.

    Of the finalists the one of the most evidence wins (:func:`~.ranking.by_evidence`), with strong noise, of which that
    does not know that it is cut off, the one of the least objective.
    """
    s, pair = problem.settings, Pair(problem)
    assert isinstance(s, GeneratorSettings)
    objective = _Strict(pair, problem.blurred, s.image_latent_weight, s.kernel_latent_weight)
    points = starts(problem, pair, STARTS * s.restarts)
    search = halving(objective, points, steps=s.steps, between=objective.between)
    final = yield from _search(search, pair, s.steps)
    if not objective.noisy:
        final = by_evidence(final, problem, pair)
    with torch.no_grad():
        return _solution(*pair.decode(final.x), final)


def fast_relaxed(problem: Problem) -> Recipe:
    """Algorithm 2 (:func:`~.pretrained.relaxed`), from where algorithm 1 ends: its own landscape is the rougher one.

    Algorithm 1's finalists are ranked by their evidence, and one goes on. On digits its objective ends a third lower
    so than from random starts, and the images are 3 dB better. The free image is eliminated while the latents are
    sought. That leaves out the total variation, which comes last, by ADMM for the kernel and generator image that
    were found. With strong noise a free image explains too much of it for the kernel to be found: then the latents
    stay those of algorithm 1, and range_weight and total variation grow with the noise.
    """
    assert isinstance(problem.settings, RelaxedSettings)
    s, blurred, pair = problem.settings, problem.blurred, Pair(problem)
    strict = _Strict(pair, blurred, RIDGE, RIDGE)

    def with_slack(points: Tensor, rows: Tensor) -> Tensor:
        return profile_objective(*pair.decode(points), blurred, s)

    points = starts(problem, pair, STARTS * s.restarts)
    search = halving(strict, points, steps=s.steps, between=strict.between)
    final = yield from _search(search, pair, s.steps)
    if strict.noisy:
        noisier = max(strict.noise / USUAL_NOISE, 1.0)
        weights = {"range_weight": s.range_weight * noisier**2, "total_variation": s.total_variation * noisier**POWER}
        s = s.model_copy(update=weights)
    else:
        final = by_evidence(final, problem, pair)
        search = halving(with_slack, final.x[:1], steps=s.steps - final.step)
        final = yield from _search(search, pair, s.steps, final.step)
    with torch.no_grad():
        in_range, kernels = pair.decode(final.x)
    solution = _solution(solve_image(in_range, kernels, blurred, s).clamp(0, 1), kernels, final)
    return replace(solution, extras=solution.extras | {"generator image": in_range[:1]})


def _search(
    search: Generator[LbfgsState, None, LbfgsState], pair: Pair, steps: int, done: int = 0
) -> Generator[Snapshot, None, LbfgsState]:
    """Drive a search that begins after ``done`` of ``steps`` updates, showing its best point now and then."""
    while True:
        try:
            state = next(search)
        except StopIteration as end:
            return end.value
        if state.step % SHOWN_EVERY == 0:
            with torch.no_grad():
                image, kernel = pair.decode(state.x[:1])
            step = done + state.step
            total = min(steps, max(USUAL_STEPS, round(1.25 * step)))
            yield Snapshot(step, total, "image and kernel", image, kernel, {"total": state.values})


def _solution(images: Tensor, kernels: Tensor, final: LbfgsState) -> Solution:
    """Of the finalists, the best first."""
    diverged = not bool(torch.isfinite(final.values[0]))
    extras = {SPREAD: images.std(0, keepdim=True)} if len(images) > 1 else {}
    candidates = [(kernel[None], float(value)) for kernel, value in zip(kernels, final.values, strict=False)]
    return Solution(images[:1], kernels[:1], diverged=diverged, candidates=candidates, extras=extras)
