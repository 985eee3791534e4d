"""The volume for a given kernel: total variation by splitting, Richardson-Lucy, Wiener; and the noise of a volume.

All work on a canvas that is larger than the stack (:mod:`..operators.volumes`) and know where data are: planes above
and below are unknowns. Light that left the stack is not missed, and light that came into it is not mistaken.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..operators.volumes import SPACE, Canvas, apply_transfer, differences, differences_adjoint, slope_power

Weights = tuple[float, float, float]
TAIL = 0.002  # part of the kernel's light, along an axis, whose reach beyond the stack is not modelled
STEPS = 25  # of the splitting; 80 gain 0.1 dB
# Penalties of the splitting: they set its speed, not the solution. With little noise and a large penalty of the data,
# what the kernel hardly passes (and the end planes, half of whose light is missing) comes only after hundreds of steps.
RHO_DATA, RHO_MOST, JUMP = 2.0, 0.1, 0.3  # a multiple of the noise, at most; a jump, part of the range
REFERENCE, POWER = (0.01, 1.3), -0.6  # at this noise this strength, and elsewhere with this power of the noise
REST = 1e-3  # a relative change below this is the end
LUCY_STEPS = 60
FLOOR = 1e-6  # working units
SLOPES = 50.0  # mean square slope of a sharp volume over that of the blurred one, for Wiener's filter
LUCY_SHARE = 0.1  # of the strength, where Richardson-Lucy is stopped by the noise: more only slows it
LEAST_NOISE = 1e-4  # standard deviation, part of the range: data are never trusted further


@dataclass(frozen=True)
class Noise:
    """Variance of the data: ``gain * mean + read``, working units; gain 0 is Gaussian noise, read 0 Poisson."""

    gain: float
    read: float

    def variance(self, mean: Tensor) -> Tensor:
        return self.gain * mean.clamp(min=0) + self.read

    def typical(self, volume: Tensor) -> float:
        """Mean variance over a volume."""
        return max(float(self.variance(volume).mean()), LEAST_NOISE**2)


@dataclass(frozen=True)
class VolumeState:
    """Where a solve stands: the canvas, its mean squared misfit over the noise variance (:func:`misfit_of`)."""

    step: int
    canvas: Tensor
    misfit: float


Solve = Generator[VolumeState, None, VolumeState]


def volume_noise(volume: Tensor) -> Noise:
    """The noise of a blurred volume ``[1, 1, Z, Y, X]``, from what no microscope's blur passes.

    The mixed difference along all three axes keeps white noise and drops what is smooth along any of them. Its square
    is fitted, by least squares that know their own spread, to a line over the local mean, both ends >= 0.
    """
    corner, mean = volume, volume
    for axis in SPACE:
        if volume.shape[axis] > 1:
            last = volume.shape[axis] - 1
            corner = (corner.narrow(axis, 1, last) - corner.narrow(axis, 0, last)) / 2**0.5
            mean = (mean.narrow(axis, 1, last) + mean.narrow(axis, 0, last)) / 2
    square, mean = corner.square().flatten().double(), mean.flatten().clamp(min=0).double()
    read = float(square.mean())
    gain = 0.0
    for _ in range(5):
        spread = (gain * mean + read).clamp(min=LEAST_NOISE**2)  # of a squared normal: sqrt 2 times its mean
        gain, read = _line(mean, square, 1 / spread.square())
    return Noise(gain, max(read, LEAST_NOISE**2))


def misfit_of(canvas: Canvas, blurred: Tensor, noise: Noise) -> float:
    """Mean squared misfit over the noise's variance: about 1 where noise is all that is left."""
    floor = 1e-3 * noise.typical(canvas.cut(canvas.data))
    weighted = (blurred - canvas.data).square() / noise.variance(blurred).clamp(min=floor)
    return float((canvas.inside * weighted).sum() / (canvas.inside.sum() * len(blurred)))


