"""Convolve images or volumes with kernels by FFT, with boundary rules and exact adjoints.

Axes: image ``[R, C, (Z,) Y, X]``, kernel ``[R, 1, (kz,) kh, kw]`` (either R may be 1); the number of spatial dimensions
is ``ndim - 2``. The kernel's centre is pixel ``(..., kh // 2, kw // 2)``, so that a kernel of a single 1 there leaves
the image as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

from .spatial import crop_at, crop_far, pad_far, spatial_axes, spatial_shape

Boundary = Literal["circular", "valid", "reflect"]
BOUNDARIES: tuple[Boundary, ...] = ("circular", "valid", "reflect")


def transfer_function(kernel: Tensor, shape: Sequence[int]) -> Tensor:
    """Compute the transfer function of a kernel on a periodic grid, its centre at the origin.

    Parameters
    ----------
    kernel : Tensor [R, 1, (kz,) kh, kw]
    shape : (int, int) or (int, int, int)
        Sides of the grid.

    Returns
    -------
    complex Tensor [R, 1, (Z,) Y, X // 2 + 1]
        Half spectrum.

    Raises
    ------
    ValueError
        The kernel is larger than the grid; see :func:`crop_kernel`.
    """
    sides, axes = spatial_shape(kernel), spatial_axes(kernel)
    if any(k > n for k, n in zip(sides, shape, strict=True)):
        raise ValueError(f"kernel {_times(sides)} does not fit into {_times(shape)}")
    centred = pad_far(kernel, shape).roll([-(k // 2) for k in sides], axes)
    return torch.fft.rfftn(centred, dim=axes)


def crop_kernel(kernel: Tensor, shape: Sequence[int]) -> Tensor:
    """Crop a kernel to at most ``shape`` around its centre, and scale the rest to the same sum.

    A microscope's PSF often reaches further than a small volume: its far rings carry little light.
    """
    sides = spatial_shape(kernel)
    if all(k <= n for k, n in zip(sides, shape, strict=True)):
        return kernel
    kept = [(k // 2 - min(k, n) // 2, min(k, n)) for k, n in zip(sides, shape, strict=True)]
    inner = crop_at(kernel, (slice(first, first + side) for first, side in kept))
    axes = spatial_axes(kernel)
    return inner * (kernel.sum(axes, keepdim=True) / inner.sum(axes, keepdim=True))


def apply_transfer(image: Tensor, transfer: Tensor) -> Tensor:
    """Convolve circularly: multiply the spectrum of an image by a half-spectrum transfer function."""
    axes = spatial_axes(image)
    return torch.fft.irfftn(torch.fft.rfftn(image, dim=axes) * transfer, s=spatial_shape(image), dim=axes)


def convolve(image: Tensor, kernel: Tensor, boundary: Boundary = "circular") -> Tensor:
    """Blur an image or a volume: ``y = k * x``.

    Parameters
    ----------
    image : Tensor [R, C, (Z,) Y, X]
    kernel : Tensor [R, 1, (kz,) kh, kw]
    boundary : {"circular", "valid", "reflect"}
        What lies outside the image: its other side; nothing (the result shrinks to
        ``[..., Y - kh + 1, X - kw + 1]``); its mirror image (border pixel not repeated).
    """
    extended = _reflect(image, spatial_shape(kernel)) if boundary == "reflect" else image
    blurred = apply_transfer(extended, transfer_function(kernel, spatial_shape(extended)))
    return blurred if boundary == "circular" else valid_part(blurred, kernel)


def convolve_adjoint_image(data: Tensor, kernel: Tensor, shape: Sequence[int], boundary: Boundary) -> Tensor:
    """Apply the adjoint of ``x -> k * x``: ``[R, C, (Z,) Y, X]`` of sides ``shape``."""
    sides = spatial_shape(kernel)
    extended = _pad_valid(data, sides) if boundary != "circular" else data
    back = apply_transfer(extended, transfer_function(kernel, spatial_shape(extended)).conj())
    return _reflect_adjoint(back, sides, shape) if boundary == "reflect" else back


def convolve_adjoint_kernel(data: Tensor, image: Tensor, shape: Sequence[int], boundary: Boundary) -> Tensor:
    """Apply the adjoint of ``k -> k * x``: ``[R, 1, (kz,) kh, kw]`` of sides ``shape``."""
    extended = _reflect(image, shape) if boundary == "reflect" else image
    data = _pad_valid(data, shape) if boundary != "circular" else data
    axes = spatial_axes(image)
    product = torch.fft.rfftn(data, dim=axes) * torch.fft.rfftn(extended, dim=axes).conj()
    correlation = torch.fft.irfftn(product.sum(dim=1, keepdim=True), s=spatial_shape(extended), dim=axes)
    # undo what transfer_function does: pad, then move the centre to the origin
    return crop_far(correlation.roll([k // 2 for k in shape], axes), shape)


def valid_part(image: Tensor, kernel: Tensor) -> Tensor:
    """Crop ``[..., Y, X]`` to what a "valid" convolution with a kernel ``[R, 1, kh, kw]`` gives."""
    return crop_margins(image, spatial_shape(kernel))


def crop_margins(image: Tensor, kernel_shape: Sequence[int]) -> Tensor:
    """Crop ``[..., Y, X]`` by the margins where a kernel of sides ``kernel_shape`` reaches beyond the border."""
    places = zip(image.shape[-len(kernel_shape) :], _margins(kernel_shape), strict=True)
    return crop_at(image, (slice(before, n - after) for n, (before, after) in places))


def _margins(kernel_shape: Sequence[int]) -> list[tuple[int, int]]:
    """Count pixels before and after the valid part, along each axis.

    Valid pixel i depends on inputs i .. i + k - 1; the centred kernel puts it at i + k - 1 - k // 2.
    """
    return [(k - 1 - k // 2, k // 2) for k in kernel_shape]


def _pad_valid(data: Tensor, kernel_shape: Sequence[int]) -> Tensor:
    """Surround data by zeros: the adjoint of :func:`crop_margins`."""
    return pad(data, _widths(kernel_shape))


def _widths(kernel_shape: Sequence[int]) -> list[int]:
    """List the margins as :func:`torch.nn.functional.pad` wants them: the last axis first."""
    return [width for margin in reversed(_margins(kernel_shape)) for width in margin]


def _reflect(image: Tensor, kernel_shape: Sequence[int]) -> Tensor:
    """Surround an image by its mirror images, so that the valid part of the convolution is as large as the image."""
    return pad(image, _widths(kernel_shape), mode="reflect")


def _reflect_adjoint(extended: Tensor, kernel_shape: Sequence[int], shape: Sequence[int]) -> Tensor:
    """Add the mirror images back to the pixels they come from: the adjoint of :func:`_reflect`."""
    for axis, side, (before, after) in zip(spatial_axes(extended), shape, _margins(kernel_shape), strict=True):
        place = torch.arange(-before, side + after, device=extended.device).abs()
        source = side - 1 - (side - 1 - place).abs()
        sides = list(extended.shape)
        sides[axis] = side
        extended = extended.new_zeros(sides).index_add(axis, source, extended)
    return extended


def _times(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
