"""Of deblurring in three dimensions."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Settings, unit


class VolumeSettings(Settings):
    """The volume for a kernel, and how the kernel is sought where none is given (``methods/volumes.py``)."""

    solver: Literal["tv", "richardson-lucy", "wiener"] = Field(
        "tv",
        title="Solver",
        description="Total variation with the noise as it is measured (best, and quick); Richardson-Lucy for photon "
        "noise, stopped where noise is all that is left; Wiener's filter: a first look in one step.",
    )
    regularization: float = Field(
        1.0,
        ge=0.01,
        le=100,
        title="Smoothing",
        description="Strength of the total variation, as a multiple of what best foretells voxels left out.",
    )
    steps: int = Field(
        40,
        ge=1,
        le=10_000,
        title="Steps",
        description="Most steps of the last solve; it ends before where nothing moves any more.",
        json_schema_extra=unit("steps"),
    )
    n_candidates: int = Field(
        24,
        ge=1,
        le=1000,
        title="Candidates",
        description="Simulated microscopes that the search for an unknown kernel begins at.",
    )
    microscope: Literal["unknown", "widefield", "confocal"] = Field(
        "unknown",
        title="Microscope",
        description="What took the volume. Of an unknown kernel, what is told here and below is not searched for.",
    )
    na: float | None = Field(
        None,
        ge=0.1,
        le=1.7,
        title="Numerical aperture",
        description="Of the objective, where it is known. Then sides of voxels must be right in um.",
    )
    wavelength_nm: float | None = Field(
        None,
        ge=200,
        le=2000,
        title="Wavelength",
        description="Of the emitted light, where it is known.",
        json_schema_extra=unit("nm"),
    )
    immersion_index: float | None = Field(
        None,
        ge=1,
        le=2,
        title="Immersion index",
        description="Refractive index the objective is made for, where it is known: air 1, water 1.33, oil 1.515.",
    )
    kernel_prior: str = Field(
        "microscope-3d",
        title="Kernel prior",
        description="Pretrained linear generator of volumes, in whose range an unknown kernel is sought.",
    )