def _line(x: Tensor, y: Tensor, weights: Tensor) -> tuple[float, float]:
    """Slope and offset >= 0 of the weighted least-squares line."""
    total = weights.sum()
    mx, my = (weights * x).sum() / total, (weights * y).sum() / total
    slope = float((weights * (x - mx) * (y - my)).sum() / (weights * (x - mx).square()).sum().clamp(min=1e-30))
    offset = float(my) - slope * float(mx)
    if slope < 0:
        return 0.0, float(my)
    if offset < 0:
        return float((weights * x * y).sum() / (weights * x.square()).sum()), 0.0
    return slope, offset


def strength_for(noise: float) -> float:
    """Weight of the total variation beside half the weighted squared misfit, for a noise level (part of the range)."""
    return REFERENCE[1] * (noise / REFERENCE[0]) ** POWER


def wiener(canvas: Canvas, transfer: Tensor, noise: Noise, weights: Weights) -> Tensor:
    """Least squares with a quadratic penalty on differences: the canvas beyond the stack is filled by nearest voxels.

    ``x = F^-1[conj(K) Y / (|K|^2 + v L / g)]``, v the noise's variance, L the power of the differences, g the mean
    square slope that a sharp volume is taken to have.
    """
    data = filled(canvas)
    variance = noise.typical(canvas.cut(canvas.data))
    slope = slope_power(canvas.sides, weights, data.device)
    own = differences(data, weights).square().sum(0).mean(SPACE, keepdim=True)
    own = SLOPES * (own - 2 * variance * sum(w * w for w in weights)).clamp(min=0.01 * variance)
    spectrum = transfer.conj() * torch.fft.rfftn(data, dim=SPACE)
    spectrum = spectrum / (transfer.abs().square() + variance * slope / own).clamp(min=1e-9)
    return torch.fft.irfftn(spectrum, s=canvas.sides, dim=SPACE)


def filled(canvas: Canvas) -> Tensor:
    """The data, and beyond the stack what lies nearest to it, counted around."""
    x = canvas.data
    for axis, stack, side in zip(SPACE, canvas.stack, canvas.sides, strict=True):
        beyond = torch.arange(side, device=x.device)
        nearest = torch.where(beyond < stack, beyond, torch.where(beyond < (stack + side) / 2, stack - 1, 0))
        x = x.index_select(axis, nearest)
    return x


def tv_admm(
    canvas: Canvas,
    transfer: Tensor,
    noise: Noise,
    weights: Weights = (1.0, 1.0, 1.0),
    *,
    strength: float,
    steps: int = STEPS,
    start: Tensor | None = None,
) -> Solve:
    """``min_{x >= 0} sum (k * x - y)^2 / (2 v) + strength |D x|_1``, v the noise's variance at ``k * x``.

    Parameters
    ----------
    canvas : Canvas
        Working units.
    transfer : Tensor
        Of the kernel, on the canvas.
    weights : (float, float, float)
        Of differences along z, y, x: 1 over the voxel's sides.
    strength : float
        See :func:`strength_for`.
    start : Tensor, optional
        A canvas; by default Wiener's.

    Notes
    -----
    ADMM with the blurred volume, its differences and its non-negative copy split off. Since v follows the model from
    step to step, what the steps rest at is the likeliest volume for Poisson noise (quasi-likelihood), not that of a
    Gaussian with the data's variance, which is biased at few photons.

    References
    ----------
    M. Figueiredo, J. Bioucas-Dias, "Restoration of Poissonian images using alternating direction optimization", IEEE
    Trans. Image Processing 19(12), 2010. M. Almeida, M. Figueiredo, the same journal 22(8), 2013 (unknown borders).
    """
    typical = noise.typical(canvas.cut(canvas.data))
    rho_data, rho = min(RHO_DATA * typical**0.5, RHO_MOST), strength * typical / JUMP
    slope = slope_power(canvas.sides, weights, canvas.data.device)
    denominator = rho_data * transfer.abs().square() + rho * (slope + 1)
    x = wiener(canvas, transfer, noise, weights).clamp(min=0) if start is None else start
    blurred, g = apply_transfer(x, transfer), differences(x, weights)
    u0, u1, u2 = torch.zeros_like(x), torch.zeros_like(g), torch.zeros_like(x)
    state = VolumeState(0, x, float("inf"))
    for step in range(1, steps + 1):
        trust = canvas.inside * (typical / noise.variance(blurred).clamp(min=1e-3 * typical))
        model = blurred + u0
        v = (trust * canvas.data + rho_data * model) / (trust + rho_data)
        u0 = model - v
        model = g + u1
        d = model * (1 - JUMP / model.square().sum(0, keepdim=True).sqrt().clamp(min=1e-12)).clamp(min=0)
        u1 = model - d
        positive = (x + u2).clamp(min=0)
        u2 = x + u2 - positive
        rest = rho * (differences_adjoint(d - u1, weights) + positive - u2)
        spectrum = rho_data * transfer.conj() * torch.fft.rfftn(v - u0, dim=SPACE) + torch.fft.rfftn(rest, dim=SPACE)
        spectrum = spectrum / denominator
        before, x = x, torch.fft.irfftn(spectrum, s=canvas.sides, dim=SPACE)
        blurred = torch.fft.irfftn(spectrum * transfer, s=canvas.sides, dim=SPACE)
        g = differences(x, weights)
        state = VolumeState(step, x.clamp(min=0), misfit_of(canvas, blurred, noise))
        yield state
        if float((x - before).norm()) < REST * float(x.norm()):
            break
    return state


