"""Algorithms 1 and 2 reached sooner: the same objectives, second-order steps from many starts, of which few remain."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import torch
from torch import Tensor

from ..classical.known_kernel import noise_std
from ..forward.fidelity import censored_error, censored_std, summed_squared_error
from ..result import SPREAD
from ..settings import GeneratorSettings, RelaxedSettings
from ..solvers.halving import halving
from ..solvers.lbfgs import LbfgsState
from .base import Problem, Recipe, Snapshot, Solution
from .pair import Pair
from .slack import eliminated, free_picture
from .starts import starts

LARGE_NOISE = 0.03  # fraction of the range; above it the misfit knows of clipping
STARTS = 2  # times the published number of restarts: most drop out soon
SHOWN_EVERY = 5  # updates


def fast_generator(problem: Problem) -> Recipe:
    """Algorithm 1's objective (:func:`~.pretrained.generator`); with strong noise, a better one.

    Pictures are cut to [0, 1], which moves the mean of noisy backgrounds. So above :data:`LARGE_NOISE` the misfit
    is the likelihood of cut Gaussian noise (:func:`~..forward.fidelity.censored_error`), its standard deviation found
    between the rounds, and the ridges are at least what that noise asks for, ``sigma^2``.
    """
    s, blurred, pair = problem.settings, problem.blurred, Pair(problem)
    assert isinstance(s, GeneratorSettings)
    noise = float(noise_std(blurred).mean())
    noisy = noise > LARGE_NOISE

    def objective(points: Tensor, rows: Tensor) -> Tensor:
        model = pair.model(points)
        misfit = censored_error(model, blurred, noise) if noisy else summed_squared_error(model, blurred)
        image, kernel = pair.squared_norms(points)
        floor = noise**2 if noisy else 0.0
        return misfit + max(s.image_ridge, floor) * image + max(s.kernel_ridge, floor) * kernel

    def between(best: Tensor) -> None:
        nonlocal noise
        if noisy:
            noise = censored_std(pair.model(best), blurred)

    points = starts(problem, pair, STARTS * s.restarts)
    final = yield from _search(halving(objective, points, steps=s.steps, between=between), pair, s.steps)
    with torch.no_grad():
        return _solution(*pair.decode(final.x), final)


def fast_relaxed(problem: Problem) -> Recipe:
    """Algorithm 2's objective (:func:`~.pretrained.relaxed`): the free picture is eliminated while latents are sought.

    That leaves out the total variation, which comes last, by ADMM for the kernel and generator picture that were found.
    """
    s, blurred, pair = problem.settings, problem.blurred, Pair(problem)
    assert isinstance(s, RelaxedSettings)

    def objective(points: Tensor, rows: Tensor) -> Tensor:
        return eliminated(*pair.decode(points), blurred, s)

    points = starts(problem, pair, STARTS * s.restarts)
    final = yield from _search(halving(objective, points, steps=s.steps), pair, s.steps)
    with torch.no_grad():
        in_range, kernels = pair.decode(final.x)
    solution = _solution(free_picture(in_range, kernels, blurred, s).clamp(0, 1), kernels, final)
    return replace(solution, extras=solution.extras | {"generator picture": in_range[:1]})


def _search(
    search: Generator[LbfgsState, None, LbfgsState], pair: Pair, steps: int
) -> Generator[Snapshot, None, LbfgsState]:
    """Drive a search, showing its best point now and then."""
    while True:
        try:
            state = next(search)
        except StopIteration as end:
            return end.value
        if state.step % SHOWN_EVERY == 0:
            with torch.no_grad():
                image, kernel = pair.decode(state.x[:1])
            yield Snapshot(state.step, steps, "picture and kernel", image, kernel, {"total": state.values})


def _solution(images: Tensor, kernels: Tensor, final: LbfgsState) -> Solution:
    """Of the finalists, the best first."""
    diverged = not bool(torch.isfinite(final.values[0]))
    extras = {SPREAD: images.std(0, keepdim=True)} if len(images) > 1 else {}
    return Solution(images[:1], kernels[:1], diverged=diverged, extras=extras)
