"""What the pixels of a blurred picture tell: their value, that it is at least (at most) so large, or nothing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from .borders import fast_side, smooth_wrap

END = 1 / 512  # this near to 0 or 1 a value may have been cut off
BLOCK = 4  # px, sides of a canvas are multiples of it


@dataclass(frozen=True)
class Seen:
    """A blurred picture on a periodic canvas.

    Attributes
    ----------
    canvas : Tensor [R, C, Y, X]
        The picture, at the top left where it comes from :func:`on_canvas`, and a smooth continuation.
    inside : bool Tensor [R, 1, Y, X]
        Where the picture is.
    """

    canvas: Tensor
    inside: Tensor

    def completed(self, model: Tensor) -> Tensor:
        """Data for all of the canvas: ``model`` where the picture tells nothing against it.

        Beyond the picture that is everywhere; at a pixel at the end of the range, where the model lies beyond the
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


def on_canvas(blurred: Tensor, kernel_shape: tuple[int, int]) -> Seen:
    """Room beyond the border ``[R, C, Y, X]`` for all that a kernel of this shape brings into the picture."""
    height, width = blurred.shape[-2:]
    canvas = smooth_wrap(blurred, (_margin(height, kernel_shape[0] + 1), _margin(width, kernel_shape[1] + 1)))
    inside = torch.ones((1, 1, height, width), dtype=torch.bool, device=blurred.device)
    return Seen(canvas, pad(inside, (0, canvas.shape[-1] - width, 0, canvas.shape[-2] - height)))


def _margin(side: int, least: int) -> int:
    total = fast_side(side + least)
    while total % BLOCK:
        total = fast_side(total + 1)
    return total - side
