"""Restore an image whose kernel is known or estimated: the one step that ends all methods for images."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..core.iteration import run_to_end
from ..operators.boundary import is_periodic
from ..operators.convolution import transfer_function
from ..operators.detail import most_textured_place
from ..operators.noise import KERNEL_NOISE, LEAST_NOISE, effective_noise, noise_level
from ..operators.observation import pad_periodic
from ..operators.observed import CAP, CLIPPED_REACH_PX, Observed, as_observed, typical_top, widen, without_highlights
from ..operators.photon_noise import PhotonNoise, find_photon_noise
from ..settings import KnownKernelSettings
from ..zoo.restorers import find_restorer
from .estimated_error import split_noise
from .photon_noise import choose_strength, restore_photons
from .total_variation import REFERENCE_STRENGTH, STEPS, deconvolve, strength_for
from .unrolled import restore

FEWER_STEPS = 35  # as good as all from the reference noise on (docs/decisions/0006-final-deconvolution.md)
STRENGTH_REGION_PX = (256, 256)  # where the strength for photon noise is chosen
WIDE_RANGE = 0.1  # of the range: where the typical top is below, few bright objects outshine the scene


def deconvolve_known(
    blurred: Tensor | Observed,
    kernel: Tensor,
    settings: KnownKernelSettings,
    *,
    kernel_given: bool,
    noise: float | None = None,
    periodic: bool | None = None,
) -> Tensor:
    """Restore images for a given or an estimated kernel.

    Parameters
    ----------
    blurred : Tensor [R, C, Y, X] or Observed
        Working units.
    kernel : Tensor [R, 1, kh, kw]
        >= 0, sum 1; either R may be 1.
    settings : KnownKernelSettings
    kernel_given : bool
        The user vouches for the kernel; an estimated one errs, and more noise is assumed (:func:`.effective_noise`).
    noise : float, optional
        Standard deviation, fraction of the range; by default it is measured.
    periodic : bool, optional
        The image is periodic; by default its seams are looked at.

    Returns
    -------
    Tensor [R, C, Y, X]
    """
    observed = as_observed(blurred)
    if kernel_given and (photons := _photon_noise(observed, kernel, settings)):
        return _restore_photons(observed, kernel, photons, settings)
    measured = noise_level(observed) if noise is None else noise
    periodic = is_periodic(without_highlights(observed), measured) if periodic is None else periodic
    observed = observed if kernel_given else observed.without_clipped()
    return final_image(observed, kernel, effective_noise(measured, kernel_given), settings, periodic)


def final_image(
    blurred: Tensor | Observed, kernel: Tensor, noise: float, settings: KnownKernelSettings, periodic: bool = False
) -> Tensor:
    """Restore images by the installed network or by total variation, for an assumed noise level.

    Parameters
    ----------
    blurred : Tensor [R, C, Y, X] or Observed
    kernel : Tensor [R, 1, kh, kw]
    noise : float
        Standard deviation, intensities in [0, 1], as :func:`.effective_noise` returns it.
    settings : KnownKernelSettings
    periodic : bool
        The image is periodic (:func:`~..operators.boundary.is_periodic`).
    """
    observed = as_observed(blurred)
    top = typical_top(observed)
    whole = _restore(observed, kernel, noise, settings, periodic)
    if not is_outshone(top):
        return whole
    # the scene lies far below few bright objects: it is restored on its own scale, on which these only say "at least"
    dim, floor, bright = observed.rescaled(top, CAP), LEAST_NOISE, whole > CAP * top
    if noise >= KERNEL_NOISE:  # as of estimated kernels, whose ghosts of a bright object outshine the scene too
        bright &= widen(dim.at_least, CLIPPED_REACH_PX)
        dim, floor = dim.without_clipped(), KERNEL_NOISE
    scene = top * _restore(dim, kernel, max(noise_level(dim), floor), settings, periodic)
    return torch.where(bright, whole, scene)


def is_outshone(top: float) -> bool:
    """Tell whether a scene lies far below few bright objects, by its typical top (:func:`.typical_top`)."""
    return 0 < top < WIDE_RANGE


def _restore(blurred: Observed, kernel: Tensor, noise: float, settings: KnownKernelSettings, periodic: bool) -> Tensor:
    net = find_restorer(kernel.device) if settings.deconvolution == "network" else None
    if net is None:
        strength = settings.regularization * strength_for(noise)
        steps = FEWER_STEPS if strength >= REFERENCE_STRENGTH[2] else STEPS
        return deconvolve(blurred, kernel, strength, steps, periodic)
    return restore(blurred, kernel, settings.regularization * noise, net, periodic)


def _photon_noise(blurred: Observed, kernel: Tensor, settings: KnownKernelSettings) -> PhotonNoise | None:
    """Find photon noise in a single grey image."""
    grey = blurred.values.shape[:2] == (1, 1) and len(kernel) == 1
    return find_photon_noise(blurred) if grey and settings.deconvolution == "tv" else None


def _restore_photons(blurred: Observed, kernel: Tensor, photons: PhotonNoise, settings: KnownKernelSettings) -> Tensor:
    """Restore an image with photon noise; its light begins at the level at which the camera reads none."""
    light = replace(blurred, values=blurred.values - photons.level)
    part = light.crop(most_textured_place(light.values, STRENGTH_REGION_PX))
    choice, whole = (pad_periodic(each, kernel.shape[2:]) for each in (part, light))
    halves = split_noise(choice, transfer_function(kernel, choice.shape), photons.model)
    strength = run_to_end(choose_strength(halves)).times(settings.regularization)
    search = restore_photons(whole, transfer_function(kernel, whole.shape), photons.model, strength=strength)
    return whole.crop(run_to_end(search).image) + photons.level