def richardson_lucy(
    canvas: Canvas,
    transfer: Tensor,
    noise: Noise,
    weights: Weights = (1.0, 1.0, 1.0),
    *,
    strength: float = 0.0,
    steps: int = LUCY_STEPS,
) -> Solve:
    """Accelerated Richardson-Lucy with total variation, stopped where noise is all that is left.

    ``x <- x A'(y / A x) / (A' 1 + s d|D x|)``: with the mask in A, ``A' 1`` falls off beyond the stack, and light that
    left it is given back [1]_. The strength s of :func:`strength_for` is in units of the noise [2]_; steps go on in the
    direction of the last two [3]_.

    References
    ----------
    .. [1] M. Bertero, P. Boccacci, "A simple method for the reduction of boundary effects in the Richardson-Lucy
       approach to image deconvolution", Astronomy and Astrophysics 437, 2005.
    .. [2] N. Dey et al., "Richardson-Lucy algorithm with total variation regularization for 3D confocal microscope
       deconvolution", Microscopy Research and Technique 69, 2006.
    .. [3] D. Biggs, M. Andrews, "Acceleration of iterative image restoration algorithms", Applied Optics 36(8), 1997.
    """
    data = canvas.data.clamp(min=0)
    seen = apply_transfer(canvas.inside, transfer.conj()).clamp(min=1e-3)
    level = float(canvas.cut(data).mean())
    # the misfit in photons is the weighted one times gain at Poisson noise, and about typical / level at Gaussian
    tv = strength * max(noise.gain, noise.typical(canvas.cut(data)) / max(level, FLOOR))
    x = torch.full_like(data, level)
    before, last, pace = x, None, 0.0
    state = VolumeState(0, x, float("inf"))
    for step in range(1, steps + 1):
        guess = (x + pace * (x - before)).clamp(min=FLOOR)
        blurred = apply_transfer(guess, transfer).clamp(min=FLOOR)
        total = seen
        if tv > 0:
            g = differences(guess, weights)
            g = g / (g.square().sum(0, keepdim=True).sqrt() + 0.01 * level)
            total = (seen + tv * differences_adjoint(g, weights)).clamp(min=0.1 * seen)
        ratio = canvas.inside * data / blurred
        before, x = x, (guess * apply_transfer(ratio, transfer.conj()) / total).clamp(min=0)
        move = x - guess
        if last is not None:
            pace = float((move * last).sum() / last.square().sum().clamp(min=1e-30))
            pace = min(max(pace, 0.0), 1.0)
        last = move
        state = VolumeState(step, x, misfit_of(canvas, blurred, noise))
        yield state
        if state.misfit <= 1:
            break
    return state
