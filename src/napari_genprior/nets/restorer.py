"""The network of unrolled deconvolution, which improves an image from regularized fits to the blurred data."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, pixel_shuffle, pixel_unshuffle, relu

FITS = 3  # fits with different ridge weights: a weak one shows details and noise, a strong one what is certain
FIRST_SPREAD, LAST_RIDGE = 0.25, 0.5  # initial values of the learned ridge weights, see Restorer.ridges
SMALLEST_MISFIT = 1e-4  # fraction of the contrast
CHANGE_SCALE = 4.0  # changes by the fits are small compared with the image; scaled, both are inputs of the same order
MAX_BLOCKS = 64
BLOCK_PX = 4  # side of a pixel of the coarsest map


class Restorer(nn.Module):
    """A network for all rounds of unrolled deconvolution (:mod:`..deconvolution.unrolled`) of grey images.

    Parameters
    ----------
    width, deep : int
        Channels at a half and at a quarter of the size.
    blocks : int
        Residual blocks at a quarter of the size.
    rounds : int
        Number of rounds of the deconvolution it was trained for.

    Notes
    -----
    There are no biases, so that the network is homogeneous: scaled images with equally scaled noise give equally scaled
    results [1]_.

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
        """Radius of the receptive field in pixels, a multiple of :data:`BLOCK_PX`."""
        return 2 * 4 + BLOCK_PX * (2 * len(self.blocks) + 2)

    def ridges(self, index: int, misfit: Tensor) -> Tensor:
        """Compute the ridge weights of the fits of round ``index``, ``[..., FITS]``.

        The weight of the image relative to the data is ``exp(level + slope log(misfit))``, with learned level and
        slope. Before training it is ``(misfit / FIRST_SPREAD)^2`` for the first fit, as if the image had an error of
        FIRST_SPREAD of the contrast, and LAST_RIDGE for the last.

        Parameters
        ----------
        misfit : Tensor, any shape
            Root mean square misfit as a fraction of the image's contrast.
        """
        return (self.level[index] + self.slope[index] * misfit.clamp(min=SMALLEST_MISFIT).log()[..., None]).exp()

    def forward(self, image: Tensor, changes: Tensor, levels: Tensor) -> Tensor:
        """Improve an image from regularized fits to the data.

        Parameters
        ----------
        image : Tensor [N, 1, Y, X]
            Current image, mean about zero.
        changes : Tensor [N, FITS, Y, X]
            Change of the image by each fit.
        levels : Tensor [N, 2 + FITS]
            Standard deviations of noise, misfit and expected change by each fit, in the image's units.

        Returns
        -------
        Tensor [N, 1, Y, X]
        """
        height, width = image.shape[-2:]
        inputs = torch.cat([image, CHANGE_SCALE * changes], 1)
        halves = pixel_unshuffle(pad(inputs, (0, -width % BLOCK_PX, 0, -height % BLOCK_PX)), 2)
        maps = levels[:, :, None, None].expand(-1, -1, *halves.shape[-2:])
        fine = self.head(torch.cat([halves, maps], 1).contiguous(memory_format=torch.channels_last))
        coarse = relu(self.down(fine))
        for block in self.blocks:
            coarse = coarse + block(coarse)
        added = self.tail(relu(fine + pixel_shuffle(self.up(coarse), 2)))
        return image + pixel_shuffle(added, 2)[..., :height, :width]


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """Make a 3x3 convolution without bias."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
