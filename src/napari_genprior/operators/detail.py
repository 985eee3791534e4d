"""Find where an image or a volume has most detail: there its kernel is estimated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, avg_pool3d

from ..core.arrays import to_tensor
from ..core.intensity import Intensity
from .finite_differences import differences, gradients
from .noise import noise_std
from .spatial import crop_at, spatial_shape

STRIDE = 16  # px, between the places that an image's part may have; of a volume a quarter of the part

REGION = 480  # px, side of the part that larger images are searched in: six sides of a large kernel


def most_textured(image: Tensor, sides: int | Sequence[int]) -> Tensor:
    """Crop ``[1, C, (Z,) Y, X]`` to the part with the steepest slopes, of at most ``sides`` pixels along each axis."""
    return crop_at(image, most_textured_place(image, sides))


def most_textured_place(image: Tensor, sides: int | Sequence[int]) -> tuple[slice, ...]:
    """Find the part that :func:`most_textured` crops to: a slice for each spatial axis."""
    shape = spatial_shape(image)
    limits = [sides] * len(shape) if isinstance(sides, int) else sides
    window = [min(n, limit) for n, limit in zip(shape, limits, strict=True)]
    if len(shape) == 2:
        strides, means = [STRIDE] * 2, _slopes_of_image(image, window)
    else:
        strides = [max(1, side // 4) for side in window]
        means = _slopes_of_volume(image, window, strides)
    place = np.unravel_index(int(means.argmax()), spatial_shape(means))
    corner = [int(p) * stride for p, stride in zip(place, strides, strict=True)]
    return tuple(slice(first, first + side) for first, side in zip(corner, window, strict=True))


def _slopes_of_image(image: Tensor, window: Sequence[int]) -> Tensor:
    """Average the absolute slopes in each window: noise adds as much to every part."""
    edges = gradients(image.mean(1, keepdim=True))[..., :-1, :-1].abs().sum(1, keepdim=True)
    return avg_pool2d(edges, (window[0] - 1, window[1] - 1), STRIDE)


def _slopes_of_volume(volume: Tensor, window: Sequence[int], strides: Sequence[int]) -> Tensor:
    """Average the squared slopes of the smoothed volume in each window: the noise of volumes is strong."""
    smooth = avg_pool3d(volume.mean(1, keepdim=True), 3, 1, padding=1)
    return avg_pool3d(differences(smooth).square().sum(0), tuple(window), tuple(strides))


def detail(piece: np.ndarray) -> float:
    """Compute the noise-corrected mean square slope of a piece; negative for a constant one.

    Pixels that say nothing must have been filled in (:func:`~.pixel_survey.without_defects`).
    """
    if piece.min() == piece.max():
        return -1.0
    planes = torch.from_numpy(np.ascontiguousarray(piece, dtype=np.float32))
    planes = (
        planes[..., :3].movedim(-1, 0)[None] if piece.shape[-1] in (3, 4) else planes.reshape(1, -1, *piece.shape[-2:])
    )
    slopes = sum(planes.diff(dim=dim).square().mean((-2, -1)) for dim in (-2, -1))
    return max(0.0, float((slopes - 4 * noise_std(planes).square()).mean()))


def most_textured_region(plane: np.ndarray) -> tuple[slice, slice]:
    """Find the part of a plane ``[Y, X]`` or ``[Y, X, 3 or 4]`` without defects in which its kernel is searched."""
    if max(plane.shape[:2]) <= REGION:
        return slice(0, plane.shape[0]), slice(0, plane.shape[1])
    rows, columns = most_textured_place(to_tensor(plane, Intensity.of(plane), torch.device("cpu")), REGION)
    return rows, columns


def is_constant(piece: np.ndarray) -> bool:
    """Return whether all finite values of a piece are the same, or there are none; alpha does not count."""
    values = piece[..., :3] if piece.ndim == 3 and piece.shape[-1] == 4 else piece
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    return values.size == 0 or bool(values.min() == values.max())
