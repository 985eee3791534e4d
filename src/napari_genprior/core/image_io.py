"""Read and write image files. Files are written atomically: completely or not at all.

Files are read by :mod:`.lazy_io`; photographs are written by :mod:`.photo_io`, TIFF by :mod:`.tiff_write`.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from .conversion import as_type as as_type
from .errors import FileError, InputError
from .lazy_io import open_lazy
from .paths import exists, is_file, is_folder
from .photo_io import PHOTO_TYPES, write_photo
from .source import Lazy
from .whole_files import READABLE as READABLE
from .whole_files import suffix_of as suffix_of


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
    with open_lazy(path) as opened:
        return np.asarray(opened.data[...])


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
