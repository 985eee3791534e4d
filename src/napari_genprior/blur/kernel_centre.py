"""Put the centre of a kernel where a restored image is not shifted; leave kernels that are centred, or are no spots."""

from __future__ import annotations

from math import ceil

import numpy as np
from scipy import ndimage

CORE = 0.2  # fraction of the maximum; dimmer pixels are tails, which a window may cut off on one side
OFF_CENTRE_PX = 0.25  # of exact kernels; they are left as they are up to here
OFF_FOCUS_PLANES = 1.5  # of exact kernels; aberrations move the centre of mass away from the best focus
MEASURED_OFF_PX = 0.05  # of measured kernels, whose place in their window means nothing
MIN_ROUNDNESS = 0.6  # short over long axis of a spot; motion is longer
MIN_SYMMETRY = 0.97  # correlation of a spot with itself turned by 180 degrees
MAX_BORDER = 0.5  # of the peak; a spot is dimmer at its border, a box or a line is not
KEPT_MASS = 1 - 1e-5  # of a kernel whose empty rim is cropped
EMPTY = 0.25  # of the peak; a kernel in FFT order is dimmer in its middle
MUCH_CLOSER = 0.25  # mean squared distance from the centre, of motion in FFT order: after over before it is moved
CORNER_MASS = 0.05  # of the kernel, at least in each quarter of one in FFT order


