"""Find the pixels of a plane that say nothing of the scene: defects of the camera, and marks put on afterwards.

A blurred image is smooth on the scale of one pixel. What is not was never blurred: hot and dead pixels, cosmic rays,
stuck lines, scale bars, text, margins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

SPREADS = 8.0  # a defect deviates from the median around it by so many local standard deviations, ...
ACTIVITY = 1.2  # ... so many times the local range of the median, ...
LEAST_DEVIATION = 0.03  # ... and this fraction of the range of the plane
LEAST_LEVELS = 4.0  # of quantization, likewise
DEFECT_PX = 4  # largest cluster of hot pixels; a blurred point is larger
RING = 0.3  # of the deviation of a defect, which the pixels around it stay below
LINE_FRACTION = 0.5  # of a row or column that deviates: a stuck line
MARK_PX = 6  # least area of a mark
SHARP_STEP = 4.0  # the step at the edge of a mark over the next one; of a blurred edge they are alike
# Share of the edge that is so sharp: of marks, and of those at the border of the image. Clipped lights have 0.3, and
# 0.6 where they are 40 times too bright.
SHARP_FRACTION, SHARP_FRACTION_MARGIN = 0.65, 0.4
SAMPLES = 100_000  # pixels whose percentiles stand for those of all
CROWDED = 0.2  # of the plane: so many deviating pixels are texture or noise, not defects
MAD_TO_STD = 1.4826  # of normal noise


@dataclass(frozen=True)
class Defects:
    """Pixels of a plane that say nothing, bool ``[Y, X]`` each.

    Attributes
    ----------
    spots, lines : array
        Hot, dead and stuck pixels, cosmic rays; rows and columns.
    marks : array
        Areas of one value with sharp edges: margins, bars, text, empty wedges.
    """

    spots: np.ndarray
    lines: np.ndarray
    marks: np.ndarray

    @property
    def masked(self) -> np.ndarray:
        """All of them."""
        return self.spots | self.lines | self.marks


def find_defects(plane: np.ndarray, step: float) -> Defects:
    """Find the defects of a plane.

    Parameters
    ----------
    plane : float32 array [Y, X]
        Finite values.
    step : float
        Least difference of two values, 0 where it is unknown.
    """
    marks = find_marks(plane, step)
    none = np.zeros_like(marks)
    if min(plane.shape) < 5:
        return Defects(none, none, marks)
    rows, columns = _median5(plane, 0), _median5(plane, 1)
    median = _median5(rows, 1)
    valid = median if marks.all() else median[~marks]
    low, high = np.percentile(valid.ravel()[:: 1 + valid.size // SAMPLES], (0.5, 99.5))
    least = max(LEAST_DEVIATION * (high - low), LEAST_LEVELS * step, np.finfo(np.float32).tiny)
    deviation = np.abs(plane - median)
    wide = _median5(_median5(deviation, 0), 1)
    limit = np.maximum(least, SPREADS * MAD_TO_STD * np.maximum(wide, np.median(wide)))
    activity = _extreme(median, 5, np.maximum) - _extreme(median, 5, np.minimum)
    found = (deviation > np.maximum(limit, ACTIVITY * activity)) & ~marks
    lines = _lines(np.abs(plane - rows) > limit, 1) | _lines(np.abs(plane - columns) > limit, 0)
    lines &= ~marks
    if found.mean() > CROWDED:
        return Defects(none, lines, marks)
    return Defects(_isolated(found & ~lines, deviation), lines, marks)


def find_marks(plane: np.ndarray, step: float) -> np.ndarray:
    """Find areas of exactly one value whose edges are sharper than those of a blurred scene, bool ``[Y, X]``."""
    flat = _extreme(plane, 3, np.maximum) == _extreme(plane, 3, np.minimum)
    extreme = (plane == plane.max()) | (plane == plane.min())
    # an area grows from where a whole neighbourhood has one value; thin strokes have an extreme one
    labels, count = ndimage.label(flat | extreme, np.ones((3, 3)))
    if count == 0:
        return np.zeros(plane.shape, bool)
    grown = ndimage.grey_dilation(labels, footprint=np.ones((3, 3)))
    values = np.zeros(count + 1, plane.dtype)
    values[labels.ravel()] = plane.ravel()  # an area has one value
    labels = np.where((labels == 0) & (grown > 0) & (plane == values[grown]), grown, labels)
    edges, sharp = np.zeros(count + 1), np.zeros(count + 1)
    noise = np.median(np.abs(np.diff(plane, axis=1))) + step
    spread = LEAST_DEVIATION * float(plane.max() - plane.min())
    for turned, named in ((plane, labels), (plane.T, labels.T)):
        for values_, names in ((turned, named), (turned[::-1], named[::-1])):
            inner, outer, beyond = names[:-2], names[1:-1], names[2:]
            edge = (inner > 0) & (outer == 0) & (beyond == 0)
            first = np.abs(values_[1:-1] - values_[:-2])[edge]
            second = np.abs(values_[2:] - values_[1:-1])[edge]
            steep = (first > SHARP_STEP * (second + noise)) & (first > spread)
            edges += np.bincount(inner[edge], minlength=count + 1)
            sharp += np.bincount(inner[edge], weights=steep, minlength=count + 1)
    rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    wanted = np.full(count + 1, SHARP_FRACTION)
    wanted[np.unique(rim)] = SHARP_FRACTION_MARGIN
    area = np.bincount(labels.ravel(), minlength=count + 1)
    marked = (edges > 0) & (sharp >= wanted * np.maximum(edges, 1)) & (area >= MARK_PX)
    marked[0] = False
    return marked[labels]


def _isolated(found: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Keep the small clusters whose surroundings do not deviate with them, as those of a blurred point would."""
    labels, count = ndimage.label(found, np.ones((3, 3)))
    if count == 0:
        return found
    names = np.arange(1, count + 1)
    area = np.bincount(labels.ravel(), minlength=count + 1)
    around = ndimage.grey_dilation(labels, footprint=np.ones((3, 3)))
    ring = (around > 0) & (labels == 0)
    largest = np.zeros(count + 1)
    np.maximum.at(largest, around[ring], deviation[ring])
    peak = np.concatenate([[0.0], np.atleast_1d(ndimage.maximum(deviation, labels, names))])
    keep = (area <= DEFECT_PX) & (largest < RING * peak)
    keep[0] = False
    return keep[labels]


