"""Measure a point spread function as the mean image of many small beads (2-D or 3-D)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.errors import InputError

DETECTION_SIGMA_PX = 1.0  # Gaussian filter before beads are detected, so that single bright pixels are ignored
LEAST_PEAK = 0.1  # fraction of the brightest maximum above the background; dimmer maxima are no beads
LOBE = 0.3  # a maximum dimmer than this fraction of one close to it is a diffraction lobe of that bead
PEAK_SIGMAS = 6.0  # least height of a peak, in standard deviations of the background
TOO_BRIGHT, TOO_DIM = 1.6, 0.4  # times the median brightness: two unresolved beads; out of focus, or dirt
LEAST_CORRELATION = 0.8  # with the median bead; what correlates less is a clump of beads, or dirt
NOISE_FLOOR_SIGMAS = 3.0  # in standard deviations of the rim of the mean bead; dimmer pixels are set to 0
DEFAULT_SIDE_PX = 33


@dataclass(frozen=True)
class Beads:
    """A kernel measured from beads, the result of :func:`from_beads`.

    Parameters
    ----------
    kernel : float32 array
        >= 0, sum 1, bead centre in its middle.
    used : int array [n, 2 or 3]
        Pixel coordinates of the beads that were averaged.
    left_out : dict of str to int
        Number of beads that were left out, by reason.
    """

    kernel: np.ndarray
    used: np.ndarray
    left_out: dict[str, int]


def from_beads(beads: np.ndarray, size: int | tuple[int, ...] | None = None) -> Beads:
    """Measure the point spread function from an image or stack of beads much smaller than it.

    Beads are detected as maxima of the smoothed image; those at the border, too close to each other, too bright (two
    beads that look like one), too dim or unlike the others are left out. The local background of each bead is
    subtracted, its centre of mass is shifted to the middle of the window (cubic splines), and the mean is taken.

    Parameters
    ----------
    beads : array [Y, X] or [Z, Y, X]
        Integers or floats, any scale.
    size : int or tuple of int, optional
        Sides of the kernel in pixels, raised to odd numbers; by default 33, or as large as the image allows.

    Returns
    -------
    Beads

    Raises
    ------
    InputError
        The input is not a plane or stack of finite values, or no bead can be used; the message counts why.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_genprior as gp
    >>> points = np.zeros((100, 100))
    >>> points[20::30, 20::30] = 1000
    >>> image = gp.simulate(points, gp.blur.gaussian(1.5), noise=0.001, seed=0).blurred
    >>> beads = gp.blur.from_beads(image, size=13)
    >>> beads.kernel.shape, len(beads.used)
    ((13, 13), 9)
    """
    image, half = _check_beads(beads, size)
    peaks = _detect_peaks(image, half)
    inside = ((peaks >= half) & (peaks < np.array(image.shape) - half)).all(1)
    isolated = _neighbours(peaks, half).sum(1) == 1
    left_out = {
        "at the border": int((~inside).sum()),
        "too near each other": int((inside & ~isolated).sum()),
    }
    kept = peaks[inside & isolated]
    windows = [_centred_window(image, peak, half) for peak in kept]
    if windows:
        good, unlike = _select_single_beads(windows)
        left_out |= unlike
        kept, windows = kept[good], [w for w, g in zip(windows, good, strict=True) if g]
    if not windows:
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items() if count) or "nothing stands out"
        raise InputError(f"No bead can be used ({reasons}). Try a smaller size, or an image with single beads.")
    mean = np.mean(windows, axis=0)
    rim = mean[_rim(mean.shape)]
    # the noise that is left of the background would weigh as much as the bead, because there are many such pixels
    floor = np.median(rim) + NOISE_FLOOR_SIGMAS * 1.4826 * np.median(np.abs(rim - np.median(rim)))
    mean = np.where(mean > floor, mean, 0)
    return Beads((mean / mean.sum()).astype(np.float32), kept, {r: n for r, n in left_out.items() if n})


def _check_beads(beads: np.ndarray, size: int | tuple[int, ...] | None) -> tuple[np.ndarray, np.ndarray]:
    """Check the arguments of :func:`from_beads`; return the float64 image and half the sides of a window."""
    image = np.asarray(beads)
    if image.ndim not in (2, 3) or image.dtype.kind not in "uif" or not np.isfinite(image).all():
        raise InputError(f"Beads need a plane or a stack of finite values; got shape {image.shape}, {image.dtype}.")
    image = image.astype(np.float64)
    sides = (size or DEFAULT_SIDE_PX,) * image.ndim if not isinstance(size, tuple) else size
    if len(sides) != image.ndim or min(sides) < 3:
        raise InputError(f"size must be a side of at least 3 px, or one for each of {image.ndim} axes; got {size!r}.")
    return image, np.array([min(side, n - 1 + n % 2) // 2 for side, n in zip(sides, image.shape, strict=True)])


def _select_single_beads(windows: list[np.ndarray]) -> tuple[np.ndarray, dict[str, int]]:
    """Select the windows that show a single bead: a mask ``[n]``, and the number of the others by reason."""
    brightness = np.array([window.sum() for window in windows])
    single = brightness <= TOO_BRIGHT * np.median(brightness)
    bright = brightness >= TOO_DIM * np.median(brightness)
    typical = np.median([w / s for w, s in zip(windows, brightness, strict=True)], axis=0)
    alike = np.array([np.corrcoef(w.ravel(), typical.ravel())[0, 1] > LEAST_CORRELATION for w in windows])
    left_out = {
        "brighter than one bead": int((~single).sum()),
        "dimmer than one bead": int((~bright).sum()),
        "unlike the others": int((single & bright & ~alike).sum()),
    }
    return single & bright & alike, left_out


def _detect_peaks(image: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Detect local maxima above the background that are no lobes of a brighter bead; pixels ``[n, ndim]``."""
    smooth = ndimage.gaussian_filter(image, DETECTION_SIGMA_PX)
    background = np.median(smooth)
    noise = 1.4826 * np.median(np.abs(smooth - background))
    least = background + max(PEAK_SIGMAS * noise, LEAST_PEAK * (smooth.max() - background))
    maxima = (smooth == ndimage.maximum_filter(smooth, 5)) & (smooth > least)
    # neighbouring pixels of equal value (a plateau in 8-bit images) are one bead
    parts, count = ndimage.label(maxima, np.ones((3,) * image.ndim))
    centres = ndimage.center_of_mass(maxima, parts, range(1, count + 1))
    peaks = np.rint(np.array(centres).reshape(count, image.ndim)).astype(int)
    heights = smooth[tuple(peaks.T)] - background
    lobes = (_neighbours(peaks, half) & (heights[:, None] < LOBE * heights[None])).any(1)
    return peaks[~lobes]


def _neighbours(peaks: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Mark the peaks j that lie in the window of peak i, bool ``[n, n]``."""
    return (np.abs(peaks[:, None] - peaks[None]) <= half).all(-1)


def _rim(shape: tuple[int, ...]) -> np.ndarray:
    """Mark the outermost pixels of a window."""
    rim = np.ones(shape, bool)
    rim[tuple(slice(1, -1) for _ in shape)] = False
    return rim


def _centred_window(image: np.ndarray, peak: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Cut out a bead, subtract its background and shift its centre of mass to the middle."""
    around = tuple(slice(p - h, p + h + 1) for p, h in zip(peak, half, strict=True))
    window = image[around]
    window = window - np.median(window[_rim(window.shape)])
    core = np.clip(window, 0.2 * window.max(), None) - 0.2 * window.max()  # noise far out would shift the centre
    shift = half - np.array(ndimage.center_of_mass(core))
    return ndimage.shift(window, shift, order=3, mode="nearest")
