"""Spoil simulated images and kernels for the benchmark of inputs: outliers, marks and margins, kernel faults."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

Draw = np.random.Generator
OUTLIERS = (
    "none", "one hot", "hot cluster", "dead", "salt and pepper", "stuck column", "stuck row", "part of a column",
    "cosmic rays", "NaN pixels", "NaN block",
)  # fmt: skip
MARKS = (
    "none", "letterbox", "wedge", "scale bar", "page margin", "round view", "zeroed background", "transparent part",
)  # fmt: skip
KERNEL_FAULTS = ("exact", "pedestal", "negative values", "even size", "off centre", "FFT order", "8 bits with noise")
DIGITS = ("111101101101111", "010110010010111", "111001111100111", "111001111001111")  # 5 x 3 px each


@dataclass(frozen=True)
class Ends:
    """Values of dead and of hot pixels, and of marks, native units."""

    dead: float
    hot: float
    black: float
    white: float


def add_outliers(image: np.ndarray, kind: str, ends: Ends, rng: Draw) -> np.ndarray:
    """Spoil single pixels and lines of an image ``[Y, X]`` or ``[Y, X, 3]`` in place; return where, ``[Y, X]``."""
    height, width = image.shape[:2]
    spoiled = np.zeros((height, width), bool)
    y, x = int(rng.integers(6, height - 6)), int(rng.integers(6, width - 6))
    value = ends.hot
    if kind == "one hot":
        spoiled[y, x] = True
    elif kind == "hot cluster":
        spoiled[y : y + 2, x : x + int(rng.integers(1, 3))] = True
    elif kind == "dead":
        spoiled[rng.integers(0, height, 12), rng.integers(0, width, 12)] = True
        value = ends.dead
    elif kind == "salt and pepper":
        where, share = rng.random((height, width)), rng.uniform(0.0005, 0.015)
        spoiled |= where < share
        image[where > 1 - share] = ends.dead
        image[spoiled] = ends.hot
        return spoiled | (where > 1 - share)
    elif kind in ("stuck column", "stuck row", "part of a column"):
        rows = slice(None) if kind == "stuck column" else slice(y // 2, y // 2 + height // 3)
        spoiled[(y, slice(None)) if kind == "stuck row" else (rows, x)] = True
        value = float(rng.choice([ends.dead, ends.hot]))
    elif kind == "cosmic rays":
        for _ in range(int(rng.integers(1, 6))):
            _track(spoiled, rng)
        light = rng.uniform(0.5, 3, (height, width)) * (ends.white - ends.black)
        light = light.reshape(light.shape + (1,) * (image.ndim - 2))
        image[spoiled] = np.minimum(image + light, ends.hot)[spoiled]
        return spoiled
    elif kind == "NaN pixels":
        spoiled[rng.integers(0, height, 30), rng.integers(0, width, 30)] = True
        value = np.nan
    elif kind == "NaN block":
        spoiled[y - 6 : y + 10, x - 6 : x + 14] = True
        value = np.nan
    image[spoiled] = value
    return spoiled


def _track(spoiled: np.ndarray, rng: Draw) -> None:
    length, angle = rng.uniform(1, 14), rng.uniform(0, np.pi)
    steps = np.arange(0, length, 0.5)
    rows = rng.uniform(0, len(spoiled)) + steps * np.sin(angle)
    columns = rng.uniform(0, spoiled.shape[1]) + steps * np.cos(angle)
    inside = (rows >= 0) & (rows < len(spoiled)) & (columns >= 0) & (columns < spoiled.shape[1])
    spoiled[rows[inside].astype(int), columns[inside].astype(int)] = True


def add_marks(image: np.ndarray, kind: str, ends: Ends, rng: Draw) -> np.ndarray:
    """Draw marks and margins into an image in place; return where, ``[Y, X]``. Transparency is left to the caller."""
    height, width = image.shape[:2]
    rows, columns = np.indices((height, width))
    marked = np.zeros((height, width), bool)
    value = ends.black
    if kind == "letterbox":
        bar = int(rng.integers(4, height // 5))
        marked = (rows < bar) | (rows >= height - bar)
    elif kind == "wedge":
        marked = rows * rng.uniform(0.3, 3) + columns < rng.uniform(0.3, 0.8) * width
        marked = marked[:, ::-1] if rng.random() < 0.5 else marked
    elif kind == "scale bar":
        value = float(rng.choice([ends.black, ends.white]))
        marked[height - 8 : height - 5, width - 34 : width - 8] = True
        for place, number in enumerate(rng.integers(0, len(DIGITS), 3)):
            glyph = np.array([*DIGITS[number]]).reshape(5, 3) == "1"
            marked[height - 15 : height - 10, width - 30 + 5 * place : width - 27 + 5 * place] |= glyph
    elif kind == "page margin":
        value, edge = ends.white, int(rng.integers(3, 14))
        sides = rng.random(4) < 0.6
        marked = (sides[0] & (rows < edge)) | (sides[1] & (columns < edge))
        marked |= (sides[2] & (rows >= height - edge)) | (sides[3] & (columns >= width - edge))
    elif kind == "round view":
        marked = np.hypot(rows - height / 2, columns - width / 2) > rng.uniform(0.38, 0.5) * height
    elif kind == "zeroed background":
        light = ndimage.gaussian_filter(np.nan_to_num(image.mean(-1) if image.ndim == 3 else image), 1)
        marked = light < np.quantile(light, rng.uniform(0.1, 0.4))
    elif kind == "transparent part":
        marked[: int(rng.integers(10, height // 2)), int(rng.integers(width // 2, width - 10)) :] = True
        value = float(rng.choice([ends.black, ends.white]))
    image[marked] = value
    return marked


def spoil_kernel(kernel: np.ndarray, fault: str, rng: Draw) -> np.ndarray:
    """Give a kernel the faults of one that a camera measured or other software computed."""
    kernel, peak = kernel.astype(np.float64), float(kernel.max())
    wide = np.pad(kernel, 4)
    if fault == "pedestal":
        return wide + rng.uniform(0.005, 0.03) * peak
    if fault == "negative values":
        return wide + rng.normal(0, rng.uniform(0.002, 0.01) * peak, wide.shape)
    if fault == "even size":
        return np.pad(kernel, ((1, 0), (1, 0)))
    if fault == "off centre":
        return np.roll(wide, rng.integers(-3, 4, 2), (0, 1))
    if fault == "FFT order":
        return np.fft.ifftshift(np.pad(kernel, 10))
    if fault == "8 bits with noise":
        return np.clip(np.rint(240 * wide / peak + rng.normal(4, 1, wide.shape)), 0, 255).astype(np.uint8)
    return kernel.astype(np.float32)
