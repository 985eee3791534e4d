"""Name the spatial axes of tensors ``[R, C, (Z,) Y, X]``, and pad along them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor
from torch.nn.functional import pad

Shape = tuple[int, ...]


def spatial_axes(x: Tensor) -> Shape:
    """List the spatial axes from the end: (-2, -1) of images, (-3, -2, -1) of volumes."""
    return tuple(range(2 - x.ndim, 0))


def spatial_shape(x: Tensor) -> Shape:
    """List the spatial sides: (Y, X) of images, (Z, Y, X) of volumes."""
    return tuple(x.shape[2:])


def pad_far(x: Tensor, shape: Sequence[int]) -> Tensor:
    """Append zeros at the far end of each spatial axis until the sides are ``shape``."""
    return pad(x, [width for side, n in zip(shape[::-1], x.shape[:1:-1], strict=True) for width in (0, side - n)])


def crop_far(x: Tensor, shape: Sequence[int]) -> Tensor:
    """Keep the first ``shape`` pixels of the last axes: the adjoint of :func:`pad_far`."""
    return crop_at(x, map(slice, shape))


def crop_at(x: Tensor, place: Iterable[slice]) -> Tensor:
    """Crop the last axes to slices."""
    index: tuple[Any, ...] = (..., *place)
    return x[index]
