"""Take the background and the noise of a camera off a measured kernel; leave exact kernels as they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

MIN_SIDE_PX = 7  # in smaller kernels, values all around the centre may be the blur itself
MIN_SIDE_CLIPPED_PX = 11  # the same of kernels whose noise was cut off at 0
MAX_TAIL = 0.2  # rise of a border towards the peak over the background; that of tails ~ r^-1 and steeper is larger
MAX_TAIL_NOISELESS = 0.1  # the same of kernels without noise, which most often are computed
MAX_EDGE = 0.02  # rise of a border over the kernel's height; a window that cuts off more says little of a background
MAX_LEVEL = 0.5  # of the peak; a brighter border is that of a box or disk
MIN_MASS = 0.01  # of the kernel; a background that weighs less does no harm
SIGNIFICANT = 4.0  # standard errors, of means over the border
CORE_SIGMAS = 3.0  # of the smoothed kernel's noise; what is dimmer is outside its core
CORE_SIGMA_PX = 1.0  # of the Gaussian filter before the core is outlined
ROUNDING = 0.6  # counts of noise, at least, of whole counts: a background between two of them is left in part
SCATTERED = 0.25  # of neighbours at an edge, of which one is 0 and the other is not; of random ones, half
MAX_NEGATIVE = 1e-3  # of the mass; rounding and resampling leave less


@dataclass(frozen=True)
class Background:
    """Constant background of a kernel, and the standard deviation of its noise, both in the kernel's units."""

    level: float
    noise: float


