"""Of the methods with untrained networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from .base import unit
from .classical import KnownKernelSettings
from .pretrained import KernelPriorSettings

# All of SelfDeblur's kind. Sources: Ren et al., CVPR 2020, and the code published with it ("code").
DEPTH = 5  # levels of the image's network; fewer on small images
SKIP_PART = 8  # 16 skip channels of 128 (code); the same part of fewer
CODE_CHANNELS = 8  # of the image network's input (code)
CODE_JITTER = 1e-3  # noise added to that input in each step (code)
IMAGE_RATE = 1e-2  # Adam, image's network
MILESTONES, DECAY = (0.4, 0.6, 0.8), 0.5  # all rates are halved after 2000, 3000 and 4000 of 5000 steps (code)


@dataclass(frozen=True)
class DeepSchedule:
    """How a method of SelfDeblur's kind is run; fractions are of the steps at a scale."""

    steps: int
    channels: int
    kernel_net: Literal["mlp", "softmax"]
    kernel_rate: float
    ssim_from: float  # fraction at the last scale; the misfit is the squared error before, 1 - SSIM after
    final_solve: bool  # the result's image is solved for, given the kernel found
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
        ssim_from=0.2,  # 1000 of 5000 (code; the article does not mention it)
        final_solve=False,
    ),
    # a softmax of free values, fewer channels and steps, and no need to wait for the image: it lags behind the kernel
    "fast": DeepSchedule(
        steps=1000,
        channels=16,
        kernel_net="softmax",
        kernel_rate=5e-2,
        ssim_from=0.2,
        final_solve=True,
    ),
}

# Kotera et al., ICIP 2021 (Kotera 2021), section 3
SCALE_STEP = 2**0.5
SMALLEST_SUPPORT = 7  # px, section 4.1
FIT_TOLERANCE = 10 / 255  # root mean square, of the range of what is fitted
FIT_STEPS = 1000  # at most; left open there
KERNEL_FIT_RATE = 1e-3  # left open there; the image's network is fitted at its own rate
MULTISCALE = {
    "paper": DeepSchedule(
        steps=5000,
        coarse_steps=(500, 500),
        channels=128,
        kernel_net="mlp",
        kernel_rate=1e-4,
        ssim_from=0.4,  # 2000 of 5000
        final_solve=False,
        kernel_energy=0.1,
        total_variation=0.01,
    ),
    "fast": DeepSchedule(
        steps=250,
        coarse_steps=(800, 400),
        coarse_ssim_from=0.15,  # at coarser scales too: kernels get nearer in as many steps
        channels=16,
        kernel_net="softmax",
        kernel_rate=5e-2,
        ssim_from=0.15,
        final_solve=True,
    ),
}


@dataclass(frozen=True)
class DecoderSchedule:
    """How algorithm 3 of Asim 2020 is run."""

    steps: int
    width: int  # channels at half the image's size, doubled with each halving
    rate: float  # Adam, both latents
    weight_rate: float  # Adam, the network's weights
    final_solve: bool


# Asim 2020, section V-D. Open there: width at 256 pixels, and the weights of both penalties in eq. 11; those
# are taken over from tables II and III.
FIRST_FIT_STEPS, FIRST_FIT_RATE = 400, 1e-3
LATENT, WIDEST = 100, 512
KERNEL_RIDGE = 0.01  # kappa; lambda of algorithm 1
TOTAL_VARIATION = 1e-3  # nu; rho of algorithm 2
DECODER = {
    "paper": DecoderSchedule(steps=20_000, width=64, rate=1e-3, weight_rate=1e-4, final_solve=False),
    "fast": DecoderSchedule(steps=2000, width=16, rate=1e-2, weight_rate=1e-3, final_solve=True),
}


class UntrainedSettings(KnownKernelSettings):
    """What the methods with untrained networks have in common."""

    schedule: Literal["fast", "paper"] = Field(
        "fast",
        title="Schedule",
        description="fast: smaller networks, fewer steps, and the final solve for the kernel found. "
        "paper: as published, with the network's own image; hours on a processor.",
    )
    steps: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        title="Steps",
        description="Number of updates (at the last of several scales, others in proportion); auto: the schedule's.",
    )
    ensemble: int = Field(
        1,
        ge=1,
        le=100,
        title="Runs",
        description="Runs with this and the following seeds; the one with the least loss is the result, and how much "
        "they differ comes as a layer.",
    )
    report_every: int = Field(
        20,
        ge=1,
        le=10_000,
        title="Preview every",
        json_schema_extra=unit("steps"),
        description="Number of steps between previews; each costs about a third of a step.",
    )


class SelfDeblurSettings(UntrainedSettings):
    """SelfDeblur (Ren et al., CVPR 2020): both unknowns from untrained networks (``methods.selfdeblur``)."""

    channels: int | None = Field(
        None,
        ge=4,
        le=256,
        title="Channels",
        description="Of each level of the image's network; auto: the schedule's (128 as published, 16 fast).",
    )


class MultiscaleSettings(SelfDeblurSettings):
    """SelfDeblur from coarse to fine (Kotera et al., ICIP 2021; ``algorithms.multiscale``)."""


class DecoderSettings(KernelPriorSettings, UntrainedSettings):
    """Algorithm 3 of Asim 2020: untrained image network, pretrained kernels (``methods.untrained``)."""
