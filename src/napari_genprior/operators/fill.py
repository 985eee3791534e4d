"""Fill pixels that say nothing from those around them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

RELAXATIONS = 12  # averages of the four neighbours, which remove the blocks of the coarser levels


def fill_masked(plane: np.ndarray, masked: np.ndarray) -> np.ndarray:
    """Fill the masked pixels of a plane smoothly: near a valid pixel like it, far from all like their mean.

    Parameters
    ----------
    plane : float32 array [Y, X]
        Any values, also NaN, at masked pixels.
    masked : bool array [Y, X]
        At least one pixel is not masked.

    Returns
    -------
    float32 array [Y, X]
        The plane itself where it is not masked.

    References
    ----------
    S. Gortler, R. Grzeszczuk, R. Szeliski, M. Cohen, "The lumigraph", SIGGRAPH 1996 (pull and push).
    """
    if not masked.any():
        return plane
    filled = _pull_push(np.where(masked, 0, plane), (~masked).astype(np.float32))
    padded = np.pad(np.where(masked, filled, plane), 1, mode="edge")
    y, x = np.nonzero(masked)
    for _ in range(RELAXATIONS):
        padded[y + 1, x + 1] = (padded[y, x + 1] + padded[y + 2, x + 1] + padded[y + 1, x] + padded[y + 1, x + 2]) / 4
    return padded[1:-1, 1:-1].astype(np.float32, copy=False)


def fill_tensor(images: Tensor, masked: Tensor) -> Tensor:
    """Fill the masked pixels of images ``[P, 1, Y, X]`` as :func:`fill_masked` does; one that is all masked stays."""
    planes = [
        image if mask.all() else torch.from_numpy(fill_masked(image.cpu().numpy(), mask.cpu().numpy()))
        for image, mask in zip(images[:, 0], masked[:, 0], strict=True)
    ]
    return torch.stack([plane.to(images.device) for plane in planes])[:, None]


def _pull_push(total: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Average where there are data, ``total / weight``, and elsewhere take the average of a level half as fine."""
    if (weight > 0).all():
        return total / weight
    height, width = total.shape
    even = ((0, height % 2), (0, width % 2))
    coarse = [
        np.pad(each, even).reshape((height + 1) // 2, 2, (width + 1) // 2, 2).sum((1, 3)) for each in (total, weight)
    ]
    rest = _pull_push(*coarse).repeat(2, 0).repeat(2, 1)[:height, :width]
    return np.where(weight > 0, total / np.maximum(weight, 1e-30), rest)
