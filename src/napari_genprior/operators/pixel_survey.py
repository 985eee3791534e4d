"""Find out what each pixel of an image says of the scene: a value, at least a value, or nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.conversion import as_type
from .defects import find_defects
from .fill import fill_masked

CLIPPED_PX = 10  # pixels of one value from which it may be where the camera clips, ...
CLIPPED_RATIO = 5.0  # ... if so many times as many have it as have each of those just below
BELOW = 0.04  # of the range: how far down "just below" reaches
NEAR_END = 0.2  # of the range: where clipping is looked for
OUTLIERS_ABOVE = 2e-3  # share of pixels above the level of clipping: what the survey of defects has missed


@dataclass(frozen=True)
class PixelSurvey:
    """What the pixels of a piece say. Arrays are ``[C, (Z,) Y, X]``, native units.

    Attributes
    ----------
    values : array
        The piece; pixels that say nothing are filled in from their neighbours.
    masked : bool array
        Pixels that say nothing.
    kept : bool array
        Of these, the ones that keep their own value in a result: marks, and what the user or the file masks.
    step : float
        Least difference of two values; 0 for floats.
    counts : dict of str to int
        Pixels (of any channel) by what is wrong with them.
    """

    values: np.ndarray
    masked: np.ndarray
    kept: np.ndarray
    step: float
    counts: dict[str, int]


def describe_counts(counts: dict[str, int]) -> str:
    """Say how many pixels were left out, and why; "" for none."""
    listed = {kind: count for kind, count in counts.items() if count}
    if not listed:
        return ""
    total = sum(listed.values())
    kinds = ", ".join(f"{count} {kind}" for kind, count in listed.items())
    return f"{total} {'pixel was' if total == 1 else 'pixels were'} left out ({kinds})."


def survey_pixels(planes: np.ndarray, mask: np.ndarray | None = None) -> PixelSurvey:
    """Find out which pixels of a piece say nothing of the scene, and fill them in.

    Parameters
    ----------
    planes : array [C, (Z,) Y, X]
        Native units; NaN and infinite values count as masked.
    mask : bool array [(Z,) Y, X], optional
        True at pixels that say nothing.
    """
    step = 1.0 if planes.dtype.kind in "ui" else 0.0
    unknown = np.zeros(planes.shape, bool) if planes.dtype.kind in "ui" else ~np.isfinite(planes)
    counts = {"not finite": int(unknown.any(0).sum())}
    if mask is not None:
        counts["masked"] = int((mask & ~unknown.any(0)).sum())
        unknown |= mask
    values, masked, marks = planes, unknown, np.zeros(planes.shape, bool)
    spots = lines = 0
    for at in np.ndindex(planes.shape[:-2]):
        if unknown[at].all():
            continue
        plane = fill_masked(_in_float32(planes[at], unknown[at])[0], unknown[at])
        if plane.min() == plane.max():
            continue
        found = find_defects(plane, step)
        marks[at] = found.marks
        spots += int((found.spots & ~unknown[at]).sum())
        lines += int((found.lines & ~unknown[at]).sum())
        if found.masked.any() or unknown[at].any():
            if masked is unknown:
                masked = unknown.copy()
            masked[at] |= found.masked
    counts |= {"hot or dead": spots, "in lines": lines, "in marks or margins": int((marks & ~unknown).any(0).sum())}
    if masked.any():
        values = planes.copy()
        for at in np.ndindex(planes.shape[:-2]):
            if masked[at].any() and not masked[at].all():
                plane, base = _in_float32(planes[at], masked[at])
                filled = fill_masked(plane, masked[at])[masked[at]]
                values[at][masked[at]] = as_type(filled + base, planes.dtype)
            elif masked[at].all():
                values[at] = 0
    return PixelSurvey(values, masked, unknown | marks, step, counts)


def clipping_levels(survey: PixelSurvey, type_end: float | None) -> tuple[float, ...]:
    """Find the value from which on each channel is clipped; infinite where none is.

    A clipped channel has many pixels of one value at its upper end, far more than of the values just below, and hardly
    any above it.

    Parameters
    ----------
    survey : PixelSurvey
    type_end : float or None
        The largest value of the data type, where a value is clipped in any case.
    """
    levels = []
    for channel, masked in zip(survey.values, survey.masked, strict=True):
        valid = channel[~masked] if masked.any() else channel.ravel()
        level = np.inf
        low, high = (float(valid.min()), float(valid.max())) if valid.size else (0.0, 0.0)
        if low < high:
            near = valid[valid >= upper_part(low, high, survey.step)]
            level = spike_level(*np.unique(near, return_counts=True), low, valid.size)
        levels.append(level if type_end is None else min(level, type_end))
    return tuple(levels)


def without_defects(piece: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Return a piece ``[(Z,) Y, X]`` or ``[Y, X, C]`` with the pixels that say nothing filled in."""
    colour = piece.ndim == 3 and piece.shape[-1] in (3, 4)
    if not colour:
        return survey_pixels(piece[None], mask).values[0]
    survey = survey_pixels(np.moveaxis(piece[..., :3], -1, 0), mask)
    return np.concatenate([np.moveaxis(survey.values, 0, -1), piece[..., 3:]], axis=-1)


def merge_counts(all_counts: list[dict[str, int]]) -> dict[str, int]:
    """Add up the counts of several pieces."""
    total: dict[str, int] = {}
    for counts in all_counts:
        for kind, count in counts.items():
            total[kind] = total.get(kind, 0) + count
    return total


def upper_part(low: float, high: float, step: float) -> float:
    """Return where the part of a range begins that :func:`spike_level` needs: a step below where it looks."""
    return high - NEAR_END * (high - low) - step


def spike_level(values: np.ndarray, counts: np.ndarray, low: float, total: int) -> float:
    """Find the value at the upper end of a histogram that far more pixels have than those below; infinite for none.

    Parameters
    ----------
    values, counts : array [n]
        The part of the histogram from :func:`upper_part` on, values ascending. Where the steps are coarse each
        value has many pixels, and is compared with the next one.
    low : float
        Least value of all.
    total : int
        Number of all pixels.
    """
    above = np.cumsum(counts[::-1])[::-1] - counts
    reach, begin = BELOW * (float(values[-1]) - low), float(values[-1]) - NEAR_END * (float(values[-1]) - low)
    enough = (counts >= CLIPPED_PX) & (above <= OUTLIERS_ABOVE * total) & (values >= begin)
    for index in np.flatnonzero(enough)[::-1]:
        below = (values < values[index]) & (values >= values[index] - reach)
        below[max(0, index - 1) : index] = True
        usual = counts[below].mean() if below.any() else 1.0
        if counts[index] >= CLIPPED_RATIO * usual:
            return float(values[index])
    return np.inf


def _in_float32(plane: np.ndarray, masked: np.ndarray) -> tuple[np.ndarray, float]:
    """Return a plane as float32 and what was subtracted first, so that a large offset rounds nothing away."""
    if plane.dtype == np.float32 or plane.dtype.itemsize <= 2:
        return plane.astype(np.float32), 0.0
    base = float(plane[~masked].min())
    with np.errstate(over="ignore", invalid="ignore"):  # of masked values
        return (plane.astype(np.float64) - base).astype(np.float32), base
