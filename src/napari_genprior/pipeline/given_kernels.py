"""Prepare the kernels that a user gives for the image at hand, and say what was done to them."""

from __future__ import annotations

import numpy as np

from ..blur.given_kernel import (
    LARGEST_VOLUME,
    clean_kernel,
    resample_axes,
    size_factors,
)
from ..blur.kernel_centre import crop_rim
from ..blur.support import odd, pad_to
from ..core.axes import Layout
from ..core.errors import InputError
from ..core.lazy_io import Lazy
from ..core.units import lengths_um
from .plan_checks import check_kernels, room_of_kernels
from .request import Request

LOST_MASS = 0.01  # of a prepared kernel, at most, that is cropped to fit into the image
TOLD_KERNELS = 3  # of several; what was done to the others is counted


def prepare_kernels(
    request: Request, layout: Layout, source: Lazy, tiled: bool
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Clean, centre and resample given kernels for an image.

    Parameters
    ----------
    source : Lazy
        Where the image comes from: its pixel size.
    tiled : bool
        The image is restored in tiles that share the kernel.

    Returns
    -------
    float32 array [groups..., (kz,) kh, kw], or None
        Each >= 0 and of sum 1; None where none is given.
    tuple of str
        A sentence on each thing that was done.

    Raises
    ------
    InputError
        There are more or fewer kernels than groups, a kernel is an image of beads, is far larger than the image, or
        has no usable values.
    """
    given, tiles = request.given_kernel, request.tiles
    if given is None:
        return None, ()
    room = room_of_kernels(layout, tiles, tiled)
    values, sides = given.values, len(layout.space)
    if sides == 2 and values.ndim == 3 and values.shape[-1] in (3, 4) and values.shape[0] > values.shape[-1]:
        raise InputError(f"The kernel is a colour image (shape {values.shape}); give a grey one, [kh, kw].")
    groups = values.shape[:-sides]
    if values.size == 0:
        raise InputError(f"The kernel is empty (shape {values.shape}).")
    if values.ndim < sides or (groups and groups != (layout.groups if tiles is None else tiles)):
        return check_kernels(values, layout, tiles), ()  # which says what is wanted
    if sides == 3 and any(k > LARGEST_VOLUME * n for k, n in zip(values.shape[-3:], room, strict=True)):
        raise InputError(
            f"The kernel has {'x'.join(map(str, values.shape[-3:]))} voxels, more than {LARGEST_VOLUME} times those of "
            f"the volume ({'x'.join(map(str, room))}); crop it, or give the kernel's own file."
        )
    image_size = lengths_um(source.pixel_size, source.units)
    if request.voxel_size_um is not None:
        image_size = dict(zip("ZYX", request.voxel_size_um, strict=True))
    factors, notes = size_factors(given, image_size, layout.space)
    kernels, told, changed = [], [], False
    for kernel in values.reshape(-1, *values.shape[-sides:]):
        clean, done = (kernel, []) if given.exact else clean_kernel(kernel)
        if max(factors) != 1 or min(factors) != 1:
            clean = crop_rim(resample_axes(clean.astype(np.float64), factors))
        if clean is not kernel:
            clean, changed = _fitted(clean, room), True
        kernels.append(clean)
        told.append(done)
    if changed:
        stack = _stacked(kernels)
        values = stack.reshape(*groups, *stack.shape[1:])
    return check_kernels(values, layout, tiles), (*_summary(told), *notes, *_one_for_channels(request, values, layout))


def _one_for_channels(request: Request, values: np.ndarray, layout: Layout) -> list[str]:
    """Say that one kernel serves channels, whose wavelengths differ; of optics, it is said with these."""
    channels = layout.sides("C")[0] if "C" in layout.looped else 1
    if channels == 1 or values.ndim > len(layout.space) or request.optics is not None or request.tiles is not None:
        return []
    return [f"One kernel serves all {channels} channels; for a kernel each, give {channels}, and kernel_per='channel'."]


def _fitted(kernel: np.ndarray, room: tuple[int, ...]) -> np.ndarray:
    """Crop a kernel of odd sides about its centre to the image, where that loses next to nothing."""
    if kernel.ndim == 3:
        return kernel  # of volumes, kernels may be larger
    half = [min(k, n - 1 + n % 2) // 2 for k, n in zip(kernel.shape, room, strict=True)]
    inside = kernel[tuple(slice(k // 2 - h, k // 2 + h + 1) for k, h in zip(kernel.shape, half, strict=True))]
    return inside if inside.sum() >= (1 - LOST_MASS) * kernel.sum() else kernel


def _stacked(kernels: list[np.ndarray]) -> np.ndarray:
    """Zero-pad kernels about their centres to one size, each of sum 1."""
    sides = [odd(max(kernel.shape[axis] for kernel in kernels)) for axis in range(kernels[0].ndim)]
    return np.stack([pad_to(kernel / kernel.sum(), sides) for kernel in kernels])


def _summary(told: list[list[str]]) -> list[str]:
    """Return what was done to one kernel, or to the first of several."""
    if len(told) == 1:
        return told[0]
    changed = [(number, done) for number, done in enumerate(told, 1) if done]
    lines = [f"Kernel {number} of {len(told)}: {' '.join(done)}" for number, done in changed[:TOLD_KERNELS]]
    more = len(changed) - TOLD_KERNELS
    return [*lines, f"{more} more kernels were prepared in the same way."] if more > 0 else lines
