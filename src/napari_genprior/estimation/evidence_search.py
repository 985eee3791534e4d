"""Kernel estimation by evidence, in the latent space of a kernel generator: many initial kernels, coarse to fine.

A bank of kernels is ranked on a small, noisy version of the image; the best ones are refined with less noise and more
pixels, each by rounds of variational updates and second-order steps (:mod:`.sparse_evidence`). Small versions favour
short blurs and faint images, so that short, medium and long blurs keep equal shares until the last levels. The last
steps on larger images use every frequency (:mod:`.gaussian_evidence`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ..blur.support import CENTRED_PX, off_center
from ..core.iteration import run_to_end
from ..nets.initializer import Mixture
from ..nets.linear_gaussian import LinearGenerator
from ..optim.batched_lbfgs import lbfgs
from .gaussian_evidence import DataView, LinearEvidence
from .sparse_evidence import SparseEvidence, Weights, low_noise

BANK = 300  # kernels drawn from the prior ...
LIKELY = 300  # ... and from the density that an initializer network predicts for this image
PROPOSAL_EXPONENT = 0.5  # of the network's density; 1 would count the data twice
BATCH = 50  # kernels of the bank at a time
STEPS = 6  # second-order steps between two updates of the weights
MIN_DISTANCE = 0.3  # kernels this far apart (relative norm) are two candidates
MIN_STRATIFIED = 6  # from this many candidates on, all classes of blur length are kept
PRUNE_MARGIN_NATS = 60.0  # candidates this far below the best are dropped where few are left
FINE_ABOVE = 32  # px; larger images are also used at full size, with the Gaussian alone
FINE_LATENT = 150  # principal components in the last steps (400 gain nothing) ...
FINE_STEPS = 12  # ... and their number
CONTRAST_SPREAD = 0.7  # standard deviation of the logarithm of an image's contrast

Decode = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Level:
    """A level of the search: image side in pixels, lowest noise level assumed, number of candidates, rounds."""

    side: int
    noise: float
    count: int
    rounds: int


def levels_for(side: int) -> tuple[Level, ...]:
    """Return the levels for an image of ``side`` pixels, from coarse and noisy to fine."""
    plan = (
        Level(8, 0.017, 150, 1), Level(12, 0.017, 48, 1), Level(16, 0.017, 24, 2), Level(16, 0.006, 12, 2),
        Level(24, 0.006, 5, 3),
    )  # fmt: skip
    last = (Level(side, 0.006, 2, 2),) if plan[-1].side < side <= FINE_ABOVE else ()
    return tuple(level for level in plan if level.side <= side) + last


@dataclass(frozen=True)
class Candidates:
    """Kernels ``[n, 1, kh, kw]``, their latents ``[n, d]`` and log posteriors ``[n]`` (at this level), best first.

    ``part_done`` is the part of the search that is completed, in [0, 1].
    """

    latents: Tensor
    kernels: Tensor
    values: Tensor
    part_done: float


def find_kernels(
    net: LinearGenerator, decode: Decode, latent: int, blurred: Tensor, noise: float, edges: float,
    random: torch.Generator, likely: Mixture | None = None, centred: bool = False,
) -> Generator[Candidates, None, Candidates]:  # fmt: skip
    """Estimate the kernel of an image.

    Parameters
    ----------
    net : LinearGenerator
        Prior of images like the blurred one.
    decode : callable
        Latents ``[R, latent]``, standard normal, to kernels ``[R, 1, kh, kw]``.
    latent : int
        Length of the kernel latents.
    blurred : Tensor [1, C, Y, X]
        Square, of the generator's size, at least 8 pixels, working units; the boundary is periodic.
    noise : float
        Standard deviation.
    edges : float
        See :class:`.sparse_evidence.SparseEvidence`.
    random : torch.Generator
        Source of the bank.
    likely : Mixture, optional
        Density of the kernel latents that an initializer network predicts for the image.
    centred : bool
        The generator was trained on centred kernels only: constrain candidates to be centred.

    Yields
    ------
    Candidates
        After each round.
    """
    negative_log_prior = _NegativeLogPrior(likely, centred)
    side = min(blurred.shape[-2:]) // 2 * 2
    z, lengths = _bank(decode, latent, random, likely, blurred)
    levels = levels_for(side)
    rounds, done = sum(level.rounds for level in levels) + 1, 0
    for number, level in enumerate(levels):
        level_noise = max(level.noise, low_noise(blurred, level.side, noise))
        evidence = SparseEvidence(net, blurred, level.side, level_noise, edges)
        if number == 0:
            z = _ranked(evidence, decode, z, negative_log_prior)
        z = _deduplicate(decode, z)
        z = (_stratify_by_length(decode, z, lengths) if level.count >= MIN_STRATIFIED else z)[: level.count]
        weights = evidence.initial_weights(len(z))
        for _ in range(level.rounds):
            z, values, weights = _round(evidence, decode, z, weights, negative_log_prior, level)
            done += 1
            with torch.no_grad():
                yield Candidates(z, decode(z), values, done / rounds)
    if side > FINE_ABOVE:
        z = _fine(net, decode, z, blurred, noise, _NegativeLogPrior(None, centred))
    with torch.no_grad():
        return Candidates(z, decode(z), values, 1.0)


@dataclass(frozen=True)
class _NegativeLogPrior:
    """Negative log density of kernel latents ``[R]``: standard normal, plus what the network predicts.

    A wrong prediction declares the true kernel impossible: the network may therefore only add density.
    """

    likely: Mixture | None
    centred: bool

    def __call__(self, z: Tensor, kernels: Tensor) -> Tensor:
        value = z.square().sum(1) / 2
        if self.likely is not None:
            value = value - softplus(PROPOSAL_EXPONENT * (self.likely.log_density(z) + value))
        return value + off_center(kernels) / (2 * CENTRED_PX**2) if self.centred else value


def _bank(
    decode: Decode, latent: int, random: torch.Generator, likely: Mixture | None, like: Tensor
) -> tuple[Tensor, Tensor]:
    """Draw initial latents ``[n, latent]``; also return the compactness at the thirds of the prior's kernels."""
    z = torch.randn(BANK, latent, generator=random).to(like)
    with torch.no_grad():
        lengths = torch.quantile(_compactness(decode(z)), torch.tensor([1 / 3, 2 / 3], device=z.device))
    return (z if likely is None else torch.cat([likely.draw(LIKELY, random), z])), lengths


