"""The kernel by its evidence, in the latent space of a kernel generator: many starts, from coarse to fine.

A bank of kernels is ranked on a small, noisy view of the picture; the best go on to less noise and more pixels, each
by rounds of variational updates and second-order steps (:mod:`.sparse`). Where the small picture leaves several
kernels open, all go on. The last steps use every frequency (:mod:`.linear`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
from torch import Tensor

from .._generators import drain
from ..nets.linear import LinearGenerator
from ..solvers.lbfgs import lbfgs
from .linear import LinearEvidence, View
from .sparse import SparseEvidence, Weights, low_noise

BANK = 500  # kernels drawn
PART = 50  # of them at a time
STEPS = 6  # second-order steps between two updates of the weights
DIFFERENT = 0.3  # kernels this far apart (relative norm) are two candidates
LARGEST_VIEW = 32  # px; larger pictures are looked at with LAST_VIEW pixels, then as they are by the Gaussian alone
LAST_VIEW = 24
FINE_LATENT = 400  # principal components in the last steps ...
FINE_STEPS = 15  # ... and their number
CONTRAST_SPREAD = 0.7  # standard deviation of the logarithm of a picture's contrast


@dataclass(frozen=True)
class Level:
    """A view of the picture: its side, the least noise it is taken to have, how many kernels go through, rounds."""

    side: int
    noise: float
    kept: int
    rounds: int


def levels_for(side: int) -> tuple[Level, ...]:
    """From coarse and noisy to fine, for a picture of ``side`` pixels."""
    first, last = min(16, side), side if side <= LARGEST_VIEW else LAST_VIEW
    return Level(first, 0.017, 24, 2), Level(first, 0.006, 16, 3), Level(last, 0.006, 3, 4)


@dataclass(frozen=True)
class Candidates:
    """Kernels ``[n, 1, kh, kw]``, their latents ``[n, d]`` and log posteriors ``[n]`` (at this level), best first."""

    latents: Tensor
    kernels: Tensor
    values: Tensor
    part_done: float


def find_kernels(
    net: LinearGenerator, decode: Callable[[Tensor], Tensor], latent: int, blurred: Tensor, noise: float, edges: float,
    random: torch.Generator,
) -> Generator[Candidates, None, Candidates]:  # fmt: skip
    """Search for the kernel of a picture.

    Parameters
    ----------
    net : LinearGenerator
        Of pictures like the blurred one.
    decode : callable
        Latents ``[R, latent]``, standard normal, to kernels ``[R, 1, kh, kw]``.
    blurred : Tensor [1, C, Y, X]
        Square, of the generator's size, at least 16 pixels; its border is circular.
    noise : float
        Standard deviation.
    edges : float
        See :class:`SparseEvidence`.
    random : torch.Generator
        Source of the bank.

    Yields
    ------
    Candidates
        After each round.
    """
    side = min(blurred.shape[-2:]) // 2 * 2
    z = torch.randn(BANK, latent, generator=random).to(blurred)
    levels = levels_for(side)
    rounds, done = sum(level.rounds for level in levels) + 1, 0
    for number, level in enumerate(levels):
        seen = max(level.noise, low_noise(blurred, level.side, noise))
        evidence = SparseEvidence(net, blurred, level.side, seen, edges)
        if number == 0:
            z = _best_of_bank(evidence, decode, z, level.kept)
        z = _distinct(decode, z)[: level.kept]
        weights = evidence.start(len(z))
        for _ in range(level.rounds):
            weights = _improved(evidence, decode, z, weights)

            def cost(z: Tensor, rows: Tensor, evidence=evidence, weights=weights) -> Tensor:
                return z.square().sum(1) / 2 - evidence(decode(z), weights[rows])

            found = drain(lbfgs(cost, z, steps=STEPS))
            order = found.values.argsort()
            z, values, weights = found.x[order], -found.values[order], weights[order]
            done += 1
            with torch.no_grad():
                yield Candidates(z, decode(z), values, done / rounds)
    if side > LARGEST_VIEW:
        z = _fine(net, decode, z, blurred, noise)
    with torch.no_grad():
        return Candidates(z, decode(z), values, 1.0)


@torch.no_grad()
def _best_of_bank(evidence: SparseEvidence, decode: Callable[[Tensor], Tensor], bank: Tensor, kept: int) -> Tensor:
    values = []
    for part in bank.split(PART):
        weights = _improved(evidence, decode, part, evidence.start(len(part)))
        values.append(evidence(decode(part), weights))
    return bank[torch.cat(values).argsort(descending=True)[:kept]]


@torch.no_grad()
def _improved(evidence: SparseEvidence, decode: Callable[[Tensor], Tensor], z: Tensor, weights: Weights) -> Weights:
    kernels = decode(z)
    return evidence.improved(kernels, evidence.improved(kernels, weights))


@torch.no_grad()
def _distinct(decode: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """The latents without those whose kernels are nearly that of an earlier one."""
    kernels = decode(z).flatten(1)
    chosen: list[int] = []
    for i, kernel in enumerate(kernels):
        if all((kernel - kernels[j]).norm() > DIFFERENT * kernel.norm() for j in chosen):
            chosen.append(i)
    return z[chosen]


def _fine(net: LinearGenerator, decode: Callable[[Tensor], Tensor], z: Tensor, blurred: Tensor, noise: float) -> Tensor:
    """A few steps on all frequencies, contrast found along the way."""
    evidence = LinearEvidence(net, blurred, View(FINE_LATENT))
    latent = z.shape[1]

    def cost(v: Tensor, rows: Tensor) -> Tensor:
        scales = CONTRAST_SPREAD * v[:, latent:]
        return v.square().sum(1) / 2 - evidence(decode(v[:, :latent]), noise, scales)

    start = torch.cat([z, torch.full((len(z), 2), -0.5, device=z.device)], 1)
    return drain(lbfgs(cost, start, steps=FINE_STEPS)).x[:, :latent]
