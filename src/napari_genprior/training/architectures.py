"""Choose the arguments of a generator's architecture from the settings and the training data."""

from __future__ import annotations

from typing import Any

from ..core.errors import InputError
from ..settings import TrainingSettings
from .data import Images

FIXED = {"blur-vae": (1, 28), "digit-vae": (1, 28), "house-number-vae": (3, 32)}  # channels, size


def architecture_arguments(settings: TrainingSettings, images: Images) -> dict[str, Any]:
    """Choose the arguments of the architecture from the settings and the data.

    Returns
    -------
    dict
        Keyword arguments of the architecture; see :func:`.registry.build`.

    Raises
    ------
    InputError
        The architecture cannot generate data of this kind, size or number of channels.
    """
    arch, kernel = settings.arch, images.kind == "kernel"
    channels, height, width = images.train.shape[1:]
    if (arch == "blur-vae" and not kernel) or (kernel and arch in ("digit-vae", "house-number-vae", "dcgan")):
        raise InputError(
            f"{arch} cannot generate {images.kind}s; for kernels choose vae, blur-vae or linear, for images any other "
            "than blur-vae."
        )
    latent = settings.latent or (50 if kernel else 100)
    if arch in FIXED:
        fixed_channels, size = FIXED[arch]
        if channels != fixed_channels or settings.size not in (0, size) or min(height, width) < size:
            raise InputError(
                f"{arch} takes images of {size}x{size}x{fixed_channels} only; got {height}x{width}x{channels}."
            )
        return {"latent": latent}
    size = settings.size or min(height, width)
    if min(height, width) < size:
        raise InputError(f"The images have {height}x{width} px; a generator of {size} px needs larger images.")
    if arch == "linear":
        return {"latent": latent, "channels": channels, "height": size, "width": size, "kernel": kernel}
    if arch == "dcgan":
        return {"latent": latent, "channels": channels, "size": size, "width": settings.width or 64}
    return {"latent": latent, "channels": channels, "size": size, "width": settings.width or 32, "kernel": kernel}


def image_side(settings: TrainingSettings, arguments: dict[str, Any]) -> int:
    """Return the side in pixels of the images that the architecture generates."""
    return (
        FIXED[settings.arch][1] if settings.arch in FIXED else arguments["height" if "height" in arguments else "size"]
    )
