"""The shape of a kernel in numbers, and the kernel on another pixel grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.arrays import check_kernel
from ..core.errors import InputError

FAINT = 0.05  # of the maximum; fainter pixels are tails or noise, and their leverage on an axis is large
TOP = 0.8  # of the maximum: the middle of what is brighter is the peak
STEP = 0.05  # px, along a profile
FINE = 5  # points per pixel and axis at which a coarser grid looks at a kernel


@dataclass(frozen=True)
class Shape:
    """A kernel as a spot and as a straight motion; pixels.

    Parameters
    ----------
    fwhm_long, fwhm_short : float
        Full widths at half maximum along and across the main axis, through the peak.
    motion_length : float
        Pixels that the motion covers, were it a straight one (:func:`.motion`); a point covers 1.
    angle_deg : float
        Of the main axis, counter-clockwise from the x axis, in [0, 180).
    elongation : float
        Long over short axis, by second moments; near 1 the angle means nothing.
    """

    fwhm_long: float
    fwhm_short: float
    motion_length: float
    angle_deg: float
    elongation: float


def measure(kernel: np.ndarray) -> Shape:
    """Width, motion length and angle of a kernel [kh, kw]; raises InputError for what is no kernel."""
    whole = check_kernel(kernel).astype(np.float64)
    k = np.where(whole >= FAINT * whole.max(), whole, 0)
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
    return Shape(
        fwhm_long=_width(whole, axes[:, 1]),
        fwhm_short=_width(whole, axes[:, 0]),
        # a uniform line of length L has variance L^2 / 12; from centre to centre it covers a pixel more
        motion_length=1 + (12 * max(long - short, 0.0)) ** 0.5,
        angle_deg=angle,
        elongation=(long / short) ** 0.5 if short > 0 else float("inf"),
    )


def _width(kernel: np.ndarray, direction: np.ndarray) -> float:
    """Between the points at half the maximum nearest to the peak, along ``direction`` (right, up)."""
    top = kernel >= TOP * kernel.max()
    parts, _ = ndimage.label(top, np.ones((3, 3)))
    first = parts[np.unravel_index(kernel.argmax(), top.shape)]  # of several equal peaks
    peak = np.array(ndimage.center_of_mass(parts == first))
    away = np.arange(0, sum(kernel.shape), STEP)
    widths = []
    for sign in (1, -1):
        line = peak[:, None] + sign * away * np.array([[-direction[1]], [direction[0]]])
        profile = ndimage.map_coordinates(kernel, line, order=1, mode="grid-constant")
        widths.append(away[np.argmax(profile < kernel.max() / 2)])
    return float(sum(widths))


def resample(kernel: np.ndarray, factor: float) -> np.ndarray:
    """The kernel on pixels ``1 / factor`` as large: it covers ``factor`` times as many of them.

    Parameters
    ----------
    kernel : array [kh, kw]
    factor : float
        Pixel size of the kernel over that of the image, > 0.

    Returns
    -------
    float32 array
        Odd sides, >= 0, sum 1, centred as before. Coarser pixels gather the light that falls on them.

    Raises
    ------
    InputError
        Not a kernel, or not a factor.
    """
    k = check_kernel(kernel)
    if not (np.isfinite(factor) and factor > 0):
        raise InputError(f"resample needs a factor > 0; got {factor!r}.")
    sides = [2 * int(np.ceil((side * factor - 1) / 2)) + 1 for side in k.shape]
    fine = max(1, round(FINE / factor)) if factor < 1 else 1
    axes = [
        ((np.arange(side * fine) + 0.5) / fine - side / 2) / factor + n // 2
        for side, n in zip(sides, k.shape, strict=True)
    ]
    values = ndimage.map_coordinates(k.astype(np.float64), np.meshgrid(*axes, indexing="ij"), order=1)
    return check_kernel(values.reshape(sides[0], fine, sides[1], fine).mean((1, 3)))
