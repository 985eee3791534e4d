"""Measure the misfit between modelled and measured images."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from .noise import NoiseModel
from .observation import Observation

SSIM_WINDOW = 11  # px
SSIM_SIGMA_PX = 1.5


def squared_error(model: Tensor, data: Tensor) -> Tensor:
    """Average the squared error over channels and pixels of ``[R, C, (Z,) Y, X]``: ``[R]``; either R may be 1."""
    return (model - data).square().flatten(1).mean(1)


def summed_squared_error(model: Tensor, data: Tensor) -> Tensor:
    """Sum the squared error over channels and pixels, ``[R]``; ``/ (2 sigma^2)`` makes it a negative log-likelihood."""
    return (model - data).square().flatten(1).sum(1)


def censored_error(model: Tensor, data: Tensor, std: float) -> Tensor:
    """Sum the squared error of data clipped to [0, 1] after Gaussian noise was added, ``[R]``.

    ``2 std^2`` times the negative log-likelihood (up to a constant): the squared error where ``0 < data < 1``; at 0
    and 1 that of the noise reaching so far or further, ``-log Phi(-model / std)`` and ``-log Phi((model - 1) / std)``.
    A model just below 0 explains a zero at no cost, where the squared error would pull its mean up.

    References
    ----------
    J. Tobin, Estimation of relationships for limited dependent variables, Econometrica 26(1), 1958.
    """
    tail = torch.where(data <= 0, -model, model - 1) / std
    cut = -2 * std**2 * torch.special.log_ndtr(tail)
    return torch.where((data <= 0) | (data >= 1), cut, (model - data).square()).flatten(1).sum(1)


@torch.no_grad()
def censored_std(model: Tensor, data: Tensor) -> float:
    """Estimate the standard deviation of the noise in :func:`censored_error` for one model, in [0.01, 1]."""
    inside = float(((data > 0) & (data < 1)).sum())
    candidates = torch.logspace(-2, 0, 60).tolist()
    costs = [
        float(censored_error(model, data, std).sum()) / (2 * std**2) + inside * math.log(std) for std in candidates
    ]
    return candidates[costs.index(min(costs))]


@torch.no_grad()
def normalized_misfit(observation: Observation, model: Tensor, noise: NoiseModel) -> float:
    """Compute the mean squared error over the noise variance where there are data: about 1 where only noise is left.

    ``model`` is the blurred canvas ``k * x``.
    """
    data, model, valid = (observation.crop(x) for x in (observation.canvas, model, observation.valid))
    variance = noise.variance(model).clamp(min=1e-3 * noise.mean_variance(data))
    weighted = (model - data).square() / variance
    return float((valid * weighted).sum() / valid.expand_as(weighted).sum())


def dissimilarity(model: Tensor, data: Tensor, data_range: float = 1.0) -> Tensor:
    """Compute ``1 - SSIM``, differentiable: ``[R]``, 0 for equal images, at most 2."""
    return 1 - structural_similarity(model, data, data_range)


def structural_similarity(first: Tensor, second: Tensor, data_range: float = 1.0) -> Tensor:
    """Compute the structural similarity (SSIM), averaged over channels and pixels.

    Parameters
    ----------
    first, second : Tensor [R, C, Y, X]
        Either R may be 1.
    data_range : float
        Largest minus smallest value the images can hold.

    Returns
    -------
    Tensor [R]
        In [-1, 1]; 1 for equal images.

    Notes
    -----
    With means m, variances v and covariance c under a Gaussian window of 11 pixels and sigma 1.5,
    ``SSIM = (2 m1 m2 + C1) (2 c + C2) / ((m1^2 + m2^2 + C1) (v1 + v2 + C2))``,
    ``C1 = (0.01 L)^2``, ``C2 = (0.03 L)^2``, averaged over the pixels whose window lies inside the image.
    Images smaller than the window get the largest odd window that fits.

    References
    ----------
    Wang, Bovik, Sheikh and Simoncelli, Image quality assessment: from error visibility to structural
    similarity, IEEE Transactions on Image Processing 13(4), 2004.
    """
    first, second = torch.broadcast_tensors(first, second)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    products = torch.stack([first, second, first * first, second * second, first * second])
    mean1, mean2, square1, square2, product = _local_mean(products)
    variances = square1 + square2 - mean1**2 - mean2**2
    covariance = product - mean1 * mean2
    similarity = (2 * mean1 * mean2 + c1) * (2 * covariance + c2)
    similarity = similarity / ((mean1**2 + mean2**2 + c1) * (variances + c2))
    return similarity.flatten(1).mean(1)


def _local_mean(images: Tensor) -> Tensor:
    """Average the windows inside ``[..., Y, X]`` with Gaussian weights: ``[..., Y - w + 1, X - w + 1]``."""
    *leading, height, width = images.shape
    side = min(height, width)
    window = min(SSIM_WINDOW, side - 1 + side % 2)
    offset = torch.arange(window, dtype=images.dtype, device=images.device) - window // 2
    weights = torch.exp(-(offset**2) / (2 * SSIM_SIGMA_PX**2))
    weights = weights / weights.sum()
    flat = images.reshape(-1, 1, height, width)
    flat = conv2d(conv2d(flat, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1))  # the Gaussian is separable
    return flat.view(*leading, *flat.shape[-2:])
