"""The untrained image network of algorithm 3: a DCGAN generator for one image of any size.

References
----------
Asim, Shamshad and Ahmed, Blind image deconvolution using deep generative priors, IEEE TCI 2020, section V-D: a DCGAN
"modified to the image resolution".
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

SMALLEST_MAP_PX = 4  # side of the first map, as in the DCGAN


class Decoder(nn.Module):
    """A network that maps latents ``[R, latent]`` to images ``[R, outputs, Y, X]`` in (0, 1).

    Parameters
    ----------
    outputs : int
        Channels of the image.
    size : (int, int)
        Height and width in pixels.
    latent : int
        Length of the latent vector.
    width, widest : int
        Channels at half the size, doubled with each halving up to ``widest``.

    Notes
    -----
    The architecture is that of :class:`~.dcgan.DCGAN` with two differences. The first map has the aspect ratio of the
    image, and rows and columns beyond the size are cropped at the end. Normalisation uses the statistics of the one
    image, so that there are no buffers.
    """

    def __init__(self, outputs: int, size: tuple[int, int], latent: int, width: int, widest: int) -> None:
        super().__init__()
        self.size = size
        levels = 1
        while min(size) >= SMALLEST_MAP_PX * 2 ** (levels + 1):
            levels += 1
        first = (-(-size[0] // 2**levels), -(-size[1] // 2**levels))
        widths = [min(widest, width * 2**level) for level in range(levels)]
        layers: list[nn.Module] = [
            nn.Unflatten(1, (latent, 1, 1)), nn.ConvTranspose2d(latent, widths[-1], first), *_normalised(widths[-1])
        ]  # fmt: skip
        for wide, narrow in pairwise(reversed(widths)):
            layers += [nn.ConvTranspose2d(wide, narrow, 4, 2, 1), *_normalised(narrow)]
        layers += [nn.ConvTranspose2d(width, outputs, 4, 2, 1), nn.Sigmoid()]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """Decode latents ``[R, latent]`` to images ``[R, outputs, Y, X]``."""
        return self.layers(z)[..., : self.size[0], : self.size[1]]


def _normalised(channels: int) -> list[nn.Module]:
    """Make the normalisation and activation that follow a convolution."""
    return [nn.InstanceNorm2d(channels, affine=True), nn.ReLU()]
