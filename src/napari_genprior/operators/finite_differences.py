"""Circular finite differences of images and volumes ``[R, C, (Z,) Y, X]``, their adjoints and their spectrum.

D is the number of spatial dimensions. ``weights`` multiply the differences along each axis: one over the sides of a
voxel, so that slopes are per length; by default 1. Functions with ``out`` or scratch space work in place: solvers call
them hundreds of times, and to allocate anew takes longer than the sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from .spatial import spatial_axes

Weights = Sequence[float]


def forward_difference(x: Tensor, axis: int, out: Tensor, weight: float = 1.0) -> Tensor:
    """Write ``weight (x[i + 1] - x[i])``, circular, into ``out``."""
    n = x.shape[axis] - 1
    torch.sub(x.narrow(axis, 1, n), x.narrow(axis, 0, n), out=out.narrow(axis, 0, n))
    torch.sub(x.narrow(axis, 0, 1), x.narrow(axis, n, 1), out=out.narrow(axis, n, 1))
    return out if weight == 1 else out.mul_(weight)


def backward_difference(x: Tensor, axis: int, out: Tensor, weight: float = 1.0) -> Tensor:
    """Write ``weight (x[i] - x[i - 1])``, circular, into ``out``: minus the adjoint of :func:`forward_difference`."""
    n = x.shape[axis] - 1
    torch.sub(x.narrow(axis, 1, n), x.narrow(axis, 0, n), out=out.narrow(axis, 1, n))
    torch.sub(x.narrow(axis, 0, 1), x.narrow(axis, n, 1), out=out.narrow(axis, 0, 1))
    return out if weight == 1 else out.mul_(weight)


def differences(x: Tensor, weights: Weights | None = None) -> Tensor:
    """Compute the forward differences along each axis, ``[D, R, C, (Z,) Y, X]``; differentiable."""
    axes = spatial_axes(x)
    return torch.stack([_scaled(x.roll(-1, axis) - x, w) for axis, w in zip(axes, _each(weights, axes), strict=True)])


def differences_adjoint(g: Tensor, weights: Weights | None = None) -> Tensor:
    """Apply the adjoint of :func:`differences`, ``[R, C, (Z,) Y, X]``; differentiable."""
    axes = spatial_axes(g[0])
    parts = [_scaled(part.roll(1, axis) - part, w) for part, axis, w in zip(g, axes, _each(weights, axes), strict=True)]
    return sum(parts[1:], start=parts[0])


def gradients(image: Tensor) -> Tensor:
    """Compute the forward differences as channels: ``[R, D C, (Z,) Y, X]`` from ``[R, C, (Z,) Y, X]``."""
    return torch.cat([image.roll(-1, axis) - image for axis in spatial_axes(image)], dim=1)


def gradients_adjoint(g: Tensor) -> Tensor:
    """Apply the adjoint of :func:`gradients`: minus the divergence."""
    axes = spatial_axes(g)
    parts = [part.roll(1, axis) - part for part, axis in zip(g.chunk(len(axes), dim=1), axes, strict=True)]
    return sum(parts[1:], start=parts[0])


def slope_power(shape: Sequence[int], device: torch.device, weights: Weights | None = None) -> Tensor:
    """Compute ``|D|^2`` per frequency of the half spectrum; its square is that of the second differences."""
    last = len(shape) - 1
    total = torch.zeros((), device=device)
    for axis, (side, weight) in enumerate(zip(shape, _each(weights, shape), strict=True)):
        frequencies = (torch.fft.rfftfreq if axis == last else torch.fft.fftfreq)(side, device=device)
        total = total + 4 * (weight * torch.sin(torch.pi * frequencies)).square().view(-1, *(1,) * (last - axis))
    return total


def second_order_count(dimensions: int) -> int:
    """Count the distinct second differences: 3 of images, 6 of volumes."""
    return dimensions * (dimensions + 1) // 2


def add_differences(
    x: Tensor, first: Tensor, second: Tensor | None, scratch: Tensor, weights: Weights | None = None
) -> None:
    """Add the differences of ``x`` to ``first``, and those of second order to ``second``, in place.

    Parameters
    ----------
    x : Tensor [R, C, (Z,) Y, X]
    first : Tensor [D, R, C, (Z,) Y, X]
    second : Tensor [D (D + 1) / 2, R, C, (Z,) Y, X] or None
        Those along one axis twice, then the mixed ones of each pair of axes, times the root of 2: they count twice.
    scratch : Tensor [D + 1, R, C, (Z,) Y, X]
        Overwritten; without ``second`` 1 is enough.
    """
    axes = spatial_axes(x)
    w, spare = _each(weights, axes), scratch[-1]
    for i, axis in enumerate(axes):
        slope = forward_difference(x, axis, spare if second is None else scratch[i], w[i])
        first[i].add_(slope)
        if second is not None:
            second[i].add_(backward_difference(slope, axis, spare, w[i]))
    if second is not None:
        for n, (i, j) in enumerate(combinations(range(len(axes)), 2), start=len(axes)):
            second[n].add_(forward_difference(scratch[j], axes[i], spare, w[i]), alpha=2**0.5)


def add_differences_adjoint(
    first: Tensor, second: Tensor | None, scratch: Tensor, weights: Weights | None = None
) -> Tensor:
    """Apply the adjoint of :func:`add_differences`; the result is in ``scratch[0]``, a view.

    ``scratch`` is ``[3, R, C, (Z,) Y, X]`` or more.
    """
    axes = spatial_axes(first[0])
    w, (total, slope, spare) = _each(weights, axes), scratch[:3]
    total.zero_()
    pairs = list(enumerate(combinations(range(len(axes)), 2), start=len(axes)))
    for i, axis in enumerate(axes):
        slope.copy_(first[i])
        if second is not None:
            slope.sub_(forward_difference(second[i], axis, spare, w[i]))
            for n, (j, k) in pairs:
                if k == i:
                    slope.sub_(backward_difference(second[n], axes[j], spare, w[j]), alpha=2**0.5)
        total.sub_(backward_difference(slope, axis, spare, w[i]))
    return total


def _each(weights: Weights | None, axes: Sequence[int]) -> Weights:
    return (1.0,) * len(axes) if weights is None else weights


def _scaled(x: Tensor, weight: float) -> Tensor:
    return x if weight == 1 else x * weight
