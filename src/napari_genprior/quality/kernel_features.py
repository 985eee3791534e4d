"""Figures of a kernel."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage
from torch import Tensor

SPECK = 0.05  # of the maximum; what is less joins no parts
MODE = 0.3  # of the maximum; lower peaks do not count
SOFT = 0.7  # px, standard deviation: kernels are compared, and their peaks counted, a little out of focus


def kernel_figures(kernel: Tensor) -> dict[str, float]:
    """What the shape of a kernel ``[1, 1, kh, kw]`` (>= 0, sum 1) tells.

    Returns
    -------
    dict of str to float
        ``kernel_peak``: mass of its largest pixel. ``kernel_width_px``: root mean square distance from its centre of
        mass, twice. ``kernel_border_mass``: in its outermost ring. ``kernel_scattered_mass``: beside its largest
        connected part. ``kernel_modes``: its peaks.
    """
    k = _plane(kernel)
    y, x = np.mgrid[: k.shape[0], : k.shape[1]]
    spread = (k * ((y - (k * y).sum()) ** 2 + (x - (k * x).sum()) ** 2)).sum()
    parts, count = ndimage.label(k > SPECK * k.max(), np.ones((3, 3)))
    soft = ndimage.gaussian_filter(np.pad(k, 2), SOFT)
    peaks = (soft == ndimage.maximum_filter(soft, 3)) & (soft > MODE * soft.max())
    return {
        "kernel_peak": float(k.max()),
        "kernel_width_px": 2 * math.sqrt(max(spread, 0)),
        # a kernel of 1 or 3 pixels is all border: it cannot be said to run into it
        "kernel_border_mass": float(1 - k[1:-1, 1:-1].sum()) if min(k.shape) > 3 else 0.0,
        "kernel_scattered_mass": float(1 - ndimage.sum_labels(k, parts, np.arange(1, count + 1)).max()),
        "kernel_modes": float(peaks.sum()),
    }


def kernel_similarity(first: Tensor, second: Tensor) -> float:
    """Largest correlation of two kernels over all shifts, each a little out of focus: 0 to 1."""
    a, b = (ndimage.gaussian_filter(_plane(kernel), SOFT) for kernel in (first, second))
    shape = tuple(n + m for n, m in zip(a.shape, b.shape, strict=True))
    product = np.fft.irfft2(np.fft.rfft2(a, shape) * np.fft.rfft2(b, shape).conj(), shape)
    return float(product.max() / math.sqrt((a**2).sum() * (b**2).sum()))


def _plane(kernel: Tensor) -> np.ndarray:
    plane = kernel[0, 0].cpu().numpy().astype(np.float64)
    return plane / plane.sum()
