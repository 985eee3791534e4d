"""Tell an image of nothing but noise."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn.functional import avg_pool2d

BLOCK_SIDES_PX, MIN_BLOCKS = (2, 4, 8, 16), 16
MIN_STRUCTURE = 6.0  # standard deviations of chance, below which an image is nothing but noise
LEAST_VARIANCE = 1e-10
NOISE_ONLY = "The image is nothing but noise: averages of its pixels vary no more than those of white noise do."


def structure(image: Tensor) -> float:
    """Compare the variance of block means with that of white noise: its excess, in standard deviations of chance.

    The mean of n x n pixels of white noise varies n times less than a pixel. The largest excess over several n is
    returned; an image of nothing but noise has a few.

    Parameters
    ----------
    image : Tensor [1, C, (Z,) Y, X]
        Of a volume, blocks lie in the planes.
    """
    grey, found = image.mean(1).double().reshape(-1, 1, *image.shape[-2:]), 0.0
    pixel = float(grey.var().clamp(min=LEAST_VARIANCE))
    for side in BLOCK_SIDES_PX:
        if side > min(grey.shape[-2:]):
            break
        means = avg_pool2d(grey, side)
        if means.numel() < MIN_BLOCKS:
            break
        excess = float(means.var()) * side**2 / pixel - 1
        found = max(found, excess / math.sqrt(2 / means.numel()))
    return found
