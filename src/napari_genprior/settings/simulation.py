"""Settings of the blur simulation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Settings, unit


class BlurSettings(Settings):
    """Settings of a simulated blur kernel (``blur/``)."""

    kind: Literal["motion", "shake", "gaussian", "defocus", "box", "blur-a", "blur-b"] = Field(
        "motion",
        title="Blur",
        description="Kind of blur: straight motion, camera shake, Gaussian, defocus disk, box, or the kernel classes A "
        "(motion) and B (motion + Gaussian) of Asim 2018.",
    )
    length: float = Field(
        15.0,
        ge=1,
        le=201,
        title="Length",
        json_schema_extra=unit("px"),
        description="Length of the straight motion or of the shake path, or side of the box.",
    )
    angle_deg: float = Field(
        30.0,
        ge=-360,
        le=360,
        title="Angle",
        json_schema_extra=unit("degrees"),
        description="Direction of the motion, or of the long axis of the Gaussian, counter-clockwise from the x axis.",
    )
    sigma_px: float = Field(
        2.0,
        gt=0,
        le=50,
        title="Sigma",
        json_schema_extra=unit("px"),
        description="Standard deviation of the Gaussian (along its long axis).",
    )
    aspect: float = Field(
        1.0,
        gt=0,
        le=1,
        title="Aspect",
        description="Ratio of the short to the long axis of the Gaussian; 1 is isotropic.",
    )
    radius_px: float = Field(
        4.0,
        gt=0,
        le=100,
        title="Radius",
        json_schema_extra=unit("px"),
        description="Radius of the defocus disk.",
    )


class NoiseSettings(Settings):
    """Settings of noise and boundary of a simulated image (``simulate``)."""

    noise: float = Field(
        0.01,
        ge=0,
        le=1,
        title="Gaussian noise",
        json_schema_extra=unit("fraction of the range"),
        description="Standard deviation of additive Gaussian noise as a fraction of the image's range (0.01 is 1%).",
    )
    photons: float = Field(
        0.0,
        ge=0,
        le=1e9,
        title="Photons at full scale",
        description="Number of photons at the image's full scale, for Poisson noise; 0: no Poisson noise.",
    )
    boundary: Literal["circular", "valid", "reflect"] = Field(
        "reflect",
        title="Boundary",
        description="Extension of the image beyond its boundary: periodic (circular), none (valid: the result is "
        "smaller), or mirrored (reflect).",
    )
    clip: bool = Field(
        True, title="Clip", description="Clip the blurred image to the range of the sharp one, as a camera does."
    )
