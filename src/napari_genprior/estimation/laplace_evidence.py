"""The evidence of a kernel where the image prior is a generator that is not linear, by Laplace's approximation.

Near latents z0 a generator is the linear one ``G(z0) + J (z - z0)``, J its derivative, and what it leaves of a
image is taken for white noise. With J held, Laplace's approximation of the evidence is least squares plus a volume:

    -2 log p(y | k) = min_z [ |z|^2 + |y - k G(z)|^2_D ] + log det D + log det (1 + J' K' D^-1 K J)

(D as in :mod:`.linear`; exact where G is linear). z and the kernel's latents are sought together, by second-order
steps between which J follows z. Without the volume this is the mode, which prefers kernels that blur too little.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..blur.support import CENTRED, off_center
from ..core.iteration import run_to_end
from ..operators.convolution import convolve
from ..optim.batched_lbfgs import lbfgs
from .evidence_search import Candidates
from .gaussian_evidence import LinearEvidence, View

FIRST_STEPS = 20  # of all starts, by least squares alone
ROUNDS = (
    (6, 12),
    (3, 12),
    (2, 25),
)  # points that go on, and steps, between two derivatives; twice as many gain nothing
MEMORY = 30
CHUNK = 64  # columns of a derivative at a time


@dataclass(frozen=True)
class LocalGenerator:
    """R linear generators, each the neighbourhood of one image of a generator's; see :class:`.linear.Gaussian`."""

    mean: Tensor
    basis: Tensor
    residual_spectrum: Tensor
    shape: tuple[int, ...]

    @property
    def latent(self) -> int:
        return self.basis.shape[1]

    def linear(self, z: Tensor) -> Tensor:
        """Images ``[R, C, Y, X]`` of latents ``[R, latent]``."""
        return (self.mean + (z[:, None] @ self.basis)[:, 0]).view(len(z), *self.shape)


@torch.no_grad()
def local_generator(net: nn.Module, z: Tensor, error: float) -> LocalGenerator:
    """The linear generators that touch ``net`` at ``z [R, latent]``.

    Parameters
    ----------
    error : float
        Root mean square of what the generator leaves of an image: white.
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
    net: nn.Module, decode: Callable[[Tensor], Tensor], blurred: Tensor, noise: float, error: float, starts: Tensor,
    split: int, centred: bool = False,
) -> Generator[Candidates, None, tuple[Candidates, LocalGenerator]]:  # fmt: skip
    """Search for the kernel of an image; its border is circular.

    Parameters
    ----------
    net : Module
        Latents to images ``[R, C, Y, X]``.
    decode : callable
        Latents ``[R, latent]``, standard normal, to kernels ``[R, 1, kh, kw]``.
    blurred : Tensor [1, C, Y, X]
        Of the generator's size.
    noise : float
        Standard deviation.
    error : float
        See :func:`local_generator`.
    starts : Tensor [n, d]
        Where searches begin: ``split`` latents of an image each, then a kernel's.
    split : int
    centred : bool
        All kernels that their generator knows are centred.

    Yields
    ------
    Candidates
        After each round.

    Returns
    -------
    Candidates, LocalGenerator
        The last candidates, and the images' neighbourhoods in the same order.
    """
    variance = noise**2 + error**2

    def unlikeliness(v: Tensor, kernels: Tensor) -> Tensor:
        value = v.square().sum(1) / 2
        return value + off_center(kernels) / (2 * CENTRED**2) if centred else value

    def least_squares(v: Tensor, rows: Tensor) -> Tensor:
        kernels = decode(v[:, split:])
        misfit = blurred - convolve(net(v[:, :split]), kernels)
        return unlikeliness(v, kernels) + misfit.square().flatten(1).sum(1) / (2 * variance)

    found = run_to_end(lbfgs(least_squares, starts, steps=FIRST_STEPS))
    points = found.x[found.values.argsort()]
    for number, (kept, steps) in enumerate(ROUNDS):
        points = points[:kept]
        near = LinearEvidence(local_generator(net, points[:, :split], error), blurred, View(split, grey=False))

        def cost(v: Tensor, rows: Tensor, near=near) -> Tensor:
            kernels = decode(v[:, split:])
            return unlikeliness(v, kernels) - near[rows].joint(net(v[:, :split]), kernels, noise)

        found = run_to_end(lbfgs(cost, points, steps=steps, memory=MEMORY))
        order = found.values.argsort()
        points, values = found.x[order], -found.values[order]
        with torch.no_grad():
            candidates = Candidates(points[:, split:], decode(points[:, split:]), values, (number + 1) / len(ROUNDS))
        yield candidates
    return candidates, local_generator(net, points[:, :split], error)
