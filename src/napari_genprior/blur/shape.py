"""The shape of a kernel in numbers, and the kernel on another pixel grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .._tensors import check_kernel
from ..errors import InputError

FWHM = 2 * (2 * np.log(2)) ** 0.5  # full width at half maximum of a Gaussian over its standard deviation
FINE = 5  # points per pixel and axis at which a coarser grid looks at a kernel


@dataclass(frozen=True)
class Shape:
    """A kernel's second moments, read as those of a Gaussian and of a straight motion; pixels.

    Parameters
    ----------
    fwhm_long, fwhm_short : float
        Full widths at half maximum along and across the main axis, were it a Gaussian.
    motion_length : float
        Pixels that the motion covers, were it a straight one (:func:`.motion`); a point covers 1.
    angle_deg : float
        Of the main axis, counter-clockwise from the x axis, in [0, 180).
    elongation : float
        Long over short width; near 1 the angle means nothing.
    """

    fwhm_long: float
    fwhm_short: float
    motion_length: float
    angle_deg: float
    elongation: float


def measure(kernel: np.ndarray) -> Shape:
    """Width, motion length and angle of a kernel [kh, kw]; raises InputError for what is no kernel."""
    k = check_kernel(kernel).astype(np.float64)
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
        fwhm_long=FWHM * long**0.5,
        fwhm_short=FWHM * short**0.5,
        # a uniform line of length L has variance L^2 / 12; from centre to centre it covers a pixel more
        motion_length=1 + (12 * max(long - short, 0.0)) ** 0.5,
        angle_deg=angle,
        elongation=(long / short) ** 0.5 if short > 0 else float("inf"),
    )


def resample(kernel: np.ndarray, factor: float) -> np.ndarray:
    """The kernel on pixels ``1 / factor`` as large: it covers ``factor`` times as many of them.

    Parameters
    ----------
    kernel : array [kh, kw]
    factor : float
        Pixel size of the kernel over that of the picture, > 0.

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
