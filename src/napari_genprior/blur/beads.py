"""A measured kernel: the mean of the images of many small beads (2-D or 3-D)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.errors import InputError

SMOOTHING = 1.0  # px; Gaussian before the search for beads, against single bright pixels
FAINTEST = 0.1  # of the brightest maximum over the background, whatever it is
LOBE = 0.3  # of a maximum near by: a dimmer one belongs to that bead
ABOVE_NOISE = 6.0  # standard deviations of the background
TWO_IN_ONE, TOO_DIM = 1.6, 0.4  # times the median brightness: two beads that look like one; out of focus, or dirt
UNLIKE = 0.8  # least correlation with the median bead; below it is a clump, or dirt
NOISE_FLOOR = 3.0  # standard deviations of the mean's rim; below it a pixel is empty
SIDE = 33  # px, of the kernel where none is given


@dataclass(frozen=True)
class Beads:
    """What :func:`from_beads` found.

    Parameters
    ----------
    kernel : float32 array
        >= 0, sum 1, bead centre in its middle.
    used : int array [n, 2 or 3]
        Pixels of the beads that were averaged.
    left_out : dict of str to int
        How many others there were, by reason.
    """

    kernel: np.ndarray
    used: np.ndarray
    left_out: dict[str, int]


def from_beads(beads: np.ndarray, size: int | tuple[int, ...] | None = None) -> Beads:
    """Measure the point spread function from an image or stack of beads much smaller than it.

    Beads are found as maxima of the smoothed image; those at the border, too near each other, too bright (two in
    one), too dim or unlike the others are left out. Each one's local background is taken off, its centre of mass is
    shifted into the middle of the window (cubic splines), and the mean is taken.

    Parameters
    ----------
    beads : array [Y, X] or [Z, Y, X]
    size : int or tuple of int, optional
        Sides of the kernel, pixels, raised to odd numbers; by default 33, or as large as the image allows.

    Raises
    ------
    InputError
        Not a plane or stack of finite values, or no bead can be used; the message says what was found.
    """
    image = np.asarray(beads)
    if image.ndim not in (2, 3) or image.dtype.kind not in "uif" or not np.isfinite(image).all():
        raise InputError(f"Beads need a plane or a stack of finite values; got shape {image.shape}, {image.dtype}.")
    image = image.astype(np.float64)
    sides = (size or SIDE,) * image.ndim if not isinstance(size, tuple) else size
    if len(sides) != image.ndim or min(sides) < 3:
        raise InputError(f"size must be a side of at least 3 px, or one for each of {image.ndim} axes; got {size!r}.")
    half = np.array([min(side, n - 1 + n % 2) // 2 for side, n in zip(sides, image.shape, strict=True)])
    peaks = _peaks(image, half)
    left_out = {}
    inside = ((peaks >= half) & (peaks < np.array(image.shape) - half)).all(1)
    apart = _alone(peaks, half)
    left_out["at the border"] = int((~inside).sum())
    left_out["too near each other"] = int((inside & ~apart).sum())
    kept = peaks[inside & apart]
    windows = [_window(image, peak, half) for peak in kept]
    if windows:
        light = np.array([window.sum() for window in windows])
        single, bright = light <= TWO_IN_ONE * np.median(light), light >= TOO_DIM * np.median(light)
        typical = np.median([w / s for w, s in zip(windows, light, strict=True)], axis=0)
        alike = np.array([np.corrcoef(w.ravel(), typical.ravel())[0, 1] > UNLIKE for w in windows])
        left_out["brighter than one bead"] = int((~single).sum())
        left_out["dimmer than one bead"] = int((~bright).sum())
        left_out["unlike the others"] = int((single & bright & ~alike).sum())
        good = single & bright & alike
        kept, windows = kept[good], [w for w, g in zip(windows, good, strict=True) if g]
    if not windows:
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items() if count) or "nothing stands out"
        raise InputError(f"No bead can be used ({reasons}). Try a smaller size, or an image with single beads.")
    mean = np.mean(windows, axis=0)
    rim = _rim(mean.shape)
    # what is left of the background's noise would weigh as much as the bead: there are many such pixels
    floor = np.median(mean[rim]) + NOISE_FLOOR * 1.4826 * np.median(np.abs(mean[rim] - np.median(mean[rim])))
    mean = np.where(mean > floor, mean, 0)
    return Beads((mean / mean.sum()).astype(np.float32), kept, {r: n for r, n in left_out.items() if n})


def _peaks(image: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Pixels of local maxima that stand out of the background, and are no lobe of a brighter one, [n, ndim]."""
    smooth = ndimage.gaussian_filter(image, SMOOTHING)
    background = np.median(smooth)
    noise = 1.4826 * np.median(np.abs(smooth - background))
    least = background + max(ABOVE_NOISE * noise, FAINTEST * (smooth.max() - background))
    maxima = (smooth == ndimage.maximum_filter(smooth, 5)) & (smooth > least)
    # equal neighbours (a plateau of 8-bit values) are one bead
    parts, count = ndimage.label(maxima, np.ones((3,) * image.ndim))
    centres = ndimage.center_of_mass(maxima, parts, range(1, count + 1))
    peaks = np.rint(np.array(centres).reshape(count, image.ndim)).astype(int)
    heights = smooth[tuple(peaks.T)] - background
    lobes = (_near(peaks, half) & (heights[:, None] < LOBE * heights[None])).any(1)
    return peaks[~lobes]


def _alone(peaks: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Whether no other peak lies in a bead's window."""
    return _near(peaks, half).sum(1) == 1


def _near(peaks: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Whether peak j lies in the window of peak i, [n, n]."""
    return (np.abs(peaks[:, None] - peaks[None]) <= half).all(-1)


def _rim(shape: tuple[int, ...]) -> np.ndarray:
    """The outermost pixels of a window."""
    rim = np.ones(shape, bool)
    rim[tuple(slice(1, -1) for _ in shape)] = False
    return rim


def _window(image: np.ndarray, peak: np.ndarray, half: np.ndarray) -> np.ndarray:
    """A bead without its background, its centre of mass in the middle."""
    around = tuple(slice(p - h, p + h + 1) for p, h in zip(peak, half, strict=True))
    window = image[around]
    window = window - np.median(window[_rim(window.shape)])
    core = np.clip(window, 0.2 * window.max(), None) - 0.2 * window.max()  # noise far out would pull the centre
    shift = half - np.array(ndimage.center_of_mass(core))
    return ndimage.shift(window, shift, order=3, mode="nearest")
