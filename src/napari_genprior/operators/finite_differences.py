"""Circular forward differences of images ``[R, C, Y, X]``, their adjoint, and their spectrum."""

from __future__ import annotations

import torch
from torch import Tensor


def differences(x: Tensor) -> Tensor:
    """Along y and x, ``[2, R, C, Y, X]``."""
    return torch.stack([x.roll(-1, -2) - x, x.roll(-1, -1) - x])


def differences_adjoint(g: Tensor) -> Tensor:
    return g[0].roll(1, -2) - g[0] + g[1].roll(1, -1) - g[1]


def slope_power(shape: tuple[int, int], device: torch.device) -> Tensor:
    """``|D|^2`` per frequency of the half spectrum; its square is that of the second differences."""
    fy = torch.fft.fftfreq(shape[0], device=device)[:, None]
    fx = torch.fft.rfftfreq(shape[1], device=device)
    return 4 * torch.sin(torch.pi * fy).square() + 4 * torch.sin(torch.pi * fx).square()


def gradients(image: Tensor) -> Tensor:
    """Periodic forward differences along Y, then along X: [R, 2 C, Y, X] from [R, C, Y, X]."""
    return torch.cat([image.roll(-1, -2) - image, image.roll(-1, -1) - image], dim=1)
