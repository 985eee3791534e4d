"""Read files of a type that is decoded at once: NPY, PNG, JPEG and other photographs (not TIFF, not Zarr)."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from .errors import LONGEST, FileError, GenPriorError, InputError
from .file_size import check_declared
from .paths import is_file
from .photo_io import read_photo
from .series import choose_series
from .source import Lazy

READABLE = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".npy", ".webp", ".bmp", ".jp2", ".j2k", ".jpx")


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


def read_whole(path: Path, series: int | None = None) -> Lazy:
    """Read a file whole; raises what :func:`.image_io.read_image` raises."""
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
