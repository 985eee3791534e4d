"""A network that looks at a blurred image and proposes where the search for its image and kernel may begin."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..core.arrays import lowpass

LEAST_POWER = 0.01  # amplitudes of the (unitary) spectrum below it are noise
LEAST_CONTRAST = 0.01  # standard deviation of an image below which it is taken for flat
LEAST_AMPLITUDE = 0.03  # of the spectrum of an image of unit contrast
LOG_SPREADS = (-4.0, 2.0)  # a narrower Gaussian has learnt examples by heart


class Proposal(nn.Module):
    """Blurred images ``[R, C, Y, X]`` to latents ``[R, heads, image_latent]`` and ``[R, heads, kernel_latent]``.

    Parameters
    ----------
    image_latent, kernel_latent : int
        Lengths of the latents of the two generators.
    channels, height, width : int
        Of the blurred images.
    heads : int
        Proposals for each image.
    hidden : int
        Width of the two hidden layers.

    Notes
    -----
    The network sees the image and the logarithm of its spectrum's amplitudes, there a blur is a sum: the kernel's
    zeros are dark lines whatever the image. Colours share the kernel, and their spectra are averaged.
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


@dataclass(frozen=True)
class Mixture:
    """Gaussians over latents for R images: ``means`` and ``log_spreads [R, heads, d]``, ``log_shares [R, heads]``."""

    means: Tensor
    log_spreads: Tensor
    log_shares: Tensor

    def log_density(self, z: Tensor) -> Tensor:
        """Of latents ``[n, d]`` (n = R, or R = 1), without the constant ``d log(2 pi) / 2``: ``[n]``."""
        off = (z[:, None] - self.means) * (-self.log_spreads).exp()
        return (self.log_shares - (off.square() / 2 + self.log_spreads).sum(2)).logsumexp(1)

    def draw(self, count: int, random: torch.Generator) -> Tensor:
        """Latents ``[count, d]`` for the first image."""
        heads = torch.multinomial(self.log_shares[0].exp().cpu(), count, replacement=True, generator=random)
        noise = torch.randn(count, self.means.shape[2], generator=random).to(self.means)
        return self.means[0, heads] + self.log_spreads[0, heads].exp() * noise


class KernelProposal(nn.Module):
    """Blurred images ``[R, C, Y, X]`` to the :class:`Mixture` that the latents of their kernels are drawn from.

    Parameters
    ----------
    kernel_latent : int
    side : int
        The grey image is low-passed to ``side`` x ``side`` pixels; even, and no more than it has.
    hidden : int
        Width of the three hidden layers.
    heads : int
        Gaussians.

    Notes
    -----
    A mixture density network [1]_. It sees the image, about zero and of unit contrast, and the logarithm of its
    spectrum's amplitudes as :class:`Proposal` does.

    References
    ----------
    .. [1] C. M. Bishop, Mixture density networks, Aston University NCRG/94/004, 1994.
    """

    def __init__(self, kernel_latent: int, side: int, hidden: int, heads: int = 8) -> None:
        super().__init__()
        self.latents = (0, kernel_latent)
        self.side, self.heads = side, heads
        self.layers = nn.Sequential(
            nn.Linear(side * side + side * (side // 2 + 1), hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(),
            nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, heads * (2 * kernel_latent + 1)),
        )  # fmt: skip

    def forward(self, blurred: Tensor) -> Mixture:
        grey = lowpass(blurred.mean(1), self.side)
        grey = grey - grey.mean((1, 2), keepdim=True)
        grey = grey / (grey.square().mean((1, 2), keepdim=True).sqrt() + LEAST_CONTRAST)
        amplitudes = (torch.fft.rfft2(grey, norm="ortho").abs() + LEAST_AMPLITUDE).log()
        said = self.layers(torch.cat([grey.flatten(1), amplitudes.flatten(1)], 1))
        length = self.latents[1]
        means, spreads, shares = said.view(len(blurred), self.heads, -1).split((length, length, 1), dim=2)
        return Mixture(means, spreads.clamp(*LOG_SPREADS), shares[..., 0].log_softmax(1))
