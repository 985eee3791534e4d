"""Draw sharp scenes for the benchmark of inputs: photographs, charts, pages, micrographs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from scipy import ndimage

from .. import samples
from ..core.errors import InputError
from ..training.photos import SUFFIXES, read_photo
from .benchmark_files import read_arrays

Draw = np.random.Generator
FINE = 2  # scenes are drawn so many times as fine, and averaged
REDUCED = 2  # photographs are: on their own pixels few are sharp
LEAST_CONTRAST = 0.04  # standard deviation of a part of a photograph


def photographs(folder: Path | None) -> list[np.ndarray]:
    """Read the photographs of a folder of image files or of .npz archives, uint8 ``[Y, X]`` or ``[Y, X, 3]``.

    Raises
    ------
    InputError
        The folder holds none.
    """
    if folder is None:
        return []
    found = [image for path in sorted(folder.glob("*.npz")) for image in read_arrays(path, "train")[0]]
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES)
    found += [np.moveaxis(read_photo(path, 1 / REDUCED), 0, -1) for path in files]
    if not found:
        raise InputError(f"The folder {folder} holds no photographs; readable are .npz and {', '.join(SUFFIXES)}.")
    return found


def scene(name: str, side: int, rng: Draw, photos: Sequence[np.ndarray] = ()) -> np.ndarray:
    """Draw a scene of a kind of :data:`SCENES`, float64 ``[side, side]`` or ``[side, side, 3]`` in [0, 1]."""
    if name == "photograph":
        return _part(photos[int(rng.integers(len(photos)))] if photos else _cat(), side, rng)
    if name == "micrograph":
        return _part(_cells(), side, rng)
    fine = DRAWN[name](FINE * side, rng)
    return np.clip(fine.reshape(side, FINE, side, FINE).mean((1, 3)), 0, 1)


@cache
def _cat() -> np.ndarray:
    return samples.cat()


@cache
def _cells() -> np.ndarray:
    cells = samples.cells().astype(float)
    return np.clip(255 * (cells - cells.min()) / (np.percentile(cells, 99.9) - cells.min()), 0, 255)


def _part(image: np.ndarray, side: int, rng: Draw) -> np.ndarray:
    """Crop a textured part of an image of 8 bits; smaller images are mirrored."""
    missing = [(0, max(0, side - n)) for n in image.shape[:2]]
    image = np.pad(image, missing + [(0, 0)] * (image.ndim - 2), mode="symmetric")
    for _ in range(10):
        top, left = (int(rng.integers(n - side + 1)) for n in image.shape[:2])
        part = image[top : top + side, left : left + side] / 255
        if part.std() > LEAST_CONTRAST:
            break
    return part


def _chart(side: int, rng: Draw) -> np.ndarray:
    """Draw bars of several widths, patches and a disc on grey."""
    image = np.full((side, side), rng.uniform(0.3, 0.7))
    rows, columns = np.indices(image.shape)
    cell = side // 4
    for y in range(0, side - cell + 1, cell):
        for x in range(0, side - cell + 1, cell):
            inside = np.s_[y + 4 : y + cell - 4, x + 4 : x + cell - 4]
            low, high = np.sort(rng.uniform(0, 1, 2))
            kind, width = int(rng.integers(4)), int(rng.integers(3, 12))
            along = rows if rng.random() < 0.5 else columns
            if kind < 2:
                image[inside] = np.where(along[inside] // width % 2, low, high)
            elif kind == 2:
                image[inside] = high
            else:
                disc = np.hypot(rows - y - cell / 2, columns - x - cell / 2) < cell / 3
                image[disc] = low
    return image


def _text(side: int, rng: Draw) -> np.ndarray:
    """Draw a page of glyphs: three strokes each, in lines."""
    page = np.ones((side, side))
    height = int(rng.integers(16, 30))
    for top in range(8, side - height, round(1.6 * height)):
        left = 8
        while left < side - height:
            if rng.random() > 0.15:
                _glyph(page[top : top + height, left : left + height // 2], rng)
            left += round(0.75 * height)
    return 0.05 + 0.9 * page


def _glyph(box: np.ndarray, rng: Draw) -> None:
    stroke = 3 if len(box) < 22 else 4
    for _ in range(3):
        if rng.random() < 0.5:
            at = int(rng.integers(0, len(box) - stroke))
            box[at : at + stroke] = 0
        else:
            at = int(rng.integers(0, box.shape[1] - stroke))
            box[:, at : at + stroke] = 0


def _drawing(side: int, rng: Draw) -> np.ndarray:
    """Draw curves of ink on paper."""
    ink = np.zeros((side, side))
    for _ in range(10):
        points = np.cumsum(rng.normal(0, 1, (400, 2)).cumsum(0) * 0.12, 0) + rng.uniform(0, side, 2)
        inside = points[((points >= 0) & (points < side)).all(1)].astype(int)
        ink[tuple(inside.T)] = 1
    return 1 - 0.9 * ndimage.maximum_filter(ink, 5)


def _screen(side: int, rng: Draw) -> np.ndarray:
    """Draw windows of flat areas, frames and text."""
    image = np.full((side, side), rng.uniform(0.1, 0.9))
    for _ in range(5):
        top, left = rng.integers(0, side - 40, 2)
        height, width = rng.integers(30, side // 2, 2)
        image[top : top + height, left : left + width] = rng.uniform(0, 1)
        image[top : top + 2, left : left + width] = rng.choice([0, 1])
        for row in range(top + 8, min(top + height, side) - 14, 20):
            for column in range(left + 6, min(left + width, side) - 12, 9):
                _glyph(image[row : row + 14, column : column + 7], rng)
    return image


def _nuclei(side: int, rng: Draw) -> np.ndarray:
    """Draw textured cells on a dark ground."""
    smooth = ndimage.gaussian_filter(rng.normal(size=(side, side)), side / 24)
    body = ndimage.gaussian_filter((smooth > 0.7 * smooth.std()).astype(float), 1.5)
    texture = ndimage.gaussian_filter(rng.normal(size=(side, side)), 2.5)
    return 0.03 + body * (0.5 + 0.15 * texture / texture.std())


def _beads(side: int, rng: Draw) -> np.ndarray:
    """Draw beads of a pixel or two."""
    image = np.zeros((side, side))
    for y, x in rng.integers(0, side, (int(rng.integers(12, 60)), 2)):
        image[y, x] += rng.uniform(0.3, 1)
    image = ndimage.gaussian_filter(image, FINE * 0.8)
    return 0.02 + 0.9 * image / image.max()


def _filaments(side: int, rng: Draw) -> np.ndarray:
    """Draw thin bright filaments."""
    image = np.zeros((side, side))
    for _ in range(14):
        heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.03, 2 * side))
        points = np.cumsum(np.stack([np.sin(heading), np.cos(heading)], 1), 0) + rng.uniform(0, side, 2)
        inside = points[((points >= 0) & (points < side)).all(1)].astype(int)
        image[tuple(inside.T)] += rng.uniform(0.4, 1)
    image = ndimage.gaussian_filter(image, FINE * 0.8)
    return 0.02 + 0.9 * image / image.max()


DRAWN: dict[str, Callable[[int, Draw], np.ndarray]] = {
    "chart": _chart, "text page": _text, "line drawing": _drawing, "screen": _screen,
    "nuclei": _nuclei, "beads": _beads, "filaments": _filaments,
}  # fmt: skip
SCENES = ("photograph", "micrograph", *DRAWN)
