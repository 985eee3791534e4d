"""Features that separate good results from bad ones without the ground truth. Tensors in working units.

Only the most textured part of a large image is used. Results are compared with the denoised input: a deconvolution
with a kernel that is a single point.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from ..deconvolution.total_variation import deconvolve, strength_for
from ..metrics import align
from ..operators.convolution import convolve, valid_part
from ..operators.detail import most_textured_place
from ..operators.noise import KERNEL_NOISE, noise_level, noise_std
from ..operators.observed import Observed, as_observed
from ..operators.spatial import crop_at
from .kernel_criteria import REACH, normalized_sparsity, residual_edge_correlation
from .kernel_features import kernel_features, kernel_similarity
from .spectral_likelihood import likelihood_features
from .structure import structure

PART_PX = 256  # sides of the part of a large image that is used ...
PART_KERNELS = 3  # ... and at least so many times those of the kernel
LEAST_NOISE = 0.002  # of rounding
MAX_CANDIDATES = 3  # best other candidates that the result is compared with, ...
CANDIDATES_PART_PX = 128  # ... in a smaller part, since they take most of the time
SAME_KERNEL = 1e-6  # candidates whose values differ by less are the selected kernel itself
MAX_SHIFT_PX, CROP_PX = 4, 6  # between the images of candidates, and the border that is excluded
SMALLEST = 1e-5
LAGS_PX = 2  # of the autocorrelation of residuals


def features_of(
    blurred: Tensor | Observed,
    image: Tensor,
    kernel: Tensor,
    candidates: Sequence[Tensor] = (),
    periodic: bool = False,
) -> dict[str, float]:
    """Compute the features of a result from its images and kernels.

    Parameters
    ----------
    blurred : Tensor [1, C, Y, X] or Observed
        The input, working units. Masked pixels count as what the result explains.
    image : Tensor [1, C, Y, X]
        The result, working units.
    kernel : Tensor [1, 1, kh, kw]
    candidates : sequence of Tensor [1, 1, kh, kw]
        Kernels that the selected one was chosen from, best first; it may be among them.
    periodic : bool
        The method assumes a periodic boundary: kernels may be as large as the image.

    Returns
    -------
    dict of str to float
        ``structure``: see :func:`.structure.structure`. ``residual``, ``noise``: standard deviations, fraction of the
        range; ``unexplained``: their ratio.
        ``residual_correlation``: root mean square autocorrelation of the residual at lags of up to 2 px, 0 for white
        noise. ``ghosts``: correlation of the residual's gradients with those of the result, root mean square over
        shifts of up to 32 px.
        ``sharpness_gain``: root mean square gradient of the result over that of the input, noise removed.
        ``sparsity_gain``: l1/l2 of the gradients, denoised input over result; above 1 for fewer and steeper edges.
        ``noise_gain``: noise level of the result over that of the denoised input.
        ``overshoot``: root mean square excess of the result over the local range of the input, over the contrast.
        ``change``: root mean square difference of result and denoised input, over the contrast.
        Those of :func:`.spectral_likelihood.likelihood_features` and of :func:`.kernel_features.kernel_features`.
        Only with other candidates: ``agreement``, the mean similarity of the best ones with the kernel, 0 to 1, and
        ``disagreement``, the root mean square difference of their images from the result, over the contrast.
    """
    seen = as_observed(blurred)
    place = most_textured_place(seen.values, max(PART_PX, PART_KERNELS * max(kernel.shape[-2:])))
    seen, image = seen.crop(place), crop_at(image, place)
    blurred = seen.explained_by(image, kernel, clipped=True)
    noise = noise_level(seen)
    contrast = max(float(blurred.std()), SMALLEST)
    no_blur = torch.ones(1, 1, 1, 1, device=blurred.device)
    denoised = deconvolve(seen, no_blur, strength_for(max(noise, LEAST_NOISE)))
    features = {"structure": structure(blurred)}
    features |= _residual_features(blurred, image, kernel, noise, periodic)
    features |= _change_features(blurred, image, denoised, noise)
    features["overshoot"] = _overshoot(image, denoised, kernel) / contrast
    features["change"] = float((image - denoised).square().mean().sqrt()) / contrast
    features |= likelihood_features(blurred, kernel, max(noise, LEAST_NOISE), periodic)
    features |= kernel_features(kernel)
    others = [k for k in candidates if k.shape != kernel.shape or float((k - kernel).abs().max()) > SAME_KERNEL]
    if others := others[:MAX_CANDIDATES]:
        features["agreement"] = float(np.mean([kernel_similarity(kernel, other) for other in others]))
        features["disagreement"] = _disagreement(blurred, image, others, noise) / contrast
    return features


def generator_features(
    blurred: Tensor, image: Tensor, kernel: Tensor, generated: Tensor, noise: float, range_error: float
) -> dict[str, float]:
    """Compute the features that show whether an image is of the class of a generator.

    Parameters
    ----------
    blurred, image : Tensor [1, C, Y, X]
        The input and the result, working units.
    kernel : Tensor [1, 1, kh, kw]
    generated : Tensor [1, C, Y, X]
        The generator's image; the boundary is periodic, as its methods assume.
    noise : float
        Standard deviation.
    range_error : float
        Root mean square residual of the generator on images that it was not trained on.

    Returns
    -------
    dict of str to float
        ``generator_residual``: residual of the generator's image over that expected from noise and the usual error.
        ``generator_distance``: root mean square difference of result and generator's image, over the usual error.
    """
    residual = float((convolve(generated, kernel) - blurred).square().mean().sqrt())
    # blur removes most of the error: a third of it remains on held-out images
    usual = math.hypot(max(noise, LEAST_NOISE), range_error / 3)
    distance = float((generated - image).square().mean().sqrt())
    return {"generator_residual": residual / usual, "generator_distance": distance / range_error}


def _residual_features(
    blurred: Tensor, image: Tensor, kernel: Tensor, noise: float, periodic: bool
) -> dict[str, float]:
    """Compute the features of the residual ``k * x - y``, at the border only if that is periodic."""
    if periodic:
        residual, inside = convolve(image, kernel) - blurred, image
    else:
        residual, inside = convolve(image, kernel, "valid") - valid_part(blurred, kernel), valid_part(image, kernel)
    size = float(residual.square().mean().sqrt())
    return {
        "residual": size,
        "noise": noise,
        "unexplained": size / max(noise, LEAST_NOISE),
        "residual_correlation": _autocorrelation(residual),
        "ghosts": _ghosts(residual, inside),
    }


def _change_features(blurred: Tensor, image: Tensor, denoised: Tensor, noise: float) -> dict[str, float]:
    """Compute the features that compare gradients and noise of result and input."""
    # white noise adds 2 sigma^2 to each mean square difference, which must not count as sharpness
    power = _gradient_power(blurred)
    before = max(power - 4 * noise**2, 0.02 * power, SMALLEST**2)
    return {
        "sharpness_gain": math.sqrt(_gradient_power(image) / before),
        "sparsity_gain": float(normalized_sparsity(denoised)[0] / normalized_sparsity(image)[0].clamp(min=SMALLEST)),
        "noise_gain": _noise_level(image) / _noise_level(denoised),
    }


def _gradient_power(image: Tensor) -> float:
    """Compute the mean square gradient."""
    return float(image.diff(dim=-1).square().mean() + image.diff(dim=-2).square().mean())


def _noise_level(image: Tensor) -> float:
    """Estimate the standard deviation of white noise, bounded from below."""
    return max(float(noise_std(image).mean()), 1e-4)


def _autocorrelation(residual: Tensor) -> float:
    """Compute the root mean square of the autocorrelation at lags of up to :data:`LAGS_PX`."""
    residual = residual - residual.mean((-2, -1), keepdim=True)
    shape = (residual.shape[-2] + LAGS_PX, residual.shape[-1] + LAGS_PX)  # zero-padded: nothing wraps around
    power = torch.fft.rfft2(residual, s=shape).abs().square().sum((0, 1))
    lags = torch.fft.irfft2(power, s=shape).roll((LAGS_PX, LAGS_PX), (0, 1))
    lags = lags[: 2 * LAGS_PX + 1, : 2 * LAGS_PX + 1].flatten()
    middle = len(lags) // 2
    return float((lags[:middle] / lags[middle].clamp(min=1e-12)).square().mean().sqrt())


def _ghosts(residual: Tensor, image: Tensor) -> float:
    """Compute the root mean square of the correlations in :func:`.kernel_criteria.residual_edge_correlation`."""
    if min(image.shape[-2:]) < 3:
        return 0.0
    lags = math.prod(min(2 * REACH + 1, 2 * side - 3) for side in image.shape[-2:])
    return float(residual_edge_correlation(residual, image)) / math.sqrt(lags * 2 * image[..., 1:, 1:].numel())


def _overshoot(image: Tensor, denoised: Tensor, kernel: Tensor) -> float:
    """Compute the root mean square excess of an image over the extremes of the input within a kernel's width."""
    reach = min(round(kernel_features(kernel)["kernel_width_px"]), min(denoised.shape[-2:]) // 2 - 1)
    side = 2 * max(1, reach) + 1
    high, low = _local_maximum(denoised, side), -_local_maximum(-denoised, side)
    return float(((image - high).clamp(min=0) + (low - image).clamp(min=0)).square().mean().sqrt())


def _local_maximum(image: Tensor, side: int) -> Tensor:
    """Compute the maximum over squares, one direction after the other, which is faster."""
    return max_pool2d(max_pool2d(image, (side, 1), 1, (side // 2, 0)), (1, side), 1, (0, side // 2))


def _disagreement(blurred: Tensor, image: Tensor, others: Sequence[Tensor], noise: float) -> float:
    """Compute the root mean square difference of a result from the images of other kernels, each at its best shift."""
    place = most_textured_place(
        blurred, max(CANDIDATES_PART_PX, PART_KERNELS * max(side for k in others for side in k.shape[-2:]))
    )
    blurred, image = crop_at(blurred, place), crop_at(image, place)
    grey, result = blurred.mean(1, keepdim=True), image.mean(1)[0].cpu().numpy()
    crop = min(CROP_PX, min(result.shape) // 4)
    differences = []
    for other in others:
        restored = deconvolve(grey, other.to(grey), strength_for(max(noise, KERNEL_NOISE)))[0, 0].cpu().numpy()
        aligned, _ = align(restored, result, MAX_SHIFT_PX, crop)
        inside = (slice(crop, -crop),) * 2
        differences.append(float(np.sqrt(np.mean((aligned - result)[inside] ** 2))))
    return float(np.mean(differences))