def unshift_fft_order(kernel: np.ndarray) -> np.ndarray | None:
    """Return a kernel in FFT order (its centre in the first pixel) in the order of images; None for other kernels.

    Such a spot lies in all corners of the plane, motion in two of them or more; the middle is empty.
    """
    plane = kernel.clip(0).reshape(-1, *kernel.shape[-2:]).sum(0)
    height, width = plane.shape
    if min(height, width) < 6:
        return None
    middle = plane[height // 2 - 1 : height // 2 + 2, width // 2 - 1 : width // 2 + 2].mean()
    clean = (plane - np.median(plane)).clip(0)
    moved = np.fft.fftshift(clean)
    closer = _spread(moved) / max(_spread(clean), 1e-9)  # a single pixel in the middle spreads over nothing
    quarters = [q for rows in np.array_split(clean, 2) for q in np.array_split(rows, 2, axis=1)]
    filled = sum(float(quarter.sum()) >= CORNER_MASS * clean.sum() for quarter in quarters)
    row, column = divmod(int(plane.argmax()), width)
    spot = _near_first(row, height) and _near_first(column, width) and filled == 4 and closer < 0.5
    path = filled >= 2 and closer < MUCH_CLOSER and _is_connected(moved)
    if middle > EMPTY * plane.max() or not (spot or path):
        return None
    first = kernel.ndim == 3 and len(kernel) > 2 and _near_first(int(kernel.max((1, 2)).argmax()), len(kernel))
    return np.fft.fftshift(kernel, None if first else (-2, -1))


def centre_offset(kernel: np.ndarray, measured: bool, even: bool) -> tuple[float, ...]:
    """Measure how far the centre of a kernel lies from pixel ``n // 2`` along each axis; 0 where it is to stay.

    Parameters
    ----------
    kernel : array [(kz,) kh, kw]
        >= 0, without background.
    measured : bool
        The kernel comes from a camera. An exact kernel is centred only where it is a round, symmetric spot: the centre
        of mass of others, such as camera shake, is where the blur has it.
    even : bool
        The number of planes was even before empty ones were cropped.
    """
    plane = kernel.reshape(-1, *kernel.shape[-2:]).sum(0)
    lateral = _offset(plane)
    least = MEASURED_OFF_PX if measured else OFF_CENTRE_PX
    if not (measured or _is_spot(plane, lateral)) or max(map(abs, lateral)) < least:
        lateral = (0.0, 0.0)
    if kernel.ndim == 2:
        return lateral
    axial = _offset(kernel.max((1, 2)))  # the sum is the same in all planes of a widefield microscope
    between = even and abs(axial[0] + 0.5) < OFF_CENTRE_PX  # two planes
    least = least if measured or between else OFF_FOCUS_PLANES
    symmetric = measured or _correlation(_moved(kernel, (axial[0], 0, 0)), turned=(0,)) > MIN_SYMMETRY
    if not symmetric or abs(axial[0]) < least:
        axial = (0.0,)
    return (*axial, *lateral)


def centred(kernel: np.ndarray, offset: tuple[float, ...]) -> np.ndarray:
    """Shift a kernel by ``-offset`` (cubic splines) on a support that holds all of it; odd sides, >= 0."""
    moved = np.clip(_moved(kernel, offset), 0, None)
    return crop_rim(moved)


def crop_rim(kernel: np.ndarray, margin: int = 0) -> np.ndarray:
    """Crop the nearly empty rim of a kernel about its centre pixel, but for a margin; the sides become odd."""
    kernel = np.pad(kernel, [(0, 1 - side % 2) for side in kernel.shape])  # the centre pixel stays n // 2
    slices = []
    for axis, side in enumerate(kernel.shape):
        profile = kernel.sum(tuple(other for other in range(kernel.ndim) if other != axis))
        rings = np.bincount(np.abs(np.arange(side) - side // 2), weights=profile)
        reach = int(np.searchsorted(np.cumsum(rings), KEPT_MASS * rings.sum())) + margin
        reach = min(reach, side // 2)
        slices.append(slice(side // 2 - reach, side // 2 + reach + 1))
    return kernel[tuple(slices)]


def _is_connected(plane: np.ndarray) -> bool:
    """Return whether the bright pixels are one part, larger than two spots of a pixel that touch."""
    bright = plane > EMPTY * plane.max()
    return ndimage.label(bright, np.ones((3, 3)))[1] == 1 and bool(bright.sum() > 2)


def _near_first(index: int, side: int) -> bool:
    return index <= 1 or index == side - 1


def _spread(plane: np.ndarray) -> float:
    """Compute the mean squared distance from the centre pixel, px^2."""
    y, x = np.indices(plane.shape)
    squared = (y - plane.shape[0] // 2) ** 2 + (x - plane.shape[1] // 2) ** 2
    return float((plane * squared).sum() / max(plane.sum(), np.finfo(float).tiny))


def _offset(kernel: np.ndarray) -> tuple[float, ...]:
    """Measure the centre of mass of the core from pixel ``n // 2``."""
    core = np.clip(kernel - CORE * kernel.max(), 0, None)
    parts, _ = ndimage.label(core, np.ones((3,) * kernel.ndim))
    core = np.where(parts == parts[np.unravel_index(int(kernel.argmax()), kernel.shape)], core, 0)
    return tuple(float(c) - n // 2 for c, n in zip(ndimage.center_of_mass(core), kernel.shape, strict=True))


def _is_spot(plane: np.ndarray, offset: tuple[float, ...]) -> bool:
    """Return whether a kernel is round and symmetric about its centre, and dimmer at its border."""
    border = max(plane[0].max(), plane[-1].max(), plane[:, 0].max(), plane[:, -1].max())
    if border > MAX_BORDER * plane.max():
        return False
    core = np.where(plane > 0.05 * plane.max(), plane, 0)
    y, x = (axis - n // 2 - o for axis, n, o in zip(np.indices(plane.shape), plane.shape, offset, strict=True))
    moments = np.array([[(core * y * y).sum(), (core * y * x).sum()], [(core * y * x).sum(), (core * x * x).sum()]])
    short, long = np.linalg.eigvalsh(moments)
    round_ = short > MIN_ROUNDNESS**2 * long
    return bool(round_) and _correlation(_moved(plane, offset), turned=(0, 1)) > MIN_SYMMETRY


def _moved(kernel: np.ndarray, offset: tuple[float, ...]) -> np.ndarray:
    """Shift a kernel by ``-offset`` on a larger support of odd sides, about whose centre pixel it then lies."""
    half = [ceil(max(n // 2 + o, n - 1 - n // 2 - o)) + 1 for n, o in zip(kernel.shape, offset, strict=True)]
    padded = np.pad(kernel, [(h - n // 2, h + 1 - n + n // 2) for h, n in zip(half, kernel.shape, strict=True)])
    return ndimage.shift(padded, [-o for o in offset], order=3, mode="grid-constant") if any(offset) else padded


def _correlation(kernel: np.ndarray, turned: tuple[int, ...]) -> float:
    """Compute the correlation of a kernel with itself, reversed along axes."""
    other = np.flip(kernel, turned)
    return float((kernel * other).sum() / (kernel**2).sum())
