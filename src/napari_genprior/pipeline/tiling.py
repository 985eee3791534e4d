"""Cover a large image by overlapping tiles, and blend the restored tiles. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

REACH = 8  # kernel sides over which a deconvolution still depends on what is beyond a tile, by 1e-3 of the range
LEAST_OVERLAP = 16  # px
LEVELS = 256  # weights are multiples of 1 / LEVELS: products and sums of them are exact


@dataclass(frozen=True)
class Span:
    """A tile along one axis.

    Parameters
    ----------
    read : slice
        The pixels it is solved from.
    kept : slice
        The pixels of the image it counts for, within ``read``.
    weight : float32 array [kept]
        How much it counts there; the weights of all spans of an axis sum to exactly 1 at each pixel.
    """

    read: slice
    kept: slice
    weight: np.ndarray

    @property
    def within(self) -> slice:
        """``kept``, counted from the beginning of ``read``."""
        return slice(self.kept.start - self.read.start, self.kept.stop - self.read.start)


def overlap_for(kernel_shape: tuple[int, int]) -> int:
    """Pixels that a tile needs beyond what is kept of it."""
    return LEAST_OVERLAP + REACH * max(kernel_shape)


def cover(length: int, side: int, overlap: int, ramp: int) -> list[Span]:
    """Cover an axis by tiles of equal length, evenly spread.

    Parameters
    ----------
    length : int
        Of the axis, pixels.
    side : int
        Most pixels from the middle of one seam to that of the next; some dozens at least.
    overlap : int
        Least number of pixels between what is kept and the end of what is read, but for the ends of the axis.
    ramp : int
        Pixels over which one tile gives way to the next; at most half of ``side``. They are added to the overlap.

    Returns
    -------
    list of Span
        The only one where ``length`` is small enough.
    """
    ramp = max(1, min(ramp, side // 2))  # no more than two tiles count anywhere
    overlap += ceil(ramp / 2)
    count = ceil(length / side)
    read = min(length, ceil(length / count) + 2 * overlap)
    ends = [round(index * length / count) for index in range(count + 1)]
    # all tiles are of one size, to be solved together: at a border they reach the further inwards
    starts = [min(max(0, end - overlap), length - read) for end in ends[:-1]]
    rise = np.round(LEVELS * (0.5 - 0.5 * np.cos(np.pi * (np.arange(ramp) + 0.5) / ramp))).astype(np.float32) / LEVELS
    found = []
    for index, start in enumerate(starts):
        first = 0 if index == 0 else ends[index] - ramp // 2
        last = length if index == count - 1 else ends[index + 1] - ramp // 2 + ramp
        weight = np.ones(last - first, np.float32)
        if index > 0:
            weight[:ramp] = rise
        if index < count - 1:
            weight[-ramp:] = 1 - rise
        found.append(Span(slice(start, start + read), slice(first, last), weight))
    return found


def first_unfinished_row(rows: list[Span], stored: int) -> int:
    """The last row of tiles that suffices, with those after it, for all rows of the image from ``stored`` on."""
    return max(index for index in range(len(rows)) if index == 0 or rows[index - 1].kept.stop <= stored)


class Mosaic:
    """Puts tiles together, row of tiles by row of tiles; of the image it holds no more than such a row.

    Parameters
    ----------
    rows, columns : list of Span
        A tile is ``rows[i].read`` by ``columns[j].read``.
    """

    def __init__(self, rows: list[Span], columns: list[Span]) -> None:
        self.rows, self.columns = rows, columns
        self._added = 0
        self._open: np.ndarray | None = None  # rows of the image from rows[i].kept.start on

    def add(self, tile: np.ndarray) -> np.ndarray | None:
        """Take the next tile ``[Y, X]`` or ``[Y, X, C]``, row by row, each from left to right.

        Returns
        -------
        float32 array [rows, X] or [rows, X, C], or None
            The next rows of the image, where this tile was the last they waited for.
        """
        i, j = divmod(self._added, len(self.columns))
        row, column = self.rows[i], self.columns[j]
        height, width = row.kept.stop - row.kept.start, self.columns[-1].kept.stop
        shape = (height, width, *tile.shape[2:])
        if self._open is None:
            self._open = np.zeros(shape, np.float32)
        elif j == 0:  # the rows that the tiles above share with these
            above, self._open = self._open, np.zeros(shape, np.float32)
            self._open[: len(above)] = above
        weight = row.weight[:, None] * column.weight
        part = tile[row.within, column.within].astype(np.float32, copy=False)
        self._open[:, column.kept] += part * weight.reshape(*weight.shape, *(1,) * (tile.ndim - 2))
        self._added += 1
        if j + 1 < len(self.columns):
            return None
        if i + 1 == len(self.rows):
            done, self._open = self._open, None
            self._added = 0
            return done
        ready = self.rows[i + 1].kept.start - row.kept.start
        done, self._open = self._open[:ready], self._open[ready:].copy()
        return done
