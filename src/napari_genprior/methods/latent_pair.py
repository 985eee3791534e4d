"""Treat two generators as one function of one vector of latents, as second-order searches need it."""

from __future__ import annotations

from torch import Tensor

from ..operators.convolution import convolve
from .base import Problem


class Pair:
    """The image and kernel generators of a problem, as functions of points ``[n, d]``.

    A point is the latents of the image, then those of the kernel. A known kernel has no latents; all points share it.
    """

    def __init__(self, problem: Problem) -> None:
        assert problem.image_prior is not None
        self.image_prior = problem.image_prior
        self.known = problem.kernel
        self.kernel_prior = problem.kernel_prior if self.known is None else None
        self.image_latents = problem.image_prior.card.latent
        self.kernel_latents = self.kernel_prior.card.latent if self.kernel_prior else 0

    def decode(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Decode points to images ``[n, C, Y, X]`` and kernels ``[n, 1, kh, kw]``."""
        image, kernel = self._split(points)
        if self.kernel_prior is None:
            assert self.known is not None
            return self.image_prior.decode(image), self.known.expand(len(points), -1, -1, -1)
        return self.image_prior.decode(image), self.kernel_prior.decode(kernel)

    def model(self, points: Tensor) -> Tensor:
        """Compute the blurred images that points model, ``[n, C, Y, X]``; the boundary is periodic."""
        image, kernel = self.decode(points)
        return convolve(image, kernel)

    def squared_norms(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the squared norms of the latents of image and kernel, each ``[n]``."""
        image, kernel = self._split(points)
        return image.square().sum(1), kernel.square().sum(1)

    def _split(self, points: Tensor) -> tuple[Tensor, Tensor]:
        return points[:, : self.image_latents], points[:, self.image_latents :]
