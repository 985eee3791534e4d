"""Treat unobserved and saturated pixels as missing data and as bounds, on a periodic canvas larger than the image.

What lies beyond the border is in the data, and part of the light of the border's own pixels has left it. So the unknown
image is larger than the data: a canvas, with a mask of the pixels where there are data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf

import torch
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d, max_pool3d

from .boundary import fast_side, smooth_wrap
from .convolution import apply_transfer, convolve, crop_kernel
from .spatial import Shape, crop_at, crop_far, pad_far, spatial_axes, spatial_shape

SATURATION_MARGIN = 1 / 512  # this near to 0 or 1 a value may have been clipped
SATURABLE = (SATURATION_MARGIN, 1 - SATURATION_MARGIN)
MASKED_FRACTION = 0.1  # of masked pixels in a coarser one from which that is masked too ...
DILATION_PX = 3  # ... with all that are so near to it
TYPICAL_SHARE = 0.95  # of the pixels: they lie at or below the typical top
CAP = 1.5  # typical tops, from which on a pixel belongs to a bright object
MOST_CLIPPED = 0.5  # of an image: with more left out, too little is left
CLIPPED_REACH_PX = 2  # around clipped pixels: 2 dB better than 0 on simulated lamps, with estimated kernels
WIDE_PX = 3  # side of masked squares whose filling may mislead a kernel's estimation
BLOCK = 4  # px, sides of a smooth canvas are multiples of it
KERNEL_TAIL = 0.002  # of a kernel's sum, along an axis, whose reach beyond a volume is not modelled


@dataclass(frozen=True)
class Observed:
    """What each pixel of images or volumes says of the scene: a value, at least or at most a value, or nothing.

    Parameters
    ----------
    values : Tensor [P, C, (Z,) Y, X]
        Working units. Pixels that say nothing are filled in from their neighbours.
    masked, at_least, at_most : bool Tensor [P, C, (Z,) Y, X]
        Pixels that say nothing; pixels whose true value is at least (at most) so large, as they were clipped.
    step : float
        Least difference of two values, working units; 0 for floats.
    """

    values: Tensor
    masked: Tensor
    at_least: Tensor
    at_most: Tensor
    step: float = 0.0

    @property
    def clipped(self) -> Tensor:
        """Pixels clipped at the upper end in any channel, bool ``[P, 1, (Z,) Y, X]``."""
        return self.at_least.any(1, keepdim=True)

    def crop(self, place: tuple[slice, ...]) -> Observed:
        """Crop to a part, a slice for each spatial axis."""
        return self._each(lambda part: crop_at(part, place))

    def rows(self, rows: slice) -> Observed:
        """Select some of the images."""
        return self._each(lambda part: part[rows])

    def grey(self) -> Observed:
        """Average the channels that are not empty; what is wrong with one of them is wrong with the mean."""
        flat = self.values.flatten(2)
        textured = (flat.amax(-1) > flat.amin(-1)).any(0)
        some = self._each(lambda part: part[:, textured]) if textured.any() else self
        return some._each(lambda part: part.any(1, True) if part.dtype is torch.bool else part.mean(1, keepdim=True))

    def without_clipped(self) -> Observed:
        """Mask what is clipped at the upper end and the pixels around it.

        Lights are so bright that the error of an estimated kernel outweighs all else around them.
        """
        if not self.at_least.any():
            return self
        masked = self.masked | widen(self.at_least, CLIPPED_REACH_PX)
        if masked.float().mean() > MOST_CLIPPED:
            return self
        return replace(self, masked=masked, at_least=self.at_least & ~masked, at_most=self.at_most & ~masked)

    def rescaled(self, scale: float, cap: float) -> Observed:
        """Divide by ``scale``; values above ``cap`` then only say that the true value is at least so large."""
        values = self.values / scale
        at_least = (self.at_least | (values > cap)) & ~self.masked
        return Observed(values.clamp(max=cap), self.masked, at_least, self.at_most, self.step / scale)

    def to(self, device: torch.device) -> Observed:
        """Move to a device."""
        return self._each(lambda part: part.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Observed:
        masks = change(self.masked), change(self.at_least), change(self.at_most)
        return Observed(change(self.values), *masks, step=self.step)

    def explained_by(self, image: Tensor, kernel: Tensor, clipped: bool = False) -> Tensor:
        """Return the values, and where they say nothing those of ``k * x``: nothing is left to explain there.

        With ``clipped``, those of clipped pixels too, where ``k * x`` lies beyond them.
        """
        free = self.masked | self.at_least | self.at_most if clipped else self.masked
        if not free.any():
            return self.values
        model = convolve(image, crop_kernel(kernel, spatial_shape(image)))
        if clipped:
            return _impute(self.values, self.masked, self.at_least, self.at_most, model)
        return torch.where(self.masked, model, self.values)


def observe(values: Tensor) -> Observed:
    """Take every pixel of ``[P, C, (Z,) Y, X]`` as measured, but for those at the ends of [0, 1], which are clipped."""
    return Observed(values, torch.zeros_like(values, dtype=torch.bool), values > SATURABLE[1], values < SATURABLE[0])


def as_observed(image: Tensor | Observed) -> Observed:
    """Return what is observed; of a plain image, what :func:`observe` says."""
    return image if isinstance(image, Observed) else observe(image)


def typical_top(observed: Observed) -> float:
    """Return the value that hardly any pixel exceeds, working units."""
    valid = observed.values[~observed.masked]
    if valid.numel() == 0:
        return 1.0
    rank = max(1, round(TYPICAL_SHARE * valid.numel()))
    return float(valid.kthvalue(rank).values)


def without_highlights(image: Observed) -> Tensor:
    """Return the values with few bright objects cut off, which would outweigh the scene: ``[R, C, Y, X]``."""
    return image.values.clamp(max=CAP * typical_top(image))


def join(parts: Sequence[Observed]) -> Observed:
    """Join images of one size along the first axis."""
    values, masked, at_least, at_most = (
        torch.cat(each) for each in zip(*((p.values, p.masked, p.at_least, p.at_most) for p in parts), strict=True)
    )
    return Observed(values, masked, at_least, at_most, max(p.step for p in parts))


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
    def shape(self) -> Shape:
        """Sides of the canvas."""
        return spatial_shape(self.canvas)

    def crop(self, x: Tensor) -> Tensor:
        """Crop a canvas to the data region."""
        return x if self.data_shape is None else crop_far(x, self.data_shape)

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
        return _impute(self.canvas, self.masked, self.at_least, self.at_most, model)

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


def widen(mask: Tensor, reach: int) -> Tensor:
    """Add the pixels within a square or cube of ``reach`` pixels around a mask, bool ``[P, C, (Z,) Y, X]``."""
    pool = max_pool2d if mask.ndim == 4 else max_pool3d
    return pool(mask.float(), 2 * reach + 1, 1, reach) > 0


def wide_masks(masked: Tensor) -> Tensor:
    """Keep the masked areas (bool ``[P, 1, Y, X]``) that are :data:`WIDE_PX` wide: they cannot be filled in well."""
    side = WIDE_PX
    core = 1 - max_pool2d(1 - masked.float(), side, 1, side // 2)
    return max_pool2d(core, side, 1, side // 2) > 0


def eroded_valid_mask(masked: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return 1 far from all ``masked`` pixels (bool ``[1, 1, Y, X]``), else 0, at a coarser size ``[1, 1, Y', X']``."""
    coarse = interpolate(masked.float(), size=shape, mode="bilinear", antialias=True) > MASKED_FRACTION
    return 1 - max_pool2d(coarse.float(), 2 * DILATION_PX + 1, 1, DILATION_PX)


def _on_canvas(image: Observed, canvas: Tensor, shape: Shape) -> Observation:
    sides = spatial_shape(canvas)
    at_least, at_most = pad_far(image.at_least, sides), pad_far(image.at_most, sides)
    return Observation(canvas, ~pad_far(~image.masked, sides), at_least, at_most, shape)


def _impute(values: Tensor, masked: Tensor, at_least: Tensor, at_most: Tensor, model: Tensor) -> Tensor:
    """Replace values by those of the model where they say nothing, or where the model lies beyond a clipped one."""
    free = masked | (at_least & (model > values)) | (at_most & (model < values))
    return torch.where(free, model, values)


def _corner_mask(shape: Shape, canvas: Tensor) -> Tensor:
    return pad_far(torch.ones((1, 1, *shape), dtype=torch.bool, device=canvas.device), spatial_shape(canvas))


def _block_margin(side: int, least: int) -> int:
    total = fast_side(side + least)
    while total % BLOCK:
        total = fast_side(total + 1)
    return total - side
