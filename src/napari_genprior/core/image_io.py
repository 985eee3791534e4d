"""Read and write image files. Files are written atomically: completely or not at all.

PNG, JPEG and TIFF are read and written through imagecodecs and tifffile (8 and 16 bit, float TIFF), NPY through numpy.
"""

from __future__ import annotations

import json
import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from .errors import LONGEST, FileError, InputError
from .paths import exists, is_file, is_folder

READABLE = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".npy")
JPEG_QUALITY = 95
MAX_COMPRESSION = 4096  # ratio; deflate reaches about 1000, LZW 2700
ALWAYS_ALLOWED_BYTES = 2**20  # that any file may declare


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
    """Read an image in its stored data type. JPEG images are rotated as their EXIF orientation says.

    Raises
    ------
    FileError
        The file is missing, unreadable or truncated.
    InputError
        The file type is not supported.
    """
    suffix = suffix_of(path)
    path = Path(path)
    if not is_file(path):
        raise FileError(f"There is no file {path}.")
    try:
        if suffix == ".npy":
            return _read_npy(path)
        if suffix in (".tif", ".tiff"):
            return _read_tiff(path)
        if suffix in (".jpg", ".jpeg"):
            from PIL import Image, ImageOps

            with Image.open(path) as image:
                return np.asarray(ImageOps.exif_transpose(image))
        import imagecodecs

        content = path.read_bytes()
        _check_declared(8 * prod(struct.unpack(">II", content[16:24])), len(content), MAX_COMPRESSION)
        return imagecodecs.png_decode(content)
    except PermissionError as error:
        raise FileError(f"No permission to read {path}.") from error
    except MemoryError as error:
        raise FileError(f"{path} does not fit into memory; crop it, or use a machine with more memory.") from error
    except Exception as error:  # each codec has its own errors for damaged files
        raise FileError(f"{path} cannot be read; it may be damaged or truncated ({str(error)[:LONGEST]}).") from error


def _check_declared(declared: int, held: int, ratio: float = 1.0) -> None:
    """Compare the declared size with that of the file: a damaged or hostile header may declare any size."""
    if declared > ratio * held + ALWAYS_ALLOWED_BYTES:
        raise ValueError(f"it declares some {declared} bytes of pixels, but has {held} bytes")


def _read_npy(path: Path) -> np.ndarray:
    """Read a numpy file without unpickling."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        if version not in readers:
            raise ValueError(f"version {version} of the format is not supported")
        shape, _, dtype = readers[version](file)
    _check_declared(prod(shape) * dtype.itemsize, path.stat().st_size)
    return np.load(path, allow_pickle=False)


def _read_tiff(path: Path) -> np.ndarray:
    """Read the first series of a TIFF file, with colours last."""
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        series = tiff.series[0]
        _check_declared(series.nbytes, path.stat().st_size, MAX_COMPRESSION)
        image = series.asarray()
        if "S" in series.axes and image.ndim == 3 and series.axes.index("S") == 0:  # planar RGB
            image = np.moveaxis(image, 0, -1)
    return image


def as_type(image: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Convert a float image to a data type; integers are rounded and clipped."""
    if dtype.kind in "ui":
        info = np.iinfo(dtype)
        return np.clip(np.rint(image.astype(np.float64)), info.min, info.max).astype(dtype)
    return image.astype(dtype)


def write_image(path: str | Path, image: np.ndarray, description: dict[str, Any] | None = None) -> Path:
    """Write an image in its data type; ``description`` is written to the TIFF description as JSON.

    Raises
    ------
    InputError
        The file type cannot hold the image's data type.
    FileError
        The file cannot be written.
    """
    check_writable(path, image.dtype)
    suffix = suffix_of(path)
    with write_atomic(path) as beside:
        if suffix == ".npy":
            with beside.open("wb") as file:
                np.save(file, image, allow_pickle=False)
        elif suffix in (".tif", ".tiff"):
            import tifffile

            text = None if description is None else json.dumps(description)
            colour = image.ndim == 3 and image.shape[-1] in (3, 4)
            photometric = "rgb" if colour else "minisblack"
            # without its shape, an array of more than three axes would be read as a flat list of planes
            shaped: dict[str, Any] | None = {} if text is None and image.ndim > 3 + colour else None
            tifffile.imwrite(beside, image, photometric=photometric, description=text, metadata=shaped)
        elif suffix == ".png":
            import imagecodecs

            beside.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(image)))
        else:
            import imagecodecs

            beside.write_bytes(
                imagecodecs.jpeg8_encode(
                    np.ascontiguousarray(image[..., :3] if image.ndim == 3 else image), level=JPEG_QUALITY
                )
            )
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
    allowed = {".png": ("uint8", "uint16"), ".jpg": ("uint8",), ".jpeg": ("uint8",)}.get(suffix_of(path))
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