def measure_background(kernel: np.ndarray) -> Background | None:
    """Measure the background at the border of a kernel ``[(kz,) kh, kw]``; None where it is not clearly one.

    Clear is: the border is flat but for noise, and much dimmer than the peak. The half of it far from the peak has the
    same mean as the half close to it, and as the pixels next to it inside. Tails of a kernel that its window cuts off
    rise towards the peak, and differ along the border.
    """
    if min(kernel.shape[-2:]) < MIN_SIDE_PX:
        return None
    planes = kernel.reshape(-1, *kernel.shape[-2:])
    dim = np.argsort([np.median(_ring(plane)) for plane in planes], kind="stable")[: (len(planes) + 1) // 2]
    planes = planes[np.sort(dim)]  # out of focus, light reaches the border of every window
    smooth = ndimage.gaussian_filter(kernel, CORE_SIGMA_PX)
    row, column = np.unravel_index(int(smooth.argmax()), kernel.shape)[-2:]
    y, x = np.indices(planes.shape[-2:])
    distance = np.hypot(y - row, x - column)
    far, near = _halves(planes, distance)
    inner, _ = _halves(planes[:, 1:-1, 1:-1], distance[1:-1, 1:-1])
    noise, level, height = _noise(planes), _middle_mean(far), float(kernel.max())
    error = 1.3 * noise / min(far.size, near.size, inner.size) ** 0.5
    tail = min((MAX_TAIL if noise else MAX_TAIL_NOISELESS) * abs(level), MAX_EDGE * (height - level))
    rise = max(abs(_middle_mean(near) - level), abs(_middle_mean(inner) - level))
    spread = 1.4826 * max(float(np.median(np.abs(part - np.median(part)))) for part in (far, near))
    flat = rise <= tail + SIGNIFICANT * 2**0.5 * error and spread <= tail + 2 * noise
    clear = SIGNIFICANT * error < abs(level) < MAX_LEVEL * height
    mass = float((kernel - level).sum())
    heavy = mass > 0 and abs(level) * kernel.size > MIN_MASS * mass
    return Background(level, noise) if flat and clear and heavy else None


def remove_background(kernel: np.ndarray, count: float = 0.0) -> tuple[np.ndarray, list[str]]:
    """Subtract the background of a measured kernel, and set negative values and noise outside of its core to 0.

    Parameters
    ----------
    count : float
        One count of the camera in the kernel's units; 0 of floats.

    Returns
    -------
    float64 array
        >= 0. ``kernel`` itself where there is nothing to remove.
    list of str
        A sentence on each thing that was done.
    """
    found, planes = measure_background(kernel), kernel.reshape(-1, *kernel.shape[-2:])
    level, noise = (0.0, 0.0) if found is None else (found.level, max(found.noise, ROUNDING * count))
    clean, notes = kernel - level, []
    negative = float(-clean[clean < 0].sum() / np.abs(clean).sum())
    if found is not None:
        share, verb = f"{100 * abs(level) / kernel.max():.2g}%", "subtracted" if level > 0 else "added"
        notes.append(f"A constant background, {share} of the kernel's peak at its border, was {verb}.")
    elif negative > MAX_NEGATIVE:  # a background that was subtracted before: its noise is left
        noise = _noise(planes)
        notes.append(f"Negative values of the kernel ({100 * negative:.2g}% of its sum) were set to 0.")
    elif negative > 0:
        notes.append("Small negative values of the kernel were set to 0.")
    else:
        noise = _clipped_noise(planes)
    if noise > 0:
        notes.append("Noise outside the core of the kernel was set to 0.")
        clean = np.where(_core(clean, noise), clean, 0)
    return (np.clip(clean, 0, None), notes) if notes else (kernel, notes)


def _core(kernel: np.ndarray, noise: float) -> np.ndarray:
    """Outline the part around the peak that stands out from the noise, with a margin of a pixel."""
    sigma = [CORE_SIGMA_PX if side > 3 else 0.0 for side in kernel.shape]
    smooth = ndimage.gaussian_filter(kernel, sigma)
    # a Gaussian filter of s pixels leaves 1 / sqrt(2 sqrt(pi) s) of the noise along each axis
    left = noise * np.prod([(2 * np.pi**0.5 * s) ** -0.5 for s in sigma if s])
    every = np.ones((3,) * kernel.ndim)
    parts, _ = ndimage.label(smooth > CORE_SIGMAS * left, every)
    peak = parts[np.unravel_index(int(smooth.argmax()), parts.shape)]
    return ndimage.binary_dilation(parts == peak, every) if peak else np.ones(kernel.shape, bool)


def _ring(plane: np.ndarray) -> np.ndarray:
    """Return the outermost pixels of a plane: rows, then columns without the corners."""
    return np.concatenate([plane[0], plane[-1], plane[1:-1, 0], plane[1:-1, -1]])


def _halves(planes: np.ndarray, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the values at the border of planes ``[n, kh, kw]``: of the half far from the peak, and of the other."""
    border, away = np.stack([_ring(plane) for plane in planes]), _ring(distance)
    is_far = away >= np.median(away)
    return border[:, is_far].ravel(), border[:, ~is_far].ravel()


def _noise(planes: np.ndarray) -> float:
    """Estimate the standard deviation of noise at the borders of planes ``[n, kh, kw]``.

    Noise differs from pixel to pixel, and between a place and the one opposite; the fringes of optics are symmetric.
    """
    rows = np.diff(planes[:, [0, -1]], n=2, axis=2).ravel()
    columns = np.diff(planes[:, :, [0, -1]], n=2, axis=1).ravel()
    opposite = planes - planes[:, ::-1, ::-1]
    uneven = np.stack([_ring(plane) for plane in opposite])
    return min(_deviation(np.concatenate([rows, columns])) / 6**0.5, _deviation(uneven) / 2**0.5)


def _clipped_noise(planes: np.ndarray) -> float:
    """Estimate the standard deviation of noise about 0 whose negative half was cut off; 0 where there is none.

    Then about half of the values at each edge are 0, and they are scattered among the others.
    """
    if min(planes.shape[-2:]) < MIN_SIDE_CLIPPED_PX:
        return 0.0
    edges = [planes[:, 0], planes[:, -1], planes[:, :, 0], planes[:, :, -1]]
    scattered = min(float(np.mean((edge[:, 1:] == 0) != (edge[:, :-1] == 0))) for edge in edges)
    values = np.concatenate([edge[edge > 0] for edge in edges])
    return 0.0 if scattered < SCATTERED else float(np.median(values)) / 0.6745


def _deviation(values: np.ndarray) -> float:
    """Estimate a standard deviation, of whole counts too, more than half of which may be equal."""
    sizes = np.abs(values)
    return float(max(np.median(sizes) / 0.6745, np.quantile(sizes, 0.9) / 1.645))


def _middle_mean(values: np.ndarray) -> float:
    """Compute the mean of the middle half: as robust as needed, and finer than a median of whole counts."""
    inner = np.sort(values)[values.size // 4 : values.size - values.size // 4]
    return float(inner.mean())
