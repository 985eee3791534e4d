"""What to put beyond an image's border, where an FFT wants the image to be periodic."""

from __future__ import annotations

import torch
from scipy.fft import next_fast_len
from torch import Tensor

SEAM_RATIO = 2.0  # differences across a seam over those inside, up to which it is none; photographs have 3.4 and more


def fast_side(least: int) -> int:
    """The smallest side >= ``least`` whose FFT is fast (a product of small primes)."""
    return int(next_fast_len(least, real=True))


def is_periodic(image: Tensor, noise: float = 0.0) -> bool:
    """Whether an image ``[R, C, Y, X]`` goes on at its other side: its seams are no steeper than the rest of it.

    Many circularly blurred images do, and images on an even ground. White noise of standard deviation ``noise``
    adds its own to all differences, and is taken off.
    """
    seams = [(image.select(dim, 0) - image.select(dim, -1)).square().mean() - 2 * noise**2 for dim in (-2, -1)]
    inside = [image.diff(dim=dim).square().mean() - 2 * noise**2 for dim in (-2, -1)]
    return all(bool(seam <= SEAM_RATIO**2 * usual) for seam, usual in zip(seams, inside, strict=True))


def smooth_wrap(image: Tensor, margin: tuple[int, int]) -> Tensor:
    """Extend an image to a periodic one without a jump at the seam.

    Each new row (column) lies between the last and, the other way round, the first: there the two
    mirror images are mixed, with a weight that goes smoothly from one to the other. A plain
    periodic image has edges at its seam that no kernel explains, and those spoil its estimate.

    Parameters
    ----------
    image : Tensor [R, C, Y, X]
    margin : (int, int)
        Least number of rows and columns to add, in pixels.

    Returns
    -------
    Tensor [R, C, Y', X']
        The image at the top left; ``Y' >= Y + margin[0]`` and ``X' >= X + margin[1]``, both fast to transform.
    """
    for dim, least in zip((-2, -1), margin, strict=True):
        image = _wrap_one(image, dim, fast_side(image.shape[dim] + least) - image.shape[dim])
    return image


def _wrap_one(image: Tensor, dim: int, added: int) -> Tensor:
    if added == 0:
        return image
    rows = image.movedim(dim, -1)
    side = rows.shape[-1]
    # the new pixel i lies i + 1 after the last one and added - i before the (wrapped) first one;
    # mirrors of mirrors serve where the margin is wider than the image
    steps = torch.arange(added, device=image.device)
    after = _mirror(side + steps, side)
    before = _mirror(steps - added, side)
    weight = 0.5 + 0.5 * torch.cos(torch.pi * (steps + 1) / (added + 1)).to(image.dtype)
    seam = weight * rows[..., after] + (1 - weight) * rows[..., before]
    return torch.cat([rows, seam], dim=-1).movedim(-1, dim)


def _mirror(index: Tensor, side: int) -> Tensor:
    """Fold any index into ``[0, side)`` by reflection with the border pixel repeated."""
    index = index.remainder(2 * side)
    return torch.where(index < side, index, 2 * side - 1 - index)
