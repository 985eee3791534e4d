"""Deconvolve a plane in tiles: with one kernel, or one that varies over the plane."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.intensity import Intensity
from ..methods.final_deconvolution import final_image
from ..operators.observed import Observed, join
from ..settings import KnownKernelSettings
from .device_memory import BYTES_PER_PIXEL, AdaptiveBatcher
from .observe import ObservedPiece, observe_piece
from .tiling import Mosaic, Span, cover, overlap_for

TILE_BYTES = 1.2e9  # that a deconvolution may take where the side of the tiles is chosen automatically
SIDES = (256, 4096)  # px, least and most that a tile adds to its overlaps
LEAST_WINDOW = 64  # px, that a tile adds to its overlaps where the kernel changes
RAMP = 32  # px over which one tile gives way to the next where they share a kernel


@dataclass(frozen=True)
class TileSolver:
    """Deconvolution with one set of parameters for all tiles of an image, or else seams show.

    Parameters
    ----------
    kernels : float32 array [ty, tx, kh, kw]
        At places spread evenly over the image (:func:`interpolate_kernel`); >= 0, sum 1 each.
    noise : float
        Standard deviation, of the range.
    intensity : Intensity
        Of the whole image.
    kernel_given : bool
        The user vouches for the kernels; estimated ones err.
    unchanged : bool
        The tiles stay as they are: the verdict rejects the estimate.
    """

    kernels: np.ndarray
    noise: float
    intensity: Intensity
    settings: KnownKernelSettings
    kernel_given: bool
    unchanged: bool = False


def tile_side(kernel_shape: tuple[int, int], channels: int = 1) -> int:
    """Return what a tile may add to its overlaps, in pixels, to be deconvolved in :data:`TILE_BYTES`."""
    whole = (TILE_BYTES / (BYTES_PER_PIXEL * channels)) ** 0.5
    return int(np.clip(whole - 2 * overlap_for(kernel_shape) - RAMP, *SIDES))


def tile_grid(shape: tuple[int, int], kernels: np.ndarray, side: int) -> tuple[list[Span], list[Span]]:
    """Return rows and columns of tiles for a plane.

    Where the kernel changes, no tile is larger than half the way from one kernel to the next, and each gives way to
    the next over half of it.
    """
    overlap = overlap_for((kernels.shape[-2], kernels.shape[-1]))
    found = []
    for length, count in zip(shape, kernels.shape[:2], strict=True):
        own = side if count == 1 else min(side, max(LEAST_WINDOW, length // (2 * count)))
        found.append(cover(length, own, overlap, RAMP if count == 1 else own // 2))
    return found[0], found[1]


def interpolate_kernel(kernels: np.ndarray, y: float, x: float) -> np.ndarray:
    """Interpolate the kernel at a place of the image between those of the four tiles around.

    The place is ``y`` and ``x`` from 0 to 1. Kernel ``[i, j]`` is the one at the middle of tile ``[i, j]`` of a grid;
    beyond the outermost middles it stays.
    """
    for place in (y, x):
        count = len(kernels)
        at = min(max(place * count - 0.5, 0.0), count - 1.0)
        low = min(int(at), max(count - 2, 0))
        high = min(low + 1, count - 1)
        kernels = (1 - (at - low)) * kernels[low] + (at - low) * kernels[high]
    return kernels.astype(np.float32)


def restore_in_tiles(
    plane: Any, rows: list[Span], columns: list[Span], step: TileSolver, batcher: AdaptiveBatcher, mask: Any = None
) -> Iterator[np.ndarray | None]:
    """Restore a plane ``[Y, X]`` or ``[Y, X, 3 or 4]`` tile by tile; it may be lazy, as its ``mask`` [Y, X].

    Yields
    ------
    float32 array [n, X] or [n, X, 3 or 4], or None
        After each tile, the next rows of the image in its own intensities, where the tile completed any.
    """
    mosaic = Mosaic(rows, columns)
    height, width = rows[-1].read.stop, columns[-1].read.stop
    places = [(row, column) for row in rows for column in columns]
    first = 0
    while first < len(places):
        top, left = places[first]
        colours = 1 if len(plane.shape) == 2 else 3
        count = batcher.batch_size((colours, top.read.stop - top.read.start, left.read.stop - left.read.start))
        some = places[first : first + count]
        first += len(some)
        tiles = [np.asarray(plane[row.read, column.read]) for row, column in some]
        if step.unchanged:
            yield from (mosaic.add(tile.astype(np.float32)) for tile in tiles)
            continue
        kernels = torch.from_numpy(
            np.stack([interpolate_kernel(step.kernels, _middle(r, height), _middle(c, width)) for r, c in some])
        )[:, None]

        pieces = [_observe(step, tile, mask, place) for tile, place in zip(tiles, some, strict=True)]
        observed = join([piece.observed for piece in pieces])

        def deconvolve_batch(
            blurred: Tensor, which: slice, kernels: Tensor = kernels, observed: Observed = observed
        ) -> Tensor:
            seen = replace(observed.rows(which).to(blurred.device), values=blurred)
            seen = seen if step.kernel_given else seen.without_clipped()
            return final_image(seen, kernels[which].to(blurred.device), step.noise, step.settings)

        for piece, image in zip(pieces, batcher(deconvolve_batch, observed.values), strict=True):
            yield mosaic.add(piece.to_image(image[None]))


def _observe(step: TileSolver, tile: np.ndarray, mask: Any, place: tuple[Span, Span]) -> ObservedPiece:
    row, column = place
    masked = None if mask is None else np.asarray(mask[row.read, column.read])
    return observe_piece(tile, step.settings, torch.device("cpu"), masked, step.intensity)


def _middle(span: Span, length: int) -> float:
    return (span.kept.start + span.kept.stop) / 2 / length
