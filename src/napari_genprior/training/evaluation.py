"""Evaluate a trained generator: its representation error on held-out images, and a sample_sheet of samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.arrays import cpu_generator
from ..nets.dcgan import DCGAN
from ..zoo.projection import closest_latents
from . import losses

SHEET_COLUMNS = 8


def measure(net: Any, held_out: Tensor, kernel: bool) -> dict[str, float]:
    """Measure the error on held-out images of the encoder's mean and of the closest latent.

    Parameters
    ----------
    net : Module
        The generator.
    held_out : Tensor [N, C, Y, X]
    kernel : bool
        Whether the generator is one of kernels.

    Returns
    -------
    dict
        Kernels: ``relative_error_encoder`` and ``relative_range_error``, means of ``|G(z) - k| / |k|``. Images:
        ``psnr_encoder_db`` and ``psnr_range_db``. A GAN has no encoder: its latents are optimized from random ones.
    """
    names = ("relative_error_encoder", "relative_range_error") if kernel else ("psnr_encoder_db", "psnr_range_db")
    metric = losses.relative_error if kernel else losses.psnr
    metrics = {}
    with torch.no_grad():
        if _has_encoder(net):
            metrics[names[0]] = metric(held_out, net(net.encode(held_out)[0]))
        metrics[names[1]] = metric(held_out, net(closest_latents(net, held_out)))
    return {name: round(value, 3) for name, value in metrics.items()}


def _has_encoder(net: Any) -> bool:
    return not isinstance(net, DCGAN) and getattr(net, "encoder", net) is not None


@torch.no_grad()
def sample_sheet(net: Any, held_out: Tensor, kernel: bool) -> np.ndarray:
    """Draw random samples of a generator and, where it has an encoder, held-out images above their reconstructions.

    Parameters
    ----------
    net : Module
        The generator.
    held_out : Tensor [N, C, Y, X]
    kernel : bool
        Whether the generator is one of kernels: each is then scaled to its brightest pixel.

    Returns
    -------
    uint8 array [Y, X] or [Y, X, 3]
    """
    samples = net(torch.randn(SHEET_COLUMNS**2, net.latent, generator=cpu_generator(0)).to(held_out.device))
    if _has_encoder(net):
        given = held_out[: 2 * SHEET_COLUMNS]
        given = given[: len(given) // SHEET_COLUMNS * SHEET_COLUMNS]
        decoded = net(net.encode(given)[0]) if len(given) else given
        rows = zip(given.split(SHEET_COLUMNS), decoded.split(SHEET_COLUMNS), strict=True)
        samples = torch.cat([samples, *(part for pair in rows for part in pair)])
    if kernel:
        samples = samples / samples.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-12)
    return grid(samples, SHEET_COLUMNS)


def grid(images: Tensor, columns: int) -> np.ndarray:
    """Arrange images row by row in one image.

    Parameters
    ----------
    images : Tensor [N, C, Y, X]
        In [0, 1]; N is a multiple of ``columns``.
    columns : int

    Returns
    -------
    uint8 array [Y, X] or [Y, X, 3]
    """
    planes = torch.nn.functional.pad(images.clamp(0, 1), (1, 1, 1, 1)).cpu()  # a dark line between images
    count, channels, height, width = planes.shape
    cells = planes.view(count // columns, columns, channels, height, width).permute(0, 3, 1, 4, 2)
    image = (cells.reshape(count // columns * height, columns * width, channels) * 255).round().byte().numpy()
    return image[..., 0] if channels == 1 else image
