"""Which kernel and how much smoothing suit a volume: those that best foretell voxels which the solve was not shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool3d

from ..core.iteration import run_to_end
from ..deconvolution.volumes import Noise, Weights, strength_for, tv_admm, volume_noise, wiener
from ..operators.volumes import Canvas, Sides, differences, pad_periodic, periodic_axes, sides_of, transfer_function

REGION: Sides = (32, 72, 72)  # voxels in which kernels are judged, where there is most detail
LEFT_OUT = 0.1  # of the voxels; with more of them, or with blocks, kernels too wide are favoured
STRENGTHS = (4.0, 2.0, 1.0, 0.5)  # of the total variation, one after the other
STEPS = 8  # with each ...
QUIET = 0.006  # ... and twice as many in less noise than this: too few, and narrow kernels win
TIE = 0.002  # less smoothing must foretell better by this
UNTOLD = 3.0  # mean squared error over noise; where the best leaves more, it is the kernel that errs, not the smoothing


@dataclass(frozen=True)
class Scene:
    """What all kernels are judged on: the canvas, its noise, the weights of differences, the strength."""

    canvas: Canvas
    noise: Noise
    weights: Weights
    strength: float

    @property
    def typical(self) -> float:
        return self.noise.typical(self.canvas.cut(self.canvas.data))


def scene_of(blurred: Tensor, weights: Weights, margin: Sides) -> Scene:
    """A blurred volume ``[1, 1, Z, Y, X]`` on its canvas."""
    noise = volume_noise(blurred)
    variance = noise.typical(blurred)
    z, y, x = (0 if wraps else m for wraps, m in zip(periodic_axes(blurred, variance), margin, strict=True))
    return Scene(pad_periodic(blurred, (z, y, x)), noise, weights, strength_for(variance**0.5))


@dataclass(frozen=True)
class Trial:
    """A scene some of whose voxels are left out of the solves, to see how well they are foretold.

    Attributes
    ----------
    canvas : Canvas
        Without them.
    filled : Canvas
        With the mean of their neighbours in their place, to start from.
    data : Tensor [1, 1, Z, Y, X]
        All voxels.
    left_out : bool Tensor [1, 1, Z, Y, X]
    """

    scene: Scene
    canvas: Canvas
    filled: Canvas
    data: Tensor
    left_out: Tensor


def trial_of(scene: Scene, data: Tensor, seed: int) -> Trial:
    """Leave out :data:`LEFT_OUT` of the voxels of ``[1, 1, Z, Y, X]``, the same ones for all kernels."""
    random = torch.Generator().manual_seed(seed)
    left_out = (torch.rand(data.shape, generator=random) < LEFT_OUT).to(data.device)
    shown = (~left_out).to(data.dtype)
    near = avg_pool3d(data * shown, 3, 1, 1) / avg_pool3d(shown, 3, 1, 1).clamp(min=1e-3)
    canvas = scene.canvas
    without = Canvas(canvas.spread(data * shown), canvas.spread(shown), canvas.stack)
    filled = Canvas(canvas.spread(torch.where(left_out, near, data)), canvas.inside, canvas.stack)
    return Trial(scene, without, filled, data, left_out)


@torch.no_grad()
def held_out_error(trial: Trial, kernel: Tensor) -> tuple[float, float]:
    """What speaks against a kernel, and the smoothing that suits it, a multiple of the scene's.

    Notes
    -----
    ``mean (k * x - y)^2 / v + log v`` over the voxels left out, v the noise's variance there: twice the negative
    log-likelihood, cross-validated [1]_. Kernels too narrow foretell noise, too wide ones miss what is there. The
    strength of the total variation is found with the kernel: with too little of it, a wider kernel does its work.
    From strong to weak each solve begins where the last one ended, until they foretell worse.

    References
    ----------
    .. [1] S. Reeves, R. Mersereau, "Blur identification by the method of generalized cross-validation", IEEE Trans.
       Image Processing 1(3), 1992.
    """
    scene, canvas = trial.scene, trial.canvas
    transfer = transfer_function(kernel, canvas.sides)
    x = wiener(trial.filled, transfer, scene.noise, scene.weights).clamp(min=0)
    steps = STEPS if scene.typical**0.5 > QUIET else 2 * STEPS
    least, suits = float("inf"), 1.0
    for factor in STRENGTHS:
        strength = factor * scene.strength
        solve = tv_admm(canvas, transfer, scene.noise, scene.weights, strength=strength, steps=steps, start=x)
        x = run_to_end(solve).canvas
        told = canvas.blur(x, transfer)
        variance = scene.noise.variance(told).clamp(min=1e-3 * scene.typical)
        error = float(((told - trial.data).square() / variance)[trial.left_out].mean())
        wrong = error + float(variance.log()[trial.left_out].mean())
        if wrong > least - TIE:
            return min(wrong, least), suits
        least, suits = wrong, factor if error < UNTOLD else 1.0
    return least, suits


def most_textured(volume: Tensor, region: Sides) -> Tensor:
    """The part ``[1, 1, z, y, x]`` of at most ``region`` voxels whose smoothed differences are largest."""
    sides = [min(n, r) for n, r in zip(sides_of(volume), region, strict=True)]
    strides = [max(1, side // 4) for side in sides]
    slopes = differences(avg_pool3d(volume, 3, 1, padding=1), (1.0, 1.0, 1.0)).square().sum(0)
    sums = avg_pool3d(slopes, sides, strides)[0, 0]
    place = np.unravel_index(int(sums.argmax()), sums.shape)
    cut = [slice(int(p) * step, int(p) * step + side) for p, step, side in zip(place, strides, sides, strict=True)]
    return volume[:, :, cut[0], cut[1], cut[2]]
