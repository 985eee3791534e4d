"""Convert results to the data type of a file, and count what that cuts off."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from .errors import InputError, short_repr

FileType = Literal["input", "float32"]


def as_type(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Convert floats to a data type; integers are rounded and clipped."""
    if dtype.kind not in "ui":
        return values.astype(dtype)
    info, top = np.iinfo(dtype), float(np.iinfo(dtype).max)
    if top > info.max:  # the largest 64-bit integers are no floats
        top = float(np.nextafter(top, 0))
    return np.clip(np.rint(values.astype(np.float64)), info.min, top).astype(dtype)


class Conversion:
    """Convert float values to a data type, rounding for integers, and count the values beyond its range.

    Parameters
    ----------
    dtype : dtype
        Of the file.

    Attributes
    ----------
    above, below : int
        Values that were cut off so far.
    """

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = np.dtype(dtype)
        self.above = self.below = 0

    def __call__(self, values: np.ndarray) -> np.ndarray:
        if self.dtype.kind not in "ui":
            return values.astype(self.dtype)
        info = np.iinfo(self.dtype)
        rounded = np.rint(values.astype(np.float64))
        rounded[np.isnan(rounded)] = 0  # integers have no other value for them
        self.above += int((rounded > info.max).sum())
        self.below += int((rounded < info.min).sum())
        return as_type(rounded, self.dtype)

    @property
    def sentence(self) -> str:
        """What was cut off, "" where nothing was."""
        if not self.above and not self.below:
            return ""
        info = np.iinfo(self.dtype)
        counts = ((self.above, "above", info.max), (self.below, "below", info.min))
        cut = " and ".join(f"{count} {side} {end} to {end}" for count, side, end in counts if count)
        total = self.above + self.below
        return (
            f"In the file, {total} {'value was' if total == 1 else 'values were'} clipped ({cut}); "
            "a TIFF, NPY or Zarr file with dtype='float32' would keep them."
        )


def check_file_type(name: object) -> FileType:
    """Refuse what :data:`FileType` does not name."""
    allowed = get_args(FileType)
    if not isinstance(name, str) or name not in allowed:
        raise InputError(f"The data type of the file must be one of {', '.join(allowed)}; got {short_repr(name)}.")
    return name  # type: ignore[return-value]
