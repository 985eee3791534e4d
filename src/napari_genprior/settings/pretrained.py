"""Of the methods with pretrained generators. ``image_prior`` and ``kernel_prior`` are names of installed priors."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Settings, unit
from .classical import KnownKernelSettings

PAPER = "papers 000 and 003"


class KernelPriorSettings(Settings):
    """A pretrained generator of kernels."""

    kernel_prior: str = Field(
        "motion-28",
        title="Kernel prior",
        description="Pretrained generator of blur kernels.",
    )


class PriorPairSettings(KernelPriorSettings):
    """A pretrained generator of pictures and one of kernels."""

    image_prior: str = Field(
        "",
        title="Picture prior",
        description="Pretrained generator of pictures like the blurred one, and of its size.",
    )


class ProjectSettings(Settings):
    """The blurred picture's closest picture in the range of a generator (eq. 4 of papers 000 and 003)."""

    image_prior: str = Field(
        "",
        title="Picture prior",
        description="Pretrained generator of pictures like the blurred one, and of its size.",
    )
    restarts: int = Field(
        4,
        ge=1,
        le=1000,
        title="Restarts",
        description="Random starts beside the encoder's.",
    )


class GeneratorSettings(PriorPairSettings):
    """Algorithm 1 of papers 000 and 003: both unknowns strictly in the range of generators."""

    schedule: Literal["fast", "paper"] = Field(
        "fast",
        title="Schedule",
        description="fast: second-order search from good starts, stopped by rule. "
        "paper: the published alternating gradient steps.",
    )
    restarts: int = Field(
        10,
        ge=1,
        le=1000,
        title="Restarts",
        json_schema_extra={"source": f"{PAPER}, table II"},
        description="Random starts; the least measurement loss wins. fast: twice as many begin, few are searched "
        "to the end, and the most evidence wins.",
    )
    start: Literal["random", "projection"] = Field(
        "random",
        title="Start of the picture",
        json_schema_extra={"source": "papers 000 and 003, algorithm 1: random; paper 001, algorithm 1: projection"},
        description="Of the published schedule: random latents, or those of the range picture closest to the blurred "
        "one. The kernel starts at random.",
    )
    image_ridge: float = Field(
        0.01,
        ge=0,
        le=100,
        title="Picture ridge (gamma)",
        json_schema_extra={"source": f"{PAPER}, table II; paper 001: 0.1, CelebA 0.001"},
        description="Weight of the squared norm of the picture's latent vector.",
    )
    kernel_ridge: float = Field(
        0.01,
        ge=0,
        le=100,
        title="Kernel ridge (lambda)",
        json_schema_extra={"source": f"{PAPER}, table II; paper 001: 0.1, CelebA 0.001"},
        description="Weight of the squared norm of the kernel's latent vector.",
    )
    steps: int = Field(
        6000,
        ge=1,
        le=1_000_000,
        title="Steps",
        json_schema_extra={"source": f"{PAPER}, table II: SVHN 6000, shoes and CelebA 10000; paper 001: MNIST 1500"},
        description="Number of alternating updates (paper), or the largest number of second-order updates (fast).",
    )
    rate: float = Field(
        0.01,
        gt=0,
        le=1,
        title="Step size",
        json_schema_extra={"source": f"{PAPER}, table II"},
        description="Length of the first steps of the published schedule.",
    )
    decay_steps: float = Field(
        1000.0,
        gt=0,
        le=1e9,
        title="Decay",
        json_schema_extra=unit("steps") | {"source": f"{PAPER}, table II; paper 001: MNIST 250"},
        description="The published step size falls by e in so many steps.",
    )


class RelaxedSettings(PriorPairSettings):
    """Algorithm 2 of papers 000 and 003: a free picture held near the range, with total variation."""

    schedule: Literal["fast", "paper"] = Field(
        "fast",
        title="Schedule",
        description="fast: from where Algorithm 1 ends, the free picture eliminated exactly, by second-order steps. "
        "paper: the published Adam steps.",
    )
    restarts: int = Field(
        10,
        ge=1,
        le=1000,
        title="Restarts",
        json_schema_extra={"source": f"{PAPER}, table III"},
        description="Random starts; the least measurement loss wins. fast: twice as many begin, few are searched "
        "to the end, and the most evidence wins.",
    )
    closeness: float = Field(
        100.0,
        ge=0,
        le=1e6,
        title="Closeness (tau)",
        json_schema_extra={"source": f"{PAPER}, table III"},
        description="Weight of the mean squared distance between the free picture and the generator's: "
        "small leaves slack.",
    )
    range_misfit: float = Field(
        0.5,
        ge=0,
        le=1e6,
        title="Range misfit (zeta)",
        json_schema_extra={"source": f"{PAPER}, table III"},
        description="Weight of the generator picture's own misfit.",
    )
    total_variation: float = Field(
        1e-3,
        ge=0,
        le=1e3,
        title="Total variation (rho)",
        json_schema_extra={"source": f"{PAPER}, table III"},
        description="Weight of the free picture's total variation.",
    )
    steps: int = Field(
        10_000,
        ge=1,
        le=1_000_000,
        title="Steps",
        json_schema_extra={"source": f"{PAPER}, table III"},
        description="Number of Adam updates (paper), or the largest number of second-order updates (fast).",
    )
    rate: float = Field(
        0.005,
        gt=0,
        le=1,
        title="Learning rate",
        json_schema_extra={"source": f"{PAPER}, table III"},
        description="Adam's, in the published schedule.",
    )


class EvidenceSettings(PriorPairSettings):
    """The kernel by its marginal likelihood, the picture integrated out; then a guided known-kernel solve."""

    smoothing: float = Field(
        1.0,
        ge=0,
        le=100,
        title="Smoothing",
        description="Strength of the total variation in the last step, as a multiple of what the noise asks for.",
    )


class PatchSettings(KnownKernelSettings, PriorPairSettings):
    """Overlapping patches, each in the range of a generator, and one kernel; then the picture for that kernel."""

    image_prior: str = Field(
        "",
        title="Picture prior",
        description="Pretrained generator of pictures like parts of the blurred one, at the same scale.",
    )
    steps: int = Field(
        150,
        ge=1,
        le=1_000_000,
        title="Steps",
        description="Largest number of second-order updates.",
    )
