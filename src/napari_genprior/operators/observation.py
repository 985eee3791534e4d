"""What the pixels of a blurred image tell: their value, that it is at least (at most) so large, or nothing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d, pad

from .boundary import fast_side, smooth_wrap

END = 1 / 512  # this near to 0 or 1 a value may have been cut off
UNTOLD = 0.1  # share of untold pixels in a coarser one from which that is untold too ...
AROUND = 3  # px, and all so near to it
BLOCK = 4  # px, sides of a canvas are multiples of it


@dataclass(frozen=True)
class Seen:
    """A blurred image on a periodic canvas.

    Attributes
    ----------
    canvas : Tensor [R, C, Y, X]
        The image, at the top left where it comes from :func:`pad_periodic`, and a smooth continuation.
    inside : bool Tensor [R, 1, Y, X]
        Where the image is.
    """

    canvas: Tensor
    inside: Tensor

    def completed(self, model: Tensor) -> Tensor:
        """Data for all of the canvas: ``model`` where the image tells nothing against it.

        Beyond the image that is everywhere; at a pixel at the end of the range, where the model lies beyond the
        end. To fit the completed data again and again minimises the misfit of what is told.
        """
        beyond = ((self.canvas > 1 - END) & (model > self.canvas)) | ((self.canvas < END) & (model < self.canvas))
        return torch.where(self.inside & ~beyond, self.canvas, model)

    def bounds(self) -> tuple[Tensor, Tensor]:
        """Least and largest value that agree with what is told, infinite where nothing is.

        A model brought within them is what :meth:`completed` makes of it.
        """
        low = torch.where(self.inside & (self.canvas >= END), self.canvas, -torch.inf)
        high = torch.where(self.inside & (self.canvas <= 1 - END), self.canvas, torch.inf)
        return low, high


def pad_periodic(blurred: Tensor, kernel_shape: tuple[int, int], circular: bool = False) -> Seen:
    """Room beyond the border ``[R, C, Y, X]`` for all that a kernel of this shape brings into the image.

    An image that goes on at its other side (``circular``) needs none, if its sides are a canvas's.
    """
    height, width = blurred.shape[-2:]
    if circular and height % BLOCK == width % BLOCK == 0 and height >= kernel_shape[0] and width >= kernel_shape[1]:
        return Seen(blurred, torch.ones((1, 1, height, width), dtype=torch.bool, device=blurred.device))
    canvas = smooth_wrap(blurred, (_margin(height, kernel_shape[0] + 1), _margin(width, kernel_shape[1] + 1)))
    inside = torch.ones((1, 1, height, width), dtype=torch.bool, device=blurred.device)
    return Seen(canvas, pad(inside, (0, canvas.shape[-1] - width, 0, canvas.shape[-2] - height)))


def saturation_mask(image: Tensor) -> Tensor:
    """Where light was cut off at the upper end of the range in any channel, bool ``[R, 1, Y, X]``."""
    return (image > 1 - END).any(dim=1, keepdim=True)


def eroded_valid_mask(untold: Tensor, shape: tuple[int, int]) -> Tensor:
    """1 at pixels far from all that is untold (bool ``[1, 1, Y, X]``), else 0, at a coarser size ``[1, 1, Y', X']``."""
    coarse = interpolate(untold.float(), size=shape, mode="bilinear", antialias=True) > UNTOLD
    return 1 - max_pool2d(coarse.float(), 2 * AROUND + 1, 1, AROUND)


def _margin(side: int, least: int) -> int:
    total = fast_side(side + least)
    while total % BLOCK:
        total = fast_side(total + 1)
    return total - side
