"""What the axes of an array mean, and what follows for its kernels: a :class:`Layout`. Imports no torch.

Axes are named by a letter each, as in OME: T (time), C (channel), Z (depth), Y, X, and S (the samples of a colour, RGB
or RGBA).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from math import prod
from typing import Any, Literal, get_args

import numpy as np

from .errors import InputError, short_repr

Kernels = Literal["one", "channel", "frame", "plane"]
Depth = Literal["planes", "volume"]

LOOPS = "TCZ"  # axes that may be looped over
COLOURS = (3, 4)  # samples of RGB and RGBA
LEAST_SIDE = 8  # px; a shorter axis is neither Y nor X
WORDS = {"t": "frame", "c": "channel", "z": "slice"}
ALIASES = {
    "time": "T", "frame": "T", "frames": "T", "channel": "C", "channels": "C", "depth": "Z", "slice": "Z",
    "sample": "S", "samples": "S", "rgb": "S",
}  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """Which axes are space, which are looped over, and along which of those kernels differ.

    A *piece* is what one solve restores: a plane ``[Y, X]`` or ``[Y, X, 3 or 4]``, or a volume ``[Z, Y, X]``. Pieces
    are counted along the looped axes, in the order in which the array has them.

    Parameters
    ----------
    axes : str
        A letter per axis of the array.
    shape : tuple of int
        Of the array.
    kernels : {"one", "channel", "frame", "plane"}
        One kernel for all, for each channel, for each frame, or for each piece.
    depth : {"planes", "volume"}
        Whether Z is looped over, or space.
    """

    axes: str
    shape: tuple[int, ...]
    kernels: Kernels = "one"
    depth: Depth = "planes"

    @property
    def space(self) -> str:
        return "ZYX" if self.depth == "volume" else "YX"

    @property
    def looped(self) -> str:
        """Axes that pieces are counted along."""
        return "".join(axis for axis in self.axes if axis not in self.space + "S")

    @property
    def own(self) -> str:
        """The looped axes along which kernels differ."""
        along = {"one": "", "channel": "C", "frame": "T", "plane": self.looped}[self.kernels]
        return "".join(axis for axis in self.looped if axis in along)

    @property
    def pieces(self) -> tuple[int, ...]:
        """How many pieces along each looped axis."""
        return self.sides(self.looped)

    @property
    def groups(self) -> tuple[int, ...]:
        """How many kernels along each of their axes; () for one kernel."""
        return self.sides(self.own)

    @property
    def piece_shape(self) -> tuple[int, ...]:
        return self.sides(self.space + ("S" if "S" in self.axes else ""))

    def sides(self, axes: str) -> tuple[int, ...]:
        """Lengths of axes."""
        return tuple(self.shape[self.axes.index(axis)] for axis in axes)

    def group_of(self, index: Sequence[int]) -> tuple[int, ...]:
        """The kernel of a piece, as an index into ``groups``."""
        return tuple(i for axis, i in zip(self.looped, index, strict=True) if axis in self.own)

    def members(self, group: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """The pieces that share a kernel."""
        return (index for index in np.ndindex(self.pieces) if self.group_of(index) == tuple(group))

    def take(self, data: Any, index: Sequence[int]) -> np.ndarray:
        """A piece of an array (also a lazy one), its axes in the order of ``space``, then S."""
        piece = np.asarray(data[self._where(index)])
        return piece.transpose([self._inside.index(axis) for axis in self.space + "S" if axis in self._inside])

    def put(self, data: Any, index: Sequence[int], piece: np.ndarray) -> None:
        """Write what :meth:`take` gave back into an array."""
        order = [axis for axis in self.space + "S" if axis in self._inside]
        data[self._where(index)] = piece.transpose([order.index(axis) for axis in self._inside])

    @property
    def _inside(self) -> str:
        """The axes of a piece, in the order in which the array has them."""
        return "".join(axis for axis in self.axes if axis not in self.looped)

    def _where(self, index: Sequence[int]) -> tuple[int | slice, ...]:
        at = dict(zip(self.looped, index, strict=True))
        return tuple(at.get(axis, slice(None)) for axis in self.axes)

    @property
    def sentence(self) -> str:
        """What is made of the array, for a person."""
        counts = [_count(n, WORDS[axis.lower()]) for axis, n in zip(self.looped, self.pieces, strict=True)]
        sides = "x".join(map(str, self.sides(self.space)))
        colour = " in colour" if "S" in self.axes else ""
        what = f"{' x '.join(counts)} of {sides} px{colour}" if counts else f"{sides} px{colour}"
        total = prod(self.groups)
        whose = {"channel": "channel", "frame": "frame", "plane": "volume" if self.depth == "volume" else "plane"}
        kernels = f"one kernel per {whose[self.kernels]} ({total})" if self.own else "one kernel for all"
        return f"{what}, {kernels}"


def interpret(shape: Sequence[int], names: str | Sequence[str] | None = None) -> str:
    """The letters of an array's axes, or the readings there are.

    Parameters
    ----------
    shape : sequence of int
    names : str or sequence of str, optional
        What is known: a letter or word per axis ("TCYX", ("time", "y", "x")), as a file or a layer has it, or a user
        gave it. Names that say nothing (napari's "-3", tifffile's "Q" and "I") count as unknown.

    Returns
    -------
    str
        A letter of T, C, Z, Y, X, S per axis.

    Raises
    ------
    InputError
        The names do not fit the array, or several readings are possible: the message lists them.
    """
    shape = tuple(int(n) for n in shape)
    known = _known(shape, names)
    size = f"An array of shape {shape}"
    if names is not None and len(known) != len(shape):
        raise InputError(
            f"{size} has {len(shape)} axes, its names {short_repr(names)} are {len(known)}; one per axis is needed."
        )
    twice = sorted({axis for axis in known if axis and known.count(axis) > 1})
    if twice:
        raise InputError(f"Axis {', '.join(twice)} is named twice in {short_repr(names)}; each name may stand once.")
    found = _readings(shape, known)
    if len(found) == 1:
        return found[0]
    if not found:
        given = "" if names is None else f" cannot have the axes {short_repr(names)}: it"
        raise InputError(
            f"{size}{given} needs Y and X of {LEAST_SIDE} px or more, besides them at most T (time), C (channel), "
            f"Z (depth), and S (colour, {COLOURS[0]} or {COLOURS[1]} samples); name each axis, such as axes='TCYX'."
        )
    options = "; ".join(f"{axes!r} ({told(axes, shape)})" for axes in found)
    raise InputError(f"{size} can be read in several ways: {options}. Say which: axes={found[0]!r}, for example.")


def readings(shape: Sequence[int], names: str | Sequence[str] | None = None) -> list[str]:
    """All that :func:`interpret` would choose from, the usual first; none where the names do not fit."""
    shape = tuple(int(n) for n in shape)
    known = _known(shape, names)
    return _readings(shape, known) if len(known) == len(shape) else []


def told(axes: str, shape: Sequence[int]) -> str:
    """A reading in words: "3 frames of 512x512 px"."""
    return Layout(axes, tuple(shape)).sentence.partition(", ")[0]


def make_layout(
    shape: Sequence[int], axes: str | Sequence[str] | None = None, kernels: str = "one", depth: str = "planes"
) -> Layout:
    """Decide which axes are space and which share a kernel.

    Parameters
    ----------
    shape, axes
        As for :func:`interpret`.
    kernels, depth : str
        As for :class:`Layout`.

    Raises
    ------
    InputError
        Axes that are wrong or ambiguous, or without what ``kernels`` and ``depth`` ask for.
    """
    for name, value, allowed in (("kernels", kernels, get_args(Kernels)), ("depth", depth, get_args(Depth))):
        if value not in allowed:
            raise InputError(f"{name} must be one of {', '.join(allowed)}; got {short_repr(value)}.")
    letters = interpret(shape, axes)
    layout = Layout(letters, tuple(int(n) for n in shape), kernels, depth)  # type: ignore[arg-type]  # checked above
    if depth == "volume" and ("Z" not in letters or "S" in letters):
        why = "no Z axis" if "Z" not in letters else "colours: split them, and name their axis C"
        raise InputError(f"depth='volume' needs a Z axis and grey values; the axes {letters} have {why}.")
    wanted = {"channel": "C", "frame": "T"}.get(kernels, "")
    if wanted and wanted not in letters:
        free = ", ".join(repr(mode) for mode, axis in (("channel", "C"), ("frame", "T")) if axis in letters)
        others = ", ".join(filter(None, ("'one'", free, "'plane'")))
        raise InputError(f"kernels={kernels!r} needs a {wanted} axis; the axes {letters} have none. Allowed: {others}.")
    return layout


def _known(shape: tuple[int, ...], names: str | Sequence[str] | None) -> list[str]:
    return [""] * len(shape) if names is None else [_letter(name) for name in names]


def _letter(name: object) -> str:
    """The letter of an axis' name; "" where it says nothing."""
    word = str(name).strip()
    letter = ALIASES.get(word.lower(), word.upper())
    return letter if letter in ("T", "C", "Z", "Y", "X", "S") else ""


def _readings(shape: tuple[int, ...], known: Sequence[str]) -> list[str]:
    """All readings of a shape that the known letters (and "" for unknown) allow, the usual first."""
    if all(known):
        return ["".join(known)] if _fits("".join(known), shape) else []
    found = [
        "".join(head) + tail
        for tail in ("YX", "YXS")
        if len(shape) >= len(tail)
        for head in permutations(LOOPS, len(shape) - len(tail))
    ]
    fitting = [
        axes
        for axes in found
        if _fits(axes, shape) and all(want in ("", axis) for want, axis in zip(known, axes, strict=True))
    ]
    # along an axis of length 1 nothing depends on its name: the first will do
    different: dict[tuple[str, ...], str] = {}
    for reading in fitting:
        different.setdefault(tuple(axis for axis, n in zip(reading, shape, strict=True) if n > 1), reading)
    return list(different.values())


def _fits(axes: str, shape: tuple[int, ...]) -> bool:
    """Whether letters, one per axis, can be those of an array of this shape."""
    side = dict(zip(axes, shape, strict=True))
    large = min(side.get("Y", 0), side.get("X", 0)) >= LEAST_SIDE
    return large and min(shape) > 0 and ("S" not in side or side["S"] in COLOURS)


def _count(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"
