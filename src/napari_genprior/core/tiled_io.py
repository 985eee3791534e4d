"""Write large image files row by row, as BigTIFF or OME-Zarr, atomically. Imports no torch."""

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
from .lazy_io import TIFFS, is_zarr, need_zarr
from .paths import exists, is_file, is_folder
from .source import Lazy
from .tiff_write import OME_AXES, plan_tiff
from .zarr_write import CHUNK_PX, open_or_create


class RowWriter(Protocol):
    """A function that writes rows of an image."""

    def __call__(self, index: tuple[int, ...], first: int, rows: np.ndarray) -> int:
        """Write ``rows`` [n, X(, S)] of the plane at ``index`` (all axes before Y), from row ``first`` on.

        Rows of a plane must be written in order. Returns the number of its rows in the file; the others are buffered.
        """


def check_destination(path: str | Path) -> Path:
    """Check that a large image can be written at ``path``, before a long run.

    Returns
    -------
    Path
        Where it will be written: of a link to a Zarr folder, the folder.

    Raises
    ------
    InputError
        The file type is none of .zarr, TIFF and .npy.
    FileError
        No file can be written there, or something exists there that must not be replaced.
    """
    path = Path(path)
    if path.suffix.lower() == ".zarr":
        need_zarr(f"Writing {path}")
        path = path.resolve()
        if exists(path) and not (is_folder(path) and is_zarr(path) and _has_zarr_metadata(path)):
            raise FileError(f"{path} exists and is not a Zarr folder, so it is not replaced. Give another name.")
        check_place(path.with_name(f"{path.name}.part"))
    elif path.suffix.lower() in (*TIFFS, ".npy"):
        check_place(path)
    else:
        kind = path.suffix or "(none)"
        raise InputError(f"{path} has type {kind!r}; stacks and volumes are written as .zarr, .tif or .npy.")
    return path


def _has_zarr_metadata(path: Path) -> bool:
    """Tell whether a folder has a metadata file of Zarr."""
    return any(is_file(path / name) for name in ("zarr.json", ".zarray", ".zgroup"))


@contextmanager
def open_writer(
    path: str | Path, shape: tuple[int, ...], dtype: np.dtype, like: Lazy, axes: str, part: Path | None = None
) -> Iterator[RowWriter]:
    """Provide a function that writes rows; the file appears at ``path`` when all of it was written.

    Parameters
    ----------
    path : path
        ``.zarr`` for OME-Zarr, ``.npy``, ``.tif`` or ``.tiff`` for uncompressed TIFF (as ImageJ or OME write it).
    shape, dtype
        Of the whole array.
    like : Lazy
        Source of pixel sizes, units, metadata and version of OME-Zarr.
    axes : str
        A letter per axis of ``shape``, the last of them "YX" or "YXS".
    part : Path, optional
        Temporary path in the folder of ``path``; an unfinished file there is resumed.

    Raises
    ------
    InputError, FileError
        See :func:`check_destination`; or the disk is full.
    """
    in_zarr, path = Path(path).suffix.lower() == ".zarr", check_destination(path)
    height = shape[axes.index("Y")]
    if in_zarr:
        with _rename_on_success(path, part or path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")) as beside:
            yield _zarr_row_writer(open_or_create(beside, shape, dtype, like, axes), height)
        return
    with _rename_on_success(path, part) if part else write_atomic(path) as beside:
        begun = beside == part and beside.exists()
        if path.suffix.lower() == ".npy":
            offset, stored_dtype, stored_shape = _open_or_create_npy(beside, shape, dtype, begun)
        else:
            offset, stored_dtype, stored_shape = _open_or_create_tiff(beside, shape, dtype, like, axes, begun)

        def write(index: tuple[int, ...], first: int, rows: np.ndarray) -> int:
            end = first + len(rows)
            if stored_shape != shape and like.alpha is not None:  # grey with alpha
                rows = np.stack([rows, like.alpha[index][first:end].astype(rows.dtype)], -1)
            # mapped anew each time, so that written data do not stay in memory
            mapped = np.memmap(beside, stored_dtype, "r+", offset, stored_shape)
            mapped[index][first:end] = rows
            mapped.flush()
            return end

        yield write


def _zarr_row_writer(array: Any, height: int) -> RowWriter:
    """Make a writer of complete chunks only: a chunk written in two parts is lost if the second is interrupted."""
    waiting: list[np.ndarray] = []

    def write(index: tuple[int, ...], first: int, rows: np.ndarray) -> int:
        first -= sum(map(len, waiting))
        rows = np.concatenate([*waiting, rows])
        end = first + len(rows)
        safe = end if end == height else max(first, end - end % CHUNK_PX)
        if safe > first:
            array[(*index, slice(first, safe))] = rows[: safe - first]
        waiting[:] = [rows[safe - first :].copy()] if safe < end else []
        return safe

    return write


def write_image_file(path: str | Path, image: np.ndarray, like: Lazy, axes: str | None = None) -> None:
    """Write an image, stack or volume with its axes and the pixel size of ``like``, as far as the file type holds them.

    Parameters
    ----------
    axes : str, optional
        A letter per axis, the last of them "YX" or "YXS"; by default those of an image. Other letters than T, C, Z, Y,
        X, S are stored in Zarr alone.

    Raises
    ------
    InputError, FileError
        As :func:`~.image_io.write_image` and :func:`open_writer`.
    """
    colour = image.ndim == 3 and image.shape[-1] in (3, 4)
    if axes is None and (image.ndim == 2 or colour):
        axes = "YXS" if colour else "YX"
    suffix = Path(path).suffix.lower()
    described = like.pixel_size or like.metadata.imagej or like.metadata.ome_xml
    in_tiff = suffix in TIFFS and set(axes or "?") <= OME_AXES and bool(described or image.ndim > 2 + colour)
    if axes is None or not (in_tiff or suffix == ".zarr"):
        write_image(path, image, like=like)
        return
    with open_writer(path, image.shape, image.dtype.newbyteorder("="), like, axes) as write:
        for index in np.ndindex(image.shape[: axes.index("Y")]):
            write(index, 0, image[index])


@contextmanager
def _rename_on_success(path: Path, beside: Path) -> Iterator[Path]:
    """Write a file or folder at ``beside`` and rename it to ``path`` on success, else remove it."""
    try:
        yield beside
        if path.is_dir():  # a folder cannot be replaced by one rename
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


def _open_or_create_npy(
    path: Path, shape: tuple[int, ...], dtype: np.dtype, begun: bool
) -> tuple[int, np.dtype, tuple[int, ...]]:
    """Open the unfinished file at a path, or create one; return offset, data type and shape of its values."""
    kind = None if begun else dtype
    mapped = np.lib.format.open_memmap(path, "r+" if begun else "w+", kind, None if begun else shape)
    return mapped.offset, mapped.dtype, shape


def _open_or_create_tiff(
    path: Path, shape: tuple[int, ...], dtype: np.dtype, like: Lazy, axes: str, begun: bool
) -> tuple[int, np.dtype, tuple[int, ...]]:
    """Open the unfinished file at a path, or create one; return offset, data type and shape of its values."""
    import tifffile

    plan = plan_tiff(shape, dtype, like, axes)
    if not begun:
        with tifffile.TiffWriter(path, **plan.file) as writer:
            writer.write(shape=plan.shape, dtype=dtype, **plan.image)
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages.first.dataoffsets[0]  # uncompressed, and one page after the other
        return offset, np.dtype(dtype).newbyteorder(tiff.byteorder), plan.shape
