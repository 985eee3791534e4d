"""How good a trained generator is: what its latents can reach, and what it looks like."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.arrays import cpu_generator
from ..nets.dcgan import DCGAN
from ..zoo.projection import closest_latents
from . import losses

SHEET_SIDE = 8  # images a side


def measure(net: Any, held_out: Tensor, kernel: bool) -> dict[str, float]:
    """Error on held-out images, by the encoder's mean and by the best latent found from there.

    Returns
    -------
    dict
        Kernels: ``relative_error_encoder``, ``relative_range_error``, means of ``|G(z) - k| / |k|``. Images:
        ``psnr_encoder_db``, ``psnr_range_db``. A GAN has no encoder, its searches start at random latents.
    """
    names = ("relative_error_encoder", "relative_range_error") if kernel else ("psnr_encoder_db", "psnr_range_db")
    judge = losses.relative_error if kernel else losses.psnr
    figures = {}
    with torch.no_grad():
        if _encodes(net):
            figures[names[0]] = judge(held_out, net(net.encode(held_out)[0]))
        figures[names[1]] = judge(held_out, net(closest_latents(net, held_out)))
    return {name: round(value, 3) for name, value in figures.items()}


def _encodes(net: Any) -> bool:
    return not isinstance(net, DCGAN) and getattr(net, "encoder", net) is not None


@torch.no_grad()
def sheet(net: Any, held_out: Tensor, kernel: bool) -> np.ndarray:
    """Random images of a generator, below them (where it has an encoder) held-out images and what becomes of them.

    Returns
    -------
    uint8 array [Y, X] or [Y, X, 3]
    """
    shown = net(torch.randn(SHEET_SIDE**2, net.latent, generator=cpu_generator(0)).to(held_out.device))
    if _encodes(net):
        given = held_out[: 2 * SHEET_SIDE]
        given = given[: len(given) // SHEET_SIDE * SHEET_SIDE]
        back = net(net.encode(given)[0]) if len(given) else given
        rows = zip(given.split(SHEET_SIDE), back.split(SHEET_SIDE), strict=True)
        shown = torch.cat([shown, *(part for pair in rows for part in pair)])
    if kernel:
        shown = shown / shown.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-12)
    return grid(shown, SHEET_SIDE)


def grid(images: Tensor, columns: int) -> np.ndarray:
    """Images ``[N, C, Y, X]`` in [0, 1] row by row as one: uint8 ``[Y, X]`` or ``[Y, X, 3]``; N fills all rows."""
    planes = torch.nn.functional.pad(images.clamp(0, 1), (1, 1, 1, 1)).cpu()  # a dark line between images
    count, channels, height, width = planes.shape
    cells = planes.view(count // columns, columns, channels, height, width).permute(0, 3, 1, 4, 2)
    image = (cells.reshape(count // columns * height, columns * width, channels) * 255).round().byte().numpy()
    return image[..., 0] if channels == 1 else image
