"""Find out what an image is before a plan is made: its data, its axes, and what its file says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from ..core.axes import COLOURS, Layout, check_kernel_axis, colours_last, make_layout
from ..core.checks import check_image, check_volume
from ..core.errors import GenPriorError, InputError, short_repr
from ..core.lazy_io import Lazy, guarded
from ..core.transparency import fill_hidden
from .plan_checks import check_kernel_axes
from .request import Request

LARGE_PX = 4096  # longest side of what is restored in one piece where nothing else is requested
LARGE_AREA_PX = 8_000_000  # and its pixels: each takes some 380 bytes


def find_source(image: Any, request: Request) -> Lazy:
    """Return the image with what its file says; of an array in colours, without what transparency hides."""
    source = image if isinstance(image, Lazy) else Lazy(image)
    data = guarded(source.data if _is_array(source.data) else _as_array(source.data))
    hidden, in_memory = source.hidden, isinstance(data, np.ndarray)
    if not isinstance(image, Lazy) and in_memory and data.ndim == 3 and data.shape[2] == 4 and request.axes is None:
        colours, hidden = fill_hidden(data[..., :3], data[..., 3])
        data = np.concatenate([colours, data[..., 3:]], -1)
    sizes, units = source.pixel_size, source.units
    if request.voxel_size_um is not None:  # what is given holds for the result too
        sizes = {**sizes, **dict(zip("ZYX", request.voxel_size_um, strict=True))}
        units = {**units, **dict.fromkeys("ZYX", "micrometer")}
    return replace(source, data=data, hidden=hidden, pixel_size=sizes, units=units)


def find_layout(data: Any, request: Request, source: Lazy) -> Layout:
    """Decide what the axes mean: as the caller says, as the file says, or as the shape allows."""
    shape = tuple(data.shape)
    if not all(n == n for n in shape):  # NaN
        raise InputError(
            f"The image has the shape {short_repr(shape)}, some sides of which are not known yet; "
            "let dask compute its chunk sizes first."
        )
    names = source.axes if request.axes is None else colours_last(request.axes, source.axes)
    if names is None and request.mode == "2d" and len(shape) == 3 and shape[-1] == 1:
        names = "YXC"  # one channel
    if _kind_of(data) not in "uif":
        raise InputError(f"The image has data type {data.dtype}; integers or floats are needed.")
    if names is None:
        if request.mode == "3d" and len(shape) <= 3:
            check_kernel_axes(request, shape)
            check_volume(data, allow_missing=True)
            names = "ZYX"
        elif request.mode == "2d" and (len(shape) < 3 or (len(shape) == 3 and shape[-1] in COLOURS)):
            check_image(data) if len(shape) < 2 else None
            layout = Layout("YXS"[: len(shape)], tuple(int(n) for n in shape), request.kernel_per)
            check_kernel_axis(layout)
            return layout
    return make_layout(shape, names, request.kernel_per, request.mode)


def read_whole(data: Any) -> np.ndarray:
    try:
        return np.asarray(data[...])
    except GenPriorError:
        raise
    except Exception as error:  # a damaged file fails in the way of its codec
        raise InputError(f"The image cannot be read as an array ({error}).") from error


def is_large(sides: Sequence[int]) -> bool:
    """Tell whether a plane of these sides is restored in tiles where nothing else is requested."""
    return max(sides) > LARGE_PX or prod(sides) > LARGE_AREA_PX


def _is_array(data: Any) -> bool:
    return hasattr(data, "shape") and hasattr(data, "dtype")


def _as_array(data: Any) -> np.ndarray:
    try:
        return np.asarray(data)
    except Exception as error:  # any foreign array type may fail in its own way
        raise InputError(f"The image cannot be read as an array ({error}).") from error


def _kind_of(data: Any) -> str:
    """Return the kind of an array's data type; "?" where it is none of NumPy's."""
    try:
        return np.dtype(data.dtype).kind
    except TypeError:
        return "?"
