"""Draw the kernels of a spatially varying blur."""

from __future__ import annotations

from itertools import product

import numpy as np


def draw_kernel_map(kernels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Draw kernels ``[rows, columns, kh, kw]`` at their places in a plane.

    Parameters
    ----------
    kernels : array [rows, columns, kh, kw]
        ``[i, j]`` belongs to the middle of tile ``[i, j]`` of the plane.
    shape : (int, int)
        Height and width of the plane in pixels.

    Returns
    -------
    float32 array [Y, X]
        Each kernel with its brightest pixel at 1.
    """
    drawing = np.zeros(shape, np.float32)
    rows, columns = kernels.shape[:2]
    for i, j in product(range(rows), range(columns)):
        kernel = kernels[i, j] / kernels[i, j].max()
        top, left = (
            round((place + 0.5) * length / count) - side // 2
            for place, length, count, side in zip((i, j), shape, (rows, columns), kernel.shape, strict=True)
        )
        inside = kernel[max(0, -top) : shape[0] - top, max(0, -left) : shape[1] - left]
        y, x = max(0, top), max(0, left)
        part = drawing[y : y + inside.shape[0], x : x + inside.shape[1]]
        np.maximum(part, inside, out=part)
    return drawing
