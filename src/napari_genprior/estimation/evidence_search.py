"""The kernel by its evidence, in the latent space of a kernel generator: many starts, from coarse to fine.

A bank of kernels is ranked on a small, noisy view of the image; the best go on to less noise and more pixels, each
by rounds of variational updates and second-order steps (:mod:`.sparse`). Small views like short blurs and faint
images too well: so long, middling and short blurs have equal places until the last levels. The last steps of larger
images use every frequency (:mod:`.linear`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ..blur.support import CENTRED, off_center
from ..core.iteration import run_to_end
from ..nets.initializer import Mixture
from ..nets.linear_gaussian import LinearGenerator
from ..optim.batched_lbfgs import lbfgs
from .gaussian_evidence import LinearEvidence, View
from .sparse_evidence import SparseEvidence, low_noise

BANK = 300  # kernels drawn from the prior ...
LIKELY = 300  # ... and from those a network thinks likely for this image
TRUST = 0.5  # exponent of a network's density; 1 would count the data twice
PART = 50  # of the bank at a time
STEPS = 6  # second-order steps between two updates of the weights
DIFFERENT = 0.3  # kernels this far apart (relative norm) are two candidates
VARIED = 6  # this many candidates and more are of all lengths of blur
HOPELESS = 60.0  # nats behind the best; of few candidates such are given up
FINE_ABOVE = 32  # px; larger images are looked at as they are too, by the Gaussian alone
FINE_LATENT = 150  # principal components in the last steps (400 gain nothing) ...
FINE_STEPS = 12  # ... and their number
CONTRAST_SPREAD = 0.7  # standard deviation of the logarithm of an image's contrast

Decode = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Level:
    """A view of the image: its side, the least noise it is taken to have, how many kernels are tried, rounds."""

    side: int
    noise: float
    kept: int
    rounds: int


def levels_for(side: int) -> tuple[Level, ...]:
    """From coarse and noisy to fine, for an image of ``side`` pixels."""
    plan = (
        Level(8, 0.017, 150, 1), Level(12, 0.017, 48, 1), Level(16, 0.017, 24, 2), Level(16, 0.006, 12, 2),
        Level(24, 0.006, 5, 3),
    )  # fmt: skip
    last = (Level(side, 0.006, 2, 2),) if plan[-1].side < side <= FINE_ABOVE else ()
    return tuple(level for level in plan if level.side <= side) + last


@dataclass(frozen=True)
class Candidates:
    """Kernels ``[n, 1, kh, kw]``, their latents ``[n, d]`` and log posteriors ``[n]`` (at this level), best first."""

    latents: Tensor
    kernels: Tensor
    values: Tensor
    part_done: float


def find_kernels(
    net: LinearGenerator, decode: Decode, latent: int, blurred: Tensor, noise: float, edges: float,
    random: torch.Generator, likely: Mixture | None = None, centred: bool = False,
) -> Generator[Candidates, None, Candidates]:  # fmt: skip
    """Search for the kernel of an image.

    Parameters
    ----------
    net : LinearGenerator
        Of images like the blurred one.
    decode : callable
        Latents ``[R, latent]``, standard normal, to kernels ``[R, 1, kh, kw]``.
    blurred : Tensor [1, C, Y, X]
        Square, of the generator's size, at least 8 pixels; its border is circular.
    noise : float
        Standard deviation.
    edges : float
        See :class:`SparseEvidence`.
    random : torch.Generator
        Source of the bank.
    likely : Mixture, optional
        What a network thinks of the kernel's latents.
    centred : bool
        All kernels that the generator knows are centred.

    Yields
    ------
    Candidates
        After each round.
    """
    against = _Prior(likely, centred)
    side = min(blurred.shape[-2:]) // 2 * 2
    z = torch.randn(BANK, latent, generator=random).to(blurred)
    with torch.no_grad():
        lengths = torch.quantile(_compactness(decode(z)), torch.tensor([1 / 3, 2 / 3], device=z.device))
    if likely is not None:
        z = torch.cat([likely.draw(LIKELY, random), z])
    levels = levels_for(side)
    rounds, done = sum(level.rounds for level in levels) + 1, 0
    for number, level in enumerate(levels):
        seen = max(level.noise, low_noise(blurred, level.side, noise))
        evidence = SparseEvidence(net, blurred, level.side, seen, edges)
        if number == 0:
            z = _ranked(evidence, decode, z, against)
        z = _distinct(decode, z)
        z = (_varied(decode, z, lengths) if level.kept >= VARIED else z)[: level.kept]
        weights = evidence.start(len(z))
        for _ in range(level.rounds):
            with torch.no_grad():
                weights = evidence.improved(decode(z), weights)

            def cost(z: Tensor, rows: Tensor, evidence=evidence, weights=weights) -> Tensor:
                kernels = decode(z)
                return against(z, kernels) - evidence(kernels, weights[rows])

            found = run_to_end(lbfgs(cost, z, steps=STEPS))
            order = found.values.argsort()
            if level.kept < VARIED:
                order = order[found.values[order] < found.values.min() + HOPELESS]
            z, values, weights = found.x[order], -found.values[order], weights[order]
            done += 1
            with torch.no_grad():
                yield Candidates(z, decode(z), values, done / rounds)
    if side > FINE_ABOVE:
        z = _fine(net, decode, z, blurred, noise, _Prior(None, centred))
    with torch.no_grad():
        return Candidates(z, decode(z), values, 1.0)


@dataclass(frozen=True)
class _Prior:
    """Minus the log density of kernel latents ``[R]``: standard normal, and more where the network says so.

    Where the network is wrong it says that the true kernel is impossible: its word only ever adds.
    """

    likely: Mixture | None
    centred: bool

    def __call__(self, z: Tensor, kernels: Tensor) -> Tensor:
        value = z.square().sum(1) / 2
        if self.likely is not None:
            value = value - softplus(TRUST * (self.likely.log_density(z) + value))
        return value + off_center(kernels) / (2 * CENTRED**2) if self.centred else value


@torch.no_grad()
def _ranked(evidence: SparseEvidence, decode: Decode, bank: Tensor, against: _Prior) -> Tensor:
    values = []
    for part in bank.split(PART):
        kernels = decode(part)
        weights = evidence.improved(kernels, evidence.start(len(part)))
        values.append(evidence(kernels, weights) - against(part, kernels))
    return bank[torch.cat(values).argsort(descending=True)]


@torch.no_grad()
def _distinct(decode: Decode, z: Tensor) -> Tensor:
    """The latents without those whose kernels are nearly that of an earlier one."""
    kernels = decode(z).flatten(1)
    near = (torch.cdist(kernels, kernels) <= DIFFERENT * kernels.norm(dim=1, keepdim=True)).cpu().numpy()
    chosen: list[int] = []
    for i, like in enumerate(near):
        if not like[chosen].any():
            chosen.append(i)
    return z[chosen]


@torch.no_grad()
def _varied(decode: Decode, z: Tensor, lengths: Tensor) -> Tensor:
    """Latents, the best first, so ordered that the three classes of lengths take turns."""
    classes = torch.bucketize(_compactness(decode(z)), lengths)
    place = torch.zeros(len(z), device=z.device)
    for number in range(len(lengths) + 1):
        of_it = classes == number
        place[of_it] = torch.arange(int(of_it.sum()), device=z.device).float()
    return z[place.argsort(stable=True)]


def _compactness(kernels: Tensor) -> Tensor:
    """``|k|^2``, about one over the number of pixels that a kernel of sum 1 covers."""
    return kernels.flatten(1).square().sum(1)


def _fine(net: LinearGenerator, decode: Decode, z: Tensor, blurred: Tensor, noise: float, against: _Prior) -> Tensor:
    """A few steps on all frequencies, contrast found along the way."""
    evidence = LinearEvidence(net, blurred, View(FINE_LATENT))
    latent = z.shape[1]

    def cost(v: Tensor, rows: Tensor) -> Tensor:
        kernels, contrasts = decode(v[:, :latent]), v[:, latent:]
        unlikely = against(v[:, :latent], kernels) + contrasts.square().sum(1) / 2
        return unlikely - evidence(kernels, noise, CONTRAST_SPREAD * contrasts)

    start = torch.cat([z, torch.full((len(z), 2), -0.5, device=z.device)], 1)
    return run_to_end(lbfgs(cost, start, steps=FINE_STEPS)).x[:, :latent]
