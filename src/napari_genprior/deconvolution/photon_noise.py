"""Deconvolve images and volumes >= 0 with photon noise: differences count relative to the noise beside them.

A difference of ten photons is nothing where there are a thousand, and a structure where there are none. So what
:func:`.total_variation.tv_admm` penalizes is divided by the standard deviation of the noise at the local intensity.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import count
from typing import NamedTuple

from torch import Tensor

from ..core.iteration import run_to_end
from ..operators.finite_differences import Weights
from ..operators.noise import NoiseModel
from ..operators.observation import Observation
from .estimated_error import Halves
from .splitting import Splitting
from .state import Deconvolution
from .total_variation import tv_admm
from .wiener import wiener

STEPS = 60
RHO_DATA, MOST_RHO_DATA = 2.0, 0.1  # penalty of the data: a multiple of the noise's standard deviation, at most
JUMP = 1.0  # fraction of the range: a step of the image that is taken for an edge at once
TOLERANCE = 1e-3  # a relative change below this ends it

STRONGEST, HALVINGS = 0.16, 6  # of the strengths that are compared
FLAT_FACTOR, FLAT_HALVINGS = 4.0, 2  # the same, over the strength for most specimens
CLEARLY, RISEN = 0.99, 1.005  # ratios of errors: better; worse than before, so that weaker ones are not tried
MOST_TRIALS = HALVINGS + FLAT_HALVINGS + 4  # one with each strength, and one more at the end of both
TRIAL_STEPS, LAST_TRIAL_STEPS = 10, 30  # with each from where the last one ended; with the one that is chosen


class Strength(NamedTuple):
    """Weights of the first and the second differences over the noise; ``first`` > 0."""

    first: float
    second: float

    def times(self, factor: float) -> Strength:
        """Multiply both."""
        return Strength(factor * self.first, factor * self.second)


SMOOTH, FLAT = Strength(0.5, 1.0), Strength(1.0, 0.0)  # of most specimens, and of flat areas with sharp edges


def restore_photons(
    observation: Observation,
    transfer: Tensor,
    noise: NoiseModel,
    weights: Weights | None = None,
    *,
    strength: Strength,
    steps: int = STEPS,
    start: Tensor | None = None,
) -> Deconvolution:
    """Restore an image or volume >= 0 for a given kernel, yielding each iterate.

    ``min_x sum (k * x - y)^2 / (2 v) + sum (first |D x| + second |D^2 x|) / s``

    Parameters
    ----------
    observation, transfer, weights
        As for :func:`~.total_variation.tv_admm`.
    noise : NoiseModel
        v, at ``k * x``, and ``s^2``, at the local mean of x.
    strength : Strength
        The two weights, see :func:`choose_strength`.
    start : Tensor, optional
        By default Wiener's filter.
    """
    std = noise.mean_variance(observation.crop(observation.canvas)) ** 0.5
    splitting = Splitting(
        min(RHO_DATA * std, MOST_RHO_DATA), max(strength) * std / JUMP, strength.second / strength.first,
        non_negative=True, relative=True, tolerance=TOLERANCE,
    )  # fmt: skip
    if start is None:
        start = wiener(observation, transfer, noise, weights).clamp(min=0)
    return tv_admm(observation, transfer, strength.first / std, splitting, noise, weights, steps=steps, start=start)


def choose_strength(halves: Halves) -> Generator[int, None, Strength]:
    """Choose the strength of :func:`restore_photons` with the least estimated error; yields the number of each trial.

    Most specimens want second differences small; those of flat areas with sharp edges, first differences alone, which
    must be clearly better: the estimate errs too.
    """
    trials = count(1)
    smooth = yield from _least_error(halves, SMOOTH, STRONGEST, HALVINGS, trials)
    flat = yield from _least_error(halves, FLAT, FLAT_FACTOR * smooth[1].second, FLAT_HALVINGS, trials)
    return flat[1] if flat[0] < CLEARLY * smooth[0] else smooth[1]


def _least_error(
    halves: Halves, kind: Strength, strongest: float, halvings: int, trials: Iterator[int]
) -> Generator[int, None, tuple[float, Strength]]:
    """Go from strong to weak until the error rises; returns the error at the bottom of its parabola, and the strength.

    That error is of more steps than those of the trials: solvers are compared by it.
    """
    errors: list[float] = []
    x = None
    for n in range(halvings + 1):
        yield next(trials)
        x = _trial(halves, kind.times(strongest / 2**n), TRIAL_STEPS if n else 2 * TRIAL_STEPS, x)
        errors.append(halves.error(x))
        if min(errors[-2:]) > RISEN * min(errors):  # one may be worse because its start was of another strength
            break
    best = errors.index(min(errors))
    place = float(best)
    if 0 < best < len(errors) - 1:
        before, at, after = errors[best - 1 : best + 2]
        place += 0.5 * (before - after) / max(before - 2 * at + after, 1e-30)
    strength = kind.times(strongest / 2**place)
    yield next(trials)
    return halves.error(_trial(halves, strength, LAST_TRIAL_STEPS, x)), strength


def _trial(halves: Halves, strength: Strength, steps: int, start: Tensor | None) -> Tensor:
    """Restore the training half."""
    return run_to_end(
        restore_photons(
            halves.training, halves.transfer, halves.noise, halves.weights, strength=strength, steps=steps, start=start
        )
    ).image
