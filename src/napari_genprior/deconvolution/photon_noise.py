"""Deconvolve images and volumes >= 0 with photon noise: differences count relative to the noise beside them.

A difference of ten photons is nothing where there are a thousand, and a structure where there are none. So what
:func:`.total_variation.tv_admm` penalizes is divided by the standard deviation of the noise at the local intensity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..core.iteration import run_to_end
from ..operators.convolution import apply_transfer
from ..operators.finite_differences import Weights
from ..operators.noise import NoiseModel
from ..operators.observation import Observation
from .splitting import Splitting, box_mean
from .state import Deconvolution
from .total_variation import tv_admm
from .wiener import wiener

STEPS = 60
RHO_DATA, MOST_RHO_DATA = 2.0, 0.1  # penalty of the data: a multiple of the noise's standard deviation, at most
JUMP = 1.0  # fraction of the range: a step of the image that is taken for an edge at once
TOLERANCE = 1e-3  # a relative change below this ends it

STRONGEST, HALVINGS = 0.16, 6  # of the strengths that are compared
SMOOTH, FLAT = (0.5, 1.0), (1.0, 0.0)  # weights of first and second differences: of most specimens, and of flat areas
TRIAL_STEPS = 15  # with each, from where the last one ended
ADDED_NOISE = 0.5  # times that of the data, in the half that is restored; the other half gets one over it, subtracted
PASSBAND = 1e-2  # power of the transfer function below which a difference of the halves tells little


class Strength(NamedTuple):
    """Weights of the first and the second differences over the noise; ``first`` > 0."""

    first: float
    second: float

    def times(self, factor: float) -> Strength:
        """Multiply both."""
        return Strength(factor * self.first, factor * self.second)


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


@torch.no_grad()
def choose_strength(
    observation: Observation, transfer: Tensor, noise: NoiseModel, weights: Weights | None = None, seed: int = 0
) -> Strength:
    """Choose the strength of :func:`restore_photons` whose result errs least, without knowing the truth.

    Most specimens want second differences small; those of flat areas with sharp edges, first differences alone.

    Notes
    -----
    Noise e as strong as that of the data y splits them into ``y + a e`` and ``y - e / a``, whose errors are independent
    [1]_ (of photons, thinning does the same [2]_). The first is restored, with one strength after the other; the
    second, deconvolved without any prior, is an unbiased measurement of the scene in the passband of the kernel. The
    mean squared difference of the two is the error of the restored image plus a constant. To compare blurred images
    instead would say nothing of noise that the kernel does not pass.

    References
    ----------
    .. [1] N. Oliveira, J. Lei, R. Tibshirani, "Unbiased risk estimation in the normal means problem via coupled
       bootstrap techniques", Electronic Journal of Statistics 18, 2024.
    .. [2] A. Neufeld et al., "Data thinning for convolution-closed distributions", Journal of Machine Learning
       Research 25, 2024.
    """
    data = observation.crop(observation.canvas)
    generator = torch.Generator().manual_seed(seed)
    added = torch.randn(data.shape, generator=generator).to(data) * noise.variance(box_mean(data)).sqrt()
    restored, held_out = data + ADDED_NOISE * added, data - added / ADDED_NOISE
    inverse = transfer.conj() / (transfer.abs().square() + PASSBAND)
    training = observation.with_data(restored)
    more = 1 + ADDED_NOISE**2
    noise = NoiseModel(more * noise.gain, more * noise.read_variance)

    def risk(strength: Strength, start: Tensor | None) -> tuple[float, Tensor]:
        steps = 2 * TRIAL_STEPS if start is None else TRIAL_STEPS
        trial = restore_photons(training, transfer, noise, weights, strength=strength, steps=steps, start=start)
        x = run_to_end(trial).image
        residual = observation.embed(held_out - observation.blur(x, transfer)).mul_(observation.measured)
        return float(observation.crop(apply_transfer(residual, inverse)).square().mean()), x

    return min(_least_risk(risk, *SMOOTH), _least_risk(risk, *FLAT))[1]


def _least_risk(
    risk: Callable[[Strength, Tensor | None], tuple[float, Tensor]], first: float, second: float
) -> tuple[float, Strength]:
    """Go from strong to weak until the risk rises; returns the lowest risk and the strength of its parabola."""
    risks: list[float] = []
    x = None
    for n in range(HALVINGS + 1):
        value, x = risk(Strength(first, second).times(STRONGEST / 2**n), x)
        risks.append(value)
        if n and risks[n] > risks[n - 1]:
            break
    best = risks.index(min(risks))
    place = float(best)
    if 0 < best < len(risks) - 1:
        before, at, after = risks[best - 1 : best + 2]
        place += 0.5 * (before - after) / max(before - 2 * at + after, 1e-30)
    return risks[best], Strength(first, second).times(STRONGEST / 2**place)
