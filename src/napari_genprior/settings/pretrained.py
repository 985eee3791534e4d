"""Of the methods with pretrained generators. ``image_prior`` and ``kernel_prior`` are names of installed priors."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Settings, unit
from .classical import KnownKernelSettings

PAPER = "Asim 2020"


class KernelPriorSettings(Settings):
    """A pretrained generator of kernels."""

    kernel_prior: str = Field(
        "motion-28",
        title="Kernel prior",
        description="Pretrained generator of blur kernels.",
    )


class PriorPairSettings(KernelPriorSettings):
    """A pretrained generator of images and one of kernels."""

    image_prior: str = Field(
        "",
        title="Image prior",
        description="Pretrained generator of images like the blurred one, and of its size.",
    )


class ProjectSettings(Settings):
    """The blurred image's closest image in the range of a generator (eq. 4 of Asim 2020)."""

    image_prior: str = Field(
        "",
        title="Image prior",
        description="Pretrained generator of images like the blurred one, and of its size.",
    )
    restarts: int = Field(
        4,
        ge=1,
        le=1000,
        title="Restarts",
        description="Random starts beside the encoder's.",
    )


class GeneratorSettings(PriorPairSettings):
    """Algorithm 1 of Asim 2020: both unknowns strictly in the range of generators."""

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
    image_initialization: Literal["random", "projection"] = Field(
        "random",
        title="Start of the image",
        json_schema_extra={"source": "Asim 2020, algorithm 1: random; Asim 2018, algorithm 1: projection"},
        description="Of the published schedule: random latents, or those of the range image closest to the blurred "
        "one. The kernel starts at random.",
    )
    image_latent_weight: float = Field(
        0.01,
        ge=0,
        le=100,
        title="Image ridge (gamma)",
        json_schema_extra={"source": f"{PAPER}, table II; Asim 2018: 0.1, CelebA 0.001"},
        description="Weight of the squared norm of the image's latent vector.",
    )
    kernel_latent_weight: float = Field(
        0.01,
        ge=0,
        le=100,
        title="Kernel ridge (lambda)",
        json_schema_extra={"source": f"{PAPER}, table II; Asim 2018: 0.1, CelebA 0.001"},
        description="Weight of the squared norm of the kernel's latent vector.",
    )
    steps: int = Field(
        6000,
        ge=1,
        le=1_000_000,
        title="Steps",
        json_schema_extra={"source": f"{PAPER}, table II: SVHN 6000, shoes and CelebA 10000; Asim 2018: MNIST 1500"},
        description="Number of alternating updates (paper), or the largest number of second-order updates (fast).",
    )
    learning_rate: float = Field(
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
        json_schema_extra=unit("steps") | {"source": f"{PAPER}, table II; Asim 2018: MNIST 250"},
        description="The published step size falls by e in so many steps.",
    )


class RelaxedSettings(PriorPairSettings):
    """Algorithm 2 of Asim 2020: a free image held near the range, with total variation."""

    schedule: Literal["fast", "paper"] = Field(
        "fast",
        title="Schedule",
        description="fast: from where Algorithm 1 ends, the free image eliminated exactly, by second-order steps. "
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
    range_weight: float = Field(
        100.0,
        ge=0,
        le=1e6,
        title="Closeness (tau)",
        json_schema_extra={"source": f"{PAPER}, table III"},
        description="Weight of the mean squared distance between the free image and the generator's: "
        "small leaves slack.",
    )
    generator_data_weight: float = Field(
        0.5,
        ge=0,
        le=1e6,
        title="Range misfit (zeta)",
        json_schema_extra={"source": f"{PAPER}, table III"},
        description="Weight of the generator image's own misfit.",
    )
    total_variation: float = Field(
        1e-3,
        ge=0,
        le=1e3,
        title="Total variation (rho)",
        json_schema_extra={"source": f"{PAPER}, table III"},
        description="Weight of the free image's total variation.",
    )
    steps: int = Field(
        10_000,
        ge=1,
        le=1_000_000,
        title="Steps",
        json_schema_extra={"source": f"{PAPER}, table III"},
        description="Number of Adam updates (paper), or the largest number of second-order updates (fast).",
    )
    learning_rate: float = Field(
        0.005,
        gt=0,
        le=1,
        title="Learning rate",
        json_schema_extra={"source": f"{PAPER}, table III"},
        description="Adam's, in the published schedule.",
    )


class EvidenceSettings(PriorPairSettings):
    """The kernel by its marginal likelihood, the image integrated out; then a guided known-kernel solve."""

    regularization: float = Field(
        1.0,
        ge=0,
        le=100,
        title="Smoothing",
        description="Strength of the total variation in the last step, as a multiple of what the noise asks for.",
    )


class PatchSettings(KnownKernelSettings, PriorPairSettings):
    """Overlapping patches, each in the range of a generator, and one kernel; then the image for that kernel."""

    image_prior: str = Field(
        "",
        title="Image prior",
        description="Pretrained generator of images like parts of the blurred one, at the same scale.",
    )
    steps: int = Field(
        150,
        ge=1,
        le=1_000_000,
        title="Steps",
        description="Largest number of second-order updates.",
    )
