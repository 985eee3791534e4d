"""Check where a result is to go: before anything is computed, and so that no input is ever overwritten."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ..core.axes import Layout
from ..core.errors import FileError, InputError, short_repr
from ..core.image_io import check_writable
from ..core.lazy_io import TIFFS
from ..core.paths import absolute
from ..core.tiled_io import check_destination
from .plan_checks import is_single
from .request import is_path


def check_inputs_safe(out: Any, *inputs: Any) -> None:
    """Refuse an output that is an input, or a folder in or around one.

    Parameters
    ----------
    out : path, array-like or None
    *inputs : path, array-like or None
        What is read: of Zarr arrays and memory-mapped files, the file behind them counts too.
    """
    target = _storage(out)
    if target is None:
        return
    for source in filter(None, map(_storage, inputs)):
        if target == source or target in source.parents or source in target.parents:
            raise InputError(
                f"The output {target} is the input itself, or one holds the other ({source}); inputs are never "
                "overwritten. Give another name."
            )


def check_output(path: Path, layout: Layout, dtype: np.dtype) -> None:
    """Raise where the result cannot be written: before a long run, not after."""
    if dtype.itemsize > 8:
        raise InputError(f"Values of type {dtype} cannot be written to a file; convert the image to float64 first.")
    check_creatable(path)
    if is_single(layout) and layout.mode == "2d" and path.suffix.lower() != ".zarr":
        check_writable(path, dtype)
        return
    check_destination(path)
    if not layout.axes.endswith(("YX", "YXS")):
        raise InputError(f"The image has the axes {layout.axes}; its last ones must be YX, or YXS (colour).")
    if path.suffix.lower() in TIFFS and "S" in layout.axes[:-1]:
        raise InputError(f"The image has the axes {layout.axes}; in a TIFF, colour must be the last axis: YXS.")


def check_creatable(path: Path) -> None:
    """Raise FileError where no file can be made at ``path``, as a trial says (long names, read-only disks)."""
    place = path.resolve() if path.suffix.lower() == ".zarr" else path
    try:
        with tempfile.NamedTemporaryFile(prefix=f".{place.name}.", suffix=".part", dir=place.parent):
            pass
    except OSError as error:
        raise FileError(f"Cannot write {path}: {error.strerror or error}.") from error


def check_out_array(out: Any, layout: Layout, image: Any, in_tiles: bool) -> None:
    """Refuse an object that cannot take the result."""
    if isinstance(out, list | dict | bytes) or not hasattr(out, "__setitem__"):
        raise InputError(f"out must be a path or an array to assign to; got {short_repr(out)}.")
    if hasattr(out, "shape") and tuple(out.shape) != layout.shape:
        raise InputError(f"out must have the shape of the image, {layout.shape}; got {tuple(out.shape)}.")
    if hasattr(out, "dtype"):
        try:
            kind = np.dtype(out.dtype).kind
        except TypeError as error:
            raise InputError(f"out must be a NumPy-like array; got {type(out).__name__}.") from error
        if kind != "f":
            raise InputError(f"out must be of a floating-point type, as results are; got {np.dtype(out.dtype)}.")
    if isinstance(out, np.ndarray) and not out.flags.writeable:
        raise InputError("out is a read-only array; give one that can be assigned to.")
    both = isinstance(out, np.ndarray) and isinstance(image, np.ndarray)
    if in_tiles and both and np.may_share_memory(out, image):
        raise InputError("out shares memory with the image, which is read in tiles while out is written; give a copy.")


def _storage(item: Any) -> Path | None:
    """Return the file or folder behind a path, Zarr array or memory map; None for what is in memory."""
    if is_path(item):
        return absolute(item)
    if isinstance(item, np.memmap) and item.filename is not None:
        return absolute(item.filename)
    root = getattr(getattr(item, "store", None), "root", None)
    return None if root is None else absolute(Path(root) / str(getattr(item, "path", "")))
