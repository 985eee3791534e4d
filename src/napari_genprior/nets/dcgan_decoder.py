"""The DCGAN's generator for one image of any size: what algorithm 3 leaves untrained.

References
----------
Asim, Shamshad and Ahmed, Blind image deconvolution using deep generative priors, IEEE TCI 2020, section V-D: a DCGAN
"modified to the image resolution".
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

SMALLEST_MAP = 4  # px, where the DCGAN begins


class Decoder(nn.Module):
    """Latents ``[R, latent]`` to images ``[R, outputs, Y, X]`` in (0, 1).

    Parameters
    ----------
    outputs : int
        Channels of the image.
    size : (int, int)
        Height and width in pixels.
    latent : int
    width, widest : int
        Channels at half the size, doubled with each halving up to ``widest``.

    Notes
    -----
    As :class:`~.dcgan.DCGAN`, but for the first map, which has the image's shape, and the normalisation: by the
    statistics of the one image at hand, so that there are no buffers. What the doublings exceed the size by is cut.
    """

    def __init__(self, outputs: int, size: tuple[int, int], latent: int, width: int, widest: int) -> None:
        super().__init__()
        self.size = size
        levels = 1
        while min(size) >= SMALLEST_MAP * 2 ** (levels + 1):
            levels += 1
        first = (-(-size[0] // 2**levels), -(-size[1] // 2**levels))
        widths = [min(widest, width * 2**level) for level in range(levels)]
        layers: list[nn.Module] = [
            nn.Unflatten(1, (latent, 1, 1)), nn.ConvTranspose2d(latent, widths[-1], first), *_after(widths[-1])
        ]  # fmt: skip
        for wide, narrow in pairwise(reversed(widths)):
            layers += [nn.ConvTranspose2d(wide, narrow, 4, 2, 1), *_after(narrow)]
        layers += [nn.ConvTranspose2d(width, outputs, 4, 2, 1), nn.Sigmoid()]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)[..., : self.size[0], : self.size[1]]


def _after(channels: int) -> list[nn.Module]:
    return [nn.InstanceNorm2d(channels, affine=True), nn.ReLU()]
