"""A small network that takes ringing and noise out of a picture which has just been fitted to blurred data."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, pixel_shuffle, pixel_unshuffle, relu

LEVELS = 3  # figures about the picture that the network is told
FIRST_SPREAD, LAST_RIDGE = 0.25, 0.5  # where the learnt trust begins: see Restorer.ridge
SMALLEST_MISFIT = 1e-4  # over the contrast
BLOCK = 4  # px, the coarsest of its pixels


class Restorer(nn.Module):
    """One network for all rounds of a known-kernel solve (:mod:`..classical.learned_solve`), for grey pictures.

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
    There are no biases: brighter pictures with as much more noise come out as much brighter, exactly [1]_.

    References
    ----------
    .. [1] Mohan et al., Robust and interpretable blind image denoising via bias-free convolutional neural networks,
       ICLR 2020.
    """

    def __init__(self, width: int = 32, deep: int = 64, blocks: int = 4, rounds: int = 4) -> None:
        super().__init__()
        self.rounds = rounds
        self.head = nn.Sequential(_convolution(8 + LEVELS, width), nn.ReLU(), _convolution(width, width), nn.ReLU())
        self.down = nn.Conv2d(width, deep, 2, stride=2, bias=False)
        self.blocks = nn.ModuleList(
            nn.Sequential(_convolution(deep, deep), nn.ReLU(), _convolution(deep, deep)) for _ in range(blocks)
        )
        self.up = nn.Conv2d(deep, 4 * width, 1, bias=False)
        self.tail = nn.Sequential(_convolution(width, width), nn.ReLU(), _convolution(width, 4))
        nn.init.zeros_(self.tail[-1].weight)  # type: ignore[arg-type]
        late = torch.linspace(0, 1, rounds)
        self.slope = nn.Parameter(2 * (1 - late))
        self.level = nn.Parameter(-2 * math.log(FIRST_SPREAD) * (1 - late) + math.log(LAST_RIDGE) * late)

    @property
    def reach(self) -> int:
        """Pixels, a multiple of :data:`BLOCK`, beyond which nothing has influence on a pixel."""
        return 2 * 4 + BLOCK * (2 * len(self.blocks) + 2)

    def ridge(self, index: int, misfit: Tensor) -> Tensor:
        """Trust in the picture of the round before, over that in the data: the ridge of round ``index``.

        ``exp(level + slope log(misfit))``, learnt. At first ``(misfit / FIRST_SPREAD)^2`` in the first round, as if
        that picture erred by FIRST_SPREAD of the contrast, and LAST_RIDGE in the last.

        Parameters
        ----------
        misfit : Tensor, any shape
            Root mean square misfit over the picture's contrast.
        """
        return (self.level[index] + self.slope[index] * misfit.clamp(min=SMALLEST_MISFIT).log()).exp()

    def forward(self, image: Tensor, guide: Tensor, levels: Tensor) -> Tensor:
        """The picture without the errors that fitting it to data has brought in.

        Parameters
        ----------
        image : Tensor [N, 1, Y, X]
            Fitted to the data; mean about zero.
        guide : Tensor [N, 1, Y, X]
            What it was before it was fitted.
        levels : Tensor [N, LEVELS]
            Standard deviations of noise, misfit and expected change by the fit, in the picture's units.
        """
        height, width = image.shape[-2:]
        odd = (0, -width % BLOCK, 0, -height % BLOCK)
        seen = torch.cat([pixel_unshuffle(pad(picture, odd), 2) for picture in (image, guide)], 1)
        maps = levels[:, :, None, None].expand(-1, -1, *seen.shape[-2:])
        fine = self.head(torch.cat([seen, maps], 1).contiguous(memory_format=torch.channels_last))
        coarse = relu(self.down(fine))
        for block in self.blocks:
            coarse = coarse + block(coarse)
        change = self.tail(relu(fine + pixel_shuffle(self.up(coarse), 2)))
        return image + pixel_shuffle(change, 2)[..., :height, :width]


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
