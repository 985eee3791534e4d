"""Features of the shape of a kernel, and the similarity of two kernels."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage
from torch import Tensor

SPECK = 0.05  # fraction of the maximum; lower values belong to no component
MODE = 0.3  # fraction of the maximum; lower peaks are not counted
SMOOTHING_PX = 0.7  # standard deviation of the Gaussian by which kernels are smoothed to compare them or count peaks


def kernel_features(kernel: Tensor) -> dict[str, float]:
    """Measure the shape of a kernel ``[1, 1, kh, kw]`` (>= 0, sum 1).

    Returns
    -------
    dict of str to float
        ``kernel_peak``: mass of the largest pixel. ``kernel_width_px``: twice the root mean square distance from the
        centre of mass. ``kernel_border_mass``: mass in the outermost ring. ``kernel_scattered_mass``: mass outside the
        largest connected component. ``kernel_modes``: number of peaks.
    """
    k = _plane(kernel)
    y, x = np.mgrid[: k.shape[0], : k.shape[1]]
    variance = (k * ((y - (k * y).sum()) ** 2 + (x - (k * x).sum()) ** 2)).sum()
    components, count = ndimage.label(k > SPECK * k.max(), np.ones((3, 3)))
    smooth = ndimage.gaussian_filter(np.pad(k, 2), SMOOTHING_PX)
    peaks = (smooth == ndimage.maximum_filter(smooth, 3)) & (smooth > MODE * smooth.max())
    return {
        "kernel_peak": float(k.max()),
        "kernel_width_px": 2 * math.sqrt(max(variance, 0)),
        # a kernel of 1 or 3 pixels is all border, which says nothing about its support
        "kernel_border_mass": float(1 - k[1:-1, 1:-1].sum()) if min(k.shape) > 3 else 0.0,
        "kernel_scattered_mass": float(1 - ndimage.sum_labels(k, components, np.arange(1, count + 1)).max()),
        "kernel_modes": float(peaks.sum()),
    }


def kernel_similarity(first: Tensor, second: Tensor) -> float:
    """Compute the largest correlation of two slightly smoothed kernels ``[1, 1, kh, kw]`` over all shifts: 0 to 1."""
    a, b = (ndimage.gaussian_filter(_plane(kernel), SMOOTHING_PX) for kernel in (first, second))
    shape = tuple(n + m for n, m in zip(a.shape, b.shape, strict=True))
    product = np.fft.irfft2(np.fft.rfft2(a, shape) * np.fft.rfft2(b, shape).conj(), shape)
    return float(product.max() / math.sqrt((a**2).sum() * (b**2).sum()))


def _plane(kernel: Tensor) -> np.ndarray:
    """Convert a kernel to float64 ``[kh, kw]`` of sum 1."""
    plane = kernel[0, 0].cpu().numpy().astype(np.float64)
    return plane / plane.sum()
