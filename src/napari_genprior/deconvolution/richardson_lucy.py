"""Deconvolve by Richardson-Lucy: non-negative images with photon noise."""

from __future__ import annotations

import torch
from torch import Tensor

from ..operators.convolution import apply_transfer
from ..operators.data_fidelity import normalized_misfit
from ..operators.finite_differences import Weights, differences, differences_adjoint
from ..operators.noise import NoiseModel
from ..operators.observation import Observation
from .state import Deconvolution, DeconvolutionState

ITERATIONS = 60
MIN_INTENSITY = 1e-6  # working units
TV_FRACTION = 0.1  # of the usual strength: the iteration is stopped by the noise, more only slows it


@torch.no_grad()
def richardson_lucy(
    observation: Observation,
    transfer: Tensor,
    noise: NoiseModel,
    weights: Weights | None = None,
    *,
    strength: float = 0.0,
    steps: int = ITERATIONS,
) -> Deconvolution:
    """Deconvolve by accelerated Richardson-Lucy with total variation, stopped where only noise is left.

    Parameters
    ----------
    observation : Observation
        Of an image or volume >= 0; saturation is not modelled.
    transfer, noise, weights
        As for :func:`~.total_variation.tv_admm`.
    strength : float
        Weight of the total variation, in units of the noise.

    Notes
    -----
    ``x <- x A'(y / A x) / (A' 1 + s d|D x|)``: with the mask in A, ``A' 1`` falls off beyond the data, and light that
    left them is given back [1]_. The strength s is in units of the noise [2]_; steps are continued in the direction of
    the last two [3]_.

    References
    ----------
    .. [1] M. Bertero, P. Boccacci, "A simple method for the reduction of boundary effects in the Richardson-Lucy
       approach to image deconvolution", Astronomy and Astrophysics 437, 2005.
    .. [2] N. Dey et al., "Richardson-Lucy algorithm with total variation regularization for 3D confocal microscope
       deconvolution", Microscopy Research and Technique 69, 2006.
    .. [3] D. Biggs, M. Andrews, "Acceleration of iterative image restoration algorithms", Applied Optics 36(8), 1997.
    """
    data, valid = observation.canvas.clamp(min=0), observation.valid.to(observation.canvas.dtype)
    adjoint, sensitivity = transfer.conj(), apply_transfer(valid, transfer.conj()).clamp(min=1e-3)
    observed = observation.crop(data)
    level = float(observed.mean())
    # the misfit in photons is the weighted one times gain for Poisson noise, and about variance / level for Gaussian
    tv = strength * max(noise.gain, noise.mean_variance(observed) / max(level, MIN_INTENSITY))
    x = torch.full_like(data, level)
    before, last, pace = x, None, 0.0
    state = DeconvolutionState(0, x, x)
    for step in range(1, steps + 1):
        guess = (x + pace * (x - before)).clamp_(min=MIN_INTENSITY)
        model = apply_transfer(guess, transfer).clamp_(min=MIN_INTENSITY)
        total = sensitivity
        if tv > 0:
            total = torch.maximum(_variation_slope(guess, weights, level).mul_(tv).add_(total), 0.1 * total)
        ratio = (valid * data).div_(model)
        before, x = x, apply_transfer(ratio, adjoint).mul_(guess).div_(total).clamp_(min=0)
        move = x - guess
        if last is not None:  # the share of the last step that this one repeats
            pace = float(((move * last).sum() / last.square().sum().clamp(min=1e-30)).clamp(0, 1))
        last = move
        state = DeconvolutionState(step, x, model)
        yield state
        if normalized_misfit(observation, model, noise) <= 1:
            break
    return state


def _variation_slope(x: Tensor, weights: Weights | None, level: float) -> Tensor:
    """Differentiate the total variation of ``x``, smooth where slopes are far below the mean intensity."""
    slope = differences(x, weights)
    slope /= slope.square().sum(0, keepdim=True).sqrt_().add_(0.01 * level)
    return differences_adjoint(slope, weights)
