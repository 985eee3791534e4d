"""Evidence of a kernel under an image generator that is not linear, by Laplace's approximation.

Near latents z0 a generator is approximated by the linear one ``G(z0) + J (z - z0)``, J its derivative, and its residual
by white noise. With J fixed, Laplace's approximation of the evidence is least squares plus a volume:

    -2 log p(y | k) = min_z [ |z|^2 + |y - k G(z)|^2_D ] + log det D + log det (1 + J' K' D^-1 K J)

(D as in :mod:`.gaussian_evidence`; exact where G is linear). z and the kernel's latents are estimated together, by
second-order steps between which J is updated. Without the volume this is the mode, which prefers kernels that blur
too little.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..blur.support import CENTRED_PX, off_center
from ..core.iteration import run_to_end
from ..operators.convolution import convolve
from ..optim.batched_lbfgs import Objective, lbfgs
from .evidence_search import Candidates
from .gaussian_evidence import DataView, LinearEvidence

FIRST_STEPS = 20  # second-order steps of all initial points, by least squares alone
ROUNDS = ((6, 12), (3, 12), (2, 25))  # points kept, and steps between two derivatives; twice as many gain nothing
MEMORY = 30  # pairs of steps and gradient changes that L-BFGS keeps
CHUNK = 64  # columns of a derivative at a time


@dataclass(frozen=True)
class LocalGenerator:
    """Linearizations of a generator at R images; see :class:`.gaussian_evidence.Gaussian`."""

    mean: Tensor
    basis: Tensor
    residual_spectrum: Tensor
    shape: tuple[int, ...]

    @property
    def latent(self) -> int:
        return self.basis.shape[1]

    def linear(self, z: Tensor) -> Tensor:
        """Decode latents ``[R, latent]`` to images ``[R, C, Y, X]``."""
        return (self.mean + (z[:, None] @ self.basis)[:, 0]).view(len(z), *self.shape)


@torch.no_grad()
def local_generator(net: nn.Module, z: Tensor, error: float) -> LocalGenerator:
    """Linearize a generator at latents.

    Parameters
    ----------
    net : Module
        Latents ``[R, latent]`` to images ``[R, C, Y, X]``.
    z : Tensor [R, latent]
    error : float
        Root mean square of the generator's residual, which is taken to be white.
    """

    def column(direction: Tensor) -> tuple[Tensor, Tensor]:
        value, change = torch.func.jvp(net, (z,), (direction.expand_as(z),))[:2]
        return value, change

    images, columns = torch.func.vmap(column, chunk_size=CHUNK)(torch.eye(z.shape[1], device=z.device))
    shape = tuple(images.shape[2:])
    basis = columns.flatten(2).transpose(0, 1)
    mean = images[0].flatten(1) - (z[:, None] @ basis)[:, 0]
    spectrum = z.new_full((shape[0], shape[1], shape[2] // 2 + 1), error**2)
    return LocalGenerator(mean, basis, spectrum, shape)


def find_kernels(
    net: nn.Module, decode: Callable[[Tensor], Tensor], blurred: Tensor, noise: float, error: float, points: Tensor,
    split: int, centred: bool = False,
) -> Generator[Candidates, None, tuple[Candidates, LocalGenerator]]:  # fmt: skip
    """Estimate the kernel of an image with a periodic boundary.

    Parameters
    ----------
    net : Module
        Latents to images ``[R, C, Y, X]``.
    decode : callable
        Latents ``[R, latent]``, standard normal, to kernels ``[R, 1, kh, kw]``.
    blurred : Tensor [1, C, Y, X]
        Of the generator's size, working units.
    noise : float
        Standard deviation.
    error : float
        See :func:`local_generator`.
    points : Tensor [n, d]
        Initial points: ``split`` latents of an image each, then those of a kernel.
    split : int
    centred : bool
        The generator was trained on centred kernels only: constrain candidates to be centred.

    Yields
    ------
    Candidates
        After each round.

    Returns
    -------
    Candidates, LocalGenerator
        The last candidates, and the linearizations at their images in the same order.
    """
    posterior = _NegativeLogPosterior(net, decode, blurred, noise, error, split, centred)
    state = run_to_end(lbfgs(posterior.mode, points, steps=FIRST_STEPS))
    points = state.x[state.values.argsort()]
    for number, (count, steps) in enumerate(ROUNDS):
        points = points[:count]
        state = run_to_end(lbfgs(posterior.integrated(points), points, steps=steps, memory=MEMORY))
        order = state.values.argsort()
        points, values = state.x[order], -state.values[order]
        with torch.no_grad():
            candidates = Candidates(points[:, split:], decode(points[:, split:]), values, (number + 1) / len(ROUNDS))
        yield candidates
    return candidates, local_generator(net, points[:, :split], error)


@dataclass(frozen=True)
class _NegativeLogPosterior:
    """Negative log posterior of points ``[n, d]``; see :func:`find_kernels` for the fields."""

    net: nn.Module
    decode: Callable[[Tensor], Tensor]
    blurred: Tensor
    noise: float
    error: float
    split: int
    centred: bool

    def mode(self, v: Tensor, rows: Tensor) -> Tensor:
        """Compute the negative log density of image and kernel, without the volume."""
        kernels = self.decode(v[:, self.split :])
        misfit = self.blurred - convolve(self.net(v[:, : self.split]), kernels)
        variance = self.noise**2 + self.error**2
        return self._prior(v, kernels) + misfit.square().flatten(1).sum(1) / (2 * variance)

    def integrated(self, points: Tensor) -> Objective:
        """Return the objective with the image integrated out, linearized at ``points``."""
        local = local_generator(self.net, points[:, : self.split], self.error)
        evidence = LinearEvidence(local, self.blurred, DataView(self.split, grey=False))

        def cost(v: Tensor, rows: Tensor) -> Tensor:
            kernels = self.decode(v[:, self.split :])
            return self._prior(v, kernels) - evidence[rows].joint(self.net(v[:, : self.split]), kernels, self.noise)

        return cost

    def _prior(self, v: Tensor, kernels: Tensor) -> Tensor:
        value = v.square().sum(1) / 2
        return value + off_center(kernels) / (2 * CENTRED_PX**2) if self.centred else value
