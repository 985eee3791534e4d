"""Deconvolve by Wiener's filter: one step, for a first look or a first iterate."""

from __future__ import annotations

import torch
from torch import Tensor

from ..operators.finite_differences import Weights, differences, slope_power
from ..operators.noise import NoiseModel
from ..operators.observation import Observation
from ..operators.spatial import spatial_axes

SLOPE_RATIO = 50.0  # mean square slope of a sharp volume over that of the blurred one


@torch.no_grad()
def wiener(observation: Observation, transfer: Tensor, noise: NoiseModel, weights: Weights | None = None) -> Tensor:
    """Minimize the squared misfit with a quadratic penalty on differences; the canvas is filled by nearest pixels.

    Parameters
    ----------
    observation : Observation
    transfer : Tensor
        Transfer function of the kernel on the canvas.
    noise : NoiseModel
    weights : sequence of float, optional
        Of differences along each axis.

    Returns
    -------
    Tensor [R, C, (Z,) Y, X]
        On the canvas; may be negative.

    Notes
    -----
    ``x = F^-1[conj(K) Y / (|K|^2 + v L / g)]``, v the mean variance of the noise, L the power of the differences, g the
    mean square slope that a sharp image is taken to have.
    """
    data = observation.extend_nearest()
    axes, shape = spatial_axes(data), observation.shape
    variance = noise.mean_variance(observation.crop(observation.canvas))
    noise_slope = 2 * variance * sum(w * w for w in weights or (1.0,) * len(axes))
    slope = differences(data, weights).square().sum(0).mean(axes, keepdim=True)
    slope = SLOPE_RATIO * (slope - noise_slope).clamp(min=0.01 * variance)
    spectrum = torch.fft.rfftn(data, dim=axes) * transfer.conj()
    penalty = slope_power(shape, data.device, weights) * variance / slope
    spectrum /= (transfer.abs().square() + penalty).clamp(min=1e-9)
    return torch.fft.irfftn(spectrum, s=shape, dim=axes)
