"""Analytic blur kernels: Gaussian, defocus disk, box, and the motion + Gaussian overlays of Asim 2018."""

from __future__ import annotations

import numpy as np

from ..core.checks import check_kernel
from ..core.errors import InputError
from .motion import motion

OVERSAMPLING = 8  # sub-pixels per pixel and axis when a sharp edge (disk, box) is integrated over pixels


def odd_size(extent_px: float) -> int:
    """Compute the smallest odd number of pixels that holds ``extent_px`` pixels about a centre pixel."""
    return 2 * int(np.ceil((extent_px - 1) / 2)) + 1


def _offsets(size: int, per_pixel: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Compute the distances of (sub-)pixels from the array's centre, in pixels: y down, x right."""
    axis = (np.arange(size * per_pixel) + 0.5) / per_pixel - size / 2
    return np.meshgrid(axis, axis, indexing="ij")


def _binned(fine: np.ndarray) -> np.ndarray:
    """Integrate an oversampled kernel over pixels."""
    size = len(fine) // OVERSAMPLING
    kernel = fine.reshape(size, OVERSAMPLING, size, OVERSAMPLING).mean(axis=(1, 3))
    return check_kernel(kernel)


def gaussian(sigma_px: float, aspect: float = 1.0, angle_deg: float = 0.0, size: int | None = None) -> np.ndarray:
    """Make a Gaussian kernel, isotropic or elongated.

    Parameters
    ----------
    sigma_px : float
        Standard deviation along the long axis, in pixels.
    aspect : float
        Ratio of the short to the long axis, in (0, 1].
    angle_deg : float
        Direction of the long axis, counter-clockwise from the x axis.
    size : int, optional
        Side of the kernel; by default it holds 3 standard deviations.

    Returns
    -------
    float32 array [size, size]
        >= 0, sum 1.

    Raises
    ------
    InputError
        ``sigma_px`` or ``aspect`` is out of range.

    Examples
    --------
    >>> import napari_genprior as gp
    >>> gp.blur.gaussian(1.5).shape
    (11, 11)
    """
    if not (sigma_px > 0 and 0 < aspect <= 1):
        raise InputError(f"gaussian needs sigma_px > 0 and 0 < aspect <= 1; got {sigma_px} and {aspect}.")
    y, x = _offsets(size or odd_size(6 * sigma_px + 1))
    angle = np.deg2rad(angle_deg)
    along = x * np.cos(angle) - y * np.sin(angle)  # y points down, angles run counter-clockwise
    across = x * np.sin(angle) + y * np.cos(angle)
    return check_kernel(np.exp(-0.5 * (along**2 + (across / aspect) ** 2) / sigma_px**2))


def defocus(radius_px: float, size: int | None = None) -> np.ndarray:
    """Make a uniform disk of ``radius_px`` pixels: defocus in geometrical optics, ``[size, size]``, sum 1.

    Examples
    --------
    >>> import napari_genprior as gp
    >>> gp.blur.defocus(3).shape
    (7, 7)
    """
    if not radius_px > 0:
        raise InputError(f"defocus needs radius_px > 0; got {radius_px}.")
    y, x = _offsets(size or odd_size(2 * radius_px), OVERSAMPLING)
    return _binned((np.hypot(y, x) <= max(radius_px, 0.5)).astype(np.float64))


def box(length: float, size: int | None = None) -> np.ndarray:
    """Make a uniform square of ``length`` pixels a side: binning, or a scanning aperture, ``[size, size]``, sum 1.

    Examples
    --------
    >>> import napari_genprior as gp
    >>> gp.blur.box(3).shape
    (3, 3)
    """
    if not length > 0:
        raise InputError(f"box needs length > 0; got {length}.")
    y, x = _offsets(size or odd_size(length), OVERSAMPLING)
    half = max(length, 1.0) / 2
    return _binned(((abs(y) <= half) & (abs(x) <= half)).astype(np.float64))


def average_kernels(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Average two kernels, aligned at their centres (sizes may differ); square, sum 1.

    Examples
    --------
    >>> import napari_genprior as gp
    >>> gp.blur.average_kernels(gp.blur.motion(9), gp.blur.gaussian(1.5)).shape
    (11, 11)
    """
    side = max(first.shape + second.shape)
    total = np.zeros((side, side))
    for kernel in (first, second):
        top, left = (side - kernel.shape[0]) // 2, (side - kernel.shape[1]) // 2
        total[top : top + kernel.shape[0], left : left + kernel.shape[1]] += kernel / kernel.sum()
    return check_kernel(total)


def asim_a(angle_deg: float, size: int = 28) -> np.ndarray:
    """Make a kernel of class A of Asim 2018, section 4.1: straight motion of length 10 at any angle."""
    return motion(10, angle_deg, size)


def asim_b(angle_deg: float, sigma_px: float, size: int = 28) -> np.ndarray:
    """Make a kernel of class B of Asim 2018, section 4.1: class A averaged with a Gaussian, sigma 0.5 to 1.5 px."""
    return average_kernels(asim_a(angle_deg, size), gaussian(sigma_px, size=size))


def normalize_kernel(array: np.ndarray) -> np.ndarray:
    """Convert an array (file, layer) to a kernel: float32, sum 1; raises InputError for negative or empty ones."""
    return check_kernel(array)
