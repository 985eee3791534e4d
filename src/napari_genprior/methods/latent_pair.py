"""Two generators as one function of one point: what second-order searches need of a problem."""

from __future__ import annotations

from torch import Tensor

from ..operators.convolution import convolve
from .base import Problem


class Pair:
    """Image and kernel of points ``[n, d]``: the image's latents, then the kernel's.

    A known kernel has no latents, and all points share it.
    """

    def __init__(self, problem: Problem) -> None:
        assert problem.image_prior is not None
        self.image_prior = problem.image_prior
        self.known = problem.kernel
        self.kernel_prior = problem.kernel_prior if self.known is None else None
        self.image_latents = problem.image_prior.card.latent
        self.kernel_latents = self.kernel_prior.card.latent if self.kernel_prior else 0

    def decode(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Images ``[n, C, Y, X]`` and kernels ``[n, 1, kh, kw]``."""
        image, kernel = self._split(points)
        if self.kernel_prior is None:
            assert self.known is not None
            return self.image_prior.decode(image), self.known.expand(len(points), -1, -1, -1)
        return self.image_prior.decode(image), self.kernel_prior.decode(kernel)

    def model(self, points: Tensor) -> Tensor:
        """The blurred images that points explain, ``[n, C, Y, X]``."""
        image, kernel = self.decode(points)
        return convolve(image, kernel)

    def squared_norms(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Of the image's and the kernel's latents, each ``[n]``."""
        image, kernel = self._split(points)
        return image.square().sum(1), kernel.square().sum(1)

    def _split(self, points: Tensor) -> tuple[Tensor, Tensor]:
        return points[:, : self.image_latents], points[:, self.image_latents :]
