"""The last step of blind methods, and all of the known-kernel one: the image for a kernel."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from ..core.arrays import Intensity
from ..deconvolution.total_variation import REFERENCE, STEPS, deconvolve, strength_for
from ..deconvolution.unrolled import restore
from ..operators.observation import END
from ..settings import KnownKernelSettings
from ..zoo.restorers import find_restorer

FEWER_STEPS = 35  # as good as all from the reference noise on (benchmarks/RESULTS.md)
MAY_BE_CUT_OFF = 1e-3  # share of the pixels at the range's end, the brightest of all among them
FLUX_ROUNDS = 3  # to scale an image may cut more of it off
MOST_FLUX = 1.25  # an image whose mean is further off than this is wrong in other ways


def final_image(
    blurred: Tensor, kernel: Tensor, noise: float, settings: KnownKernelSettings, circular: bool = False
) -> Tensor:
    """The restored image ``[1, C, Y, X]``, by the installed restorer or by total variation.

    Parameters
    ----------
    blurred : Tensor [1, C, Y, X]
    kernel : Tensor [1, 1, kh, kw]
    noise : float
        Standard deviation, intensities in [0, 1]; of an estimated kernel, what it errs like.
    settings : KnownKernelSettings
    circular : bool
        The image goes on at its other side (:func:`~..operators.boundary.is_periodic`).
    """
    net = find_restorer(blurred.device) if settings.deconvolution == "network" else None
    if net is None:
        strength = settings.regularization * strength_for(noise)
        steps = FEWER_STEPS if strength >= REFERENCE[1] else STEPS
        return deconvolve(blurred, kernel, strength, steps, circular)
    return restore(blurred, kernel, settings.regularization * noise, net, circular)


def match_flux(blurred: Tensor, image: Tensor, intensity: Intensity) -> Tensor:
    """Scale each channel ``[R, C, Y, X]`` to the input's mean: blur moves light, it makes none.

    Unknown borders, smoothing and what is cut off at 0 would change it by some tenths of a percent, and planes of a
    stack would flicker. An image of which light was cut off did lose some: it stays as it is.
    """
    if float((blurred > 1 - END).float().mean()) > MAY_BE_CUT_OFF:
        return image
    low, high = (
        end if bound is None else float(intensity.to_working(np.array(bound)))
        for bound, end in ((intensity.low, -math.inf), (intensity.high, math.inf))
    )
    wanted, image = blurred.double().mean((-2, -1), keepdim=True), image.detach().double().clamp(low, high)
    for _ in range(FLUX_ROUNDS):
        factor = wanted / image.mean((-2, -1), keepdim=True).clamp(min=1e-12)
        image = (image * factor.clamp(1 / MOST_FLUX, MOST_FLUX)).clamp(low, high)
    return image.float()
