"""Settings of deblurring in three dimensions."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Settings, unit


class VolumeSettings(Settings):
    """Settings of the deconvolution of volumes and of their blind PSF estimation (``methods/volumes.py``)."""

    solver: Literal["tv", "richardson-lucy", "wiener"] = Field(
        "tv",
        title="Solver",
        description="tv: total variation of first and second order, relative to the noise (most accurate). "
        "richardson-lucy: for photon noise, stopped when the residual is noise. wiener: a preview in one step.",
    )
    regularization: float = Field(
        1.0,
        ge=0.01,
        le=100,
        title="Regularization",
        description="Weight of the total variation, as a multiple of that with the least estimated error.",
    )
    background: float | None = Field(
        None,
        title="Background",
        description="Value at which the camera reads no light, if known; by default it is estimated from the noise.",
    )
    gain: float | None = Field(
        None,
        gt=0,
        title="Gain",
        description="Counts a photon, if known; by default they are estimated.",
    )
    read_noise: float | None = Field(
        None,
        ge=0,
        title="Read noise",
        description="Standard deviation of the noise without light in counts, if known; by default it is estimated.",
    )
    steps: int = Field(
        60,
        ge=1,
        le=10_000,
        title="Steps",
        description="Largest number of steps of the final deconvolution, which ends earlier on convergence.",
        json_schema_extra=unit("steps"),
    )
    n_candidates: int = Field(
        24,
        ge=1,
        le=1000,
        title="Candidates",
        description="Number of simulated microscopes from which the estimation of an unknown PSF starts.",
    )
    microscope: Literal["unknown", "widefield", "confocal"] = Field(
        "unknown",
        title="Microscope",
        description="Type of the microscope. For an unknown PSF, parameters given here and below are not estimated.",
    )
    na: float | None = Field(
        None,
        ge=0.1,
        le=1.7,
        title="Numerical aperture",
        description="Numerical aperture of the objective, if known. The voxel size must be correct then.",
    )
    wavelength_nm: float | None = Field(
        None,
        ge=200,
        le=2000,
        title="Wavelength",
        description="Wavelength of the emission, if known.",
        json_schema_extra=unit("nm"),
    )
    immersion_index: float | None = Field(
        None,
        ge=1,
        le=2,
        title="Immersion index",
        description="Refractive index of the immersion, if known: air 1, water 1.33, oil 1.515.",
    )
    kernel_prior: str = Field(
        "microscope-3d",
        title="Kernel prior",
        description="Pretrained linear generator of PSF volumes whose range an unknown PSF is constrained to.",
    )
