"""The kernels of a spatially varying blur: compared with their neighbours', and smoothed.

The kernels of the tiles are candidates for each other: a tile keeps its own, unless that of a neighbour or of the whole
image has a clearly lower cost. So a tile whose estimation failed gets a neighbour's kernel; one without any detail gets
that of the most textured part.
"""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import torch

from ..blur.support import center_subpixel, kernel_similarity
from ..core.arrays import kernel_to_tensor, to_tensor
from ..core.intensity import Intensity
from ..core.result import Index
from ..deconvolution.total_variation import deconvolve, strength_for
from ..quality.kernel_criteria import kernel_cost

MARGIN = 0.5  # by so much the cost of another kernel must be lower than that of a tile's own
NEIGHBOUR_WEIGHT = 0.5  # of all neighbours together over the tile's own kernel, where both have as much detail


def split_tiles(image: np.ndarray, tiles: tuple[int, int]) -> dict[Index, np.ndarray]:
    """Split an image into tiles, by row and column.

    They do not overlap: more of the image would bring in other kernels, which mislead the comparison most of all.
    """
    edges = [
        [round(index * length / count) for index in range(count + 1)]
        for length, count in zip(image.shape, tiles, strict=False)
    ]
    rows, columns = ([slice(*pair) for pair in pairwise(each)] for each in edges)
    return {(i, j): image[rows[i], columns[j]] for i, j in product(range(tiles[0]), range(tiles[1]))}


def choose_kernels(
    tiles: dict[Index, np.ndarray],
    own: dict[Index, np.ndarray],
    common: np.ndarray,
    intensity: Intensity,
    noise: float,
) -> dict[Index, np.ndarray]:
    """Choose the kernel of each tile: its own, or that of a neighbour or of the whole image where its cost is lower.

    Parameters
    ----------
    tiles : dict
        See :func:`split_tiles`.
    own : dict
        The kernels that were estimated in the tiles with any detail, all of one size.
    common : array [kh, kw]
        The kernel of the whole image, of the same size.
    noise : float
        Standard deviation, fraction of the range.
    """
    chosen = {}
    for place, tile in tiles.items():
        if place not in own:
            chosen[place] = common
            continue
        grey = to_tensor(tile, intensity, torch.device("cpu")).mean(1, keepdim=True)
        others = [own[other] for other in _neighbours(place) if other in own] + [common]
        costs = [_cost(grey, kernel, noise) for kernel in others]
        best = int(np.argmin(costs))
        better = costs[best] < _cost(grey, own[place], noise) - MARGIN
        chosen[place] = others[best] if better else own[place]
    return chosen


def smooth_kernels(kernels: dict[Index, np.ndarray], details: dict[Index, float]) -> np.ndarray:
    """Average each kernel with its neighbours', weighted by the detail they rest on and by their similarity.

    Returns
    -------
    float32 array [rows, columns, kh, kw]
    """
    sides = next(iter(kernels.values())).shape
    last = max(kernels)  # the place at the lower right
    smooth = np.zeros((last[0] + 1, last[1] + 1, *sides), np.float32)
    most = max(details.values()) or 1.0  # an image of noise has none
    for place, kernel in kernels.items():
        near = [other for other in _neighbours(place) if other in kernels]
        weight = max(details[place], 1e-3 * most)
        total = weight * kernel.astype(np.float64)
        for other in near:
            share = NEIGHBOUR_WEIGHT / len(near) * kernel_similarity(kernel, kernels[other])
            total += share * max(details[other], 0.0) * kernels[other]
        smooth[place] = center_subpixel(total / total.sum())
    return smooth


def _cost(grey: torch.Tensor, kernel: np.ndarray, noise: float) -> float:
    k = kernel_to_tensor(kernel, grey.device)
    return kernel_cost(grey, deconvolve(grey, k, strength_for(noise)), k)


def _neighbours(place: Index) -> list[Index]:
    """Return the places around, also beyond the border."""
    y, x = place
    return [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