def _lines(deviating: np.ndarray, axis: int) -> np.ndarray:
    """Mark whole rows (axis 1) or columns (axis 0) most of whose pixels deviate from the lines beside them."""
    line = deviating.mean(axis, keepdims=True) > LINE_FRACTION
    return np.broadcast_to(line, deviating.shape).copy()


def _extreme(plane: np.ndarray, size: int, function: np.ufunc) -> np.ndarray:
    """Compute the maximum or minimum over squares of 3 or 5 pixels; the border is repeated."""
    for axis in (0, 1):
        rows = np.moveaxis(plane, axis, 0)
        padded = np.concatenate([rows[:1]] * (size // 2) + [rows] + [rows[-1:]] * (size // 2))
        pairs = function(padded[:-1], padded[1:])
        ends = pairs if size == 3 else function(pairs[:-2], pairs[2:])
        plane = np.moveaxis(function(ends[:-1], ends[1:]), 0, axis)
    return plane


def _median5(plane: np.ndarray, axis: int) -> np.ndarray:
    """Compute the median of five neighbours along an axis; the border is repeated."""
    rows = np.moveaxis(plane, axis, 0)
    padded = np.concatenate([rows[:1], rows[:1], rows, rows[-1:], rows[-1:]])
    a, b, c, d, e = (padded[i : i + len(rows)] for i in range(5))
    # the least and the greatest of four are dropped, then those of the three that are left
    a, b = np.minimum(a, b), np.maximum(a, b)
    c, d = np.minimum(c, d), np.maximum(c, d)
    low, high = np.maximum(a, c), np.minimum(b, d)
    middle = np.maximum(np.minimum(low, high), np.minimum(np.maximum(low, high), e))
    return np.moveaxis(middle, 0, axis)
