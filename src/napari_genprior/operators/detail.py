"""Find where an image has most detail: there its kernel is estimated."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ..core.arrays import Intensity, to_tensor
from ..core.errors import InputError
from .finite_differences import gradients
from .noise import noise_std

STRIDE = 16  # px, between the places for it

REGION = 480  # px, side of the part that larger images are searched in: six sides of a large kernel


def most_textured(image: Tensor, side: int) -> Tensor:
    """The part of an image ``[1, C, Y, X]`` with the steepest slopes, at most ``side`` pixels high and wide."""
    rows, columns = most_textured_place(image, side)
    return image[..., rows, columns]


def most_textured_place(image: Tensor, side: int) -> tuple[slice, slice]:
    """Rows and columns of :func:`most_textured`."""
    height, width = min(side, image.shape[-2]), min(side, image.shape[-1])
    # noise adds as much to every part
    edges = gradients(image.mean(1, keepdim=True))[..., :-1, :-1].abs().sum(1, keepdim=True)
    slopes = avg_pool2d(edges, (height - 1, width - 1), STRIDE)
    row, column = divmod(int(slopes.argmax()), slopes.shape[-1])
    return slice(row * STRIDE, row * STRIDE + height), slice(column * STRIDE, column * STRIDE + width)


def detail(piece: np.ndarray) -> float:
    """How much a piece tells of its kernel: mean square slope, the noise taken off; negative for a blank one.

    Raises
    ------
    InputError
        NaN or infinite values.
    """
    if piece.dtype.kind == "f" and not np.isfinite(piece).all():
        raise InputError(
            f"{int((~np.isfinite(piece)).sum())} values are NaN or infinite; replace them (numpy.nan_to_num) first."
        )
    if piece.min() == piece.max():
        return -1.0
    planes = torch.from_numpy(np.ascontiguousarray(piece, dtype=np.float32))
    planes = (
        planes[..., :3].movedim(-1, 0)[None] if piece.shape[-1] in (3, 4) else planes.reshape(1, -1, *piece.shape[-2:])
    )
    slopes = sum(planes.diff(dim=dim).square().mean((-2, -1)) for dim in (-2, -1))
    return max(0.0, float((slopes - 4 * noise_std(planes).square()).mean()))


def most_textured_part(plane: np.ndarray) -> np.ndarray:
    """The part of a large plane ``[Y, X]`` or ``[Y, X, 3 or 4]`` in which its kernel is searched."""
    if max(plane.shape[:2]) <= REGION:
        return plane
    return plane[most_textured_place(to_tensor(plane, Intensity.of(plane), torch.device("cpu")), REGION)]
