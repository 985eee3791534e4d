"""Integrate rotationally symmetric functions over square pixels."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

LEAST_NODES = 2  # of the Gauss-Legendre rule along each side of a pixel
NODES_PER_RESOLUTION = 4  # in pixels as wide as wavelength / aperture
NEIGHBOURS = np.array([-1, 0, 1, 2])  # of a cubic interpolation


def nodes_per_pixel(pixel_um: float, resolution_um: float) -> int:
    """Return the nodes along a side of a pixel for intensities whose smallest details are half ``resolution_um``."""
    return LEAST_NODES + int(np.ceil(NODES_PER_RESOLUTION * pixel_um / resolution_um))


def pixel_means(profiles: np.ndarray, step_um: float, size: int, pixel_um: float, nodes: int) -> np.ndarray:
    """Average radial profiles over pixels about the axis.

    Parameters
    ----------
    profiles : array [z, r]
        At radii 0, step, 2 step..., to ``radii_needed`` of them.
    size : int
        Side of the images in pixels, even or odd; the axis is in their middle.
    nodes : int
        Of the quadrature along a side of a pixel, see :func:`nodes_per_pixel`.

    Returns
    -------
    float64 array [z, size, size]

    Notes
    -----
    One eighth of the pixels is computed. Profiles are interpolated by cubic polynomials, so that the means are one
    sparse matrix times the profiles.
    """
    half = (size + 1) // 2
    places = (np.arange(half) + (0 if size % 2 else 0.5)) * pixel_um  # from the axis outwards
    row, column = np.tril_indices(half)
    x, w = np.polynomial.legendre.leggauss(nodes)
    inside = pixel_um / 2 * x
    means = np.empty((len(row), profiles.shape[0]))
    block = max(1, 2_000_000 // nodes**2)
    for start in range(0, len(row), block):
        part = slice(start, start + block)
        y = places[row[part], None, None] + inside[:, None]
        z = places[column[part], None, None] + inside[None, :]
        radius = np.hypot(y, z).reshape(len(y), -1) / step_um
        means[part] = _interpolation(radius, np.outer(w, w).ravel() / 4, profiles.shape[1]) @ profiles.T
    table = np.zeros((half, half), int)
    table[row, column] = table[column, row] = np.arange(len(row))
    outwards = np.abs(2 * np.arange(size) - (size - 1)) // 2
    return np.moveaxis(means[table[np.ix_(outwards, outwards)]], -1, 0)


def radii_needed(size: int, pixel_um: float, step_um: float) -> int:
    """Return the number of radii that reach the corners of an image."""
    return int(np.ceil(size * pixel_um / np.sqrt(2) / step_um)) + 3


def _interpolation(radius: np.ndarray, weight: np.ndarray, count: int) -> csr_array:
    """Make the matrix ``[pixel, count]`` of weighted sums of interpolated values at ``radius`` [pixel, node]."""
    first = np.floor(radius).astype(int)
    t = radius - first
    cubic = np.stack([
        -t * (t - 1) * (t - 2) / 6, (t + 1) * (t - 1) * (t - 2) / 2, -(t + 1) * t * (t - 2) / 2,
        (t + 1) * t * (t - 1) / 6,
    ], -1)  # fmt: skip
    columns = np.abs(first[..., None] + NEIGHBOURS)  # profiles are even functions
    rows = np.broadcast_to(np.arange(len(radius))[:, None, None], columns.shape)
    values = cubic * weight[:, None]
    return csr_array((values.ravel(), (rows.ravel(), columns.ravel())), shape=(len(radius), count))
