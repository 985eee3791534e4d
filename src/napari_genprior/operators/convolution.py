"""Convolution of images with kernels by FFT, with its boundary rules and exact adjoints.

Axes: image ``[R, C, Y, X]``, kernel ``[R, 1, kh, kw]`` (either R may be 1). The kernel's centre is
pixel ``(kh // 2, kw // 2)``, so that a kernel of a single 1 there leaves the image as it is.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

Boundary = Literal["circular", "valid", "reflect"]
BOUNDARIES: tuple[Boundary, ...] = ("circular", "valid", "reflect")


def transfer_function(kernel: Tensor, shape: tuple[int, int]) -> Tensor:
    """Half-spectrum transfer function ``[R, 1, Y, X // 2 + 1]`` (complex) of a kernel centred at the origin."""
    kh, kw = kernel.shape[-2:]
    height, width = shape
    if kh > height or kw > width:
        raise ValueError(f"kernel {kh}x{kw} does not fit into {height}x{width}")
    padded = pad(kernel, (0, width - kw, 0, height - kh))
    return torch.fft.rfft2(torch.roll(padded, (-(kh // 2), -(kw // 2)), dims=(-2, -1)))


def apply_transfer(image: Tensor, transfer: Tensor) -> Tensor:
    """Multiply an image's spectrum by a half-spectrum transfer function (circular convolution)."""
    return torch.fft.irfft2(torch.fft.rfft2(image) * transfer, s=image.shape[-2:])


def convolve(image: Tensor, kernel: Tensor, boundary: Boundary = "circular") -> Tensor:
    """Blur an image: ``y = k * x``.

    Parameters
    ----------
    image : Tensor [R, C, Y, X]
    kernel : Tensor [R, 1, kh, kw]
    boundary : {"circular", "valid", "reflect"}
        What lies outside the image: its other side; nothing (the result shrinks to
        ``[Y - kh + 1, X - kw + 1]``); its mirror image (border pixel not repeated).
    """
    kh, kw = kernel.shape[-2:]
    if boundary == "circular":
        return apply_transfer(image, transfer_function(kernel, _sides(image)))
    if boundary == "reflect":
        top, left = kh - 1 - kh // 2, kw - 1 - kw // 2
        image = pad(image, (left, kw - 1 - left, top, kh - 1 - top), mode="reflect")
    blurred = apply_transfer(image, transfer_function(kernel, _sides(image)))
    # valid pixel i sees inputs i .. i + kh - 1; the centred kernel puts it at i + kh - 1 - kh // 2
    top, left = kh - 1 - kh // 2, kw - 1 - kw // 2
    return blurred[..., top : blurred.shape[-2] - kh // 2, left : blurred.shape[-1] - kw // 2]


def _sides(image: Tensor) -> tuple[int, int]:
    return image.shape[-2], image.shape[-1]


def valid_part(image: Tensor, kernel: Tensor) -> Tensor:
    """The part of ``[..., Y, X]`` that a "valid" convolution with a kernel ``[..., kh, kw]`` gives."""
    kh, kw = kernel.shape[-2:]
    top, left = kh - 1 - kh // 2, kw - 1 - kw // 2
    return image[..., top : image.shape[-2] - kh // 2, left : image.shape[-1] - kw // 2]
