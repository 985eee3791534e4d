"""Check that an image, its output and its kernels fit a request."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..core.axes import Layout
from ..core.checks import check_fit, check_kernel, check_volume_kernel
from ..core.errors import InputError
from ..core.image_io import check_writable
from ..core.intensity import Intensity
from ..core.tiled_io import check_destination
from ..settings import Settings
from .request import Request

MIN_VARYING_TILE_PX = 48  # of tiles with a kernel each


def intensity_scale(piece: np.ndarray, settings: Settings, colour: bool) -> Intensity:
    """Return how the values of a piece ``[(Z,) Y, X]`` or ``[Y, X, 3 or 4]`` map to working units."""
    return Intensity.of(
        piece[..., :3] if colour else piece,
        absolute="image_prior" in type(settings).model_fields,
        coded=is_coded(settings),
    )


def is_coded(settings: Settings) -> bool:
    """Return whether values are the sRGB code of light, which is decoded before deconvolution."""
    return getattr(settings, "transfer_function", "none") == "srgb"


def is_single(layout: Layout) -> bool:
    """Return whether the whole array is one piece, its axes in the order of pieces."""
    return layout.axes in (layout.space, layout.space + "S")


def check_output(path: Path, layout: Layout, dtype: np.dtype) -> None:
    """Raise where the result cannot be written: before a long run, not after."""
    if is_single(layout) and layout.mode == "2d" and path.suffix.lower() != ".zarr":
        check_writable(path, dtype)
        return
    check_destination(path)
    if not layout.axes.endswith(("YX", "YXS")):
        raise InputError(f"The image has the axes {layout.axes}; its last ones must be YX, or YXS (colour).")


def check_tiled(request: Request, layout: Layout, large: bool) -> None:
    """Refuse what cannot be restored in tiles."""
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


def check_kernels(kernel: np.ndarray, layout: Layout, tiles: tuple[int, int] | None) -> np.ndarray:
    """Return given kernels as float32 ``[groups..., (kz,) kh, kw]``, each >= 0 and of sum 1."""
    sides = len(layout.space)
    if tiles is not None:
        if kernel.ndim != 4:
            raise InputError(f"The kernels have shape {kernel.shape}; with tiles they need [rows, columns, kh, kw].")
        groups: tuple[int, ...] = tiles
    else:
        groups = layout.groups
        if kernel.ndim == sides or not layout.pieces:
            kernel = kernel if kernel.ndim != sides else np.broadcast_to(kernel, (*groups, *kernel.shape))
        if kernel.shape[: kernel.ndim - sides] != groups or kernel.ndim < sides:
            if not layout.pieces:  # one image: the sentence of check_kernel says it
                return check_volume_kernel(kernel) if sides == 3 else check_kernel(kernel)
            wanted = " or ".join(f"{[*lead, *'zyx'[-sides:]]}" for lead in dict.fromkeys([(), groups]))
            raise InputError(f"The kernels have shape {kernel.shape}; for these axes they need {wanted}.")
    check = check_volume_kernel if sides == 3 else check_kernel
    return np.stack([check(each) for each in kernel.reshape(-1, *kernel.shape[-sides:])]).reshape(kernel.shape)


def check_fits(request: Request, kernels: np.ndarray | None, layout: Layout, shape: Sequence[int]) -> None:
    if request.mode == "3d":
        return
    whole = layout.sides("YX")
    for sides, room in ((None if kernels is None else kernels.shape[-2:], whole), (request.kernel_size, shape)):
        if sides is not None:
            check_fit(sides, tuple(room))
