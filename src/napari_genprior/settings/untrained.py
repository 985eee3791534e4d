"""Settings of the methods with untrained networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from .base import unit
from .classical import KnownKernelSettings
from .pretrained import KernelPriorSettings

# Common to SelfDeblur and its multiscale variant. Sources: Ren 2020, and the code published with it ("code").
DEPTH = 5  # levels of the image network; fewer for small images
SKIP_PART = 8  # ratio of channels to skip channels: 16 of 128 (code)
CODE_CHANNELS = 8  # of the image network's input (code)
CODE_JITTER = 1e-3  # noise added to that input in each step (code)
IMAGE_RATE = 1e-2  # learning rate of Adam for the image network
MILESTONES, DECAY = (0.4, 0.6, 0.8), 0.5  # all rates are halved after 2000, 3000 and 4000 of 5000 steps (code)


@dataclass(frozen=True)
class DeepSchedule:
    """The schedule of SelfDeblur or its multiscale variant; fractions refer to the steps at a scale."""

    steps: int
    channels: int
    kernel_net: Literal["mlp", "softmax"]
    kernel_rate: float
    ssim_from: float  # fraction at the last scale; the loss is the squared error before, 1 - SSIM after
    final_deconvolution: bool  # the final image is the deconvolution with the estimated kernel
    coarse_steps: tuple[int, ...] = ()  # at each coarser scale
    coarse_ssim_from: float = 1.0  # fraction at each coarser scale; 1: never
    kernel_energy: float = 0.0  # weight of |k|^2 at coarser scales and until SSIM takes over
    total_variation: float = 0.0  # weight, after SSIM has taken over


SELFDEBLUR = {
    "paper": DeepSchedule(
        steps=5000,
        channels=128,
        kernel_net="mlp",
        kernel_rate=1e-4,
        ssim_from=0.2,  # 1000 of 5000 (code; not in the paper)
        final_deconvolution=False,
    ),
    # a softmax of free values, fewer channels and steps; the kernel converges before the image
    "fast": DeepSchedule(
        steps=1000,
        channels=16,
        kernel_net="softmax",
        kernel_rate=5e-2,
        ssim_from=0.2,
        final_deconvolution=True,
    ),
}

# Kotera 2021 (ICIP), section 3
SCALE_STEP = 2**0.5
SMALLEST_SUPPORT = 7  # px, section 4.1
FIT_TOLERANCE = 10 / 255  # root mean square error as a fraction of the range of the fitted values
FIT_STEPS = 1000  # largest number; not stated there
KERNEL_FIT_RATE = 1e-3  # not stated there; the image network is fitted with its own learning rate
MULTISCALE = {
    "paper": DeepSchedule(
        steps=5000,
        coarse_steps=(500, 500),
        channels=128,
        kernel_net="mlp",
        kernel_rate=1e-4,
        ssim_from=0.4,  # 2000 of 5000
        final_deconvolution=False,
        kernel_energy=0.1,
        total_variation=0.01,
    ),
    "fast": DeepSchedule(
        steps=250,
        coarse_steps=(800, 400),
        coarse_ssim_from=0.15,  # at coarser scales too: kernels are more accurate after as many steps
        channels=16,
        kernel_net="softmax",
        kernel_rate=5e-2,
        ssim_from=0.15,
        final_deconvolution=True,
    ),
}


@dataclass(frozen=True)
class DecoderSchedule:
    """The schedule of algorithm 3 of Asim 2020."""

    steps: int
    width: int  # channels at half the image's size, doubled with each halving
    rate: float  # learning rate of Adam for both latents
    weight_rate: float  # learning rate of Adam for the network's weights
    final_deconvolution: bool


# Asim 2020, section V-D. Not stated there: width at 256 pixels, and the weights of both penalties in eq. 11, which are
# taken from tables II and III.
FIRST_FIT_STEPS, FIRST_FIT_RATE = 400, 1e-3
LATENT, WIDEST = 100, 512
KERNEL_LATENT_WEIGHT = 0.01  # kappa; lambda of algorithm 1
TOTAL_VARIATION = 1e-3  # nu; rho of algorithm 2
DECODER = {
    "paper": DecoderSchedule(steps=20_000, width=64, rate=1e-3, weight_rate=1e-4, final_deconvolution=False),
    "fast": DecoderSchedule(steps=2000, width=16, rate=1e-2, weight_rate=1e-3, final_deconvolution=True),
}


class UntrainedSettings(KnownKernelSettings):
    """Common settings of the methods with untrained networks."""

    schedule: Literal["fast", "paper"] = Field(
        "fast",
        title="Preset",
        description="fast: smaller networks, fewer steps, and final deconvolution with the estimated kernel. "
        "paper: as published, with the image of the network; takes hours on a CPU.",
    )
    steps: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        title="Steps",
        description="Number of updates (at the last scale; others in proportion); auto: that of the preset.",
    )
    ensemble: int = Field(
        1,
        ge=1,
        le=100,
        title="Ensemble size",
        description="Number of runs, with this and the following seeds; the result is the run with the lowest loss, "
        "and the standard deviation of all runs is another layer.",
    )
    report_every: int = Field(
        20,
        ge=1,
        le=10_000,
        title="Preview every",
        json_schema_extra=unit("steps"),
        description="Number of steps between previews; a preview takes about a third of the time of a step.",
    )


class SelfDeblurSettings(UntrainedSettings):
    """Settings of ``selfdeblur`` (Ren 2020): image and kernel from untrained networks."""

    channels: int | None = Field(
        None,
        ge=4,
        le=256,
        title="Channels",
        description="Channels of each level of the image network; auto: that of the preset (paper 128, fast 16).",
    )


class MultiscaleSettings(SelfDeblurSettings):
    """Settings of ``selfdeblur-multiscale`` (Kotera 2021): SelfDeblur from coarse to fine."""


class DecoderSettings(KernelPriorSettings, UntrainedSettings):
    """Settings of ``untrained`` (algorithm 3 of Asim 2020): untrained image network, pretrained kernels."""
