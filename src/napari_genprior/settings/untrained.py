"""Of the methods with untrained networks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Settings, unit


class SelfDeblurSettings(Settings):
    """SelfDeblur (Ren et al., CVPR 2020) in plain form (``algorithms.untrained.selfdeblur``)."""

    steps: int = Field(
        1000,
        ge=10,
        le=100_000,
        title="Steps",
        json_schema_extra={"source": "Ren et al. 2020: 5000; fewer for CPU"},
        description="Number of updates. More steps sharpen the picture; the kernel settles early.",
    )
    channels: int = Field(
        32,
        ge=4,
        le=256,
        title="Channels",
        json_schema_extra={"source": "Ren et al. 2020: 128; fewer for CPU"},
        description="Channels of each level of the picture's network.",
    )
    skip_channels: int = Field(
        4,
        ge=1,
        le=64,
        title="Skip channels",
        json_schema_extra={"source": "Ren et al. 2020: 16 of 128"},
        description="Channels of each connection around the network's inner levels.",
    )
    depth: int = Field(
        5,
        ge=1,
        le=7,
        title="Depth",
        json_schema_extra={"source": "Ren et al. 2020"},
        description="Levels of the picture's network, each of half the size; fewer are used on small pictures.",
    )
    kernel_net: Literal["softmax", "mlp"] = Field(
        "softmax",
        title="Kernel",
        json_schema_extra={"source": "mlp: Ren et al. 2020"},
        description="How the kernel is made: a softmax of free values, or the published fully connected network.",
    )
    image_rate: float = Field(
        1e-2,
        gt=0,
        le=1,
        title="Picture learning rate",
        json_schema_extra={"source": "Ren et al. 2020"},
        description="Adam's learning rate for the picture's network, halved after 40, 60 and 80% of the steps.",
    )
    softmax_rate: float = Field(
        5e-2,
        gt=0,
        le=1,
        title="Kernel learning rate (softmax)",
        description="Adam's learning rate for the softmax kernel, halved with the picture's. "
        "More steps need less: its product with the steps is how far the kernel can go.",
    )
    mlp_rate: float = Field(
        1e-4,
        gt=0,
        le=1,
        title="Kernel learning rate (mlp)",
        json_schema_extra={"source": "Ren et al. 2020"},
        description="Adam's learning rate for the kernel's network, halved with the picture's.",
    )
    ssim_from: float = Field(
        0.2,
        ge=0,
        le=1,
        title="SSIM from",
        json_schema_extra=unit("fraction of the steps")
        | {"source": "Ren et al. 2020 (code): 1000 of 5000; Kotera et al. 2021: 2000"},
        description="When the misfit turns from squared error to 1 - SSIM; 1 keeps the squared error.",
    )
    jitter: float = Field(
        1e-3,
        ge=0,
        le=1,
        title="Input noise",
        json_schema_extra={"source": "Ren et al. 2020 (code)"},
        description="Standard deviation of the noise added to the network's input (range 0 to 0.1), anew in each step.",
    )
    report_every: int = Field(
        20,
        ge=1,
        le=10_000,
        title="Preview every",
        json_schema_extra=unit("steps"),
        description="Number of steps between previews; each costs about a third of a step.",
    )
