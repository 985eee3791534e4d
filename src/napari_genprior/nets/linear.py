"""The linear Gaussian generator: ``G(z) = mean + basis z``, z standard normal (principal components)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LinearGenerator(nn.Module):
    """Decodes latents ``[R, latent]`` to ``[R, channels, height, width]``.

    Parameters
    ----------
    latent, channels, height, width : int
    kernel : bool
        Decode to a blur kernel: negative values are cut off and the sum is made 1.
    """

    mean: Tensor
    basis: Tensor

    def __init__(self, latent: int, channels: int, height: int, width: int, kernel: bool = False):
        super().__init__()
        self.latent = latent
        self.shape = (channels, height, width)
        self.kernel = kernel
        self.register_buffer("mean", torch.zeros(channels * height * width))
        self.register_buffer("basis", torch.zeros(latent, channels * height * width))

    def forward(self, z: Tensor) -> Tensor:
        picture = (self.mean + z @ self.basis).view(len(z), *self.shape)
        if not self.kernel:
            return picture
        picture = picture.clamp(min=0)
        # the floor keeps a latent far outside the data from dividing by zero
        return picture / picture.sum(dim=(-3, -2, -1), keepdim=True).clamp(min=1e-6)


def fit(pictures: Tensor, latent: int, kernel: bool = False) -> LinearGenerator:
    """Principal components of pictures ``[N, C, Y, X]``, scaled so that the latents are standard normal."""
    count, channels, height, width = pictures.shape
    flat = pictures.reshape(count, -1).double()
    net = LinearGenerator(latent, channels, height, width, kernel)
    mean = flat.mean(0)
    values, vectors = torch.linalg.eigh((flat - mean).T @ (flat - mean) / count)
    values, vectors = values[-latent:].flip(0), vectors[:, -latent:].flip(1)
    net.mean.copy_(mean)
    net.basis.copy_((vectors * values.clamp(min=0).sqrt()).T)
    return net
