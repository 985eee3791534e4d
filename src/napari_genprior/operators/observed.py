"""Say what each pixel of images and volumes tells of the scene: a value, at least, at most, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, max_pool3d

from .convolution import convolve, crop_kernel
from .spatial import crop_at, spatial_shape

SATURATION_MARGIN = 1 / 512  # this near to 0 or 1 a value may have been clipped
SATURABLE = (SATURATION_MARGIN, 1 - SATURATION_MARGIN)
TYPICAL_SHARE = 0.95  # of the pixels: they lie at or below the typical top
CAP = 1.5  # typical tops, from which on a pixel belongs to a bright object
MOST_CLIPPED = 0.5  # of an image: with more left out, too little is left
CLIPPED_REACH_PX = 2  # around clipped pixels: 2 dB better than 0 on simulated lamps, with estimated kernels
WIDE_PX = 3  # side of masked squares whose filling may mislead a kernel's estimation


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
            return impute(self.values, self.masked, self.at_least, self.at_most, model)
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


def widen(mask: Tensor, reach: int) -> Tensor:
    """Add the pixels within a square or cube of ``reach`` pixels around a mask, bool ``[P, C, (Z,) Y, X]``."""
    pool = max_pool2d if mask.ndim == 4 else max_pool3d
    return pool(mask.float(), 2 * reach + 1, 1, reach) > 0


def wide_masks(masked: Tensor) -> Tensor:
    """Keep the masked areas (bool ``[P, 1, Y, X]``) that are :data:`WIDE_PX` wide: they cannot be filled in well."""
    side = WIDE_PX
    core = 1 - max_pool2d(1 - masked.float(), side, 1, side // 2)
    return max_pool2d(core, side, 1, side // 2) > 0


def impute(values: Tensor, masked: Tensor, at_least: Tensor, at_most: Tensor, model: Tensor) -> Tensor:
    """Replace values by those of the model where they say nothing, or where the model lies beyond a clipped one."""
    free = masked | (at_least & (model > values)) | (at_most & (model < values))
    return torch.where(free, model, values)