def _round(
    evidence: SparseEvidence, decode: Decode, z: Tensor, weights: Weights, prior: _NegativeLogPrior, level: Level
) -> tuple[Tensor, Tensor, Weights]:
    """Update the weights, then the latents; return latents, log posteriors and weights, best first."""
    with torch.no_grad():
        weights = evidence.update(decode(z), weights)

    def cost(z: Tensor, rows: Tensor) -> Tensor:
        kernels = decode(z)
        return prior(z, kernels) - evidence(kernels, weights[rows])

    state = run_to_end(lbfgs(cost, z, steps=STEPS))
    order = state.values.argsort()
    if level.count < MIN_STRATIFIED:
        order = order[state.values[order] < state.values.min() + PRUNE_MARGIN_NATS]
    return state.x[order], -state.values[order], weights[order]


@torch.no_grad()
def _ranked(evidence: SparseEvidence, decode: Decode, bank: Tensor, prior: _NegativeLogPrior) -> Tensor:
    """Sort the latents of a bank by their log posterior, best first."""
    values = []
    for part in bank.split(BATCH):
        kernels = decode(part)
        weights = evidence.update(kernels, evidence.initial_weights(len(part)))
        values.append(evidence(kernels, weights) - prior(part, kernels))
    return bank[torch.cat(values).argsort(descending=True)]


@torch.no_grad()
def _deduplicate(decode: Decode, z: Tensor) -> Tensor:
    """Drop latents whose kernels are nearly equal to that of an earlier one."""
    kernels = decode(z).flatten(1)
    near = (torch.cdist(kernels, kernels) <= MIN_DISTANCE * kernels.norm(dim=1, keepdim=True)).cpu().numpy()
    selected: list[int] = []
    for i, similar in enumerate(near):
        if not similar[selected].any():
            selected.append(i)
    return z[selected]


@torch.no_grad()
def _stratify_by_length(decode: Decode, z: Tensor, lengths: Tensor) -> Tensor:
    """Reorder latents, best first, so that the three classes of blur length alternate."""
    classes = torch.bucketize(_compactness(decode(z)), lengths)
    rank = torch.zeros(len(z), device=z.device)
    for number in range(len(lengths) + 1):
        members = classes == number
        rank[members] = torch.arange(int(members.sum()), device=z.device).float()
    return z[rank.argsort(stable=True)]


def _compactness(kernels: Tensor) -> Tensor:
    """Compute ``|k|^2``, about one over the number of pixels that a kernel of sum 1 covers."""
    return kernels.flatten(1).square().sum(1)


def _fine(
    net: LinearGenerator, decode: Decode, z: Tensor, blurred: Tensor, noise: float, prior: _NegativeLogPrior
) -> Tensor:
    """Refine latents by a few steps on all frequencies, together with the contrast of the image."""
    evidence = LinearEvidence(net, blurred, DataView(FINE_LATENT))
    latent = z.shape[1]

    def cost(v: Tensor, rows: Tensor) -> Tensor:
        kernels, contrasts = decode(v[:, :latent]), v[:, latent:]
        penalty = prior(v[:, :latent], kernels) + contrasts.square().sum(1) / 2
        return penalty - evidence(kernels, noise, CONTRAST_SPREAD * contrasts)

    start = torch.cat([z, torch.full((len(z), 2), -0.5, device=z.device)], 1)
    return run_to_end(lbfgs(cost, start, steps=FINE_STEPS)).x[:, :latent]
