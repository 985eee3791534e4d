"""Read the training photographs, and keep the held-out ones apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..core.errors import FileError, InputError

# Every ninth photograph of the set `photos`, by name. Nothing is trained or tuned on them: validation during a
# training and the benchmarks on held-out photographs (denoising, known kernel) use these and no others.
HELD_OUT_PHOTOS = (
    "aitzgorri_by_aitzol_berasategi.webp",
    "eveningglow.webp",
    "kite.webp",
    "picture_0b_by_freespace.webp",
    "sunset_by_the_pier.webp",
)
SUFFIXES = (".webp", ".png", ".jpg", ".jpeg", ".tif", ".tiff")


def photo_files(folder: Path, *, held_out: bool) -> list[Path]:
    """List the photographs of a folder by name, either the held-out ones or all others.

    Raises
    ------
    InputError
        The folder is missing, or holds no such photographs.
    """
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES)
    files = [path for path in files if (path.name in HELD_OUT_PHOTOS) == held_out]
    if not files:
        kind = "held-out photographs" if held_out else "training photographs"
        raise InputError(f"The folder {folder} holds no {kind}; readable are {', '.join(SUFFIXES)}.")
    return files


def read_photo(path: Path, scale: float = 1.0) -> np.ndarray:
    """Read a photograph, reduced by ``scale``: uint8 ``[3, Y, X]``.

    Raises
    ------
    FileError
        The file cannot be read.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            colour = image.convert("RGB")
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error}.") from error
    if scale != 1:
        size = (round(scale * colour.width), round(scale * colour.height))
        colour = colour.resize(size, Image.Resampling.LANCZOS)
    return np.ascontiguousarray(np.moveaxis(np.asarray(colour), -1, 0))
