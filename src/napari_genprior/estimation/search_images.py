"""Prepare the images in which a kernel is searched: grey, on a scale of their own, with what is clipped filled in."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..operators.detail import REGION, most_textured_place
from ..operators.fill import fill_tensor
from ..operators.noise import noise_level
from ..operators.observed import CAP, CLIPPED_REACH_PX, Observed, as_observed, join, typical_top, wide_masks, widen

MIN_SATURATED_FRACTION = 1e-3  # of the pixels, for masked searches; the maximum of an image alone is no saturation
DIM_TOP = 0.4  # of the range: an image whose typical top is lower is searched on a scale of its own


@dataclass(frozen=True)
class SearchImages:
    """Images ``[P, 1, Y, X]`` in which a kernel is searched, the most textured part of each.

    Attributes
    ----------
    observed : Observed
        What their pixels say, in units of ``scale``.
    masked : bool Tensor [P, 1, Y, X]
        Areas to which no search fits the kernel.
    filled, excluded : Tensor [P, 1, Y, X] or None
        For searches that leave out saturated pixels: the images with these filled in, since lights leave steps that no
        kernel explains, and where they are. None: there are hardly any.
    noise : float
        Standard deviation, in units of ``scale``.
    scale : float
        Working units.
    """

    observed: Observed
    masked: Tensor
    filled: Tensor | None
    excluded: Tensor | None
    noise: float
    scale: float

    @property
    def grey(self) -> Tensor:
        """The images themselves."""
        return self.observed.values

    def choose(self, count: int, use_saturated: bool) -> tuple[Tensor, Tensor | None]:
        """Return the first images for a search, and where the kernel is not fitted to them."""
        if use_saturated or self.filled is None or self.excluded is None:
            images, mask = self.grey, self.masked
        else:
            images, mask = self.filled, self.excluded
        return images[:count], mask[:count] if mask.any() else None


def search_images(blurred: Tensor | Observed, noise: float) -> SearchImages:
    """Prepare images ``[P, C, Y, X]``, with noise of this standard deviation, for searches."""
    images = as_observed(blurred)
    images = images.crop(_within_margins(images))
    grey = [images.rows(slice(index, index + 1)).grey() for index in range(len(images.values))]
    scale = _own_scale(grey[0])
    grey = [each.rescaled(scale, CAP) if scale != 1 else each for each in grey]
    part = join([each.crop(most_textured_place(each.values, REGION)) for each in grey])
    masked, filled, excluded = wide_masks(part.masked), None, None
    if float(part.at_least.float().mean()) > MIN_SATURATED_FRACTION:
        excluded = masked | widen(part.at_least, CLIPPED_REACH_PX)
        filled = fill_tensor(part.values, excluded)
    return SearchImages(part, masked, filled, excluded, noise / scale, scale)


def without_lights(image: Observed) -> tuple[Tensor, float]:
    """Fill in what is clipped, and bright objects that outshine the scene; return image and noise.

    Returns
    -------
    image : Tensor [1, C, Y, X]
        Grey where there was something to fill in.
    noise : float
        Standard deviation.
    """
    scale = _own_scale(image)
    if scale == 1 and not image.at_least.any():
        return image.values, noise_level(image)
    grey = image.grey().rescaled(scale, CAP) if scale != 1 else image.grey()
    return fill_tensor(grey.values, widen(grey.at_least, CLIPPED_REACH_PX)), noise_level(grey)


def _own_scale(image: Observed) -> float:
    """Return the typical top of an image that is dim beside few bright objects, or altogether; 1 for others."""
    top = typical_top(image)
    return top if 0 < top < DIM_TOP else 1.0


def _within_margins(images: Observed) -> tuple[slice, slice]:
    """Find the rows and columns between masked margins, such as black bars: within, the border is only unknown."""
    valid = ~images.masked.all(1).all(0)
    if not valid.any():
        return slice(None), slice(None)
    rows, columns = (torch.nonzero(valid.any(axis))[:, 0] for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
