"""A network that looks at a blurred picture and proposes where the search for its picture and kernel may begin."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEAST_POWER = 0.01  # amplitudes of the (unitary) spectrum below it are noise


class Proposal(nn.Module):
    """Blurred pictures ``[R, C, Y, X]`` to latents ``[R, heads, image_latent]`` and ``[R, heads, kernel_latent]``.

    Parameters
    ----------
    image_latent, kernel_latent : int
        Lengths of the latents of the two generators.
    channels, height, width : int
        Of the blurred pictures.
    heads : int
        Proposals for each picture.
    hidden : int
        Width of the two hidden layers.

    Notes
    -----
    The network sees the picture and the logarithm of its spectrum's amplitudes, there a blur is a sum: the kernel's
    zeros are dark lines whatever the picture. Colours share the kernel, and their spectra are averaged.
    """

    def __init__(
        self,
        image_latent: int,
        kernel_latent: int,
        channels: int,
        height: int,
        width: int,
        heads: int = 4,
        hidden: int = 512,
    ) -> None:
        super().__init__()
        self.latents = (image_latent, kernel_latent)
        self.heads = heads
        inputs = channels * height * width + height * (width // 2 + 1)
        self.layers = nn.Sequential(
            nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(),
            nn.Linear(hidden, heads * sum(self.latents)),
        )  # fmt: skip

    def forward(self, blurred: Tensor) -> tuple[Tensor, Tensor]:
        amplitudes = torch.fft.rfft2(blurred, norm="ortho").abs()
        spectrum = (amplitudes + LEAST_POWER).log().mean(1)
        # both of them about 0 and of order 1
        seen = torch.cat([2 * blurred.flatten(1), (spectrum.flatten(1) + 3) / 2], dim=1)
        image, kernel = self.layers(seen).view(len(blurred), self.heads, -1).split(self.latents, dim=2)
        return image, kernel
