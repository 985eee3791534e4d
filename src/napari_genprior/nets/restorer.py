"""A small network that improves an image by what fits of it to blurred data show."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, pixel_shuffle, pixel_unshuffle, relu

FITS = 3  # of different trust in the data; one shows details and noise, another what is certain
FIRST_SPREAD, LAST_RIDGE = 0.25, 0.5  # where the learnt ridges begin: see Restorer.ridges
SMALLEST_MISFIT = 1e-4  # over the contrast
DETAIL = 4.0  # what a fit changes is small beside the image: in training it counts as much
MAX_BLOCKS = 64
BLOCK = 4  # px, the coarsest of its pixels


class Restorer(nn.Module):
    """One network for all rounds of a known-kernel solve (:mod:`..deconvolution.unrolled`), for grey images.

    Parameters
    ----------
    width, deep : int
        Channels at a half and at a quarter of the size.
    blocks : int
        Residual blocks at a quarter of the size.
    rounds : int
        Of the solve it was trained in.

    Notes
    -----
    There are no biases: brighter images with as much more noise come out as much brighter, exactly [1]_.

    References
    ----------
    .. [1] Mohan et al., Robust and interpretable blind image denoising via bias-free convolutional neural networks,
       ICLR 2020.
    """

    def __init__(self, width: int = 32, deep: int = 64, blocks: int = 3, rounds: int = 2) -> None:
        super().__init__()
        if not 0 <= blocks <= MAX_BLOCKS:
            raise ValueError(f"a restorer has 0 to {MAX_BLOCKS} blocks; got {blocks}")
        self.rounds = rounds
        inputs = 4 * (1 + FITS) + 2 + FITS
        self.head = nn.Sequential(_convolution(inputs, width), nn.ReLU(), _convolution(width, width), nn.ReLU())
        self.down = nn.Conv2d(width, deep, 2, stride=2, bias=False)
        self.blocks = nn.ModuleList(
            nn.Sequential(_convolution(deep, deep), nn.ReLU(), _convolution(deep, deep)) for _ in range(blocks)
        )
        self.up = nn.Conv2d(deep, 4 * width, 1, bias=False)
        self.tail = nn.Sequential(_convolution(width, width), nn.ReLU(), _convolution(width, 4))
        nn.init.zeros_(self.tail[-1].weight)  # type: ignore[arg-type]
        flat = torch.linspace(0, 1, FITS).repeat(rounds, 1)
        self.slope = nn.Parameter(2 * (1 - flat))
        self.level = nn.Parameter(-2 * math.log(FIRST_SPREAD) * (1 - flat) + math.log(LAST_RIDGE) * flat)

    @property
    def reach(self) -> int:
        """Pixels, a multiple of :data:`BLOCK`, beyond which nothing has influence on a pixel."""
        return 2 * 4 + BLOCK * (2 * len(self.blocks) + 2)

    def ridges(self, index: int, misfit: Tensor) -> Tensor:
        """Trust in the image over that in the data, for each fit of round ``index``: ``[..., FITS]``.

        ``exp(level + slope log(misfit))``, learnt. At first ``(misfit / FIRST_SPREAD)^2`` for the first fit, as if
        the image erred by FIRST_SPREAD of the contrast, and LAST_RIDGE for the last.

        Parameters
        ----------
        misfit : Tensor, any shape
            Root mean square misfit over the image's contrast.
        """
        return (self.level[index] + self.slope[index] * misfit.clamp(min=SMALLEST_MISFIT).log()[..., None]).exp()

    def forward(self, image: Tensor, changes: Tensor, levels: Tensor) -> Tensor:
        """A better image.

        Parameters
        ----------
        image : Tensor [N, 1, Y, X]
            Mean about zero.
        changes : Tensor [N, FITS, Y, X]
            What each fit adds to it.
        levels : Tensor [N, 2 + FITS]
            Standard deviations of noise, misfit and expected change by each fit, in the image's units.
        """
        height, width = image.shape[-2:]
        seen = pad(torch.cat([image, DETAIL * changes], 1), (0, -width % BLOCK, 0, -height % BLOCK))
        halves = pixel_unshuffle(seen, 2)
        maps = levels[:, :, None, None].expand(-1, -1, *halves.shape[-2:])
        fine = self.head(torch.cat([halves, maps], 1).contiguous(memory_format=torch.channels_last))
        coarse = relu(self.down(fine))
        for block in self.blocks:
            coarse = coarse + block(coarse)
        added = self.tail(relu(fine + pixel_shuffle(self.up(coarse), 2)))
        return image + pixel_shuffle(added, 2)[..., :height, :width]


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
