"""Figures that tell a good result from a bad one without the truth. Working units, and tensors as everywhere inside.

Of a large image only the busiest part is looked at. The calm image that a result is compared with is the input with
its noise taken off, by the same kind of solve for a kernel that does nothing.
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
from ..operators.noise import KERNEL_NOISE, noise_std
from .kernel_criteria import REACH, normalized_sparsity, residual_edge_correlation
from .kernel_features import kernel_figures, kernel_similarity
from .spectral_likelihood import likelihood_figures

PART = 256  # px, sides of the part of a large image that is looked at ...
ROOM = 3  # ... and at least so many times those of the kernel
LEAST_NOISE = 0.002  # of rounding
CANDIDATES = 3  # the best ones, that a result is compared with, ...
CANDIDATES_PART = 128  # px, ... in a smaller part: most of the time is spent on them
DIFFERENT = 1e-6  # candidates whose values are nearer than this are the kernel itself
SHIFT, CROP = 4, 6  # px; between images of candidates, and the border where they know little
SMALLEST = 1e-5
LAGS = 2  # px, at which residuals are held against themselves


def figures_of(
    blurred: Tensor, image: Tensor, kernel: Tensor, candidates: Sequence[Tensor] = (), circular: bool = False
) -> dict[str, float]:
    """Everything that is told by images and kernels.

    Parameters
    ----------
    blurred, image : Tensor [1, C, Y, X]
    kernel : Tensor [1, 1, kh, kw]
    candidates : sequence of Tensor [1, 1, kh, kw]
        Other kernels that were to choose among, the best first; the taken one may be among them.
    circular : bool
        The method takes the image's border for circular: kernels may be as large as the image.

    Returns
    -------
    dict of str to float
        ``residual``, ``noise``: standard deviations, fraction of the range; ``unexplained``: one over the other.
        ``residual_correlation``: of the residual with itself moved by up to 2 px, 0 for white noise. ``residual_edge_correlation``: of its
        gradients with those of the result moved by up to 32 px, root mean square.
        ``sharpness_gain``: root mean square gradient, result over input, the input's noise taken off.
        ``sparsity_gain``: l1/l2 of the gradients, calm input over result: above 1 where edges became fewer and steeper.
        ``noise_gain``: fine grain in the result over that of the calm input.
        ``overshoot``: how far the result leaves what its surroundings hold, over the input's contrast.
        ``change``: difference of result and calm input, over the contrast.
        What :func:`.spectrum.likelihood_figures` says of the input's spectrum.
        ``agreement``: of the next best candidates with the kernel, 0 to 1; ``disagreement``: of their images with the
        result, over the contrast; both only where there are candidates.
        And what :func:`.kernel.kernel_figures` says of the kernel.
    """
    place = most_textured_place(blurred, max(PART, ROOM * max(kernel.shape[-2:])))
    blurred, image = blurred[(..., *place)], image[(..., *place)]
    noise = float(noise_std(blurred).mean())
    contrast = max(float(blurred.std()), SMALLEST)
    if circular:
        residual, seen = convolve(image, kernel) - blurred, image
    else:
        residual, seen = convolve(image, kernel, "valid") - valid_part(blurred, kernel), valid_part(image, kernel)
    no_blur = torch.ones(1, 1, 1, 1, device=blurred.device)
    calm = deconvolve(blurred, no_blur, strength_for(max(noise, LEAST_NOISE)))
    # white noise adds 2 sigma^2 to each mean square difference: it must not pass for sharpness
    slopes = _slopes(blurred)
    before = max(slopes - 4 * noise**2, 0.02 * slopes, SMALLEST**2)
    figures = {
        "residual": float(residual.square().mean().sqrt()),
        "noise": noise,
        "unexplained": float(residual.square().mean().sqrt()) / max(noise, LEAST_NOISE),
        "residual_correlation": _correlation(residual),
        "ghosts": _ghosts(residual, seen),
        "sharpness_gain": math.sqrt(_slopes(image) / before),
        "sparsity_gain": float(normalized_sparsity(calm)[0] / normalized_sparsity(image)[0].clamp(min=SMALLEST)),
        "noise_gain": _white(image) / _white(calm),
        "overshoot": _overshoot(image, calm, kernel) / contrast,
        "change": float((image - calm).square().mean().sqrt()) / contrast,
        **likelihood_figures(blurred, kernel, max(noise, LEAST_NOISE), circular),
        **kernel_figures(kernel),
    }
    others = [k for k in candidates if k.shape != kernel.shape or float((k - kernel).abs().max()) > DIFFERENT][
        :CANDIDATES
    ]
    if others:
        figures["agreement"] = float(np.mean([kernel_similarity(kernel, other) for other in others]))
        figures["disagreement"] = _disagreement(blurred, image, others, noise) / contrast
    return figures


def generator_figures(
    blurred: Tensor, image: Tensor, kernel: Tensor, generated: Tensor, noise: float, range_error: float
) -> dict[str, float]:
    """Is this an image of the class that a generator knows?

    Parameters
    ----------
    generated : Tensor [1, C, Y, X]
        The generator's image; border circular, as its methods have it.
    range_error : float
        Root mean square of what the generator leaves of images it was not trained on.

    Returns
    -------
    dict of str to float
        ``generator_residual``: what the generator's image leaves of the input, over what noise and its usual error
        would. ``generator_distance``: from the result to the generator's image, over its usual error.
    """
    left = float((convolve(generated, kernel) - blurred).square().mean().sqrt())
    # blur takes most of the error away: a third of it is left on held-out images
    usual = math.hypot(max(noise, LEAST_NOISE), range_error / 3)
    distance = float((generated - image).square().mean().sqrt())
    return {"generator_residual": left / usual, "generator_distance": distance / range_error}


def _slopes(image: Tensor) -> float:
    return float(image.diff(dim=-1).square().mean() + image.diff(dim=-2).square().mean())


def _white(image: Tensor) -> float:
    return max(float(noise_std(image).mean()), 1e-4)


def _correlation(residual: Tensor) -> float:
    """Root mean square of the correlations at lags of up to :data:`LAGS` pixels."""
    residual = residual - residual.mean((-2, -1), keepdim=True)
    shape = (residual.shape[-2] + LAGS, residual.shape[-1] + LAGS)  # nothing wraps around
    power = torch.fft.rfft2(residual, s=shape).abs().square().sum((0, 1))
    moved = torch.fft.irfft2(power, s=shape).roll((LAGS, LAGS), (0, 1))[: 2 * LAGS + 1, : 2 * LAGS + 1].flatten()
    middle = len(moved) // 2
    return float((moved[:middle] / moved[middle].clamp(min=1e-12)).square().mean().sqrt())


def _ghosts(residual: Tensor, seen: Tensor) -> float:
    """Root mean square of the correlations that :func:`~..quality.kernel_criteria.residual_edge_correlation` adds up."""
    if min(seen.shape[-2:]) < 3:
        return 0.0
    lags = math.prod(min(2 * REACH + 1, 2 * side - 3) for side in seen.shape[-2:])
    return float(residual_edge_correlation(residual, seen)) / math.sqrt(lags * 2 * seen[..., 1:, 1:].numel())


def _overshoot(image: Tensor, calm: Tensor, kernel: Tensor) -> float:
    """Root mean square of what lies beyond the extremes of the input within a kernel's reach."""
    reach = min(round(kernel_figures(kernel)["kernel_width_px"]), min(calm.shape[-2:]) // 2 - 1)
    side = 2 * max(1, reach) + 1
    high, low = _highest(calm, side), -_highest(-calm, side)
    return float(((image - high).clamp(min=0) + (low - image).clamp(min=0)).square().mean().sqrt())


def _highest(image: Tensor, side: int) -> Tensor:
    """Maximum over squares: one direction after the other, which is quicker."""
    return max_pool2d(max_pool2d(image, (side, 1), 1, (side // 2, 0)), (1, side), 1, (0, side // 2))


def _disagreement(blurred: Tensor, image: Tensor, others: Sequence[Tensor], noise: float) -> float:
    """Root mean square difference of the images that other kernels lead to, each at its best shift, in a part."""
    place = most_textured_place(
        blurred, max(CANDIDATES_PART, ROOM * max(side for k in others for side in k.shape[-2:]))
    )
    blurred, image = blurred[(..., *place)], image[(..., *place)]
    grey, result = blurred.mean(1, keepdim=True), image.mean(1)[0].cpu().numpy()
    crop = min(CROP, min(result.shape) // 4)
    differences = []
    for other in others:
        restored = deconvolve(grey, other.to(grey), strength_for(max(noise, KERNEL_NOISE)))[0, 0].cpu().numpy()
        aligned, _ = align(restored, result, SHIFT, crop)
        inside = (slice(crop, -crop),) * 2
        differences.append(float(np.sqrt(np.mean((aligned - result)[inside] ** 2))))
    return float(np.mean(differences))
