"""The registry of architectures that a card may name. An architecture is imported only when it is built."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..core.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

ARCHITECTURES = {
    "linear": ("nets.linear_gaussian", "LinearGenerator"),
    "blur-vae": ("nets.vae", "BlurVAE"),
    "digit-vae": ("nets.vae", "DigitVAE"),
    "house-number-vae": ("nets.vae", "HouseNumberVAE"),
    "vae": ("nets.vae", "ConvVAE"),
    "dcgan": ("nets.dcgan", "DCGAN"),
    "pggan": ("nets.pggan", "PGGAN"),
    "initializer": ("nets.initializer", "Initializer"),
    "kernel-initializer": ("nets.initializer", "KernelInitializer"),
    "restorer": ("nets.restorer", "Restorer"),
    "denoiser": ("nets.denoiser", "Denoiser"),
}


def build(arch: str, arguments: dict[str, Any]) -> nn.Module:
    """Build an architecture, without loading weights.

    Raises
    ------
    ModelError
        The architecture is unknown, or does not take these arguments.
    """
    if arch not in ARCHITECTURES:
        raise ModelError(f"Unknown architecture {arch!r}; there are: {', '.join(ARCHITECTURES)}.")
    module, name = ARCHITECTURES[arch]
    architecture = getattr(import_module(f"napari_genprior.{module}"), name)
    try:
        return architecture(**arguments)
    except Exception as error:  # untrusted arguments may fail anywhere inside
        raise ModelError(f"Architecture {arch!r} does not take {str(arguments)[:200]}: {error}.") from error
