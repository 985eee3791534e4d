"""Deconvolve with total variation: images and volumes, with unknown borders, saturation and non-uniform noise.

One algorithm (:func:`tv_admm`) serves two problems: images, whose data count alike and whose differences of second
order are penalized too (:func:`deconvolve`), and volumes >= 0 with photon noise (:func:`tv_weighted`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..core.iteration import run_to_end
from ..operators.convolution import apply_transfer, transfer_function
from ..operators.finite_differences import Weights, slope_power
from ..operators.noise import NoiseModel
from ..operators.observation import Observation, pad_periodic
from ..operators.observed import Observed
from ..operators.spatial import spatial_axes
from .splitting import ADAPT_EVERY, ADAPT_UNTIL, Splitting, SplitVariables
from .state import Deconvolution, DeconvolutionState
from .wiener import wiener

REFERENCE_NOISE = 0.01  # standard deviation, fraction of the range, at which ...
REFERENCE_STRENGTH = {2: 3e-4, 3: 1.3e-4}  # ... these restore simulated images and volumes best; ...
STRENGTH_POWER = 1.4  # ... elsewhere the strength goes with this power of the noise
STEPS, VOLUME_STEPS = 50, 25  # of the splitting; 80 for volumes gain 0.1 dB
SECOND_ORDER = 0.5  # weight of second-order over first-order total variation, of images
# Penalties of the splitting set the speed, not the solution. Those of images need a third of the steps that fixed ones
# did. Of volumes, with little noise and a large penalty of the data, what the kernel hardly passes (and the end planes,
# half of whose light is missing) comes only after hundreds of steps.
RHO_DATA, RHO_DATA_POWER = 0.04, 0.4  # images; less where the strength is above its reference
VOLUME_RHO_DATA, VOLUME_RHO_DATA_MOST = 2.0, 0.1  # volumes: a multiple of the noise, at most
JUMP, VOLUME_JUMP = 0.2, 0.3  # fraction of the range: a step of the image that is taken for an edge at once
LEAST_STRENGTH = 1e-7  # without regularization the splitting still needs some
VOLUME_TOLERANCE = 1e-3  # a relative change below this ends it
UNIT_NOISE = NoiseModel(0.0, 1.0)


def strength_for(noise: float, dimensions: int = 2) -> float:
    """Choose the weight of the total variation beside half the squared misfit, by the noise's standard deviation.

    Intensities and noise in [0, 1]; for images (2 dimensions) or volumes (3).
    """
    return REFERENCE_STRENGTH[dimensions] * (noise / REFERENCE_NOISE) ** STRENGTH_POWER


def image_splitting(strength: float) -> Splitting:
    """Choose the splitting for images in [0, 1]."""
    strength = max(strength, LEAST_STRENGTH)
    rho_data = RHO_DATA * min(1.0, REFERENCE_STRENGTH[2] / strength) ** RHO_DATA_POWER
    return Splitting(rho_data, strength / JUMP, SECOND_ORDER)


def deconvolve(
    blurred: Tensor | Observed, kernel: Tensor, strength: float, steps: int = STEPS, periodic: bool = False
) -> Tensor:
    """Restore an image for a given kernel by total variation of first and second order.

    ``min_x |m (k * x - y)|^2 / 2 + strength (|D x|_1 + SECOND_ORDER |D^2 x|_1)``

    Parameters
    ----------
    blurred : Tensor [R, C, Y, X] or Observed
        Intensities in [0, 1]; of a plain tensor, values at the ends of the range count as clipped.
    kernel : Tensor [R, 1, kh, kw]
        >= 0, sum 1; either R may be 1. The mask m is 1 on the image and 0 beyond it: there the data are unknown,
        and x is free.
    strength : float
        Total-variation weight; see :func:`strength_for`.
    steps : int
        Of ADMM.
    periodic : bool
        The image is periodic: nothing is unknown.

    Returns
    -------
    Tensor [R, C, Y, X]

    References
    ----------
    M. Almeida, M. Figueiredo, "Deconvolving images with unknown boundaries using the alternating direction method
    of multipliers", IEEE Trans. Image Processing 22(8), 2013.
    """
    observation = pad_periodic(blurred, kernel.shape[2:], periodic)
    return observation.crop(deconvolve_canvas(observation, kernel, strength, steps))


def deconvolve_canvas(observation: Observation, kernel: Tensor, strength: float, steps: int = STEPS) -> Tensor:
    """Restore the whole canvas ``[R, C, Y, X]`` as :func:`deconvolve` does an image."""
    transfer = transfer_function(kernel, observation.shape)
    return run_to_end(tv_admm(observation, transfer, strength, image_splitting(strength), steps=steps)).image


def tv_weighted(
    observation: Observation,
    transfer: Tensor,
    noise: NoiseModel,
    weights: Weights | None = None,
    *,
    strength: float,
    steps: int = VOLUME_STEPS,
    start: Tensor | None = None,
) -> Deconvolution:
    """Restore a volume >= 0 with photon noise by :func:`tv_admm`, starting from Wiener's filter by default.

    ``strength`` is that of :func:`strength_for` over the mean variance of the noise.
    """
    variance = noise.mean_variance(observation.crop(observation.canvas))
    rho_data = min(VOLUME_RHO_DATA * variance**0.5, VOLUME_RHO_DATA_MOST)
    rho = strength * variance / VOLUME_JUMP
    splitting = Splitting(rho_data, rho, non_negative=True, tolerance=VOLUME_TOLERANCE)
    if start is None:
        start = wiener(observation, transfer, noise, weights).clamp(min=0)
    return tv_admm(observation, transfer, strength, splitting, noise, weights, steps=steps, start=start)


@torch.no_grad()
def tv_admm(
    observation: Observation,
    transfer: Tensor,
    strength: float,
    splitting: Splitting,
    noise: NoiseModel = UNIT_NOISE,
    weights: Weights | None = None,
    *,
    steps: int = STEPS,
    start: Tensor | None = None,
) -> Deconvolution:
    """Minimize ``sum (k * x - y)^2 / (2 v) + strength (|D x|_1 + second_order |D^2 x|_1)``, yielding each iterate.

    Parameters
    ----------
    observation : Observation
        Missing and saturated pixels bound ``k * x`` on one side or not at all.
    transfer : Tensor
        Transfer function of the kernel on the canvas, ``[R, 1, (Z,) Y, X // 2 + 1]``.
    strength : float
        Weight of the total variation, in units of the noise: where v is 1, that of :func:`strength_for`.
    splitting : Splitting
    noise : NoiseModel
        v, at ``k * x``; by default 1.
    weights : sequence of float, optional
        Of differences along each axis: one over the voxel's sides.
    start : Tensor [R, C, (Z,) Y, X], optional
        By default the canvas, which is also taken for its own blurred image.

    Notes
    -----
    ADMM with the blurred image, its differences and where wished its non-negative copy split off. Since v follows the
    model from step to step, the fixed point is the maximum of the quasi-likelihood for Poisson noise, not that of a
    Gaussian with the data's variance, which is biased at few photons.

    References
    ----------
    M. Figueiredo, J. Bioucas-Dias, "Restoration of Poissonian images using alternating direction optimization", IEEE
    Trans. Image Processing 19(12), 2010. M. Almeida, M. Figueiredo, the same journal 22(8), 2013 (unknown borders).
    """
    rows = max(len(observation.canvas), len(transfer))
    x = model = observation.canvas.expand(rows, *observation.canvas.shape[1:])
    if start is not None:
        x, model = start, apply_transfer(start, transfer)
    axes, shape = spatial_axes(x), observation.shape
    slope = slope_power(shape, x.device, weights)
    to_data, to_rest, to_slopes = _filters(transfer, slope, splitting)
    splits = SplitVariables(observation, x, strength, splitting, noise, weights)
    state, spectrum = DeconvolutionState(0, x, model), torch.fft.rfftn(x, dim=axes)
    for step in range(1, steps + 1):
        if step <= ADAPT_UNTIL and step % ADAPT_EVERY == 1:
            splits.follow(x)
        data, rest = splits.fit_data(model), splits.fit_rest(x)
        spectrum.mul_(to_slopes).add_(torch.fft.rfftn(data, dim=axes).mul_(to_data))
        spectrum.add_(torch.fft.rfftn(rest, dim=axes).mul_(to_rest))
        before, x = x, torch.fft.irfftn(spectrum, s=shape, dim=axes)
        model = torch.fft.irfftn(spectrum * transfer, s=shape, dim=axes)
        state = DeconvolutionState(step, x.clamp(min=0) if splitting.non_negative else x, model)
        yield state
        if splitting.tolerance and float((x - before).norm()) < splitting.tolerance * float(x.norm()):
            break
    return state


def _filters(transfer: Tensor, slope: Tensor, splitting: Splitting) -> tuple[Tensor, Tensor, Tensor]:
    """Solve the least-squares problem of the image step.

    Returns its filters of the split data, of the other split variables, and of the image before, whose differences are
    part of these.
    """
    differences = slope + slope.square() if splitting.second_order else slope
    penalty = differences + 1 if splitting.non_negative else differences
    denominator = splitting.rho_data * transfer.abs().square() + splitting.rho * penalty
    to_rest = splitting.rho / denominator
    return splitting.rho_data * transfer.conj() / denominator, to_rest, to_rest * differences
