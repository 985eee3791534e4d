"""Variational autoencoders: those of Asim 2018 and Asim 2020, and a residual one for any size and latent length.

All share one interface (:class:`VAE`): ``forward(z)`` decodes latents ``[R, latent]``, ``encode(x)`` gives the mean and
the log variance of the latent's posterior. Images lie in [0, 1]; kernels are >= 0 and of sum 1.

References
----------
.. [1] Kingma and Welling, Auto-encoding variational Bayes, ICLR 2014.
.. [2] Asim, Shamshad and Ahmed, Blind image deconvolution using deep generative priors, IEEE TCI 2020, table IV.
.. [3] Asim, Shamshad and Ahmed, Solving bilinear inverse problems using deep generative priors, 2018, section 4.
"""

from __future__ import annotations

import math
from collections import OrderedDict

from torch import Tensor, nn

from ..core.arrays import normalize_kernels
from ..core.errors import ModelError

KERNEL_SCALE = 20.0  # scales the values of a 28x28 kernel (sum 1) to order 1, where networks train well
LOGVAR_RANGE = (-12.0, 8.0)  # keeps its exponential and gradients finite, whatever the encoder predicts


class VAE(nn.Module):
    """The common interface of the autoencoders of this module.

    Parameters
    ----------
    latent : int
        Length of the latent vector, standard normal.
    decoder : Module
        Maps latents ``[R, latent]`` to ``[R, C, Y, X]``.
    encoder : Module or None
        Maps ``[R, C, Y, X]`` to mean and log variance, ``[R, 2 latent]``. None: the model can decode only.
    kernel : bool
        The model generates blur kernels; encoder and decoder work on kernels scaled by :data:`KERNEL_SCALE`.
    """

    def __init__(self, latent: int, decoder: nn.Module, encoder: nn.Module | None, kernel: bool = False) -> None:
        super().__init__()
        self.latent = latent
        self.kernel = kernel
        self.scale = KERNEL_SCALE if kernel else 1.0
        self.decoder = decoder
        self.encoder = encoder

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute mean and log variance ``[R, latent]`` of the latents of images ``[R, C, Y, X]``.

        Raises
        ------
        ModelError
            The model has no encoder.
        """
        if self.encoder is None:
            raise ModelError("This model was stored without its encoder; start its latents at random instead.")
        mean, logvar = self.encoder(x * self.scale).chunk(2, dim=1)
        return mean, logvar.clamp(*LOGVAR_RANGE)

    def raw(self, z: Tensor) -> Tensor:
        """Decode without normalizing kernels to sum 1: what the training compares with the data."""
        return self.decoder(z) / self.scale

    def forward(self, z: Tensor) -> Tensor:
        """Decode latents ``[R, latent]`` to images or kernels ``[R, C, Y, X]``."""
        return normalize_kernels(self.raw(z)) if self.kernel else self.raw(z)


class BlurVAE(VAE):
    """The autoencoder of blur kernels ``[R, 1, 28, 28]``, latent length 50 (table IV of [2]_; section 4.1 of [3]_).

    Every convolution is 2x2, stride 1, without padding: sides 28, 27, pool 13, 12, pool 6 in the encoder; 6, up 12, 13,
    up 26, 27, 28 in the decoder. The output is a ReLU as in [2]_ ([3]_ has a sigmoid).
    """

    def __init__(self, latent: int = 50, encoder: bool = True) -> None:
        decoder = nn.Sequential(
            nn.Linear(latent, 720), nn.ReLU(), nn.Unflatten(1, (20, 6, 6)),
            nn.Upsample(scale_factor=2), nn.ConvTranspose2d(20, 20, 2), nn.ReLU(),
            nn.Upsample(scale_factor=2), nn.ConvTranspose2d(20, 20, 2), nn.ReLU(),
            nn.ConvTranspose2d(20, 1, 2), OutputReLU(),
        )  # fmt: skip
        inward = nn.Sequential(
            nn.Conv2d(1, 20, 2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(20, 20, 2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(720, 2 * latent),
        )  # fmt: skip
        super().__init__(latent, decoder, inward if encoder else None, kernel=True)


class DigitVAE(VAE):
    """The autoencoder of grey digits ``[R, 1, 28, 28]`` in [0, 1], latent length 100 (section 4.3 of [3]_).

    [3]_ does not state the padding. Without padding all its numbers are consistent: sides 28, 26, pool 13, 11, pool 5
    in the encoder, and 5x5x20 = 500 is its dense layer; 5, up 10, 12, up 24, 26, 28 in the decoder.
    """

    def __init__(self, latent: int = 100, encoder: bool = True) -> None:
        decoder = nn.Sequential(
            nn.Linear(latent, 500), nn.ReLU(), nn.Unflatten(1, (20, 5, 5)),
            nn.Upsample(scale_factor=2), nn.ConvTranspose2d(20, 20, 3), nn.ReLU(),
            nn.Upsample(scale_factor=2), nn.ConvTranspose2d(20, 20, 3), nn.ReLU(),
            nn.ConvTranspose2d(20, 1, 3), nn.Sigmoid(),
        )  # fmt: skip
        inward = nn.Sequential(
            nn.Conv2d(1, 20, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(20, 20, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(500, 500), nn.ReLU(), nn.Linear(500, 2 * latent),
        )  # fmt: skip
        super().__init__(latent, decoder, inward if encoder else None)


class HouseNumberVAE(VAE):
    """The autoencoder of colour digits ``[R, 3, 32, 32]`` in [0, 1], latent length 100 (table IV of [2]_, SVHN).

    Convolutions are 2x2, stride 2: sides 32, 16, 8, 4 and 4x4x512 = 8192 in encoder and decoder.
    """

    def __init__(self, latent: int = 100, encoder: bool = True) -> None:
        def normed(layer: nn.Module, channels: int) -> list[nn.Module]:
            return [layer, nn.BatchNorm2d(channels), nn.ReLU()]

        decoder = nn.Sequential(
            nn.Linear(latent, 8192), nn.Unflatten(1, (512, 4, 4)),
            *normed(nn.ConvTranspose2d(512, 512, 2, 2), 512),
            *normed(nn.ConvTranspose2d(512, 256, 2, 2), 256),
            *normed(nn.ConvTranspose2d(256, 128, 2, 2), 128),
            nn.Conv2d(128, 3, 1), nn.Sigmoid(),
        )  # fmt: skip
        inward = nn.Sequential(
            *normed(nn.Conv2d(3, 128, 2, 2), 128),
            *normed(nn.Conv2d(128, 256, 2, 2), 256),
            *normed(nn.Conv2d(256, 512, 2, 2), 512),
            nn.Flatten(), nn.Linear(8192, 2 * latent),
        )  # fmt: skip
        super().__init__(latent, decoder, inward if encoder else None)


class ConvVAE(VAE):
    """A residual autoencoder of images or kernels ``[R, channels, size, size]`` of any size and latent length.

    Parameters
    ----------
    latent, channels, size : int
        Length of the latent vector, channels of the image, and its side in pixels, at least 8.
    width : int
        Channels at half the size, doubled with each further halving, at most eightfold.
    kernel : bool
        Decode to blur kernels: the output is a softmax over the pixels instead of a sigmoid.
    encoder : bool
        Build the encoder too.

    Notes
    -----
    Residual blocks without normalisation, whose second convolution is initialised with zeros: they train as fast and
    are faster on a CPU. Nothing is computed at full size: pixels are folded into channels (2x2) at input and output.
    The coarsest map has 4 to 7 pixels a side; where ``size`` cannot be halved evenly, a larger image is decoded and
    cropped.
    """

    def __init__(
        self,
        latent: int,
        channels: int = 3,
        size: int = 64,
        width: int = 32,
        kernel: bool = False,
        encoder: bool = True,
    ) -> None:
        if latent < 1 or size < 8 or width < 1:
            raise ValueError(f"needs latent >= 1, size >= 8, width >= 1; got {latent}, {size}, {width}")
        halvings = math.ceil(math.log2(size / 7))
        coarsest = math.ceil(size / 2**halvings)
        widths = [width * min(2**level, 8) for level in range(halvings)]
        outward: OrderedDict[str, nn.Module] = OrderedDict(
            linear=nn.Linear(latent, widths[-1] * coarsest**2),
            map=nn.Unflatten(1, (widths[-1], coarsest, coarsest)),
        )
        for level in reversed(range(halvings)):
            outward[f"block{level}"] = ResidualBlock(widths[level])
            if level:
                outward[f"up{level}"] = nn.ConvTranspose2d(widths[level], widths[level - 1], 2, 2)
        outward["out"] = nn.Conv2d(width, 4 * channels, 3, padding=1)
        outward["shuffle"] = nn.PixelShuffle(2)
        outward["cut"] = Crop(size)
        outward["range"] = PixelSoftmax() if kernel else nn.Sigmoid()

        inward: OrderedDict[str, nn.Module] = OrderedDict(
            pad=nn.ZeroPad2d((0, coarsest * 2**halvings - size) * 2),
            shuffle=nn.PixelUnshuffle(2),
            into=nn.Conv2d(4 * channels, width, 3, padding=1),
        )
        for level in range(halvings):
            inward[f"block{level}"] = ResidualBlock(widths[level])
            if level + 1 < halvings:
                inward[f"down{level}"] = nn.Conv2d(widths[level], widths[level + 1], 2, 2)
        inward["act"] = nn.SiLU()
        inward["flat"] = nn.Flatten()
        inward["linear"] = nn.Linear(widths[-1] * coarsest**2, 2 * latent)
        super().__init__(latent, nn.Sequential(outward), nn.Sequential(inward) if encoder else None, kernel)


class ResidualBlock(nn.Module):
    """The residual block ``x + B(silu(A(silu(x))))`` with A 3x3 and B 1x1, B initialised with zeros."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.wide = nn.Conv2d(channels, channels, 3, padding=1)
        self.mix = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.mix.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the block's output ``[R, C, Y, X]``."""
        act = nn.functional.silu
        return x + self.mix(act(self.wide(act(x))))


class OutputReLU(nn.Module):
    """A ReLU that is leaky in training: kernels are mostly zero, where an ordinary ReLU would have no gradient."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation."""
        return nn.functional.leaky_relu(x, 0.1 if self.training else 0.0)


class Crop(nn.Module):
    """Crop to the upper left ``size`` x ``size`` pixels."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Crop images ``[R, C, Y, X]``."""
        return x[..., : self.size, : self.size]


class PixelSoftmax(nn.Module):
    """Softmax over all pixels, times :data:`KERNEL_SCALE`: > 0, never zero everywhere as a ReLU can be."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize maps ``[R, C, Y, X]`` to the sum KERNEL_SCALE."""
        return KERNEL_SCALE * x.flatten(1).softmax(dim=1).view_as(x)
