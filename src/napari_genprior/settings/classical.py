"""Settings of the methods without a pretrained image prior."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Settings


class KnownKernelSettings(Settings):
    """Settings of non-blind deconvolution (``deconvolution/unrolled.py``, ``deconvolution/total_variation.py``)."""

    deconvolution: Literal["network", "tv"] = Field(
        "tv",
        title="Deconvolution",
        description="tv: total variation. network: unrolled deconvolution with a network that was trained on natural "
        "images under simulated camera shake (licensed for non-commercial research only, as its data are; where it is "
        "not installed, tv is used). The network is more accurate where the kernel is almost exact, and less accurate "
        "on real photographs with measured kernels.",
    )
    regularization: float = Field(
        1.0,
        ge=0,
        le=100,
        title="Regularization",
        description="Strength of the regularization: assumed noise (and weight of the total variation) as a multiple "
        "of the noise estimated from the image. More suppresses noise and ringing, less preserves fine detail.",
    )
    transfer_function: Literal["none", "srgb"] = Field(
        "none",
        title="Transfer function",
        description="none: values are proportional to light (microscopes, raw data). srgb: values are sRGB-encoded, as "
        "in photographs of cameras and telephones. Blur is linear in light: such images are decoded, restored, and "
        "encoded again.",
    )


class ClassicalSettings(KnownKernelSettings):
    """Settings of ``classical``: coarse-to-fine kernel estimation with an L0 gradient prior, then deconvolution."""

    kernel_prior: str | None = Field(
        None,
        title="Kernel prior",
        description="Pretrained generator of blur kernels whose range the kernel is constrained to, at its size; for "
        "images of any size and class. None: the kernel is not constrained.",
    )
