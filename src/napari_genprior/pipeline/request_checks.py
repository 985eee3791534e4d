"""Check single arguments of a request: each function returns the argument in its final type, or raises InputError."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from ..core.axes import KernelPer
from ..core.errors import InputError, short_repr
from ..core.lazy_io import open_lazy

MAX_TILES = 12  # along an axis, where the blur varies over the image
MIN_TILE_PX = 64  # of tiles of a large image


def is_path(source: Any) -> bool:
    """Return whether an input or output is named by a path."""
    return isinstance(source, str | Path)


def read_array(path: str | Path) -> np.ndarray:
    """Read all values of a file; raises FileError."""
    with open_lazy(path) as file:
        return np.asarray(file.data[...])


def check_axes(axes: Any) -> str | Sequence[str] | None:
    """Refuse axes that are not text; which letters fit is checked once the image is known."""
    text = isinstance(axes, Sequence) and not isinstance(axes, bytes) and all(isinstance(axis, str) for axis in axes)
    if axes is not None and not text:
        raise InputError(f"axes must be a letter for each axis, such as 'TCYX'; got {short_repr(axes)}.")
    return axes


def check_kernel_per(kernel_per: Any) -> KernelPer:
    """Refuse what :data:`~.axes.KernelPer` does not name."""
    allowed = get_args(KernelPer)
    if not isinstance(kernel_per, str) or kernel_per not in allowed:
        raise InputError(f"kernel_per must be one of {', '.join(allowed)}; got {short_repr(kernel_per)}.")
    return kernel_per  # type: ignore[return-value]


def check_tiles(tiles: Any, kernel: np.ndarray | None) -> tuple[int, int] | None:
    """Return rows and columns of tiles, which a grid of given kernels must have too."""
    if tiles is None:
        return None
    whole = isinstance(tiles, tuple | list) and len(tiles) == 2 and all(_is_integer(n) for n in tiles)
    grid = kernel.shape[:2] if kernel is not None and kernel.ndim == 4 else None
    if not whole or (grid is None and not all(1 <= n <= MAX_TILES for n in tiles)):
        raise InputError(f"tiles must be rows and columns, each from 1 to {MAX_TILES}; got {short_repr(tiles)}.")
    rows, columns = tiles
    if grid is not None and grid != (rows, columns):
        raise InputError(
            f"tiles={short_repr(tuple(tiles))} and the kernels, a grid of {grid[0]}x{grid[1]}, do not agree; "
            f"give tiles={grid}, or a kernel for each tile."
        )
    return int(rows), int(columns)


def check_tile_size(size: Any) -> int | None:
    """Return the tile size in pixels; None for "auto"."""
    if size is None or (isinstance(size, str) and size == "auto"):
        return None
    if not _is_integer(size) or size < MIN_TILE_PX:
        raise InputError(f"tile_size must be 'auto' or at least {MIN_TILE_PX} pixels; got {short_repr(size)}.")
    return int(size)


def check_voxel_size(sides: Any) -> tuple[float, float, float] | None:
    """Return the sides of a voxel along z, y and x in um."""
    if sides is None:
        return None
    try:
        lengths = np.asarray(sides, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        lengths = np.zeros(0)
    if lengths.shape != (3,) or not np.isfinite(lengths).all() or lengths.min() <= 0:
        raise InputError(f"voxel_size_um must be three lengths > 0, along z, y and x; got {short_repr(sides)}.")
    z, y, x = lengths.tolist()
    return z, y, x


def check_seed(seed: Any) -> int:
    """Return the seed of the random numbers."""
    if not _is_integer(seed) or not 0 <= seed < 2**63:
        raise InputError(f"seed must be an integer from 0 to 2^63 - 1; got {short_repr(seed)}.")
    return int(seed)


def check_series(series: Any) -> int | None:
    """Return the number of an image in a file."""
    if series is not None and (not _is_integer(series) or series < 0):
        raise InputError(f"series must be a whole number >= 0; got {short_repr(series)}.")
    return None if series is None else int(series)


def check_time_limit(seconds: Any) -> float | None:
    """Return the time limit in seconds; None for no limit."""
    if seconds is None:
        return None
    number = isinstance(seconds, int | float | np.integer | np.floating) and not isinstance(seconds, bool)
    try:
        limit = float(seconds) if number else 0.0
    except OverflowError:  # integers of more than 308 digits
        limit = float("inf")
    if not 0 < limit < float("inf"):
        raise InputError(
            f"time_limit_s must be a number of seconds > 0, or None for no limit; got {short_repr(seconds)}."
        )
    return limit


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
