"""Rank kernels by the image that each leads to, and detect sharp images; no ground truth is needed."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..operators.convolution import convolve, valid_part
from ..operators.finite_differences import gradients

SPARSITY_WEIGHT = 2.0  # of the normalized sparsity in the cost
NEGATIVITY_WEIGHT = 20.0  # of the mean of negative intensities in the cost
REACH = 32  # px, largest shift of ghosts; chosen in docs/decisions/0002-candidate-selection.md
SHARPNESS_THRESHOLD = 0.33  # finest_detail from which an image is sharp, ...
NOISE_RATIO = 3.0  # ... if its finest detail has this many times the power of the noise, which is steep as well
DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))  # (rows, columns)
NOISE_MARGIN = 1.2  # the power of the noise may be this many times the estimated one
TINY = 1e-12  # lower bound of norms, which are 0 without edges or residual


def kernel_cost(blurred: Tensor, image: Tensor, kernel: Tensor) -> float:
    """Compute the cost of a kernel (lower is better); only differences between kernels for one image are meaningful.

    Parameters
    ----------
    blurred, image : Tensor [1, 1, Y, X]
        Working units; ``image`` is restored with ``kernel``.
    kernel : Tensor [1, 1, kh, kw]

    Notes
    -----
    The cost is mainly a sum of logarithms: the correlation of the residual's gradients with those of the restored
    image, shifted by up to :data:`REACH` pixels (a wrong kernel leaves ghosts of edges); l1/l2 of the restored image's
    gradients, and the mean of their square roots (blur spreads edges, while ringing and noise add many small ones).
    Negative intensities are added to it: a wrong kernel causes ringing, above all one that is too large. The upper end
    of the range is ignored, since pixels may be saturated or the end unknown. The residual itself and the agreement
    among kernels are less informative.
    """
    residual = convolve(image, kernel, "valid") - valid_part(blurred, kernel)
    ghosts = residual_edge_correlation(residual, valid_part(image, kernel))
    slopes = gradients(image)[..., :-1, :-1].square().sum(1).sqrt()
    terms = torch.stack([ghosts, normalized_sparsity(image)[0], slopes.sqrt().mean()]).clamp(min=TINY).log()
    return float(terms[0] + SPARSITY_WEIGHT * terms[1] + terms[2] - NEGATIVITY_WEIGHT * image.clamp(max=0).mean())


def residual_edge_correlation(residual: Tensor, image: Tensor) -> Tensor:
    """Correlate the gradients of a residual with those of an image, shifted by up to :data:`REACH` pixels.

    Parameters
    ----------
    residual, image : Tensor [1, C, Y, X]

    Returns
    -------
    Tensor []
        Root of the sum over all shifts of the squared correlation, scaled to about 2 REACH + 1 for white noise.
    """
    left, edges = gradients(residual)[..., :-1, :-1], gradients(image)[..., :-1, :-1]
    shape = (edges.shape[-2] + 2 * REACH, edges.shape[-1] + 2 * REACH)  # zero-padded: nothing wraps around
    product = (torch.fft.rfft2(left, s=shape) * torch.fft.rfft2(edges, s=shape).conj()).sum(1)
    shifted = torch.fft.irfft2(product, s=shape).roll((REACH, REACH), (-2, -1))[..., : 2 * REACH + 1, : 2 * REACH + 1]
    return shifted.norm() * math.sqrt(edges.numel()) / (left.norm() * edges.norm()).clamp(min=TINY)


def normalized_sparsity(images: Tensor) -> Tensor:
    """Compute l1 over l2 norm of the gradients of ``[R, C, Y, X]``, ``[R]`` in (0, 1]: least for few, sharp edges.

    References
    ----------
    Krishnan, Tay, Fergus, Blind deconvolution using a normalized sparsity measure, CVPR 2011.
    """
    down, right = images.diff(dim=-2)[..., :-1], images.diff(dim=-1)[..., :-1, :]
    length = (down.square() + right.square()).sum(1).sqrt().flatten(1)
    return length.sum(1) / (length.norm(dim=1) * length.shape[1] ** 0.5).clamp(min=TINY)


def is_sharp(image: Tensor, noise: float) -> bool:
    """Detect an image that has too much fine detail in all directions to be blurred by camera shake.

    Images without such detail may be sharp as well.

    Parameters
    ----------
    image : Tensor [1, C, Y, X]
    noise : float
        Standard deviation.
    """
    above_noise = min(_power(image, step) for step in DIRECTIONS) > NOISE_RATIO * 2 * noise**2
    return above_noise and finest_detail(image, NOISE_MARGIN * noise**2) > SHARPNESS_THRESHOLD


def finest_detail(image: Tensor, noise_power: float) -> float:
    """Compare mean square differences at distances of one and two pixels, noise removed; minimum over four directions.

    The ratio is 1/4 for a smooth image and 1/2 for one made of steps. Motion blur lowers it along its direction.

    Parameters
    ----------
    image : Tensor [1, C, Y, X]
    noise_power : float
        Variance.
    """
    ratios = []
    for down, right in DIRECTIONS:
        near, far = (_power(image, (times * down, times * right)) - 2 * noise_power for times in (1, 2))
        ratios.append(near / far if min(near, far) > 0 else 0.0)
    return min(ratios)


def _power(image: Tensor, step: tuple[int, int]) -> float:
    """Compute the mean square difference of pixels that are ``step`` (rows, columns) apart, inside the image."""
    return float((image - image.roll(step, (-2, -1)))[..., 2:-2, 2:-2].square().mean())
