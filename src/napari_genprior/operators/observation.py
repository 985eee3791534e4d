"""Treat unobserved and saturated pixels as missing data and as bounds, on a periodic canvas larger than the image.

What lies beyond the border is in the data, and part of the light of the border's own pixels has left it. So the unknown
image is larger than the data: a canvas, with a mask of the pixels where there are data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

import torch
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d

from .boundary import fast_side, smooth_wrap
from .convolution import apply_transfer
from .observed import Observed, as_observed, impute
from .spatial import Shape, crop_far, pad_far, spatial_axes, spatial_shape

MASKED_FRACTION = 0.1  # of masked pixels in a coarser one from which that is masked too ...
DILATION_PX = 3  # ... with all that are so near to it
BLOCK = 4  # px, sides of a smooth canvas are multiples of it
KERNEL_TAIL = 0.002  # of a kernel's sum, along an axis, whose reach beyond a volume is not modelled


@dataclass(frozen=True)
class Observation:
    """A blurred image or volume on a periodic canvas, in the first corner of it.

    Attributes
    ----------
    canvas : Tensor [R, C, (Z,) Y, X]
        The data, and some continuation of them where there are none.
    masked, at_least, at_most : bool Tensor [R or 1, C or 1, (Z,) Y, X]
        Where there are no data; where the true value is at least (at most) so large, as in :class:`Observed`.
    data_shape : tuple of int or None
        Sides of the region that the data come from; None: the whole canvas.
    """

    canvas: Tensor
    masked: Tensor
    at_least: Tensor
    at_most: Tensor
    data_shape: Shape | None = None

    @property
    def valid(self) -> Tensor:
        """Where there are data."""
        return ~self.masked

    @property
    def measured(self) -> Tensor:
        """Where the data are values, not only bounds."""
        return ~(self.masked | self.at_least | self.at_most)

    @property
    def shape(self) -> Shape:
        """Sides of the canvas."""
        return spatial_shape(self.canvas)

    def crop(self, x: Tensor) -> Tensor:
        """Crop a canvas to the data region."""
        return x if self.data_shape is None else crop_far(x, self.data_shape)

    def with_data(self, data: Tensor) -> Observation:
        """Observe other data of the same pixels."""
        return replace(self, canvas=torch.where(self.masked, self.canvas, self.embed(data)))

    def embed(self, data: Tensor) -> Tensor:
        """Place data on a canvas of zeros: the adjoint of :meth:`crop`."""
        return pad_far(data, self.shape)

    def blur(self, x: Tensor, transfer: Tensor) -> Tensor:
        """Apply the forward operator, from canvas to data region: ``A x = crop(k * x)``."""
        return self.crop(apply_transfer(x, transfer))

    def blur_adjoint(self, data: Tensor, transfer: Tensor) -> Tensor:
        """Apply the adjoint ``A' y``, from data region to canvas."""
        return apply_transfer(self.embed(data), transfer.conj())

    def bounds(self) -> tuple[Tensor, Tensor]:
        """Return the least and the largest value that agree with the data: both are the data where they are measured.

        Where there are none they are infinite; at a saturated pixel one of them is.
        """
        low = self.canvas.masked_fill(self.masked | self.at_most, -inf)
        high = self.canvas.masked_fill(self.masked | self.at_least, inf)
        return low, high

    def impute(self, model: Tensor) -> Tensor:
        """Fill the canvas with ``model`` where no data contradict it.

        Beyond the data that is everywhere; at a saturated pixel, where the model lies beyond the end of the range. To
        fit the imputed data again and again minimizes the misfit of the observed ones.
        """
        return impute(self.canvas, self.masked, self.at_least, self.at_most, model)

    def extend_nearest(self) -> Tensor:
        """Continue the data beyond their region by the nearest pixel, counted around: ``[R, C, (Z,) Y, X]``."""
        x = self.canvas
        for axis, n, side in zip(spatial_axes(x), self.data_shape or self.shape, self.shape, strict=True):
            place = torch.arange(side, device=x.device)
            nearest = torch.where(place < n, place, torch.where(place < (n + side) / 2, n - 1, 0))
            x = x.index_select(axis, nearest)
        return x


def pad_periodic(blurred: Tensor | Observed, kernel_shape: Sequence[int], periodic: bool = False) -> Observation:
    """Observe an image ``[R, C, (Z,) Y, X]`` with a smooth continuation, as wide as a kernel reaches.

    A periodic image needs no margin, if its sides are a canvas's.
    """
    image = as_observed(blurred)
    shape = spatial_shape(image.values)
    fits = all(n % BLOCK == 0 and n >= k for n, k in zip(shape, kernel_shape, strict=True))
    if periodic and fits:
        canvas = image.values
    else:
        margin = [_block_margin(n, k + 1) for n, k in zip(shape, kernel_shape, strict=True)]
        canvas = smooth_wrap(image.values, margin)
    return _on_canvas(image, canvas, shape)


def pad_zero(blurred: Tensor | Observed, margin: Sequence[int]) -> Observation:
    """Observe an image ``[R, C, (Z,) Y, X]`` on a canvas of zeros with at least ``margin`` pixels beyond it.

    Of a plain image no value counts as clipped.
    """
    values = blurred.values if isinstance(blurred, Observed) else blurred
    shape = spatial_shape(values)
    canvas = pad_far(values, [fast_side(n + m) for n, m in zip(shape, margin, strict=True)])
    if isinstance(blurred, Observed):
        return _on_canvas(blurred, canvas, shape)
    inside = _corner_mask(shape, canvas)
    return Observation(canvas, ~inside, torch.zeros_like(inside), torch.zeros_like(inside), shape)


def eroded_valid_mask(masked: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return 1 far from all ``masked`` pixels (bool ``[1, 1, Y, X]``), else 0, at a coarser size ``[1, 1, Y', X']``."""
    coarse = interpolate(masked.float(), size=shape, mode="bilinear", antialias=True) > MASKED_FRACTION
    return 1 - max_pool2d(coarse.float(), 2 * DILATION_PX + 1, 1, DILATION_PX)


def _on_canvas(image: Observed, canvas: Tensor, shape: Shape) -> Observation:
    sides = spatial_shape(canvas)
    at_least, at_most = pad_far(image.at_least, sides), pad_far(image.at_most, sides)
    return Observation(canvas, ~pad_far(~image.masked, sides), at_least, at_most, shape)


def _corner_mask(shape: Shape, canvas: Tensor) -> Tensor:
    return pad_far(torch.ones((1, 1, *shape), dtype=torch.bool, device=canvas.device), spatial_shape(canvas))


def _block_margin(side: int, least: int) -> int:
    total = fast_side(side + least)
    while total % BLOCK:
        total = fast_side(total + 1)
    return total - side
