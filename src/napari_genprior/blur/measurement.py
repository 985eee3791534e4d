"""Measure the shape of a kernel, and resample it to another pixel size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.checks import check_kernel
from ..core.errors import InputError

TAIL_THRESHOLD = 0.05  # fraction of the maximum; fainter pixels are tails or noise and would dominate the moments
PEAK_THRESHOLD = 0.8  # fraction of the maximum; the centroid of brighter pixels is the peak
PROFILE_STEP_PX = 0.05
OVERSAMPLING = 5  # samples per pixel and axis when a kernel is integrated over coarser pixels


@dataclass(frozen=True)
class KernelShape:
    """The shape of a kernel, measured as a spot and as a straight motion, in pixels.

    Parameters
    ----------
    fwhm_long, fwhm_short : float
        Full widths at half maximum along and across the main axis, through the peak.
    motion_length : float
        Length of the straight motion (:func:`.motion`) with the same second moments; a point has length 1.
    angle_deg : float
        Direction of the main axis, counter-clockwise from the x axis, in [0, 180).
    elongation : float
        Ratio of the long to the short axis, by second moments; near 1 the angle is meaningless.
    """

    fwhm_long: float
    fwhm_short: float
    motion_length: float
    angle_deg: float
    elongation: float


def measure_kernel(kernel: np.ndarray) -> KernelShape:
    """Measure width, motion length and direction of a kernel.

    Parameters
    ----------
    kernel : array [kh, kw]
        >= 0; it is normalized to sum 1.

    Returns
    -------
    KernelShape

    Raises
    ------
    InputError
        ``kernel`` is not a 2-D array of finite values >= 0 with a positive sum.

    Examples
    --------
    >>> import napari_genprior as gp
    >>> shape = gp.blur.measure_kernel(gp.blur.motion(length=9, angle_deg=30))
    >>> round(float(shape.motion_length)), round(float(shape.angle_deg))
    (9, 30)
    """
    whole = check_kernel(kernel).astype(np.float64)
    k = np.where(whole >= TAIL_THRESHOLD * whole.max(), whole, 0)
    k /= k.sum()
    y, x = np.indices(k.shape)
    cy, cx = (k * y).sum(), (k * x).sum()
    up, right = cy - y, x - cx  # y points down, angles run counter-clockwise
    covariance = np.array([
        [(k * right**2).sum(), (k * right * up).sum()], [(k * right * up).sum(), (k * up**2).sum()],
    ])  # fmt: skip
    (short, long), axes = np.linalg.eigh(covariance)
    short, long = max(short, 0.0), max(long, 0.0)
    angle = float(np.degrees(np.arctan2(axes[1, 1], axes[0, 1]))) % 180
    return KernelShape(
        fwhm_long=_width(whole, axes[:, 1]),
        fwhm_short=_width(whole, axes[:, 0]),
        # a uniform line of length L has variance L^2 / 12; from centre to centre it covers a pixel more
        motion_length=1 + (12 * max(long - short, 0.0)) ** 0.5,
        angle_deg=angle,
        elongation=(long / short) ** 0.5 if short > 0 else float("inf"),
    )


def _width(kernel: np.ndarray, direction: np.ndarray) -> float:
    """Measure the full width at half maximum through the peak along ``direction`` (right, up)."""
    top = kernel >= PEAK_THRESHOLD * kernel.max()
    parts, _ = ndimage.label(top, np.ones((3, 3)))
    first = parts[np.unravel_index(kernel.argmax(), top.shape)]  # the first of several equal peaks
    peak = np.array(ndimage.center_of_mass(parts == first))
    away = np.arange(0, sum(kernel.shape), PROFILE_STEP_PX)
    widths = []
    for sign in (1, -1):
        line = peak[:, None] + sign * away * np.array([[-direction[1]], [direction[0]]])
        profile = ndimage.map_coordinates(kernel, line, order=1, mode="grid-constant")
        widths.append(away[np.argmax(profile < kernel.max() / 2)])
    return float(sum(widths))


def resample(kernel: np.ndarray, factor: float) -> np.ndarray:
    """Resample a kernel to another pixel size: it covers ``factor`` times as many pixels a side.

    Parameters
    ----------
    kernel : array [kh, kw]
    factor : float
        Pixel size of the kernel over that of the image, > 0.

    Returns
    -------
    float32 array
        Odd sides, >= 0, sum 1, centred as before. Coarser pixels integrate the light that falls on them.

    Raises
    ------
    InputError
        ``kernel`` is not a kernel, or ``factor`` is not positive and finite.

    Examples
    --------
    >>> import napari_genprior as gp
    >>> gp.blur.resample(gp.blur.gaussian(1.5), 2.0).shape
    (23, 23)
    """
    k = check_kernel(kernel)
    if not (np.isfinite(factor) and factor > 0):
        raise InputError(f"resample needs a factor > 0; got {factor!r}.")
    sides = [2 * int(np.ceil((side * factor - 1) / 2)) + 1 for side in k.shape]
    fine = max(1, round(OVERSAMPLING / factor)) if factor < 1 else 1
    axes = [
        ((np.arange(side * fine) + 0.5) / fine - side / 2) / factor + n // 2
        for side, n in zip(sides, k.shape, strict=True)
    ]
    values = ndimage.map_coordinates(k.astype(np.float64), np.meshgrid(*axes, indexing="ij"), order=1)
    return check_kernel(values.reshape(sides[0], fine, sides[1], fine).mean((1, 3)))
