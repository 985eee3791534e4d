"""The kernels of an image whose blur changes over it: sought tile by tile, compared, smoothed; and drawn.

The kernels of the tiles are candidates for each other: a tile keeps its own, but for one of its neighbours' or the
image's, that its pixels speak clearly less against. So a tile whose search failed has a neighbour's; one without any
detail has that of the busiest part.
"""

from __future__ import annotations

from collections.abc import Generator as Yields
from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import numpy as np
import torch

from ..blur.support import center_subpixel, kernel_similarity, pad_to
from ..core.arrays import to_tensor
from ..core.iteration import map_states
from ..core.result import Progress
from ..deconvolution.total_variation import deconvolve, strength_for
from ..operators.detail import detail, most_textured_part
from ..quality.kernel_criteria import kernel_cost
from . import plan as planning
from .run import iter_deblur

FOREIGN = 0.5  # so much less must speak against another kernel than against a tile's own
ROOM = 1.4  # size of the tiles' kernels over that of the busiest part
SMOOTH = 0.5  # weight of all neighbours together over that of the tile's own kernel, where both have as much detail
TOTAL = 1000  # of the progress bar
OF_ALL = 0.2  # of it, for the kernel of all; the rest is for those of the tiles

Place = tuple[int, int]


def in_tiles(image: np.ndarray, tiles: Place) -> dict[Place, np.ndarray]:
    """The parts of an image, by row and column.

    They do not overlap: more of the image would bring in other blurs, which mislead the comparison of kernels most
    of all.
    """
    edges = [
        [round(index * length / count) for index in range(count + 1)]
        for length, count in zip(image.shape, tiles, strict=False)
    ]
    rows, columns = ([slice(*pair) for pair in pairwise(each)] for each in edges)
    return {(i, j): image[rows[i], columns[j]] for i, j in product(range(tiles[0]), range(tiles[1]))}


def found_by_place(
    plan: planning.Plan, parts: dict[Place, np.ndarray], noise: float, arguments: dict[str, Any]
) -> Yields[Progress, None, np.ndarray]:
    """The kernels ``[ty, tx, kh, kw]`` of :func:`in_tiles`, sought, compared and smoothed.

    Each is sought at the size that the busiest part of the image needs.

    Parameters
    ----------
    plan : Plan
        For all of the image; ``arguments`` are those it was made of.
    noise : float
        Standard deviation, of the range.
    """
    details = {place: detail(part) for place, part in parts.items()}

    def of_all(progress: Progress) -> Progress:
        return _progress(OF_ALL * progress.fraction, f"kernel of all: {progress.stage}", progress.kernel)

    whole = yield from map_states(iter_deblur(most_textured_part(plan.image), **arguments), of_all)
    sides = plan.kernel_size
    if sides is None:  # the blur of other tiles may be wider, and turned
        room = min(min(part.shape[:2]) for part in parts.values()) // 2
        side = min(round(ROOM * max(whole.kernel.shape)), room - 1) | 1
        sides = (side, side)
    common = pad_to(center_subpixel(whole.kernel), [max(n, k) for n, k in zip(sides, whole.kernel.shape, strict=True)])
    # a kernel prior has a size of its own
    of_tiles = {**arguments, "kernel_size": "auto" if "kernel_prior" in plan.priors else sides}
    own: dict[Place, np.ndarray] = {}
    for number, (place, part) in enumerate(parts.items()):
        if details[place] <= 0:
            continue

        def of_tile(progress: Progress, number: int = number) -> Progress:
            fraction = OF_ALL + (1 - OF_ALL) * (number + progress.fraction) / len(parts)
            return _progress(fraction, f"kernel {number + 1} of {len(parts)}", progress.kernel)

        own[place] = pad_to(
            center_subpixel((yield from map_states(iter_deblur(part, **of_tiles), of_tile)).kernel), common.shape
        )
    chosen = {place: _compared(place, parts[place], own, common, plan, noise) for place in parts}
    return _smoothed(chosen, details)


def _progress(fraction: float, stage: str, kernel: np.ndarray | None) -> Progress:
    return replace(Progress(round(TOTAL * fraction), TOTAL, stage), kernel=kernel)


def _compared(
    place: Place, part: np.ndarray, own: dict[Place, np.ndarray], common: np.ndarray, plan: planning.Plan, noise: float
) -> np.ndarray:
    """A tile's own kernel, or that of a neighbour or of all where much less speaks against it."""
    if place not in own:
        return common
    grey = to_tensor(part, plan.intensity, torch.device("cpu")).mean(1, keepdim=True)
    others = [own[other] for other in _neighbours(place) if other in own] + [common]
    against = [_against(grey, kernel, noise) for kernel in others]
    best = int(np.argmin(against))
    return others[best] if against[best] < _against(grey, own[place], noise) - FOREIGN else own[place]


def _against(grey: torch.Tensor, kernel: np.ndarray, noise: float) -> float:
    k = torch.from_numpy(kernel)[None, None]
    return kernel_cost(grey, deconvolve(grey, k, strength_for(noise)), k)


def _neighbours(place: Place) -> list[Place]:
    """The places around, also beyond the border."""
    y, x = place
    return [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]


def _smoothed(kernels: dict[Place, np.ndarray], details: dict[Place, float]) -> np.ndarray:
    """Each kernel with its neighbours', weighted by the detail they rest on and by how alike they are."""
    sides = next(iter(kernels.values())).shape
    last = max(kernels)  # the place at the lower right
    made = np.zeros((last[0] + 1, last[1] + 1, *sides), np.float32)
    most = max(details.values()) or 1.0  # an image of noise has none
    for place, kernel in kernels.items():
        near = [other for other in _neighbours(place) if other in kernels]
        weight = max(details[place], 1e-3 * most)
        total = weight * kernel.astype(np.float64)
        for other in near:
            share = SMOOTH / len(near) * kernel_similarity(kernel, kernels[other])
            total += share * max(details[other], 0.0) * kernels[other]
        made[place] = center_subpixel(total / total.sum())
    return made


def kernel_map(kernels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Draw kernels ``[ty, tx, kh, kw]`` at their places in a plane of ``shape``, each with its brightest pixel at 1."""
    drawn = np.zeros(shape, np.float32)
    rows, columns = kernels.shape[:2]
    for i, j in product(range(rows), range(columns)):
        kernel = kernels[i, j] / kernels[i, j].max()
        top, left = (
            round((place + 0.5) * length / count) - side // 2
            for place, length, count, side in zip((i, j), shape, (rows, columns), kernel.shape, strict=True)
        )
        inside = kernel[max(0, -top) : shape[0] - top, max(0, -left) : shape[1] - left]
        y, x = max(0, top), max(0, left)
        part = drawn[y : y + inside.shape[0], x : x + inside.shape[1]]
        np.maximum(part, inside, out=part)
    return drawn
