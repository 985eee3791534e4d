"""Find the pixels of a plane that say nothing of the scene: defects of the camera, and marks put on afterwards.

A blurred image is smooth on the scale of one pixel. What is not was never blurred: hot and dead pixels, cosmic rays,
stuck lines, scale bars, text, margins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .fill import fill_masked

SPREADS = 8.0  # a defect deviates from the median around it by so many local standard deviations, ...
ACTIVITY = 1.2  # ... so many times the local range of the median, ...
LEAST_DEVIATION = 0.03  # ... and this fraction of the range of the plane
LEAST_LEVELS = 4.0  # of quantization, likewise
DEFECT_PX = 4  # largest cluster of hot pixels; a blurred point is larger
RING, RING_OF_CLUSTERS = 0.25, 0.12  # of the deviation of a pixel, and of a cluster, which those around it stay below
LEAST_LINE_PX = 24  # shorter lines deviate by chance
QUIET = 0.5  # of the usual noise
FOLLOWS = 0.5  # of the variation along a line, which is left where it follows the lines beside it
LINE_FRACTION, MOST_OF_LINE, NEARLY_ALL = 0.5, 0.75, 0.9  # of a row or column: that deviates (if stuck; if not), equal
MARK_PX = 6  # least area of a mark
SHARP_STEP = 4.0  # the step at the edge of a mark over the next one; of a blurred edge they are alike
# Share of the edge that is so sharp: of marks, and of those at the border of the image. Clipped lights have 0.3, and
# 0.6 where they are 40 times too bright.
SHARP_FRACTION, SHARP_FRACTION_MARGIN = 0.65, 0.4
SAMPLES = 100_000  # pixels whose percentiles stand for those of all
RANGE = (0.5, 99.5)  # percentiles, between which the range of a plane lies
ROUNDS = 3  # of a search: a hot pixel hides the text on an image, and a margin the hot pixels beside it
MOST = 0.9  # of the plane, which is not all marks
STEP_SAMPLES = 65_536  # pixels that show which values occur
DRAWN_FRACTION = 0.5  # of an image that lies in areas of one value
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
    found = Defects(*np.zeros((3, *plane.shape), bool))
    filled = plane
    for _ in range(ROUNDS):
        new = _find_once(filled, found.masked, step)
        if not (new.masked & ~found.masked).any():
            break
        found = Defects(found.spots | new.spots, found.lines | new.lines, found.marks | new.marks)
        if found.masked.all():
            break
        filled = fill_masked(plane, found.masked)
    marks = found.marks
    return Defects(found.spots & ~marks & ~found.lines, found.lines & ~marks, marks)


def _find_once(plane: np.ndarray, filled: np.ndarray, step: float) -> Defects:
    """Find the defects that are not hidden by others; those pixels that are ``filled`` in prove nothing."""
    marks = find_marks(plane, filled, step)
    none = np.zeros_like(marks)
    if min(plane.shape) < 5 or marks.all():
        return Defects(none, none, marks)
    plane = fill_masked(plane, marks)
    rows, columns = _median5(plane, 0), _median5(plane, 1)
    median = _median5(rows, 1)
    valid = median[~marks].ravel()
    low, high = np.percentile(valid[:: 1 + valid.size // SAMPLES], RANGE)
    least = max(LEAST_DEVIATION * (high - low), LEAST_LEVELS * step, np.finfo(np.float32).tiny)
    deviation = np.abs(plane - median)
    wide = _median5(_median5(deviation, 0), 1)
    limit = np.maximum(least, SPREADS * MAD_TO_STD * np.maximum(wide, np.median(wide)))
    for edge in (limit[0], limit[-1], limit[:, 0], limit[:, -1]):  # where the scene may have just begun
        np.maximum(edge, high - low, out=edge)
    activity = _extreme(median, 5, np.maximum) - _extreme(median, 5, np.minimum)
    found = (deviation > np.maximum(limit, ACTIVITY * activity)) & ~marks
    span = (low - least, high + least)
    lines = _lines(plane, rows, limit, 1, span, marks) | _lines(plane, columns, limit, 0, span, marks)
    lines &= ~marks
    if found.mean() > CROWDED:
        return Defects(none, lines, marks)
    return Defects(_isolated(found & ~lines, deviation, filled | marks), lines, marks)


def find_marks(plane: np.ndarray, filled: np.ndarray, step: float) -> np.ndarray:
    """Find areas of exactly one value whose edges are sharper than those of a blurred scene, bool ``[Y, X]``.

    Slivers between them belong to them.
    """
    flat = _extreme(plane, 3, np.maximum) == _extreme(plane, 3, np.minimum)
    # an area grows from where a whole neighbourhood has one value; thin strokes have an extreme one
    labels, count = np.zeros(plane.shape, int), 0
    top, bottom = plane == plane.max(), plane == plane.min()
    for seeds in (top, bottom & ~top, flat & ~top & ~bottom):
        own, number = ndimage.label(seeds, np.ones((3, 3)))
        labels[seeds] = own[seeds] + count
        count += number
    grown = ndimage.grey_dilation(labels, footprint=np.ones((3, 3)))
    values = np.zeros(count + 1, plane.dtype)
    values[labels.ravel()] = plane.ravel()  # an area has one value
    labels = np.where((labels == 0) & (grown > 0) & (plane == values[grown]), grown, labels)
    area = np.bincount(labels.ravel(), minlength=count + 1)
    rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    wanted = np.full(count + 1, SHARP_FRACTION)
    wanted[np.unique(rim)] = SHARP_FRACTION_MARGIN
    marked = _has_sharp_edges(plane, filled, labels, values, wanted, step) & (area >= MARK_PX)
    marked[0] = False
    if marked[labels].mean() > MOST:
        marked[area.argmax()] = False  # what the others are marks on
    marks = marked[labels]
    if _is_drawing(plane[~marks], flat[~marks]):
        return np.zeros(plane.shape, bool)
    return ~ndimage.maximum_filter(~ndimage.maximum_filter(marks, 3), 3) | marks if marks.any() else marks


def _is_drawing(rest: np.ndarray, flat: np.ndarray) -> bool:
    """Tell whether what is left beside marks is made of areas of one value, too: a drawing without blur and noise."""
    return rest.size == 0 or bool(rest.min() < rest.max() and flat.mean() > DRAWN_FRACTION)


def _has_sharp_edges(
    plane: np.ndarray, filled: np.ndarray, labels: np.ndarray, level: np.ndarray, wanted: np.ndarray, step: float
) -> np.ndarray:
    """Return which areas, of one ``level`` each, have edges of which the share ``wanted``, or the mean, is sharp."""
    noise = np.median(np.abs(np.diff(plane, axis=1))) + max(step, _usual_step(plane))
    low, high = np.percentile(plane, RANGE)
    spread = LEAST_DEVIATION * (high - low)
    edges, sharp, first_sum, second_sum = np.zeros((4, len(level)))
    for turn in (lambda a: a, lambda a: a[::-1], lambda a: a.T, lambda a: a.T[::-1]):
        values, names, unseen = turn(plane), turn(labels), turn(filled)
        inner, outer = names[:-2], names[1:-1]
        edge = (inner > 0) & (outer != inner) & ~unseen[1:-1] & ~unseen[2:]
        # beyond a gap of a pixel, as between strokes of text, the next step leads back
        label, wide = inner[edge], (values[2:] != values[:-2])[edge]
        first, second = (values[1:-1] - values[:-2])[edge], (values[2:] - values[1:-1])[edge]
        steep = (np.abs(first) > SHARP_STEP * (np.abs(second) + noise)) & (np.abs(first) > spread) & wide
        for total, weights in ((edges, wide), (sharp, steep), (first_sum, first * wide), (second_sum, second * wide)):
            total += np.bincount(label, weights=weights, minlength=len(level))
    # texture and noise beyond the edge cancel in the mean; of a blurred edge the next step has the sign of the first
    first_sum, second_sum = np.abs(first_sum), np.abs(second_sum)
    mean_sharp = (first_sum > SHARP_STEP * second_sum) & (first_sum > np.maximum(SHARP_STEP * noise, spread) * edges)
    mean_sharp &= (level == plane.max()) | (level == plane.min())
    return (edges > 0) & ((sharp >= wanted * edges) | mean_sharp)


def _usual_step(plane: np.ndarray) -> float:
    """Return the usual difference between one value and the next that occurs: of few photons, what one of them adds.

    The ends of the range, which marks have, are left out.
    """
    some = plane.ravel()[:: max(1, plane.size // STEP_SAMPLES)]
    steps = np.diff(np.unique(some)[1:-1])
    return float(np.median(steps)) if steps.size else 0.0


def _isolated(found: np.ndarray, deviation: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """Keep the small clusters whose surroundings do not deviate with them, as those of a blurred point would.

    Larger ones are not told from points under motion: tracks of particles stay.
    """
    labels, count = ndimage.label(found, np.ones((3, 3)))
    if count == 0:
        return found
    names = np.arange(1, count + 1)
    area = np.bincount(labels.ravel(), minlength=count + 1)
    around = ndimage.grey_dilation(labels, footprint=np.ones((3, 3)))
    ring = (around > 0) & (labels == 0) & ~filled
    largest = np.zeros(count + 1)
    np.maximum.at(largest, around[ring], deviation[ring])
    peak = np.concatenate([[0.0], np.atleast_1d(ndimage.maximum(deviation, labels, names))])
    keep = (area <= DEFECT_PX) & (largest < np.where(area > 1, RING_OF_CLUSTERS, RING) * peak)
    keep[0] = False
    return keep[labels]


def _lines(
    plane: np.ndarray, median: np.ndarray, limit: np.ndarray, axis: int, span: tuple[float, float], marks: np.ndarray
) -> np.ndarray:
    """Mark whole rows (axis 1) or columns (axis 0) that are stuck, dead, or brighter or darker than they should be.

    All deviate from the lines beside them. One that is stuck has one value; one that is dead lies beyond the range of
    the plane and has little noise; one of another gain or offset follows the scene. A straight line of the scene does
    none of these.
    """
    if min(plane.shape) < LEAST_LINE_PX:
        return np.zeros(plane.shape, bool)
    count = (~marks).sum(axis, keepdims=True).clip(min=1)
    share = ((np.abs(plane - median) > limit) & ~marks).sum(axis, keepdims=True) / count
    middle = np.median(plane, axis, keepdims=True)
    stuck = (plane == middle).mean(axis, keepdims=True) > NEARLY_ALL
    grain = np.median(np.abs(np.diff(plane, axis=axis)), axis, keepdims=True)
    beyond = ((middle < span[0]) | (middle > span[1])) & (grain < QUIET * np.median(grain))
    other = np.median(plane - median, axis, keepdims=True)
    left = np.median(np.abs(plane - median - other), axis, keepdims=True)
    follows = left < FOLLOWS * np.median(np.abs(median - np.median(median, axis, keepdims=True)), axis, keepdims=True)
    line = (stuck & (share > LINE_FRACTION)) | ((beyond | follows) & (share > MOST_OF_LINE))
    return np.broadcast_to(line, plane.shape).copy()


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
    """Compute the median of five neighbours along an axis."""
    rows = np.moveaxis(plane, axis, 0)
    padded = np.concatenate([rows[2:0:-1], rows, rows[-2:-4:-1]])  # mirrored: a corner is not its own median
    a, b, c, d, e = (padded[i : i + len(rows)] for i in range(5))
    # the least and the greatest of four are dropped, then those of the three that are left
    a, b = np.minimum(a, b), np.maximum(a, b)
    c, d = np.minimum(c, d), np.maximum(c, d)
    low, high = np.maximum(a, c), np.minimum(b, d)
    middle = np.maximum(np.minimum(low, high), np.minimum(np.maximum(low, high), e))
    return np.moveaxis(middle, 0, axis)
