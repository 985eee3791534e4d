"""Blur of volumes ``[R, 1, Z, Y, X]``: a canvas that holds what lies beyond the stack, the blur on it, differences.

What the microscope sees of planes above and below the stack (and of its sides) is in the data, and part of the light
of the stack's own planes has left it. So the unknown volume is larger than the data; a mask says where data are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn.functional import pad

SPACE = (-3, -2, -1)
SEAM_RATIO = 0.5  # differences across a seam over those inside, up to which it is none
Sides = tuple[int, int, int]


@dataclass(frozen=True)
class Canvas:
    """A blurred volume on a periodic canvas, the stack in its first corner.

    Attributes
    ----------
    data : Tensor [R, 1, Z', Y', X']
        0 beyond the stack.
    inside : Tensor [1, 1, Z', Y', X']
        1 on the stack, 0 beyond; the type of the data.
    stack : (int, int, int)
        Planes, rows and columns of the stack.
    """

    data: Tensor
    inside: Tensor
    stack: Sides

    @property
    def sides(self) -> Sides:
        return sides_of(self.data)

    def cut(self, x: Tensor) -> Tensor:
        """The part ``[..., Z, Y, X]`` of a canvas where the stack is."""
        z, y, x_ = self.stack
        return x[..., :z, :y, :x_]

    def blur(self, x: Tensor, transfer: Tensor) -> Tensor:
        """The forward operator: canvas to stack, ``A x = cut(k * x)``."""
        return self.cut(apply_transfer(x, transfer))

    def blur_adjoint(self, data: Tensor, transfer: Tensor) -> Tensor:
        """``A' y``: stack to canvas."""
        return apply_transfer(self.spread(data), transfer.conj())

    def spread(self, data: Tensor) -> Tensor:
        """A stack on the canvas, 0 beyond it: the adjoint of :meth:`cut`."""
        return _padded(data, self.sides)


def sides_of(x: Tensor) -> Sides:
    return x.shape[-3], x.shape[-2], x.shape[-1]


def pad_periodic(volume: Tensor, margin: Sides) -> Canvas:
    """Put ``[R, 1, Z, Y, X]`` on a canvas with at least ``margin`` voxels beyond it, of sides that transform fast."""
    stack = sides_of(volume)
    z, y, x = (int(next_fast_len(n + m, real=True)) for n, m in zip(stack, margin, strict=True))
    ones = torch.ones((1, 1, *stack), dtype=volume.dtype, device=volume.device)
    return Canvas(_padded(volume, (z, y, x)), _padded(ones, (z, y, x)), stack)


def margin_for(kernel: Tensor, tail: float) -> Sides:
    """How far a kernel ``[R, 1, kz, kh, kw]`` reaches beyond a stack, both sides together, voxels.

    Along each axis all but the part ``tail`` of its light is counted: the far rings of a microscope's blur would
    make canvases of many times the stack, for next to nothing. The circular canvas shares its margin between the
    two sides, so that the whole extent (less one) is enough for both.
    """
    found = []
    for axis in SPACE:
        others = tuple(a for a in SPACE if a != axis)
        light = kernel.sum(others).flatten(0, -2).mean(0)
        side = len(light)
        reach = [light[max(0, side // 2 - r) : side // 2 + r + 1].sum() for r in range(side // 2 + 1)]
        found.append(2 * next((r for r, part in enumerate(reach) if part >= (1 - tail) * light.sum()), side // 2))
    return found[0], found[1], found[2]


def periodic_axes(volume: Tensor, variance: float) -> tuple[bool, bool, bool]:
    """Along which axes ``[1, 1, Z, Y, X]`` goes on at its other side: the seam is no steeper than the rest.

    So are volumes that were blurred circularly, and things that lie alone on even ground. ``variance`` is that of the
    noise: it makes every difference larger by twice that.
    """
    found = []
    for axis in SPACE:
        seam = (volume.select(axis, 0) - volume.select(axis, -1)).square().mean() - 2 * variance
        inside = volume.diff(dim=axis).square().mean() - 2 * variance
        found.append(bool(seam <= SEAM_RATIO**2 * inside))
    return found[0], found[1], found[2]


def transfer_function(kernel: Tensor, sides: Sides) -> Tensor:
    """Half-spectrum ``[R, 1, Z, Y, X // 2 + 1]`` of a kernel ``[R, 1, kz, kh, kw]``, centre ``(kz // 2, ...)``.

    Of a kernel larger than the canvas the outer part is left out, and the sum is kept.
    """
    centres = [n // 2 for n in sides_of(kernel)]
    cuts = [
        slice(c - min(c, side // 2), c + min(n - c, (side + 1) // 2))
        for c, n, side in zip(centres, sides_of(kernel), sides, strict=True)
    ]
    inner = kernel[:, :, cuts[0], cuts[1], cuts[2]]
    inner = inner * (kernel.sum(SPACE, keepdim=True) / inner.sum(SPACE, keepdim=True))
    back = tuple(cut.start - c for cut, c in zip(cuts, centres, strict=True))
    return torch.fft.rfftn(_padded(inner, sides).roll(back, SPACE), dim=SPACE)


def apply_transfer(x: Tensor, transfer: Tensor) -> Tensor:
    """Circular convolution by a half-spectrum transfer function."""
    return torch.fft.irfftn(torch.fft.rfftn(x, dim=SPACE) * transfer, s=sides_of(x), dim=SPACE)


def differences(x: Tensor, weights: tuple[float, float, float]) -> Tensor:
    """Circular forward differences along z, y and x times ``weights``, ``[3, R, 1, Z, Y, X]``."""
    return torch.stack([(x.roll(-1, axis) - x) * weight for axis, weight in zip(SPACE, weights, strict=True)])


def differences_adjoint(g: Tensor, weights: tuple[float, float, float]) -> Tensor:
    return sum((part.roll(1, axis) - part) * weight for part, axis, weight in zip(g, SPACE, weights, strict=True))


def slope_power(sides: Sides, weights: tuple[float, float, float], device: torch.device) -> Tensor:
    """``|D|^2`` per frequency of the half spectrum."""
    frequencies = [torch.fft.fftfreq(n, device=device) for n in sides[:2]] + [torch.fft.rfftfreq(sides[2])]
    z, y, x = (
        4 * (weight * torch.sin(torch.pi * f.to(device))).square()
        for f, weight in zip(frequencies, weights, strict=True)
    )
    return z[:, None, None] + y[:, None] + x


def _padded(x: Tensor, sides: Sides) -> Tensor:
    z, y, w = (side - n for side, n in zip(sides, sides_of(x), strict=True))
    return pad(x, (0, w, 0, y, 0, z))
