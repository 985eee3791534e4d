"""Which axes of an array are spatial, and which pieces of it share a kernel. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import numpy as np

KernelPer = Literal["stack", "channel", "frame", "plane"]
Mode = Literal["2d", "3d"]

AXIS_WORDS = {"t": "frame", "c": "channel", "z": "slice"}


@dataclass(frozen=True)
class Layout:
    """The spatial and looped axes of an array, and the looped axes along which kernels differ.

    A *piece* is restored by one deconvolution: a plane ``[Y, X]`` or ``[Y, X, 3 or 4]``, or a volume ``[Z, Y, X]``.
    Pieces are counted along the looped axes, in the order in which the array has them.

    Parameters
    ----------
    axes : str
        A letter per axis of the array.
    shape : tuple of int
        Shape of the array.
    kernel_per : {"stack", "channel", "frame", "plane"}
        One kernel for all, for each channel, for each frame, or for each piece.
    mode : {"2d", "3d"}
        Whether Z is looped over, or a spatial axis.
    """

    axes: str
    shape: tuple[int, ...]
    kernel_per: KernelPer = "stack"
    mode: Mode = "2d"

    @property
    def space(self) -> str:
        """Spatial axes."""
        return "ZYX" if self.mode == "3d" else "YX"

    @property
    def looped(self) -> str:
        """Axes that pieces are counted along."""
        return "".join(axis for axis in self.axes if axis not in self.space + "S")

    @property
    def own(self) -> str:
        """The looped axes along which kernels differ."""
        along = {"stack": "", "channel": "C", "frame": "T", "plane": self.looped}[self.kernel_per]
        return "".join(axis for axis in self.looped if axis in along)

    @property
    def pieces(self) -> tuple[int, ...]:
        """Number of pieces along each looped axis."""
        return self.sides(self.looped)

    @property
    def groups(self) -> tuple[int, ...]:
        """Number of kernels along each of their axes; () for one kernel."""
        return self.sides(self.own)

    @property
    def piece_shape(self) -> tuple[int, ...]:
        """Shape of a piece, its axes in the order of ``space``, then S."""
        return self.sides(self.space + ("S" if "S" in self.axes else ""))

    def sides(self, axes: str) -> tuple[int, ...]:
        """Return the lengths of axes."""
        return tuple(self.shape[self.axes.index(axis)] for axis in axes)

    def group_of(self, index: Sequence[int]) -> tuple[int, ...]:
        """Return the kernel of a piece, as an index into ``groups``."""
        return tuple(i for axis, i in zip(self.looped, index, strict=True) if axis in self.own)

    def members(self, group: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """Iterate over the pieces that share a kernel."""
        return (index for index in np.ndindex(self.pieces) if self.group_of(index) == tuple(group))

    def take(self, data: Any, index: Sequence[int]) -> np.ndarray:
        """Read a piece of an array (also a lazy one), its axes in the order of ``space``, then S."""
        piece = np.asarray(data[self._slices(index)])
        return piece.transpose([self._inside.index(axis) for axis in self.space + "S" if axis in self._inside])

    def put(self, data: Any, index: Sequence[int], piece: np.ndarray) -> None:
        """Write a piece, with axes as :meth:`take` returns them, into an array."""
        order = [axis for axis in self.space + "S" if axis in self._inside]
        data[self._slices(index)] = piece.transpose([order.index(axis) for axis in self._inside])

    @property
    def _inside(self) -> str:
        """The axes of a piece, in the order in which the array has them."""
        return "".join(axis for axis in self.axes if axis not in self.looped)

    def _slices(self, index: Sequence[int]) -> tuple[int | slice, ...]:
        """Make the index of a piece into the array."""
        at = dict(zip(self.looped, index, strict=True))
        return tuple(at.get(axis, slice(None)) for axis in self.axes)

    @property
    def sentence(self) -> str:
        """Human-readable description: pieces, sides and kernels."""
        counts = [_count(n, AXIS_WORDS[axis.lower()]) for axis, n in zip(self.looped, self.pieces, strict=True)]
        sides = "x".join(map(str, self.sides(self.space)))
        colour = " in colour" if "S" in self.axes else ""
        what = f"{' x '.join(counts)} of {sides} px{colour}" if counts else f"{sides} px{colour}"
        total = prod(self.groups)
        whose = {"channel": "channel", "frame": "frame", "plane": "volume" if self.mode == "3d" else "plane"}
        kernels = f"one kernel per {whose[self.kernel_per]} ({total})" if self.own else "one kernel for all"
        return f"{what}, {kernels}"


def _count(n: int, word: str) -> str:
    """Format a number with its noun, in singular or plural."""
    return f"{n} {word}" if n == 1 else f"{n} {word}s"
