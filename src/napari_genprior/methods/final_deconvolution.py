"""End a method: restore the image for a kernel (:mod:`..deconvolution.known_kernel`) and keep the input's flux."""

from __future__ import annotations

import math

from torch import Tensor

from ..deconvolution.known_kernel import deconvolve_known, final_image, is_outshone
from ..operators.noise import effective_noise
from ..operators.observed import Observed, typical_top

__all__ = ["deconvolve_known", "effective_noise", "final_image", "match_flux"]

SATURATED_FRACTION = 1e-3  # share of clipped and masked pixels, from which light may be missing
FLUX_ROUNDS = 3  # to scale an image may clip more of it
SLIGHT_CHANGE = 0.01  # relative, of an image's mean
MAX_FLUX_FACTOR = 1.25  # an image whose mean is further off than this is wrong in other ways


def match_flux(blurred: Observed, image: Tensor, lowest: float | None) -> Tensor:
    """Scale each channel ``[R, C, (Z,) Y, X]`` to the input's mean: blur moves light, it makes none.

    Unknown borders, regularization and clipping at the lowest value would change it by some tenths of a percent, and
    planes of a stack would flicker. An image with clipped pixels did lose some light, and one with many masked ones
    keeps what is unknown: they are returned unchanged. So is a scene beside objects far brighter, where
    the change would be more than slight: an error of theirs is more light than all of the scene.
    """
    if float((blurred.at_least | blurred.masked).any(1).float().mean()) > SATURATED_FRACTION:
        return image
    least = -math.inf if lowest is None else lowest
    axes = tuple(range(2, image.ndim))
    valid = (~blurred.masked).double()
    count = valid.sum(axes, keepdim=True).clamp(min=1)
    wanted = (blurred.values * valid).sum(axes, keepdim=True) / count
    unscaled, image = image, image.detach().double().clamp(min=least)
    change = wanted / ((image * valid).sum(axes, keepdim=True) / count).clamp(min=1e-12) - 1
    if is_outshone(typical_top(blurred)) and float(change.abs().max()) > SLIGHT_CHANGE:
        return unscaled
    for _ in range(FLUX_ROUNDS):
        factor = wanted / ((image * valid).sum(axes, keepdim=True) / count).clamp(min=1e-12)
        image = (image * factor.clamp(1 / MAX_FLUX_FACTOR, MAX_FLUX_FACTOR)).clamp(min=least)
    return image.float()
