"""Settings of the methods with pretrained generators.

``image_prior`` and ``kernel_prior`` are names of installed priors.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Settings, unit
from .classical import KnownKernelSettings

PAPER = "Asim 2020"


class KernelPriorSettings(Settings):
    """Settings of methods with a pretrained generator of kernels."""

    kernel_prior: str = Field(
        "motion-28",
        title="Kernel prior",
        description="Pretrained generator of blur kernels.",
    )


class PriorPairSettings(KernelPriorSettings):
    """Settings of methods with pretrained generators of images and of kernels."""

    image_prior: str = Field(
        "",
        title="Image prior",
        description="Pretrained generator of images of the same class and size as the blurred image.",
    )


class ProjectSettings(Settings):
    """Settings of ``project``: projection of the blurred image onto the range of a generator (eq. 4 of Asim 2020)."""

    image_prior: str = Field(
        "",
        title="Image prior",
        description="Pretrained generator of images of the same class and size as the blurred image.",
    )
    restarts: int = Field(
        4,
        ge=1,
        le=1000,
        title="Restarts",
        description="Number of random restarts in addition to the encoder's estimate.",
    )


class GeneratorSettings(PriorPairSettings):
    """Settings of ``generator`` (algorithm 1 of Asim 2020): image and kernel in the range of generators."""

    schedule: Literal["fast", "paper"] = Field(
        "fast",
        title="Preset",
        description="fast: second-order optimization from predicted latents, with a stopping rule. "
        "paper: the published alternating gradient steps.",
    )
    restarts: int = Field(
        10,
        ge=1,
        le=1000,
        title="Restarts",
        json_schema_extra={"source": f"{PAPER}, table II"},
        description="Number of random restarts; the result is that of the lowest data misfit. fast: twice as many "
        "restarts, of which the best are continued, and the result is that of the highest evidence.",
    )
    image_initialization: Literal["random", "projection"] = Field(
        "random",
        title="Image initialization",
        json_schema_extra={"source": "Asim 2020, algorithm 1: random; Asim 2018, algorithm 1: projection"},
        description="Initial image latents of the published schedule: random, or those of the image in the range that "
        "is closest to the blurred one. Initial kernel latents are random.",
    )
    image_latent_weight: float = Field(
        0.01,
        ge=0,
        le=100,
        title="Image latent weight (gamma)",
        json_schema_extra={"source": f"{PAPER}, table II; Asim 2018: 0.1, CelebA 0.001"},
        description="Weight of the squared norm of the image's latent vector.",
    )
    kernel_latent_weight: float = Field(
        0.01,
        ge=0,
        le=100,
        title="Kernel latent weight (lambda)",
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
        description="Initial step size of the published schedule.",
    )
    decay_steps: float = Field(
        1000.0,
        gt=0,
        le=1e9,
        title="Decay",
        json_schema_extra=unit("steps") | {"source": f"{PAPER}, table II; Asim 2018: MNIST 250"},
        description="Number of steps in which the step size of the published schedule decreases by a factor of e.",
    )


class RelaxedSettings(PriorPairSettings):
    """Settings of ``relaxed`` (algorithm 2 of Asim 2020): an image near the range, with total variation."""

    schedule: Literal["fast", "paper"] = Field(
        "fast",
        title="Preset",
        description="fast: second-order optimization from the result of algorithm 1, with the image eliminated in "
        "closed form. paper: the published Adam steps.",
    )
    restarts: int = Field(
        10,
        ge=1,
        le=1000,
        title="Restarts",
        json_schema_extra={"source": f"{PAPER}, table III"},
        description="Number of random restarts; the result is that of the lowest data misfit. fast: twice as many "
        "restarts, of which the best are continued, and the result is that of the highest evidence.",
    )
    range_weight: float = Field(
        100.0,
        ge=0,
        le=1e6,
        title="Range weight (tau)",
        json_schema_extra={"source": f"{PAPER}, table III"},
        description="Weight of the mean squared distance between the image and the generator's image; a small weight "
        "allows images outside the range.",
    )
    generator_data_weight: float = Field(
        0.5,
        ge=0,
        le=1e6,
        title="Generator data weight (zeta)",
        json_schema_extra={"source": f"{PAPER}, table III"},
        description="Weight of the data misfit of the generator's image.",
    )
    total_variation: float = Field(
        1e-3,
        ge=0,
        le=1e3,
        title="Total variation (rho)",
        json_schema_extra={"source": f"{PAPER}, table III"},
        description="Weight of the image's total variation.",
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
        description="Learning rate of Adam in the published schedule.",
    )


class EvidenceSettings(PriorPairSettings):
    """Settings of ``evidence``: the kernel by marginal likelihood, then guided deconvolution."""

    regularization: float = Field(
        1.0,
        ge=0,
        le=100,
        title="Regularization",
        description="Weight of the total variation in the final deconvolution, as a multiple of that for the noise.",
    )


class PatchSettings(KnownKernelSettings, PriorPairSettings):
    """Settings of ``patches``: overlapping patches in the range of a generator, one kernel; then deconvolution."""

    image_prior: str = Field(
        "",
        title="Image prior",
        description="Pretrained generator of images like patches of the blurred one, at the same scale.",
    )
    steps: int = Field(
        150,
        ge=1,
        le=1_000_000,
        title="Steps",
        description="Largest number of second-order updates.",
    )
