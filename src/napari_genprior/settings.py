"""Every setting with its default, bounds, unit and help text: the only place where they are written.

One flat, frozen model per stage. The command line, the widgets and the documentation are made from these;
each round-trips through JSON. ``json_schema_extra["source"]`` names the paper a constant comes from.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import InputError


class Settings(BaseModel):
    """Base of all settings: immutable, and strict about unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def checked(cls, values: dict[str, Any]) -> Self:
        """Build from plain values, turning pydantic's report into one sentence.

        Raises
        ------
        InputError
            An unknown name or a value out of bounds.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            known = ", ".join(cls.model_fields)
            if first["type"] == "extra_forbidden":
                raise InputError(f"Unknown setting {name!r}; {cls.__name__} has: {known}.") from error
            raise InputError(f"Setting {name} = {first['input']!r} is not allowed: {first['msg']}.") from error


def _unit(unit: str) -> dict[str, Any]:
    return {"unit": unit}


class BlurSettings(Settings):
    """Which blur kernel to make (``blur/``)."""

    kind: Literal["motion", "shake", "gaussian", "defocus", "box", "blur-a", "blur-b"] = Field(
        "motion",
        title="Blur",
        description="Straight motion, camera shake, Gaussian, defocus disk, box, or the motion + Gaussian "
        "overlays A and B of paper 001.",
    )
    length: float = Field(
        15.0,
        ge=1,
        le=201,
        title="Length",
        json_schema_extra=_unit("px"),
        description="Length of the motion or shake path, or side of the box.",
    )
    angle_deg: float = Field(
        30.0,
        ge=-360,
        le=360,
        title="Angle",
        json_schema_extra=_unit("degrees"),
        description="Direction of the motion, or of the long axis of the Gaussian, counter-clockwise from the x axis.",
    )
    sigma_px: float = Field(
        2.0,
        gt=0,
        le=50,
        title="Sigma",
        json_schema_extra=_unit("px"),
        description="Standard deviation of the Gaussian (along its long axis).",
    )
    aspect: float = Field(
        1.0,
        gt=0,
        le=1,
        title="Aspect",
        description="Short over long axis of the Gaussian; 1 is round.",
    )
    radius_px: float = Field(
        4.0,
        gt=0,
        le=100,
        title="Radius",
        json_schema_extra=_unit("px"),
        description="Radius of the defocus disk.",
    )


class NoiseSettings(Settings):
    """What noise and which border a simulated picture gets (``simulate``)."""

    noise: float = Field(
        0.01,
        ge=0,
        le=1,
        title="Gaussian noise",
        json_schema_extra=_unit("fraction of the range"),
        description="Standard deviation of additive Gaussian noise as a fraction of the picture's range (0.01 is 1%).",
    )
    photons: float = Field(
        0.0,
        ge=0,
        le=1e9,
        title="Photons at full scale",
        description="Poisson noise with this many photons at the picture's full scale; 0 switches it off.",
    )
    boundary: Literal["circular", "valid", "reflect"] = Field(
        "reflect",
        title="Border",
        description="What lies beyond the picture: its other side, nothing (the result shrinks), or its mirror image.",
    )
    clip: bool = Field(
        True, title="Clip", description="Clip the blurred picture to the range of the sharp one, as a camera does."
    )


class ClassicalSettings(Settings):
    """Coarse-to-fine kernel estimation with an L0 gradient prior, then a total-variation solve (``classical/``)."""

    smoothing: float = Field(
        1.0,
        ge=0,
        le=100,
        title="Smoothing",
        description="Strength of the total variation, as a multiple of what the noise asks for. "
        "More hides noise and ringing, less keeps fine detail.",
    )


class KnownKernelSettings(Settings):
    """The picture for a given kernel, by total variation (``classical/known_kernel.py``)."""

    smoothing: float = Field(
        1.0,
        ge=0,
        le=100,
        title="Smoothing",
        description="Strength of the total variation, as a multiple of what the noise asks for. "
        "More hides noise and ringing, less keeps fine detail.",
    )


class SelfDeblurSettings(Settings):
    """SelfDeblur (Ren et al., CVPR 2020) in plain form (``algorithms.selfdeblur``)."""

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
        json_schema_extra=_unit("fraction of the steps")
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
        json_schema_extra=_unit("steps"),
        description="Number of steps between previews; each costs about a third of a step.",
    )


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
        json_schema_extra={"source": "papers 001, 003: 50 kernels, 100 pictures"},
        description="Length of the latent vector; 0: the papers' (50 for kernels, 100 for pictures).",
    )
    size: int = Field(
        0,
        ge=0,
        le=512,
        title="Size",
        json_schema_extra=_unit("px"),
        description="Side of the pictures; 0: as the architecture has it, else as the data.",
    )
    width: int = Field(
        0,
        ge=0,
        le=512,
        title="Width",
        description="Channels at half the size, for vae (0: 32) and dcgan (0: 64).",
    )
    refiner: bool = Field(
        False,
        title="Refiner",
        description="For linear: train a small network to add what the linear picture lacks.",
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
        json_schema_extra=_unit("min"),
        description="Training time, where steps is 0; interruptions do not count.",
    )
    batch: int = Field(
        64,
        ge=1,
        le=65536,
        title="Batch",
        json_schema_extra={"source": "blur VAE 5; SVHN VAE 1500 (003), 64 (001); MNIST VAE 20; DCGAN 64"},
        description="Pictures per update.",
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
        description="Weight of the Kullback-Leibler term; below 1 pictures are matched closer, random ones are worse.",
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
        json_schema_extra=_unit("px"),
        description="Largest random shift of a training picture.",
    )
    held_out: float = Field(
        0.05,
        gt=0,
        le=0.5,
        title="Held out",
        json_schema_extra=_unit("fraction"),
        description="Part of the data that is judged by, never trained on; 1000 pictures at most.",
    )
    evaluate_every: int = Field(
        500,
        ge=1,
        le=1_000_000,
        title="Judge every",
        json_schema_extra=_unit("steps"),
        description="Steps between two looks at the held-out pictures.",
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
        json_schema_extra=_unit("s"),
        description="Seconds between checkpoints (with a sheet of samples); a killed run goes on from the last one.",
    )
    keep_encoder: bool = Field(
        True,
        title="Keep the encoder",
        description="Store an autoencoder's encoder too: it gives starting latents.",
    )
    half: bool = Field(
        True, title="Half precision", description="Store the weights as float16, bases of pictures as 8-bit integers."
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, title="Seed", description="Of weights, data order and noise.")
    device: str = Field("auto", title="Device", description="auto, cpu, cuda, cuda:N, mps.")
