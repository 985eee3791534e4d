"""Settings of the training of a generator."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Settings, unit


class TrainingSettings(Settings):
    """Settings of training (``training/``, ``genprior train``). Zero stands for the default of the architecture."""

    arch: Literal["vae", "linear", "dcgan", "blur-vae", "digit-vae", "house-number-vae"] = Field(
        "vae",
        title="Architecture",
        description="Architecture: residual autoencoder of any size (vae), principal components (linear), DCGAN, or an "
        "autoencoder of Asim 2018 and 2020 (28x28 kernels, 28x28 grey digits, 32x32 colour house numbers).",
    )
    latent: int = Field(
        0,
        ge=0,
        le=4096,
        title="Latent length",
        json_schema_extra={"source": "Asim 2018 and 2020: 50 kernels, 100 images"},
        description="Length of the latent vector; 0: as published (50 for kernels, 100 for images).",
    )
    size: int = Field(
        0,
        ge=0,
        le=512,
        title="Size",
        json_schema_extra=unit("px"),
        description="Side of the images; 0: that of the architecture, or of the data where the architecture has none.",
    )
    width: int = Field(
        0,
        ge=0,
        le=512,
        title="Width",
        description="Channels at half the size, for vae (0: 32) and dcgan (0: 64); width of the hidden layers of an "
        "initializer (0: 512).",
    )
    residual_network: bool = Field(
        False,
        title="Residual network",
        description="Architecture linear: train a small network that predicts what the linear image lacks.",
    )
    steps: int = Field(
        0,
        ge=0,
        le=100_000_000,
        title="Steps",
        description="Number of updates; 0: until the training time is over.",
    )
    minutes: float = Field(
        10.0,
        gt=0,
        le=100_000,
        title="Training time",
        json_schema_extra=unit("min"),
        description="Time limit of the training where steps is 0; interruptions are not counted.",
    )
    batch: int = Field(
        64,
        ge=1,
        le=65536,
        title="Batch size",
        json_schema_extra={"source": "blur VAE 5; SVHN VAE 1500 (Asim 2020), 64 (Asim 2018); MNIST VAE 20; DCGAN 64"},
        description="Number of images per update.",
    )
    learning_rate: float = Field(
        0.0,
        ge=0,
        le=1,
        title="Learning rate",
        json_schema_extra={"source": "VAEs 1e-5 (SVHN in Asim 2018: 1e-4), DCGAN 2e-4"},
        description="Initial learning rate of Adam, with cosine decay to zero (constant for dcgan). 0: 1e-3, dcgan "
        "2e-4. The published 1e-5 takes days.",
    )
    beta: float = Field(
        1.0,
        ge=0,
        le=1000,
        title="Beta",
        description="Weight of the Kullback-Leibler term; below 1, reconstructions are closer and random images worse.",
    )
    reconstruction: Literal["gaussian", "mse", "bce"] = Field(
        "gaussian",
        title="Reconstruction loss",
        description="Reconstruction loss: Gaussian likelihood with fitted variance, half the squared error (mse), or "
        "binary cross-entropy (bce).",
    )
    ema_decay: float = Field(
        0.999,
        ge=0,
        lt=1,
        title="EMA decay",
        description="Decay of the exponential moving average of the weights, which is stored; 0: the last weights.",
    )
    flip_horizontal: bool = Field(
        False,
        title="Flip horizontally",
        description="Augment the data by random horizontal flips.",
    )
    rotate90: bool = Field(
        False,
        title="Rotate",
        description="Augment the data by random rotations by 90 degrees and flips (simulated kernels: always).",
    )
    shift_px: int = Field(
        0,
        ge=0,
        le=64,
        title="Shift",
        json_schema_extra=unit("px"),
        description="Augment the data by random shifts of up to this many pixels.",
    )
    validation_fraction: float = Field(
        0.05,
        gt=0,
        le=0.5,
        title="Validation fraction",
        json_schema_extra=unit("fraction"),
        description="Fraction of the data that is held out of training for validation; at most 1000 images.",
    )
    validate_every: int = Field(
        500,
        ge=1,
        le=1_000_000,
        title="Validation interval",
        json_schema_extra=unit("steps"),
        description="Number of updates between evaluations of the held-out loss.",
    )
    patience: int = Field(
        30,
        ge=0,
        le=10_000,
        title="Patience",
        description="Validations without a lower held-out loss after which training stops; 0: never stop.",
    )
    checkpoint_seconds: float = Field(
        60.0,
        ge=0,
        le=86_400,
        title="Checkpoint every",
        json_schema_extra=unit("s"),
        description="Time between checkpoints (with an image of samples); a killed run resumes from the last one.",
    )
    keep_encoder: bool = Field(
        True,
        title="Keep the encoder",
        description="Store the encoder of an autoencoder too; it gives initial latents.",
    )
    float16: bool = Field(
        True,
        title="Half precision",
        description="Store the weights as float16, and large weights of image generators in 8 bits.",
    )
    seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        title="Seed",
        description="Seed of initial weights, order of the data and noise.",
    )
    device: str = Field("auto", title="Device", description="Compute device: auto, cpu, cuda, cuda:N or mps.")
