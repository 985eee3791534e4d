"""One kernel for many planes: which plane tells most of it, and the known-kernel step for all of them."""

from __future__ import annotations

import numpy as np
import torch

from ..blur.support import kernel_similarity, pad_to
from ..core.arrays import check_image, to_image, to_tensor
from ..core.iteration import run_to_end
from ..core.result import Verdict
from ..methods.final_deconvolution import final_image, match_flux
from ..operators.noise import KERNEL_NOISE, LEAST_NOISE, noise_std, residual_std
from ..settings import KnownKernelSettings
from .plan import intensity_scale, plan
from .run import run

UNEXPLAINED, RESIDUAL_FLOOR = 3.0, 0.01  # residual over noise, and fraction of the range, that are still explained


def judged(
    plane: np.ndarray, kernel: np.ndarray, settings: KnownKernelSettings, device: torch.device
) -> tuple[np.ndarray, Verdict]:
    """A plane restored with a given kernel as single images are, with all that a verdict looks at."""
    chosen = settings.model_dump(include=set(KnownKernelSettings.model_fields))
    result = run_to_end(run(plan(plane, "known-kernel", kernel=kernel, settings=chosen, device=str(device))))
    return result.image, result.verdict


def restored(
    plane: np.ndarray, kernel: np.ndarray, given: bool, settings: KnownKernelSettings, device: torch.device
) -> tuple[np.ndarray, bool]:
    """The known-kernel step for a plane ``[Y, X]`` or ``[Y, X, 3 or 4]``: float32, its own intensities.

    And whether the kernel explains the plane, by the residual alone: a verdict takes half as long as the solve.
    ``given`` says that the user vouches for the kernel, else it is estimated and errs.
    """
    plane = check_image(plane, "plane")
    intensity = intensity_scale(plane, settings)
    blurred = to_tensor(plane, intensity, device)
    k = torch.from_numpy(kernel)[None, None].to(device)
    noise = float(noise_std(blurred).mean())
    image = final_image(blurred, k, max(noise, LEAST_NOISE if given else KERNEL_NOISE), settings)
    explained = residual_std(blurred, image, k) <= max(UNEXPLAINED * noise, RESIDUAL_FLOOR)
    return to_image(match_flux(blurred, image, intensity), intensity, plane), explained


def smooth_over_time(kernels: list[np.ndarray]) -> list[np.ndarray]:
    """Kernels of successive frames, each averaged with its neighbours as far as they are alike.

    A search errs anew in each frame, while most blurs change slowly: the mean errs less. The weight of a neighbour is
    half of :func:`kernel_similarity` with the frame's own kernel: a blur that jumps stays as it was found.
    """
    sides = [max(k.shape[axis] for k in kernels) for axis in (0, 1)]
    same = [pad_to(kernel, sides) for kernel in kernels]
    smooth = []
    for t, own in enumerate(same):
        total, weight = own.astype(np.float64), 1.0
        for other in same[max(0, t - 1) : t] + same[t + 1 : t + 2]:
            alike = kernel_similarity(own, other) / 2
            total, weight = total + alike * other, weight + alike
        smooth.append((total / weight).astype(np.float32))
    return smooth
