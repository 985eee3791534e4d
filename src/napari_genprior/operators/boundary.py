"""Continue images and volumes beyond their border, where an FFT takes them to be periodic."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from .spatial import Shape, spatial_axes, spatial_shape

# Differences across a seam over those inside, up to which it is none, by the number of dimensions: photographs have
# 3.4 and more; volumes are smooth along z, and a seam there shows at less.
SEAM_RATIO = {2: 2.0, 3: 0.5}


def fast_side(least: int) -> int:
    """Return the smallest side >= ``least`` whose FFT is fast (a product of small primes)."""
    return int(next_fast_len(least, real=True))


def is_periodic(image: Tensor, noise: float = 0.0) -> bool:
    """Tell whether ``[R, C, (Z,) Y, X]`` with noise of this standard deviation is periodic along all axes."""
    return all(periodic_axes(image, noise**2))


def periodic_axes(image: Tensor, noise_variance: float = 0.0) -> tuple[bool, ...]:
    """Tell along which axes ``[R, C, (Z,) Y, X]`` is periodic: its seam is no steeper than the rest of it.

    Many circularly blurred images are, and objects that lie alone on an even background. White noise adds twice its
    variance to every mean square difference; it is taken off.
    """
    axes = spatial_axes(image)
    ratio, found = SEAM_RATIO[len(axes)], []
    for axis in axes:
        seam = (image.select(axis, 0) - image.select(axis, -1)).square().mean() - 2 * noise_variance
        inside = image.diff(dim=axis).square().mean() - 2 * noise_variance
        found.append(bool(seam <= ratio**2 * inside))
    return tuple(found)


def kernel_reach(kernel: Tensor, tail: float) -> Shape:
    """Measure how far a kernel ``[R, 1, (kz,) kh, kw]`` reaches, both sides together, in pixels per axis.

    Along each axis all but the fraction ``tail`` of its sum is counted: the far rings of a microscope's PSF would make
    canvases of many times the volume, for next to nothing. A periodic canvas shares its margin between the two
    sides, so that the whole extent less one is enough for both.
    """
    axes, found = spatial_axes(kernel), []
    for axis in axes:
        profile = kernel.sum([other for other in axes if other != axis]).flatten(0, -2).mean(0)
        side = len(profile)
        inner = [profile[max(0, side // 2 - r) : side // 2 + r + 1].sum() for r in range(side // 2 + 1)]
        enough = (r for r, part in enumerate(inner) if part >= (1 - tail) * profile.sum())
        found.append(2 * next(enough, side // 2))
    return tuple(found)


def smooth_wrap(image: Tensor, margin: Sequence[int]) -> Tensor:
    """Extend an image to a periodic one without a jump at the seam.

    Each new row (column, plane) lies between the last and, the other way round, the first: there the two
    mirror images are mixed, with a weight that goes smoothly from one to the other. A plain
    periodic image has edges at its seam that no kernel explains, and those spoil its estimate.

    Parameters
    ----------
    image : Tensor [R, C, (Z,) Y, X]
    margin : sequence of int
        Least number of pixels to add along each axis.

    Returns
    -------
    Tensor [R, C, (Z',) Y', X']
        The image in the first corner; each side is at least the image's plus the margin, and fast to transform.
    """
    for axis, side, least in zip(spatial_axes(image), spatial_shape(image), margin, strict=True):
        image = _wrap_one(image, axis, fast_side(side + least) - side)
    return image


def _wrap_one(image: Tensor, axis: int, added: int) -> Tensor:
    if added == 0:
        return image
    rows = image.movedim(axis, -1)
    side = rows.shape[-1]
    # the new pixel i lies i + 1 after the last one and added - i before the (wrapped) first one;
    # mirrors of mirrors serve where the margin is wider than the image
    steps = torch.arange(added, device=image.device)
    after = _mirror(side + steps, side)
    before = _mirror(steps - added, side)
    weight = 0.5 + 0.5 * torch.cos(torch.pi * (steps + 1) / (added + 1)).to(image.dtype)
    seam = weight * rows[..., after] + (1 - weight) * rows[..., before]
    return torch.cat([rows, seam], dim=-1).movedim(-1, axis)


def _mirror(index: Tensor, side: int) -> Tensor:
    """Fold any index into ``[0, side)`` by reflection with the border pixel repeated."""
    index = index.remainder(2 * side)
    return torch.where(index < side, index, 2 * side - 1 - index)
