"""The denoiser: a bias-free U-Net that removes white Gaussian noise of known level from grey images."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad, pixel_shuffle, pixel_unshuffle, relu

from ..core.bfloat16 import fast_bfloat16

BLOCK_PX = 8  # side of a pixel of the coarsest map
INITIAL_GAIN = 0.2  # of the orthogonal initial weights; with more, the sum over the residual blocks grows too large
MAX_BLOCKS = 16


class Denoiser(nn.Module):
    """A noise-conditioned denoiser of grey images: ``denoised = image - U-Net(image, noise level)``.

    Parameters
    ----------
    width, middle, deep : int
        Channels at 1/2, 1/4 and 1/8 of the image's size.
    blocks : int
        Residual blocks at each size, on the way down and on the way up.

    Notes
    -----
    The image enters as its four sub-images of half the size, with the noise level as a fifth channel [1]_. There are no
    biases [2]_ and the mean of each image bypasses the network, so that ``f(a x + b, a s) = a f(x, s) + b`` for a > 0.
    The first and the last layer compute in float32, the others in bfloat16 where the device is fast at it: an error of
    8 bits of the predicted noise is small, one of the image would not be.

    References
    ----------
    .. [1] Zhang et al., FFDNet: toward a fast and flexible solution for CNN-based image denoising, IEEE TIP 2018.
    .. [2] Mohan et al., Robust and interpretable blind image denoising via bias-free convolutional neural networks,
       ICLR 2020.
    """

    def __init__(self, width: int = 64, middle: int = 96, deep: int = 128, blocks: int = 2) -> None:
        super().__init__()
        if not 0 <= blocks <= MAX_BLOCKS:
            raise ValueError(f"a denoiser has 0 to {MAX_BLOCKS} blocks at each size; got {blocks}")
        self.head = _convolution(5, width)
        self.down1 = _blocks(width, blocks)
        self.down2 = nn.Sequential(nn.Conv2d(width, middle, 2, stride=2, bias=False), *_blocks(middle, blocks))
        self.bottom = nn.Sequential(
            nn.Conv2d(middle, deep, 2, stride=2, bias=False),
            *_blocks(deep, blocks),
            nn.ConvTranspose2d(deep, middle, 2, stride=2, bias=False),
        )
        self.up2 = nn.Sequential(*_blocks(middle, blocks), nn.ConvTranspose2d(middle, width, 2, stride=2, bias=False))
        self.up1 = _blocks(width, blocks)
        self.tail = _convolution(width, 4)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.orthogonal_(layer.weight, INITIAL_GAIN)

    def forward(self, image: Tensor, noise: Tensor) -> Tensor:
        """Denoise grey images.

        Parameters
        ----------
        image : Tensor [N, 1, Y, X]
            Any size and range.
        noise : Tensor [N, 1, 1, 1] or [N, 1, Y, X]
            Standard deviation of the noise, of the image or of each pixel, in the image's units.

        Returns
        -------
        Tensor [N, 1, Y, X]
        """
        height, width = image.shape[-2:]
        padding = (0, -width % BLOCK_PX, 0, -height % BLOCK_PX)
        mean = image.mean((2, 3), keepdim=True)
        centred = pad(image - mean, padding, mode="replicate")
        levels = noise.expand_as(image) if noise.shape[-1] > 1 else noise.expand(*image.shape[:2], 2, 2)
        levels = avg_pool2d(pad(levels, padding, mode="replicate") if noise.shape[-1] > 1 else levels, 2)
        sub_images = pixel_unshuffle(centred, 2)
        inputs = torch.cat([sub_images, levels.expand(-1, -1, *sub_images.shape[-2:])], 1)
        features = self.head(inputs.contiguous(memory_format=torch.channels_last))
        with torch.autocast(image.device.type, torch.bfloat16, enabled=fast_bfloat16(image.device.type)):
            features = self._body(features)
        predicted = pixel_shuffle(self.tail(features.float()), 2)
        return image - predicted[..., :height, :width]

    def _body(self, features: Tensor) -> Tensor:
        fine = self.down1(features)
        half = self.down2(fine)
        half = self.up2(half + self.bottom(half))
        return self.up1(fine + half)


class _ResidualBlock(nn.Module):
    """Two 3x3 convolutions whose result is added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = _convolution(channels, channels), _convolution(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(relu(self.first(x)))


def _blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(_ResidualBlock(channels) for _ in range(count)))


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """Make a 3x3 convolution without bias."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
