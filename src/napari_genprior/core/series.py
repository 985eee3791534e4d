"""Choose one of several images in a file: by size, and by the user where several fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .errors import InputError

LIKELY_AREA = 0.25  # of the largest image: smaller ones are thumbnails, labels and overviews
LISTED = 8  # images in a message


def choose_series(
    path: Path, areas: Sequence[int], labels: Sequence[str], shown: Sequence[int], wanted: int | None
) -> int:
    """Return the number of the image to be read.

    Parameters
    ----------
    areas : sequence of int
        Pixels of a plane of each image.
    labels : sequence of str
        A description of each.
    shown : sequence of int
        The images that may be chosen without being asked for: no thumbnails.
    wanted : int or None
        What the user asks for.

    Raises
    ------
    InputError
        There is no such image, or several fit.
    """
    if not areas:
        raise InputError(f"{path} holds no image.")
    if wanted is not None and not 0 <= wanted < len(areas):
        last = len(areas) - 1
        raise InputError(f"{path} has no series {wanted}; allowed {'is 0' if last == 0 else f'are 0 to {last}'}.")
    if wanted is not None:
        return wanted
    largest = max(areas[number] for number in shown)
    likely = [number for number in shown if areas[number] >= LIKELY_AREA * largest]
    if len(likely) == 1:
        return likely[0]
    listed = "; ".join(f"{number}: {labels[number]}" for number in likely[:LISTED])
    more = f"; and {len(likely) - LISTED} more" if len(likely) > LISTED else ""
    raise InputError(
        f"{path} holds {len(likely)} images, of which one is read ({listed}{more}). Say which: series={likely[0]}, "
        "for example."
    )
