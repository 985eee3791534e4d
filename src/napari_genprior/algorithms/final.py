"""The last step of blind methods, and all of the known-kernel one: the picture for a kernel."""

from __future__ import annotations

from torch import Tensor

from ..classical.known_kernel import REFERENCE, STEPS, deconvolve, strength_for
from ..classical.learned_solve import restore
from ..settings import KnownKernelSettings
from ..zoo.restorers import find_restorer

FEWER_STEPS = 35  # as good as all from the reference noise on (benchmarks/RESULTS.md)


def final_picture(blurred: Tensor, kernel: Tensor, noise: float, settings: KnownKernelSettings) -> Tensor:
    """The restored picture ``[1, C, Y, X]``, by the installed restorer or by total variation.

    Parameters
    ----------
    blurred : Tensor [1, C, Y, X]
    kernel : Tensor [1, 1, kh, kw]
    noise : float
        Standard deviation, intensities in [0, 1]; of an estimated kernel, what it errs like.
    settings : KnownKernelSettings
    """
    net = find_restorer(blurred.device) if settings.final == "learned" else None
    if net is None:
        strength = settings.smoothing * strength_for(noise)
        return deconvolve(blurred, kernel, strength, FEWER_STEPS if strength >= REFERENCE[1] else STEPS)
    return restore(blurred, kernel, settings.smoothing * noise, net)
