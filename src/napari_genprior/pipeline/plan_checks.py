"""Check that an image, its output and its kernels fit a request."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.axes import Layout
from ..core.checks import MIN_SIDE, check_fit, check_kernel, check_volume_kernel
from ..core.errors import InputError
from ..operators.detail import REGION
from ..settings import Settings
from .request import Request

MIN_VARYING_TILE_PX = 48  # of tiles with a kernel each


def is_coded(settings: Settings) -> bool:
    """Return whether values are the sRGB code of light, which is decoded before deconvolution."""
    return getattr(settings, "transfer_function", "none") == "srgb"


def is_single(layout: Layout) -> bool:
    """Return whether the whole array is one piece, its axes in the order of pieces."""
    return layout.axes in (layout.space, layout.space + "S")


def check_tiled(request: Request, layout: Layout, large: bool) -> None:
    """Refuse what cannot be restored in tiles."""
    if layout.axes[-1] in "XS" and min(layout.sides("YX")) < MIN_SIDE:
        raise InputError(f"The image is {layout.sides('YX')} px; it must be {MIN_SIDE}x{MIN_SIDE} or more.")
    if request.mode == "3d":
        raise InputError("Volumes are not restored in tiles; leave out tiles= and tile_size=.")
    if large and is_coded(request.settings):
        raise InputError("Large images are restored in the values they have; leave out transfer_function='srgb'.")
    if not layout.axes.endswith(("YX", "YXS")):
        raise InputError(f"The image has the axes {layout.axes}; its last ones must be YX, or YXS (colour).")
    if large and layout.own:
        raise InputError("In tiles, one kernel serves all planes; leave kernel_per at 'stack'.")
    if request.tiles is not None:
        if layout.pieces:
            raise InputError(f"tiles= is for one image; this one has the axes {layout.axes}.")
        sides = [length // count for length, count in zip(layout.sides("YX"), request.tiles, strict=True)]
        if min(sides) < MIN_VARYING_TILE_PX:
            raise InputError(
                f"{request.tiles[0]}x{request.tiles[1]} tiles of this image are {sides[0]}x{sides[1]} px; each must be "
                f"{MIN_VARYING_TILE_PX}x{MIN_VARYING_TILE_PX} or more. Choose fewer tiles."
            )


def check_kernel_axes(request: Request, shape: Sequence[int]) -> None:
    """Refuse a kernel with three axes for an image that is no volume."""
    if request.kernel is not None and len(shape) < 3 and request.voxel_size_um is None:
        raise InputError(
            f"The kernel has shape {request.kernel.shape}, as the PSF of a volume [Z, Y, X]; "
            f"the image has shape {tuple(shape)}. Give a kernel [kh, kw]; of an image with several kernels "
            "also tiles=, of a stack kernel_per=."
        )


def check_kernels(kernel: np.ndarray, layout: Layout, tiles: tuple[int, int] | None) -> np.ndarray:
    """Return given kernels as float32 ``[groups..., (kz,) kh, kw]``, each >= 0 and of sum 1.

    One kernel serves all groups.
    """
    sides = len(layout.space)
    groups = layout.groups if tiles is None else tiles
    check = check_volume_kernel if sides == 3 else check_kernel
    if kernel.ndim == sides:
        return np.broadcast_to(check(kernel), (*groups, *kernel.shape)).copy()
    if kernel.ndim < sides or kernel.shape[: kernel.ndim - sides] != groups:
        raise InputError(_kernels_wanted(kernel, layout, groups, tiles is not None))
    return np.stack([check(each) for each in kernel.reshape(-1, *kernel.shape[-sides:])]).reshape(kernel.shape)


def _kernels_wanted(kernel: np.ndarray, layout: Layout, groups: tuple[int, ...], tiled: bool) -> str:
    """Say which shapes of kernels fit, and which arguments would let this one fit."""
    one = "kz, kh, kw" if layout.mode == "3d" else "kh, kw"
    several = f" or [{', '.join(map(str, groups))}, {one}]" if groups else ""
    hint = ""
    if not tiled:
        hint = " Kernels for each channel, frame or plane need kernel_per=."
        if layout.mode == "2d" and kernel.ndim == 3:
            hint += " The PSF of volumes needs mode='3d'."
    return f"The kernel has shape {kernel.shape}; here it must be [{one}]{several}.{hint}"


def room_of_kernels(layout: Layout, tiles: tuple[int, int] | None, tiled: bool) -> tuple[int, ...]:
    """Return the sides of the volume, image, tile or region that a given kernel is used in."""
    sides = layout.sides(layout.space)
    if tiles is not None:
        return tuple(length // count for length, count in zip(sides, tiles, strict=True))
    return tuple(min(length, REGION) for length in sides) if tiled else sides


def check_fits(request: Request, kernels: np.ndarray | None, layout: Layout, shape: Sequence[int], tiled: bool) -> None:
    """Refuse kernels larger than the image, tile or region that they are used in."""
    if request.mode == "3d":
        return
    room = room_of_kernels(layout, request.tiles, tiled)
    shape = room if request.tiles is not None else shape
    for sides, place in ((None if kernels is None else kernels.shape[-2:], room), (request.kernel_size, shape)):
        if sides is not None:
            check_fit(sides, tuple(place))
