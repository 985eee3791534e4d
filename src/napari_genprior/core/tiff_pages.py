"""Read parts of TIFF files, compressed, in tiles or planar, without decoding whole pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .errors import FileError
from .tiff_samples import JPEG, Samples


@dataclass(frozen=True)
class Mapped:
    """An uncompressed TIFF, mapped anew for each slice, so that data that were read do not stay in memory."""

    path: Path
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype

    def __getitem__(self, index: Any) -> np.ndarray:
        """Read a slice; raises FileError where the file is shorter than it declares."""
        try:
            return np.array(np.memmap(self.path, self.dtype, "r", self.offset, self.shape)[index])
        except (OSError, ValueError) as error:
            raise FileError(f"{self.path} cannot be read; it may be damaged or truncated ({error}).") from error


class PagedTiff:
    """The pages of a series, read by their strips or tiles; samples are last.

    Parameters
    ----------
    series : tifffile.TiffPageSeries
        Its pages are planes: one strip or tile is one depth.
    """

    def __init__(self, series: Any) -> None:
        page = series.keyframe
        self._series, self._page, self._colour = series, page, page.samplesperpixel > 1
        height, width = page.imagelength, page.imagewidth
        inside = (height, width, page.samplesperpixel) if self._colour else (height, width)
        self._lead = tuple(series.shape[: len(series.shape) - len(page.shape)])
        self.shape = (*self._lead, *inside)
        self.dtype = np.dtype(series.dtype)

    def __getitem__(self, index: Any) -> np.ndarray:
        """Read a part that is chosen by integers and slices."""
        where = index if isinstance(index, tuple) else (index,)
        if Ellipsis in where:
            at = where.index(Ellipsis)
            where = (*where[:at], *[slice(None)] * (len(self.shape) - len(where) + 1), *where[at + 1 :])
        where = (*where, *[slice(None)] * (len(self.shape) - len(where)))
        chosen = [range(n)[at] for n, at in zip(self.shape, where, strict=True)]
        ranges = [range(at, at + 1) if isinstance(at, int) else at for at in chosen]
        lead, rows, columns = ranges[: len(self._lead)], *ranges[len(self._lead) : len(self._lead) + 2]
        read = np.zeros((*map(len, lead), len(rows), len(columns), *self.shape[len(self._lead) + 2 :]), self.dtype)
        for place in np.ndindex(*map(len, lead)):
            page = np.ravel_multi_index([each[n] for each, n in zip(lead, place, strict=True)], self._lead)
            read[place] = self._region(int(page) if self._lead else 0, rows, columns)
        kept = tuple(0 if isinstance(at, int) else slice(None) for at in chosen[: len(self._lead) + 2])
        return read[(*kept, *where[len(self._lead) + 2 :])]

    def _region(self, number: int, rows: range, columns: range) -> np.ndarray:
        """Read rows and columns of a page."""
        page = self._series.pages[number]
        first, end = _ends(rows)
        left, right = _ends(columns)
        samples = self.shape[-1] if self._colour else 1
        region = np.zeros((end - first, right - left, samples), self.dtype)
        if page is not None:
            for segment, at in _segments(page, self._page, (first, end), (left, right)):
                sample, _, top, start, _ = at
                high, wide = min(segment.shape[1], self._page.imagelength - top), segment.shape[2]
                inside = segment[0, max(0, first - top) : high, max(0, left - start) : wide]
                inside = inside[: end - max(first, top), : right - max(left, start)]
                y, x = max(top, first) - first, max(start, left) - left
                to = slice(None) if segment.shape[3] == samples else slice(sample, sample + 1)
                region[y : y + inside.shape[0], x : x + inside.shape[1], to] = inside
        picked = region[[row - first for row in rows]][:, [column - left for column in columns]]
        return picked if self._colour else picked[..., 0]


def _ends(chosen: range) -> tuple[int, int]:
    """Return the first and the end of the places that a range takes."""
    return (min(chosen), max(chosen) + 1) if len(chosen) else (0, 0)


def _segments(page: Any, keyframe: Any, rows: Sequence[int], columns: Sequence[int]) -> Any:
    """Yield decoded strips or tiles ``[depth, rows, columns, samples]`` that overlap a region, and their places."""
    file = page.parent.filehandle
    reopened = file.closed
    if reopened:  # of a set of several files
        file.open()
    tables = {"jpegtables": page.jpegtables} if int(keyframe.compression) in JPEG else {}
    try:
        for number, (offset, size) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=True)):
            _, at, (_, height, width, _) = keyframe.decode(None, number)
            if at[2] >= rows[1] or at[2] + height <= rows[0] or at[3] >= columns[1] or at[3] + width <= columns[0]:
                continue
            if size == 0:  # nothing is stored: background
                continue
            with file.lock:
                file.seek(offset)
                content = file.read(size)
            segment, at, _ = keyframe.decode(content, number, **tables)
            if segment is not None:
                yield segment, at
    finally:
        if reopened:
            file.close()


@dataclass(frozen=True)
class Shown:
    """Stored samples as they show, converted when they are read."""

    data: Any
    samples: Samples
    axes: str  # as stored, S last

    @property
    def _result(self) -> tuple[tuple[int, ...], np.dtype, str]:
        return self.samples.result_of(tuple(self.data.shape), np.dtype(self.data.dtype), self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape as it shows."""
        return self._result[0]

    @property
    def dtype(self) -> np.dtype:
        """Data type as it shows."""
        return self._result[1]

    def __getitem__(self, index: Any) -> np.ndarray:
        """Read a part; samples are always read together."""
        where = index if isinstance(index, tuple) else (index,)
        space = len(self.axes.removesuffix("S"))
        return self.samples.apply(self.data[where if Ellipsis in where else where[:space]])
