"""Prepare a kernel that a user gives: clean it, centre it, and resample it to the pixels of the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage
from scipy.interpolate import CubicSpline

from ..core.errors import InputError
from .kernel_background import remove_background
from .kernel_centre import centre_offset, centred, crop_rim, unshift_fft_order

MOST_NEGATIVE = 0.5  # of the peak; a kernel with values below that is none, not one with noise
SAME_SIZE = 0.02  # relative difference of pixel sizes that makes no visible difference
LARGEST_FACTOR = 20.0  # between pixel sizes of kernel and image; more is a wrong unit
OVERSAMPLING = 5  # samples per pixel and axis when a kernel is integrated over coarser pixels
FAR_PX = 3.0  # of a centre of mass from the centre pixel, from which it is told
HALF_PX = 0.2  # likewise, of the half pixel that a kernel on an even grid is off
MARGIN_PX = 2  # around a kernel while its centre is measured
LARGEST_VOLUME = 4  # times the side of a volume; a longer kernel is some other file
MIN_SPOTS = 3  # of an image of beads; two spots may be the kernel of a double image
MANY_SPOTS = 6  # are beads, however dense
MIN_FIELD_PX = 24  # least side of an image of beads
SPOT_LEVEL = 0.15  # of the peak above the median; the path between the bright parts of shake is seldom dimmer
SPOT_DISTANCE = 2.0  # from the next, in diameters
SUM_TOLERANCE = 1e-4  # of kernels that this package wrote
SPOT_RATIO = 4.0  # of the peaks of the brightest and the dimmest spot that are counted


@dataclass(frozen=True)
class GivenKernel:
    """A kernel as a user gives it.

    Parameters
    ----------
    values : array [groups..., (kz,) kh, kw]
    pixel_size_um : mapping of str to float
        By letter of the axis, as far as the kernel's file or layer says.
    image_size_um : mapping of str to float
        The same of the image, where the image itself does not carry it.
    exact : bool
        The kernel was made by this package, and is taken as it is.
    carrier : str
        What could carry a pixel size: "file" or "layer"; "" for arrays.
    """

    values: np.ndarray
    pixel_size_um: Mapping[str, float] = field(default_factory=dict)
    image_size_um: Mapping[str, float] = field(default_factory=dict)
    exact: bool = False
    carrier: str = ""


def is_normalized(values: np.ndarray) -> bool:
    """Return whether kernels ``[groups..., (kz,) kh, kw]`` are as this package makes them: float32, >= 0, sum 1."""
    if values.dtype != np.float32 or values.ndim < 2 or values.size == 0 or not values.min() >= 0:
        return False
    sums = [values.sum(tuple(range(-sides, 0))) for sides in (2, 3) if sides <= values.ndim]
    return any(np.allclose(each, 1, atol=SUM_TOLERANCE) for each in sums)


def clean_kernel(values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Clean and centre one kernel ``[(kz,) kh, kw]`` as measured by a camera or computed by other software.

    Returns
    -------
    array
        ``values`` itself where nothing had to be done, or where they are no kernel.
    list of str
        A sentence on each thing that was done.

    Raises
    ------
    InputError
        The kernel is an image of many beads.
    """
    usable = values.dtype.kind in "uif" and values.size and np.isfinite(values).all() and values.max() > 0
    if not usable or values.min() < -MOST_NEGATIVE * float(values.max()):
        return values, []
    with np.errstate(over="ignore"):
        kernel = values.astype(np.float64)
    count = 1 / kernel.max() if values.dtype.kind in "ui" else 0.0
    kernel = kernel / kernel.max()
    notes = []
    ordered = unshift_fft_order(kernel)
    if ordered is not None:
        kernel = ordered
        notes.append("The kernel's peak was in its first pixel (FFT order); it was moved to the centre.")
    _refuse_beads(kernel)
    kernel, removed = remove_background(kernel, count)
    inside = crop_rim(kernel, MARGIN_PX)  # what follows takes seconds on the empty space of large kernels
    offset = centre_offset(inside, measured=bool(removed), even=len(kernel) % 2 == 0)
    if any(offset):
        kernel = centred(inside, offset)
        shifts = ", ".join(f"{axis} {-o:+.2f}" for axis, o in zip("zyx"[-len(offset) :], offset, strict=True) if o)
        removed.append(
            f"The kernel was shifted onto its centre pixel ({shifts} px), so that the result is not shifted."
        )
    elif removed:
        kernel = crop_rim(kernel)
    notes += removed
    told = notes if any(offset) else notes + _far_from_centre(kernel)
    return (kernel, told) if notes else (values, told)


