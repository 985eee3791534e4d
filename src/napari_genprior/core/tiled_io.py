"""Large image files, written row by row as BigTIFF or OME-Zarr, whole or not at all. Imports no torch."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .errors import FileError, InputError
from .image_io import check_place, write_atomic, write_image
from .lazy_io import OME_VERSION, SPACES, TIFFS, Lazy, is_zarr, need_zarr

CHUNK = 512  # px, sides of the chunks that are written
KINDS = {"T": "time", "C": "channel"}  # of axes, in OME-Zarr; others are space


class Rows(Protocol):
    """Where rows are written to."""

    def __call__(self, index: tuple[int, ...], first: int, rows: np.ndarray) -> int:
        """Write ``rows`` [n, X(, S)] of the plane at ``index`` (all axes before Y), from row ``first`` on.

        Rows of a plane come in order. Returned is how many of them are in the file; the rest waits for others.
        """


def check_destination(path: str | Path) -> Path:
    """Raise where a large image cannot be written at ``path``: ask before a long run, not after.

    Raises
    ------
    InputError
        Neither .zarr nor TIFF.
    FileError
        The place cannot be written to, or holds something that is not to be replaced.
    """
    path = Path(path)
    if path.suffix.lower() == ".zarr":
        need_zarr(f"Writing {path}")
        if path.exists() and not (path.is_dir() and is_zarr(path) and _known_zarr(path)):
            raise FileError(f"{path} exists and is no Zarr folder; it is not replaced. Give another name.")
        check_place(path.with_name(f"{path.name}.part"))
    elif path.suffix.lower() in TIFFS:
        check_place(path)
    else:
        raise InputError(f"{path} has type {path.suffix or '(none)'!r}; large images are written as .zarr or .tif.")
    return path


def _known_zarr(path: Path) -> bool:
    return any((path / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup"))


@contextmanager
def open_writer(
    path: str | Path, shape: tuple[int, ...], dtype: np.dtype, like: Lazy, axes: str, part: Path | None = None
) -> Iterator[Rows]:
    """Hand out a function that writes rows; the file is there only once all went well.

    Parameters
    ----------
    path : path
        ``.zarr`` is open_writer as OME-Zarr, ``.tif`` and ``.tiff`` as BigTIFF (OME-TIFF, but for colour), uncompressed.
    shape, dtype
        Of the whole.
    like : Lazy
        Where pixel sizes, units and the version of OME-Zarr come from.
    axes : str
        A letter per axis of ``shape``, the last of them "YX" or "YXS".
    part : Path, optional
        Where it is made, in the folder of ``path``; what stands there already is gone on with.

    Raises
    ------
    InputError, FileError
        As :func:`check_destination`; the disk is full.
    """
    path = check_destination(path)
    height = shape[axes.index("Y")]
    if path.suffix.lower() == ".zarr":
        with _whole(path, part or path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")) as beside:
            yield _rows_of_zarr(_zarr_at(beside, shape, dtype, like, axes), height)
        return
    with _whole(path, part) if part else write_atomic(path) as beside:
        offset, kept = _tiff_at(beside, shape, dtype, like, axes, beside == part and beside.exists())

        def write(index: tuple[int, ...], first: int, rows: np.ndarray) -> int:
            mapped = np.memmap(beside, kept, "r+", offset, shape)  # anew each time: what was written does not pile up
            mapped[index][first : first + len(rows)] = rows
            mapped.flush()
            return first + len(rows)

        yield write


def _rows_of_zarr(array: Any, height: int) -> Rows:
    """Writes whole chunks only: one that is written in two goes may be lost if the second is broken off."""
    waiting: list[np.ndarray] = []

    def write(index: tuple[int, ...], first: int, rows: np.ndarray) -> int:
        first -= sum(map(len, waiting))
        rows = np.concatenate([*waiting, rows])
        end = first + len(rows)
        safe = end if end == height else max(first, end - end % CHUNK)
        if safe > first:
            array[(*index, slice(first, safe))] = rows[: safe - first]
        waiting[:] = [rows[safe - first :].copy()] if safe < end else []
        return safe

    return write


def write_image_file(path: str | Path, image: np.ndarray, like: Lazy) -> None:
    """As :func:`..io.write_image`, with the pixel size of ``like`` where that is known and the file type holds it."""
    colour = image.ndim == 3 and image.shape[-1] in (3, 4)
    if not like.pixel_size or Path(path).suffix.lower() not in TIFFS or not (image.ndim == 2 or colour):
        write_image(path, image)
        return
    with open_writer(path, image.shape, image.dtype.newbyteorder("="), like, "YXS" if colour else "YX") as write:
        write((), 0, image)


@contextmanager
def _whole(path: Path, beside: Path) -> Iterator[Path]:
    """As :func:`..io.write_atomic`, for a folder too, and under a name that is given."""
    try:
        yield beside
        if path.is_dir():  # two renames: a folder cannot be replaced in one
            old = path.with_name(f".{path.name}.{secrets.token_hex(4)}.old")
            path.rename(old)
            beside.rename(path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            beside.replace(path)
    except OSError as error:
        raise FileError(f"Cannot write {path}: {error.strerror or error}. Nothing was written there.") from error
    finally:
        if beside.is_dir():
            shutil.rmtree(beside, ignore_errors=True)
        else:
            beside.unlink(missing_ok=True)


def _zarr_at(path: Path, shape: tuple[int, ...], dtype: np.dtype, like: Lazy, axes: str) -> Any:
    """The array there, or a new one."""
    import zarr

    if path.exists():
        return zarr.open_group(path, mode="r+")["0"]
    old = like.ome_version in ("0.1", "0.2", "0.3", "0.4")
    version = "0.4" if old else OME_VERSION
    described = []
    for axis in axes:
        entry = {"name": axis.lower(), "type": KINDS.get(axis, "space" if axis in SPACES else "channel")}
        described.append(entry | ({"unit": like.units[axis]} if axis in like.units else {}))
    scale = {"type": "scale", "scale": [like.pixel_size.get(axis, 1.0) for axis in axes]}
    multiscales: dict[str, Any] = {
        "axes": described,
        "datasets": [{"path": "0", "coordinateTransformations": [scale]}],
        "name": "deblurred",
    }
    if old:
        attributes: dict[str, Any] = {"multiscales": [{**multiscales, "version": version}]}
    else:
        attributes = {"ome": {"version": version, "multiscales": [multiscales]}}
    group = zarr.create_group(path, zarr_format=2 if old else 3, attributes=attributes)
    chunks = tuple(
        min(CHUNK, n) if axis in "YX" else n if axis == "S" else 1 for axis, n in zip(axes, shape, strict=True)
    )
    names = None if old else [axis.lower() for axis in axes]
    return group.create_array("0", shape=shape, dtype=dtype, chunks=chunks, dimension_names=names)


def _tiff_at(
    path: Path, shape: tuple[int, ...], dtype: np.dtype, like: Lazy, axes: str, begun: bool
) -> tuple[int, np.dtype]:
    """The file there if one was begun, or an empty one; where its values begin, and their type."""
    import tifffile

    metadata: dict[str, Any] = {"axes": axes}
    for axis, size in like.pixel_size.items():
        symbol = {"micrometer": "µm", "nanometer": "nm", "millimeter": "mm", "meter": "m"}.get(like.units.get(axis, ""))
        if axis in SPACES and symbol:
            metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": symbol}
    if not begun:
        with tifffile.TiffWriter(path, bigtiff=True, ome=True) as writer:
            writer.write(
                shape=shape, dtype=dtype, metadata=metadata, photometric="rgb" if axes[-1] == "S" else "minisblack"
            )
    with tifffile.TiffFile(path) as made:
        offset = made.series[0].dataoffset
        assert offset is not None  # uncompressed, in one piece
        return offset, np.dtype(dtype).newbyteorder(made.byteorder)
