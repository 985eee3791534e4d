"""Of the methods without a learned prior."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Settings


class KnownKernelSettings(Settings):
    """The image for a given kernel (``deconvolution/unrolled.py``, ``deconvolution/total_variation.py``)."""

    deconvolution: Literal["network", "tv"] = Field(
        "tv",
        title="Deconvolution",
        description="By total variation, or by a network that learnt on natural images under simulated shakes (for "
        "non-commercial research only, as they are; where it is not installed, total variation): better where the "
        "kernel is exact or nearly so, worse on real photographs with measured kernels so far.",
    )
    regularization: float = Field(
        1.0,
        ge=0,
        le=100,
        title="Smoothing",
        description="Noise that is reckoned with, as a multiple of what the image shows (strength of the total "
        "variation likewise). More hides noise and ringing, less keeps fine detail.",
    )
    transfer_function: Literal["none", "srgb"] = Field(
        "none",
        title="Transfer function",
        description="none: values are taken as they are (microscopes, raw data). srgb: they are the sRGB code of "
        "light, as cameras and telephones save photographs. Blur adds up light: it is solved for, and coded again.",
    )


class ClassicalSettings(KnownKernelSettings):
    """Coarse-to-fine kernel estimation with an L0 gradient prior, then the image for it (``classical/``)."""

    kernel_prior: str | None = Field(
        None,
        title="Kernel prior",
        description="Pretrained generator of blur kernels, in whose range the kernel is sought, at its size; for "
        "images of any size and class. None: the kernel is free.",
    )
