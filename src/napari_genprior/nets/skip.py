"""The encoder-decoder with skip connections whose structure alone acts as a prior on images.

References
----------
Ulyanov, Vedaldi and Lempitsky, Deep image prior, CVPR 2018.
Ren, Zhang, Wang, Hu and Zuo, Neural blind deconvolution using deep priors, CVPR 2020 (SelfDeblur: 128 channels,
16 skip channels, depth 5, 8 input channels; its non-local blocks are left out here).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

SMALLEST_MAP_PX = 4  # a smaller coarsest map has too few values for instance normalisation


def fitting_depth(shape: tuple[int, int], depth: int) -> int:
    """Compute the largest depth, from 1 to ``depth``, whose coarsest map still has about 4 pixels a side."""
    while depth > 1 and min(shape) / 2**depth <= SMALLEST_MAP_PX - 1:  # each level halves and rounds up
        depth -= 1
    return depth


class SkipNetwork(nn.Module):
    """A network that maps a code ``[R, inputs, Y, X]`` to images ``[R, outputs, Y, X]`` in (0, 1), for any size.

    Parameters
    ----------
    outputs, inputs : int
        Channels of the image and of the code.
    channels, skip_channels : int
        Channels of every level, and of its skip connection (at least 1).
    depth : int
        Number of halvings; see :func:`fitting_depth` for small images.

    Notes
    -----
    Normalisation uses the statistics of the one image. There are no buffers, so that the network is a pure function of
    weights and code.
    """

    def __init__(
        self, outputs: int = 1, inputs: int = 8, channels: int = 32, skip_channels: int = 4, depth: int = 5
    ) -> None:
        super().__init__()
        levels = range(depth)
        entering = [inputs] + [channels] * (depth - 1)
        self.down = nn.ModuleList(
            nn.Sequential(_layer(entering[level], channels, stride=2), _layer(channels, channels)) for level in levels
        )
        self.around = nn.ModuleList(_layer(entering[level], skip_channels, size=1) for level in levels)
        self.up = nn.ModuleList(
            nn.Sequential(
                nn.InstanceNorm2d(skip_channels + channels, affine=True),
                _layer(skip_channels + channels, channels),
                _layer(channels, channels, size=1),
            )
            for _ in levels
        )
        self.out = nn.Conv2d(channels, outputs, kernel_size=1)

    def forward(self, code: Tensor) -> Tensor:
        """Map a code ``[R, inputs, Y, X]`` to images ``[R, outputs, Y, X]``."""
        features, skipped = code, []
        for down, around in zip(self.down, self.around, strict=True):
            skipped.append(around(features))
            features = down(features)
        for up, skip in zip(reversed(self.up), reversed(skipped), strict=True):
            # to the size of the skip connection instead of by 2, because a side of 5 was halved to 3
            features = interpolate(features, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            features = up(torch.cat([skip, features], dim=1))
        return torch.sigmoid(self.out(features))


def _layer(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    """Make a convolution (reflecting boundary), normalisation and leaky ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, padding_mode="reflect"),
        nn.InstanceNorm2d(outputs, affine=True),
        nn.LeakyReLU(0.2),
    )
