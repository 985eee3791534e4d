"""Networks that predict initial latents of image and kernel from a blurred image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..core.arrays import lowpass

AMPLITUDE_FLOOR = 0.01  # amplitudes of the (unitary) spectrum below it are noise
CONTRAST_FLOOR = 0.01  # standard deviation below which an image counts as flat
UNIT_AMPLITUDE_FLOOR = 0.03  # as AMPLITUDE_FLOOR, for an image of unit contrast
LOG_SPREAD_RANGE = (-4.0, 2.0)  # a narrower Gaussian is overfitted to training examples


class Initializer(nn.Module):
    """A network that predicts initial latents of image and kernel from blurred images.

    Parameters
    ----------
    image_latent, kernel_latent : int
        Lengths of the latents of the two generators.
    channels, height, width : int
        Shape of the blurred images.
    heads : int
        Number of predictions for each image.
    hidden : int
        Width of the two hidden layers.

    Notes
    -----
    The input of the network is the image and the logarithm of the amplitudes of its spectrum, in which blur is
    additive: the zeros of the kernel's spectrum are dark lines, whatever the image. Channels share the kernel, so their
    log spectra are averaged.
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
        """Predict latents ``[R, heads, image_latent]`` and ``[R, heads, kernel_latent]`` from ``[R, C, Y, X]``."""
        amplitudes = torch.fft.rfft2(blurred, norm="ortho").abs()
        spectrum = (amplitudes + AMPLITUDE_FLOOR).log().mean(1)
        # both inputs are scaled to be about zero and of order 1
        inputs = torch.cat([2 * blurred.flatten(1), (spectrum.flatten(1) + 3) / 2], dim=1)
        image, kernel = self.layers(inputs).view(len(blurred), self.heads, -1).split(self.latents, dim=2)
        return image, kernel


@dataclass(frozen=True)
class Mixture:
    """Mixtures of Gaussians over latents of length d, one for each of R images.

    Parameters
    ----------
    means, log_spreads : Tensor [R, heads, d]
        Means, and logarithms of the standard deviations.
    log_weights : Tensor [R, heads]
        Logarithms of the mixture weights, which sum to 1.
    """

    means: Tensor
    log_spreads: Tensor
    log_weights: Tensor

    def log_density(self, z: Tensor) -> Tensor:
        """Compute the log density ``[n]`` of latents ``[n, d]`` (n = R, or R = 1), up to ``-d log(2 pi) / 2``."""
        standardised = (z[:, None] - self.means) * (-self.log_spreads).exp()
        return (self.log_weights - (standardised.square() / 2 + self.log_spreads).sum(2)).logsumexp(1)

    def draw(self, count: int, random: torch.Generator) -> Tensor:
        """Draw latents ``[count, d]`` for the first image."""
        heads = torch.multinomial(self.log_weights[0].exp().cpu(), count, replacement=True, generator=random)
        noise = torch.randn(count, self.means.shape[2], generator=random).to(self.means)
        return self.means[0, heads] + self.log_spreads[0, heads].exp() * noise


class KernelInitializer(nn.Module):
    """A network that predicts the distribution of the kernel's latents, a :class:`Mixture`, from blurred images.

    Parameters
    ----------
    kernel_latent : int
        Length of the latent of the kernel generator.
    side : int
        The grey image is low-pass filtered to ``side`` x ``side`` pixels; even, at most the side of the image.
    hidden : int
        Width of the three hidden layers.
    heads : int
        Number of Gaussians.

    Notes
    -----
    A mixture density network [1]_. Its input is the image, normalised to mean zero and unit contrast, and the logarithm
    of the amplitudes of its spectrum, as for :class:`Initializer`.

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
        """Predict the mixture of the kernel's latents for images ``[R, C, Y, X]``."""
        grey = lowpass(blurred.mean(1), self.side)
        grey = grey - grey.mean((1, 2), keepdim=True)
        grey = grey / (grey.square().mean((1, 2), keepdim=True).sqrt() + CONTRAST_FLOOR)
        amplitudes = (torch.fft.rfft2(grey, norm="ortho").abs() + UNIT_AMPLITUDE_FLOOR).log()
        outputs = self.layers(torch.cat([grey.flatten(1), amplitudes.flatten(1)], 1))
        length = self.latents[1]
        means, log_spreads, weights = outputs.view(len(blurred), self.heads, -1).split((length, length, 1), dim=2)
        return Mixture(means, log_spreads.clamp(*LOG_SPREAD_RANGE), weights[..., 0].log_softmax(1))