def _far_from_centre(kernel: np.ndarray) -> list[str]:
    """Say by how much a kernel shifts a result, where it is far, or half a pixel of an even grid."""
    total, shifts = kernel.sum(), []
    for axis, (name, n) in enumerate(zip("zyx"[-kernel.ndim :], kernel.shape, strict=True)):
        profile = kernel.sum(tuple(other for other in range(kernel.ndim) if other != axis))
        shift = float((profile * np.arange(n)).sum() / total) - n // 2
        if abs(shift) > FAR_PX or (n % 2 == 0 and abs(shift + 0.5) < HALF_PX):
            shifts.append(f"{name} {shift:+.1f}")
    if not shifts:
        return []
    return [
        f"The kernel's centre of mass is off its centre pixel ({', '.join(shifts)} px), and the result is shifted as "
        "much: its shape does not tell its centre."
    ]


def _refuse_beads(kernel: np.ndarray) -> None:
    """Raise InputError for an image of beads: several distant compact spots of similar brightness."""
    if min(kernel.shape[-2:]) < MIN_FIELD_PX:
        return
    smooth = ndimage.gaussian_filter(kernel, 1.0)
    smooth = smooth - np.median(smooth)
    bright = smooth > SPOT_LEVEL * smooth.max()
    parts, count = ndimage.label(bright, np.ones((3,) * kernel.ndim))
    if not MIN_SPOTS <= count <= kernel.size // 50:
        return
    numbers = np.arange(1, count + 1)
    peaks = ndimage.maximum(smooth, parts, numbers)
    boxes = [
        box for box, peak in zip(ndimage.find_objects(parts), peaks, strict=True) if peak * SPOT_RATIO > peaks.max()
    ]
    centres = np.array([[(s.start + s.stop) / 2 for s in box[-2:]] for box in boxes])
    width = float(np.median([max(s.stop - s.start for s in box[-2:]) for box in boxes]))
    between = np.hypot(*(centres[:, None] - centres[None]).transpose(2, 0, 1))
    np.fill_diagonal(between, np.inf)
    apart = float(np.median(between.min(1))) > SPOT_DISTANCE * width
    if len(boxes) >= MANY_SPOTS or (len(boxes) >= MIN_SPOTS and apart):
        raise InputError(
            f"The kernel shows {len(boxes)} separate spots, as an image of beads does; a kernel is the image of one. "
            "Average them first: genprior kernel beads IN -o kernel.tif, or 'From beads' in the kernel tools."
        )


def size_factors(given: GivenKernel, image_size_um: Mapping[str, float], space: str) -> tuple[list[float], list[str]]:
    """Return the pixel size of a kernel over that of the image along the axes ``space``, 1 where it is to stay.

    Raises
    ------
    InputError
        The sizes differ so much that one of them must be wrong.
    """
    own, image = given.pixel_size_um, {**given.image_size_um, **image_size_um}
    factors = {axis: own[axis] / image[axis] for axis in space if axis in own and axis in image}
    sizes = _listed(own, space), _listed(image, space)
    if any(not 1 / LARGEST_FACTOR <= f <= LARGEST_FACTOR for f in factors.values()):
        raise InputError(
            f"The pixels of the kernel ({sizes[0]}) and of the image ({sizes[1]}) differ by a factor of more than "
            f"{LARGEST_FACTOR:g}; correct the size or its unit in one of them."
        )
    if not factors and given.carrier and any(axis in own or axis in image for axis in space):
        known, other = ("kernel", "image") if any(axis in own for axis in space) else ("image", "kernel")
        note = f"The pixel size of the {known} is known and that of the {other} is not: both were taken as equal."
        return [1.0] * len(space), [note]
    wanted = [factors.get(axis, 1.0) for axis in space]
    if all(abs(f - 1) <= SAME_SIZE for f in wanted):
        return [1.0] * len(space), []
    return wanted, [f"The kernel was resampled from its pixels ({sizes[0]}) to those of the image ({sizes[1]})."]


def _listed(sizes: Mapping[str, float], space: str) -> str:
    """List pixel sizes, such as "y 0.1, x 0.1 um"."""
    return ", ".join(f"{axis.lower()} {sizes[axis]:.4g}" for axis in space if axis in sizes) + " um"


def resample_axes(kernel: np.ndarray, factors: list[float]) -> np.ndarray:
    """Resample a kernel about its centre pixel ``n // 2`` so that it covers ``factors`` times as many pixels.

    Values are interpolated by cubic splines and integrated over the new pixels. Sides become odd.
    """
    for axis, factor in enumerate(factors):
        if abs(factor - 1) <= SAME_SIZE:
            continue
        side = kernel.shape[axis]
        reach = max(side // 2, side - 1 - side // 2) + 0.5
        half = int(np.ceil(reach * factor - 0.5))
        fine = max(1, round(OVERSAMPLING / factor)) | 1
        inside = (np.arange(fine) + 0.5) / fine - 0.5
        places = (np.arange(-half, half + 1)[:, None] + inside) / factor + side // 2
        spline = CubicSpline(np.arange(-2, side + 2), np.pad(np.eye(side), ((2, 2), (0, 0))), bc_type="clamped")
        weights = np.where(((places >= -2) & (places <= side + 1))[..., None], spline(places), 0).mean(1)
        kernel = np.moveaxis(np.tensordot(weights, kernel, (1, axis)), 0, axis)
    return np.clip(kernel, 0, None)
