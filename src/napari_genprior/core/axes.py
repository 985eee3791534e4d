"""Interpret the axes of arrays, and which pieces of an array share a kernel (:class:`Layout`). Imports no torch.

Each axis has a letter, as in OME: T (time), C (channel), Z (depth), Y, X, and S (samples of a colour, RGB or RGBA).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from math import prod
from typing import Any, Literal, get_args

import numpy as np

from .errors import InputError, short_repr

KernelPer = Literal["stack", "channel", "frame", "plane"]
Mode = Literal["2d", "3d"]

LOOPS = "TCZ"  # axes that may be looped over
COLOURS = (3, 4)  # samples of RGB and RGBA
LEAST_SIDE_PX = 8  # a shorter axis is neither Y nor X
AXIS_WORDS = {"t": "frame", "c": "channel", "z": "slice"}
ALIASES = {
    "time": "T", "frame": "T", "frames": "T", "channel": "C", "channels": "C", "depth": "Z", "slice": "Z",
    "sample": "S", "samples": "S", "rgb": "S",
}  # fmt: skip


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


def infer_axes(shape: Sequence[int], names: str | Sequence[str] | None = None) -> str:
    """Infer the letters of an array's axes.

    Parameters
    ----------
    shape : sequence of int
    names : str or sequence of str, optional
        A letter or word per axis ("TCYX", ("time", "y", "x")), from a file, a layer or the user. Names without a
        meaning (napari's "-3", tifffile's "Q" and "I") count as unknown.

    Returns
    -------
    str
        A letter of T, C, Z, Y, X, S per axis.

    Raises
    ------
    InputError
        The names do not fit the array, or several interpretations are possible: the message lists them.
    """
    shape = tuple(int(n) for n in shape)
    known = _known(shape, names)
    size = f"An array of shape {shape}"
    if names is not None and len(known) != len(shape):
        raise InputError(
            f"{size} has {len(shape)} axes, but got {len(known)} names ({short_repr(names)}); give one per axis."
        )
    twice = sorted({axis for axis in known if axis and known.count(axis) > 1})
    if twice:
        raise InputError(f"Axis {', '.join(twice)} is named twice in {short_repr(names)}; give each name once.")
    candidates = _candidates(shape, known)
    if len(candidates) == 1:
        return candidates[0]
    if not candidates and names is None and sum(n >= LEAST_SIDE_PX for n in shape) < 2:
        raise InputError(f"{size} is too small: Y and X (rows and columns) must be {LEAST_SIDE_PX} px or more each.")
    if not candidates:
        given = "" if names is None else f" cannot have the axes {short_repr(names)}: it"
        raise InputError(
            f"{size}{given} needs Y and X of {LEAST_SIDE_PX} px or more, besides them at most T (time), C (channel), "
            f"Z (depth), and S (colour, {COLOURS[0]} or {COLOURS[1]} samples); name each axis, such as axes='TCYX'."
        )
    options = "; ".join(f"{axes!r} ({describe_axes(axes, shape)})" for axes in candidates)
    raise InputError(f"{size} can be read in several ways: {options}. Say which: axes={candidates[0]!r}, for example.")


def colours_last(names: str | Sequence[str], stored: str | None) -> str | Sequence[str]:
    """Move the colours in a user's names to the end, where the reader of a file has put them."""
    letters = [_letter(name) for name in names]
    if stored is None or len(letters) != len(stored) or not stored.endswith("S") or "S" not in letters[:-1]:
        return names
    return [*(letter for letter in letters if letter != "S"), "S"]


def axis_candidates(shape: Sequence[int], names: str | Sequence[str] | None = None) -> list[str]:
    """List the possible axes of an array, the most usual first; none where the names do not fit."""
    shape = tuple(int(n) for n in shape)
    known = _known(shape, names)
    return _candidates(shape, known) if len(known) == len(shape) else []


def describe_axes(axes: str, shape: Sequence[int]) -> str:
    """Describe axes in words: "3 frames of 512x512 px"."""
    return Layout(axes, tuple(shape)).sentence.partition(", ")[0]


def make_layout(
    shape: Sequence[int], axes: str | Sequence[str] | None = None, kernel_per: str = "stack", mode: str = "2d"
) -> Layout:
    """Determine which axes are spatial and which pieces share a kernel.

    Parameters
    ----------
    shape, axes
        See :func:`infer_axes`.
    kernel_per, mode : str
        See :class:`Layout`.

    Raises
    ------
    InputError
        The axes are wrong or ambiguous, or lack what ``kernel_per`` and ``mode`` need.
    """
    for name, value, allowed in (("kernel_per", kernel_per, get_args(KernelPer)), ("mode", mode, get_args(Mode))):
        if value not in allowed:
            raise InputError(f"{name} must be one of {', '.join(allowed)}; got {short_repr(value)}.")
    letters = infer_axes(shape, axes)
    layout = Layout(letters, tuple(int(n) for n in shape), kernel_per, mode)  # type: ignore[arg-type]  # checked above
    if mode == "3d" and ("Z" not in letters or "S" in letters):
        why = "no Z axis" if "Z" not in letters else "colours: split them, and name their axis C"
        raise InputError(f"mode='3d' needs a Z axis and grey values; the axes {letters} have {why}.")
    needed = {"channel": "C", "frame": "T"}.get(kernel_per, "")
    if needed and needed not in letters:
        free = ", ".join(repr(mode) for mode, axis in (("channel", "C"), ("frame", "T")) if axis in letters)
        others = ", ".join(filter(None, ("'stack'", free, "'plane'")))
        raise InputError(
            f"kernel_per={kernel_per!r} needs a {needed} axis; the axes {letters} have none. Allowed: {others}."
        )
    return layout


def _known(shape: tuple[int, ...], names: str | Sequence[str] | None) -> list[str]:
    """List the letters of the axes, "" for unknown ones."""
    return [""] * len(shape) if names is None else [_letter(name) for name in names]


def _letter(name: object) -> str:
    """Return the letter of an axis name, "" where it has no meaning."""
    word = str(name).strip()
    letter = ALIASES.get(word.lower(), word.upper())
    return letter if letter in ("T", "C", "Z", "Y", "X", "S") else ""


def _candidates(shape: tuple[int, ...], known: Sequence[str]) -> list[str]:
    """List the axes of a shape that agree with the known letters ("" for unknown), the most usual first."""
    if all(known):
        return ["".join(known)] if _fits("".join(known), shape) else []
    every = [
        "".join(head) + tail
        for tail in ("YX", "YXS")
        if len(shape) >= len(tail)
        for head in permutations(LOOPS, len(shape) - len(tail))
    ]
    fitting = [
        axes
        for axes in every
        if _fits(axes, shape) and all(want in ("", axis) for want, axis in zip(known, axes, strict=True))
    ]
    # the name of an axis of length 1 does not matter: of candidates that differ there only, the first is taken
    different: dict[tuple[str, ...], str] = {}
    for axes in fitting:
        different.setdefault(tuple(axis for axis, n in zip(axes, shape, strict=True) if n > 1), axes)
    return list(different.values())


def _fits(axes: str, shape: tuple[int, ...]) -> bool:
    """Tell whether letters, one per axis, can be those of an array of this shape."""
    side = dict(zip(axes, shape, strict=True))
    large = min(side.get("Y", 0), side.get("X", 0)) >= LEAST_SIDE_PX
    return large and min(shape) > 0 and ("S" not in side or side["S"] in COLOURS)


def _count(n: int, word: str) -> str:
    """Format a number with its noun, in singular or plural."""
    return f"{n} {word}" if n == 1 else f"{n} {word}s"
