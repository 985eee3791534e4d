"""Change the support of a kernel: remove specks, centre, resize, crop and pad it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn.functional import avg_pool2d

SIMILARITY_POWER = 4  # power of the correlation: kernels that correlate by less than 0.8 get little weight
MASS_PER_PX = 1e-3  # mass that a window may lose to be closer to the centre by a pixel
CENTRED_PX = 0.1  # largest usual offset of the centre of mass of kernels that count as centred


def odd(side: float) -> int:
    """Round up to the next odd number >= ``side``."""
    return max(1, 2 * math.ceil((side - 1) / 2) + 1)


def remove_specks(kernel: Tensor, clip: float, least_mass: float) -> Tensor:
    """Set noise to 0: values below ``clip`` of the maximum, connected parts below ``least_mass`` of the total mass."""
    k = kernel[0, 0].cpu().numpy().astype(np.float64)
    k[k < clip * k.max()] = 0
    parts, count = ndimage.label(k, structure=np.ones((3, 3)))
    mass = ndimage.sum_labels(k, parts, np.arange(count + 1))
    k[(mass < least_mass * mass.sum())[parts]] = 0
    if not k.sum() > 0:  # nothing is left: a point
        k[k.shape[0] // 2, k.shape[1] // 2] = 1
    return torch.from_numpy(k / k.sum())[None, None].to(kernel)


def off_center(kernels: Tensor) -> Tensor:
    """Compute the squared distance ``[R]`` of the centre of mass from the middle of the grid, px^2.

    ``kernels`` are ``[R, 1, kh, kw]`` with sum 1. A generator that was trained on centred kernels only can still make
    others: then image and kernel shift in opposite directions.
    """
    rows, columns = (torch.arange(n, device=kernels.device) - (n - 1) / 2 for n in kernels.shape[-2:])
    return (kernels.sum((1, 3)) @ rows).square() + (kernels.sum((1, 2)) @ columns).square()


def center(kernel: Tensor) -> Tensor:
    """Shift a kernel by whole pixels until its centre of mass lies in the centre pixel; values outside are lost."""
    k = kernel[0, 0]
    kh, kw = k.shape
    dy = kh // 2 - round(float((k.sum(1) * torch.arange(kh, device=k.device)).sum()))
    dx = kw // 2 - round(float((k.sum(0) * torch.arange(kw, device=k.device)).sum()))
    moved = torch.zeros_like(k)
    stay = k[max(0, -dy) : kh - max(0, dy), max(0, -dx) : kw - max(0, dx)]
    moved[max(0, dy) : kh - max(0, -dy), max(0, dx) : kw - max(0, -dx)] = stay
    return (moved / moved.sum())[None, None]


def resize(kernel: Tensor, factor: float) -> Tensor:
    """Scale a kernel of odd sides about its centre pixel by exactly ``factor``; the support grows with it."""
    rows, cols = (
        (torch.arange(n, dtype=torch.float64) - n // 2) / factor + side // 2
        for side in kernel.shape[-2:]
        for n in [odd(side * factor)]
    )
    where = np.meshgrid(rows, cols, indexing="ij")
    k = ndimage.map_coordinates(kernel[0, 0].cpu().numpy().astype(np.float64), where, order=1, mode="grid-constant")
    return torch.from_numpy(k / k.sum())[None, None].to(kernel)


def pad_or_crop(kernel: Tensor, support: tuple[int, int]) -> Tensor:
    """Crop or zero-pad a kernel of odd sides about its centre pixel; the sum stays 1."""
    (kh, kw), (th, tw) = kernel.shape[-2:], support
    dy, dx = th // 2 - kh // 2, tw // 2 - kw // 2
    out = torch.nn.functional.pad(kernel, (dx, dx, dy, dy))
    return out / out.sum()


def crop_to_mass(kernel: Tensor, support: tuple[int, int]) -> Tensor:
    """Crop a kernel of odd sides to the window with the most mass, or zero-pad it; the sum stays 1.

    A kernel whose mass lies to one side does not fit into a support as small as itself about its centre of mass. Of
    windows with about the same mass the one closest to the centre is taken.
    """
    kernel = pad_or_crop(kernel, (max(support[0], kernel.shape[-2]), max(support[1], kernel.shape[-1])))
    mass = avg_pool2d(kernel.double(), support, 1)[0, 0] * support[0] * support[1]
    rows, columns = (torch.arange(n, device=kernel.device).sub(n // 2).abs() for n in mass.shape)
    distance = rows[:, None] + columns
    top, left = divmod(int((mass - MASS_PER_PX * distance).argmax()), mass.shape[1])
    inside = kernel[..., top : top + support[0], left : left + support[1]]
    return inside / inside.sum()


def trim_empty(kernel: Tensor) -> Tensor:
    """Crop empty rows and columns symmetrically about the centre pixel, except for a rim of one pixel.

    A kernel with values in its outermost ring has therefore reached the border of the support it was estimated on.
    """
    kh, kw = kernel.shape[-2:]
    rows, cols = kernel[0, 0].sum(1).nonzero().flatten() - kh // 2, kernel[0, 0].sum(0).nonzero().flatten() - kw // 2
    hy, hx = min(int(rows.abs().max()) + 1, kh // 2), min(int(cols.abs().max()) + 1, kw // 2)
    return pad_or_crop(kernel, (2 * hy + 1, 2 * hx + 1))


def center_subpixel(kernel: np.ndarray) -> np.ndarray:
    """Shift a kernel by fractions of a pixel until its centre of mass is its centre pixel: planes stay aligned."""
    offset = [n // 2 - float(c) for n, c in zip(kernel.shape, ndimage.center_of_mass(kernel), strict=True)]
    moved = np.clip(ndimage.shift(kernel.astype(np.float64), offset, order=1), 0, None)
    return (moved / moved.sum()).astype(np.float32)


def pad_to(kernel: np.ndarray, sides: Sequence[int]) -> np.ndarray:
    """Zero-pad a kernel about its centre to a larger support of the given sides."""
    where = tuple(slice(n // 2 - k // 2, n // 2 - k // 2 + k) for n, k in zip(sides, kernel.shape, strict=True))
    padded = np.zeros(tuple(sides), np.float32)
    padded[where] = kernel
    return padded


def kernel_similarity(one: np.ndarray, other: np.ndarray) -> float:
    """Compute the similarity of two kernels of one size, ``max(0, r)^4`` with their correlation r; equal kernels: 1."""
    if np.array_equal(one, other):  # points and uniform kernels have no correlation
        return 1.0
    spread = float(one.std() * other.std())
    covariance = float(((one - one.mean()) * (other - other.mean())).mean())
    return max(0.0, covariance / spread) ** SIMILARITY_POWER if spread else 0.0
