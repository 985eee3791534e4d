"""Of training a generator."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Settings, unit


class TrainingSettings(Settings):
    """How a generator is trained (``training/``, ``genprior train``). Zero stands for the architecture's own value."""

    arch: Literal["vae", "linear", "dcgan", "blur-vae", "digit-vae", "house-number-vae"] = Field(
        "vae",
        title="Architecture",
        description="Residual autoencoder of any size, principal components, DCGAN, or an autoencoder of the papers "
        "(28x28 kernels, 28x28 grey digits, 32x32 colour house numbers).",
    )
    latent: int = Field(
        0,
        ge=0,
        le=4096,
        title="Latent",
        json_schema_extra={"source": "Asim 2018, 003: 50 kernels, 100 images"},
        description="Length of the latent vector; 0: the papers' (50 for kernels, 100 for images).",
    )
    size: int = Field(
        0,
        ge=0,
        le=512,
        title="Size",
        json_schema_extra=unit("px"),
        description="Side of the images; 0: as the architecture has it, else as the data.",
    )
    width: int = Field(
        0,
        ge=0,
        le=512,
        title="Width",
        description="Channels at half the size, for vae (0: 32) and dcgan (0: 64); width of a start's hidden layers "
        "(0: 512).",
    )
    refiner: bool = Field(
        False,
        title="Refiner",
        description="For linear: train a small network to add what the linear image lacks.",
    )
    steps: int = Field(
        0,
        ge=0,
        le=100_000_000,
        title="Steps",
        description="Number of updates; 0: as many as fit into the minutes.",
    )
    minutes: float = Field(
        10.0,
        gt=0,
        le=100_000,
        title="Minutes",
        json_schema_extra=unit("min"),
        description="Training time, where steps is 0; interruptions do not count.",
    )
    batch: int = Field(
        64,
        ge=1,
        le=65536,
        title="Batch",
        json_schema_extra={"source": "blur VAE 5; SVHN VAE 1500 (003), 64 (001); MNIST VAE 20; DCGAN 64"},
        description="Images per update.",
    )
    learning_rate: float = Field(
        0.0,
        ge=0,
        le=1,
        title="Learning rate",
        json_schema_extra={"source": "VAEs 1e-5 (SVHN in 001: 1e-4), DCGAN 2e-4"},
        description="Adam's, at the start; it falls to zero along half a cosine (constant for dcgan). "
        "0: 1e-3, dcgan 2e-4. The papers' 1e-5 needs days.",
    )
    beta: float = Field(
        1.0,
        ge=0,
        le=1000,
        title="Beta",
        description="Weight of the Kullback-Leibler term; below 1 images are matched closer, random ones are worse.",
    )
    reconstruction: Literal["gaussian", "mse", "bce"] = Field(
        "gaussian",
        title="Misfit",
        description="Gaussian noise of the best-fitting variance, half the squared error, or binary cross-entropy.",
    )
    average: float = Field(
        0.999,
        ge=0,
        lt=1,
        title="Averaging",
        description="The stored weights are a running average of the trained ones with this memory; 0: the last ones.",
    )
    mirror: bool = Field(False, title="Mirror", description="Left and right may be exchanged.")
    turn: bool = Field(
        False,
        title="Turn",
        description="Quarter turns and mirror images are as likely (simulated kernels: always).",
    )
    shift_px: int = Field(
        0,
        ge=0,
        le=64,
        title="Shift",
        json_schema_extra=unit("px"),
        description="Largest random shift of a training image.",
    )
    held_out: float = Field(
        0.05,
        gt=0,
        le=0.5,
        title="Held out",
        json_schema_extra=unit("fraction"),
        description="Part of the data that is judged by, never trained on; 1000 images at most.",
    )
    validate_every: int = Field(
        500,
        ge=1,
        le=1_000_000,
        title="Judge every",
        json_schema_extra=unit("steps"),
        description="Steps between two looks at the held-out images.",
    )
    patience: int = Field(
        30,
        ge=0,
        le=10_000,
        title="Patience",
        description="Stop after so many looks without a better held-out loss; 0: never. The best weights are kept.",
    )
    checkpoint_seconds: float = Field(
        60.0,
        ge=0,
        le=86_400,
        title="Checkpoint every",
        json_schema_extra=unit("s"),
        description="Seconds between checkpoints (with a sheet of samples); a killed run goes on from the last one.",
    )
    keep_encoder: bool = Field(
        True,
        title="Keep the encoder",
        description="Store an autoencoder's encoder too: it gives starting latents.",
    )
    half: bool = Field(
        True, title="Half precision", description="Store the weights as float16, large ones of images in 8 bits."
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, title="Seed", description="Of weights, data order and noise.")
    device: str = Field("auto", title="Device", description="auto, cpu, cuda, cuda:N, mps.")
