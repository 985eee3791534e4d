"""Interpret the names and lengths of an array's axes. Imports no torch.

Each axis has a letter, as in OME: T (time), C (channel), Z (depth), Y, X, and S (samples of a colour, RGB or RGBA).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import get_args

from .errors import InputError, short_repr
from .layout import KernelPer, Layout, Mode

LOOPS = "TCZ"  # axes that may be looped over
COLOURS = (3, 4)  # samples of RGB and RGBA
LEAST_SIDE_PX = 8  # a shorter axis is neither Y nor X
ALIASES = {
    "time": "T", "frame": "T", "frames": "T", "channel": "C", "channels": "C", "depth": "Z", "slice": "Z",
    "sample": "S", "samples": "S", "rgb": "S",
}  # fmt: skip


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
    check_kernel_axis(layout)
    return layout


def check_kernel_axis(layout: Layout) -> None:
    """Refuse kernels for each channel, frame or plane where the axes have no several of them; raises InputError."""
    letters = layout.axes
    if layout.kernel_per != "stack" and not layout.looped:
        what = "volume" if layout.mode == "3d" else "image"
        raise InputError(
            f"A kernel per {layout.kernel_per} is for stacks; this is one {what}, with the axes {letters}. Leave "
            "kernel_per at 'stack'."
        )
    needed = {"channel": "C", "frame": "T"}.get(layout.kernel_per, "")
    if needed and needed not in letters:
        free = ", ".join(repr(mode) for mode, axis in (("channel", "C"), ("frame", "T")) if axis in letters)
        others = ", ".join(filter(None, ("'stack'", free, "'plane'")))
        raise InputError(
            f"kernel_per={layout.kernel_per!r} needs a {needed} axis; the axes {letters} have none. Allowed: {others}."
        )


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
