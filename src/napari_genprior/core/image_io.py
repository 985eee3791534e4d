"""Read and write image files. Files are written atomically: completely or not at all.

NPY files are read and written here, others by :mod:`.photo_io`, :mod:`.tiff_read` and :mod:`.tiff_write`.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from .errors import LONGEST, FileError, GenPriorError, InputError
from .file_size import check_declared
from .paths import exists, is_file, is_folder
from .photo_io import PHOTO_TYPES, read_photo, write_photo
from .series import choose_series
from .source import Lazy

READABLE = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".npy", ".webp", ".bmp", ".jp2", ".j2k", ".jpx")


@contextmanager
def write_atomic(path: str | Path) -> Iterator[Path]:
    """Provide a temporary path in the folder of ``path``, which is renamed to ``path`` on success, else removed.

    Raises
    ------
    FileError
        The folder does not exist, may not be written to, or the disk is full.
    """
    path = Path(path)
    exists(path)  # refuses names that no file system takes
    beside: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
        beside = Path(name)
        yield beside
        if path.exists():
            beside.chmod(path.stat().st_mode & 0o777)
        else:
            umask = os.umask(0)
            os.umask(umask)
            beside.chmod(0o666 & ~umask)  # mkstemp makes private files; results get ordinary permissions
        beside.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileError(f"Cannot write {path}: {reason}. Nothing was written there.") from error
    finally:
        if beside is not None:
            with suppress(OSError):
                beside.unlink(missing_ok=True)


def suffix_of(path: str | Path) -> str:
    """Return the suffix of a path in lower case, one of :data:`READABLE`.

    Raises
    ------
    InputError
        The file type is not supported.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in READABLE:
        raise InputError(f"{path} has type {suffix or '(none)'!r}; allowed are {', '.join(READABLE)}.")
    return suffix


def read_image(path: str | Path) -> np.ndarray:
    """Read an image as it shows: upright, grey or RGB(A), in its stored data type.

    Raises
    ------
    FileError
        The file is missing, unreadable or truncated.
    InputError
        The file type is not supported, or the file holds several images.
    """
    suffix_of(path)
    if not is_file(path):
        raise FileError(f"There is no file {path}.")
    from .lazy_io import open_lazy

    with open_lazy(path) as opened:
        return np.asarray(opened.data[...])


def read_whole(path: Path, series: int | None = None) -> Lazy:
    """Read a file of a type that is decoded at once (not TIFF, not Zarr); raises what :func:`read_image` raises."""
    suffix = suffix_of(path)
    choose_series(path, [1], [""], [0], series)
    if not is_file(path):
        raise FileError(f"There is no file {path}.")
    try:
        return Lazy(_without_single_axis(_read_npy(path))) if suffix == ".npy" else read_photo(path)
    except GenPriorError:
        raise
    except PermissionError as error:
        raise FileError(f"No permission to read {path}.") from error
    except MemoryError as error:
        raise FileError(f"{path} does not fit into memory; crop it, or use a machine with more memory.") from error
    except Exception as error:  # each codec has its own errors for damaged files
        reason = "no image was recognized in it" if "BytesIO" in str(error) else str(error)[:LONGEST]
        raise FileError(f"{path} cannot be read; it may be damaged or truncated ({reason}).") from error


def _without_single_axis(array: np.ndarray) -> np.ndarray:
    """Return ``[1, Y, X]`` and ``[Y, X, 1]`` as the image they are."""
    single = array.ndim == 3 and 1 in (array.shape[0], array.shape[2]) and min(sorted(array.shape)[1:]) > 1
    return array.squeeze() if single else array


def _read_npy(path: Path) -> np.ndarray:
    """Read a numpy file without unpickling."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        if version not in readers:
            raise ValueError(f"version {version} of the format is not supported")
        shape, _, dtype = readers[version](file)
    check_declared(prod(shape) * dtype.itemsize, path.stat().st_size)
    return np.load(path, allow_pickle=False)


def as_type(image: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Convert a float image to a data type; integers are rounded and clipped."""
    if dtype.kind in "ui":
        info = np.iinfo(dtype)
        return np.clip(np.rint(image.astype(np.float64)), info.min, info.max).astype(dtype)
    return image.astype(dtype)


def write_image(
    path: str | Path, image: np.ndarray, description: dict[str, Any] | None = None, like: Lazy | None = None
) -> Path:
    """Write an image in its data type.

    Parameters
    ----------
    description : dict, optional
        Written to the TIFF description, as JSON.
    like : Lazy, optional
        Source of alpha and metadata, which are written as far as the file type holds them.

    Raises
    ------
    InputError
        The file type cannot hold the image's data type.
    FileError
        The file cannot be written.
    """
    check_writable(path, image.dtype)
    suffix, like = suffix_of(path), like or Lazy(None)
    with write_atomic(path) as beside:
        if suffix == ".npy":
            with beside.open("wb") as file:
                np.save(file, image, allow_pickle=False)
        elif suffix in (".tif", ".tiff"):
            from .tiff_write import write_plain

            write_plain(beside, image, description, like)
        else:
            write_photo(beside, suffix, image, like)
    return Path(path)


def check_place(path: str | Path) -> None:
    """Check that a file can be written at ``path``, before a long run; raises FileError."""
    path = Path(path)
    reason = None
    if is_folder(path):
        reason = "it is a folder"
    elif not is_folder(path.parent):
        reason = "No such file or directory"
    elif not os.access(path.parent, os.W_OK):
        reason = "Permission denied"
    if reason:
        raise FileError(f"Cannot write {path}: {reason}.")


def check_writable(path: str | Path, dtype: np.dtype | str) -> None:
    """Check that an image of this data type can be written at ``path``.

    Raises
    ------
    FileError
        No file can be written there.
    InputError
        The file type cannot hold the data type.
    """
    name = np.dtype(dtype).name
    allowed = PHOTO_TYPES.get(suffix_of(path))
    if allowed is not None and name not in allowed:
        raise InputError(
            f"{Path(path).suffix} files hold {' or '.join(allowed)}, not {name}; write .tif or .npy instead."
        )
    check_place(path)


def write_json(path: str | Path, content: dict[str, Any]) -> Path:
    """Write indented JSON atomically."""
    with write_atomic(path) as beside:
        beside.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return Path(path)
