"""Choose the kernel and the regularization of a volume by cross-validation on held-out voxels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import avg_pool3d

from ..core.iteration import run_to_end
from ..deconvolution.total_variation import strength_for, tv_weighted
from ..deconvolution.wiener import wiener
from ..operators.boundary import periodic_axes
from ..operators.convolution import crop_kernel, transfer_function
from ..operators.finite_differences import Weights
from ..operators.noise import NoiseModel
from ..operators.observation import Observation, pad_zero
from ..operators.observed import Observed
from ..operators.photon_noise import UNKNOWN, KnownNoise, estimate_noise_model

REGION = (32, 72, 72)  # voxels in which kernels are judged, where there is most detail
HELD_OUT_FRACTION = 0.1  # of the voxels; with more of them, or with blocks, kernels too wide are favoured
STRENGTHS = (4.0, 2.0, 1.0, 0.5)  # factors of the total variation, one after the other
STEPS = 8  # with each ...
LOW_NOISE = 0.006  # ... and twice as many in less noise than this: too few, and narrow kernels win
MIN_GAIN = 0.002  # less regularization must predict better by this
# Mean squared error over the noise: where the best regularization leaves more, it is the kernel that errs. Then less
# regularization only fits its error, and the factor stays 1.
KERNEL_ERROR_MISFIT = 3.0


@dataclass(frozen=True)
class PaddedVolume:
    """Hold what all kernels are judged on.

    Attributes
    ----------
    observation : Observation
        The volume on its canvas.
    noise : NoiseModel
    weights : (float, float, float)
        Of differences along z, y, x.
    strength : float
        Of the total variation, in units of the noise.
    """

    observation: Observation
    noise: NoiseModel
    weights: Weights
    strength: float

    @property
    def noise_variance(self) -> float:
        """Mean variance of the noise."""
        return self.noise.mean_variance(self.observation.crop(self.observation.canvas))

    def transfer(self, kernel: Tensor) -> Tensor:
        """Compute the transfer function of a kernel on the canvas; what is larger than it is cropped."""
        return transfer_function(crop_kernel(kernel, self.observation.shape), self.observation.shape)


def padded_volume(
    blurred: Observed, weights: Weights, margin: Sequence[int], known: KnownNoise = UNKNOWN
) -> PaddedVolume:
    """Place a blurred volume ``[1, 1, Z, Y, X]`` on a canvas, with a margin along the axes where it is not periodic."""
    noise = estimate_noise_model(blurred.values, known)
    variance = noise.mean_variance(blurred.values)
    margin = [0 if wraps else m for wraps, m in zip(periodic_axes(blurred.values, variance), margin, strict=True)]
    return PaddedVolume(pad_zero(blurred, margin), noise, weights, strength_for(variance**0.5, 3) / variance)


@dataclass(frozen=True)
class HoldOutSplit:
    """A volume some of whose voxels are held out of the deconvolutions, to see how well they are predicted.

    Attributes
    ----------
    volume : PaddedVolume
    training : Observation
        Without the held-out voxels.
    start : Observation
        With the mean of their neighbours in their place, to start from.
    data : Tensor [1, 1, Z, Y, X]
        All voxels.
    held_out : bool Tensor [1, 1, Z, Y, X]
    """

    volume: PaddedVolume
    training: Observation
    start: Observation
    data: Tensor
    held_out: Tensor


def hold_out(volume: PaddedVolume, part: Observed, seed: int) -> HoldOutSplit:
    """Hold out :data:`HELD_OUT_FRACTION` of the valid voxels of ``[1, 1, Z, Y, X]``, the same ones for all kernels."""
    data = part.values
    random = torch.Generator().manual_seed(seed)
    held_out = (torch.rand(data.shape, generator=random) < HELD_OUT_FRACTION).to(data.device) & ~part.masked
    kept = (~held_out).to(data.dtype)
    near = avg_pool3d(data * kept, 3, 1, 1) / avg_pool3d(kept, 3, 1, 1).clamp(min=1e-3)
    whole = volume.observation
    training = replace(whole, canvas=whole.embed(data * kept), masked=whole.masked | whole.embed(held_out))
    start = replace(whole, canvas=whole.embed(torch.where(held_out, near, data)))
    return HoldOutSplit(volume, training, start, data, held_out)


@torch.no_grad()
def held_out_error(split: HoldOutSplit, kernel: Tensor) -> tuple[float, float]:
    """Compute the cost of a kernel (lower is better) and its best regularization, a factor of the volume's strength.

    Notes
    -----
    ``mean (k * x - y)^2 / v + log v`` over the held-out voxels, v the noise's variance there: twice the negative
    log-likelihood, cross-validated [1]_. Kernels too narrow predict noise, too wide ones miss detail. The
    strength of the total variation is chosen with the kernel: with too little of it, a wider kernel does its work.
    From strong to weak each deconvolution starts where the last one ended, until the predictions become worse.

    References
    ----------
    .. [1] S. Reeves, R. Mersereau, "Blur identification by the method of generalized cross-validation", IEEE Trans.
       Image Processing 1(3), 1992.
    """
    volume = split.volume
    noise, weights, transfer = volume.noise, volume.weights, volume.transfer(kernel)
    x = wiener(split.start, transfer, noise, weights).clamp(min=0)
    least_variance = 1e-3 * volume.noise_variance
    steps = STEPS if volume.noise_variance**0.5 > LOW_NOISE else 2 * STEPS
    lowest, best = float("inf"), 1.0
    for factor in STRENGTHS:
        strength = factor * volume.strength
        search = tv_weighted(split.training, transfer, noise, weights, strength=strength, steps=steps, start=x)
        x = run_to_end(search).image
        predicted = split.training.blur(x, transfer)
        variance = noise.variance(predicted).clamp(min=least_variance)
        error = float(((predicted - split.data).square() / variance)[split.held_out].mean())
        cost = error + float(variance.log()[split.held_out].mean())
        if cost > lowest - MIN_GAIN:
            return min(cost, lowest), best
        lowest, best = cost, factor if error < KERNEL_ERROR_MISFIT else 1.0
    return lowest, best
