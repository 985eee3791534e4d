"""End a method: restore the image for a kernel (:mod:`..deconvolution.known_kernel`) and keep the input's flux."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from ..core.intensity import Intensity
from ..deconvolution.known_kernel import deconvolve_known, final_image
from ..operators.noise import effective_noise
from ..operators.observation import SATURABLE

__all__ = ["deconvolve_known", "effective_noise", "final_image", "match_flux"]

SATURATED_FRACTION = 1e-3  # share of the pixels at the range's end, from which light may be missing
FLUX_ROUNDS = 3  # to scale an image may clip more of it
MAX_FLUX_FACTOR = 1.25  # an image whose mean is further off than this is wrong in other ways


def match_flux(blurred: Tensor, image: Tensor, intensity: Intensity) -> Tensor:
    """Scale each channel ``[R, C, (Z,) Y, X]`` to the input's mean: blur moves light, it makes none.

    Unknown borders, regularization and clipping at 0 would change it by some tenths of a percent, and planes of a
    stack would flicker. A saturated image did lose some light: it is returned unchanged.
    """
    if float((blurred > SATURABLE[1]).float().mean()) > SATURATED_FRACTION:
        return image
    low, high = (
        end if bound is None else float(intensity.to_working(np.array(bound)))
        for bound, end in ((intensity.low, -math.inf), (intensity.high, math.inf))
    )
    axes = tuple(range(2, blurred.ndim))
    wanted, image = blurred.double().mean(axes, keepdim=True), image.detach().double().clamp(low, high)
    for _ in range(FLUX_ROUNDS):
        factor = wanted / image.mean(axes, keepdim=True).clamp(min=1e-12)
        image = (image * factor.clamp(1 / MAX_FLUX_FACTOR, MAX_FLUX_FACTOR)).clamp(low, high)
    return image.float()
