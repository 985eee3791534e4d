"""Restore pieces whose kernel is known: by a run of their own, or without the verdict that takes twice as long."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..core.arrays import kernel_to_tensor
from ..core.checks import check_image
from ..methods.final_deconvolution import deconvolve_known, match_flux
from ..methods.registry import METHODS
from ..operators.noise import noise_level, residual_std
from ..settings import KnownKernelSettings, Settings
from .observe import observe_piece
from .plan import Plan

UNEXPLAINED, RESIDUAL_FLOOR = 3.0, 0.01  # residual over noise, and fraction of the range, up to which it is explained


def known_kernel_plan(plan: Plan) -> Plan:
    """Return the same run as deconvolution with a known kernel; of a plane that is one step, without a time limit."""
    settings = plan.settings if plan.is_volume else known_kernel_settings(plan.settings)
    limit = plan.time_limit_s if plan.is_volume else None
    return replace(plan, method=METHODS["known-kernel"], settings=settings, priors={}, time_limit_s=limit)


def known_kernel_settings(settings: Settings) -> KnownKernelSettings:
    """Return those settings of a method that deconvolution of a plane with a known kernel has."""
    if not isinstance(settings, KnownKernelSettings):
        return KnownKernelSettings.checked({})
    return KnownKernelSettings.checked(settings.model_dump(include=set(KnownKernelSettings.model_fields)))


def restore_plane(
    plan: Plan, plane: np.ndarray, kernel: np.ndarray, mask: np.ndarray | None = None
) -> tuple[np.ndarray, bool, dict[str, int]]:
    """Restore a plane with a known or estimated kernel.

    Parameters
    ----------
    plane : array [Y, X] or [Y, X, 3 or 4]
    kernel : float32 array [kh, kw]
    mask : bool array [Y, X], optional
        True at pixels that say nothing.

    Returns
    -------
    image : float32 array
        The plane's own intensities.
    explained : bool
        Whether the kernel explains the plane, by the residual alone.
    counts : dict of str to int
        Pixels that were left out, by what is wrong with them.
    """
    plane = check_image(plane, "plane", allow_missing=True)
    piece = observe_piece(plane, plan.settings, plan.device, mask)
    blurred = piece.observed
    k = kernel_to_tensor(kernel, plan.device)
    noise = noise_level(blurred)
    settings, given = known_kernel_settings(plan.settings), plan.kernels is not None
    image = deconvolve_known(blurred, k, settings, kernel_given=given, noise=noise, periodic=False)
    explained = residual_std(blurred.explained_by(image, k), image, k) <= max(UNEXPLAINED * noise, RESIDUAL_FLOOR)
    return piece.to_image(match_flux(blurred, image, piece.intensity.lowest)), explained, piece.survey.counts
