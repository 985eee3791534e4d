"""Detect a mismatch of image and prior: rank the kernels of best evidence together with prior-free kernels."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..estimation.gaussian_evidence import DataView, LinearEvidence
from ..nets.linear_gaussian import LinearGenerator
from .base import Problem, Snapshot
from .kernel_prior import kernels_from_prior, ringing_score

MAX_CANDIDATES = 3  # prior-free kernels that are ranked: those whose images ring least
LATENT = 256  # principal components used here; the others are added to the spectrum of the generator's residual
SPARSITY_NATS = 0.15  # per value of the image, if l1/l2 of its gradients is lower by a factor e; 0.1 to 0.3 do as well
MAX_MISMATCH = 1.5  # mean square of the latents, 1 for images of the prior: above, its image is no guide


@dataclass(frozen=True)
class Ranking:
    """Kernels ``[R, 1, kh, kw]``, the cost ``[R]`` of each in nats, and whether the prior fits its image."""

    kernels: Tensor
    costs: Tensor
    fits: Tensor


def rank_with_prior_free(
    problem: Problem, net: LinearGenerator, kernels: Tensor, noise: float
) -> Generator[Snapshot, None, Ranking]:
    """Rank kernels together with prior-free ones, estimated without an image prior; the boundary is periodic.

    The cost is the negative evidence plus the log of the sparsity measure of the restored image
    (:func:`~.kernel_prior.ringing_score`), which does not depend on the image class. A prior that does not fit
    exaggerates differences of evidence, which are therefore divided by the mean square of the latents.

    Parameters
    ----------
    problem : Problem
    net : LinearGenerator
        The image prior.
    kernels : Tensor [R, 1, kh, kw]
    noise : float
        Standard deviation.

    Returns
    -------
    Ranking
        ``kernels``, then the prior-free ones; not sorted.
    """
    prior_free = yield from kernels_from_prior(problem)
    scores = ringing_score(problem.blurred, prior_free, periodic=True)
    order = scores.argsort()[:MAX_CANDIDATES]
    candidates = torch.cat([kernels, prior_free[order]])
    scores = torch.cat([ringing_score(problem.blurred, kernels, periodic=True), scores[order]])
    values, mismatch = prior_mismatch(net, problem.blurred, candidates, noise)
    best = values.argmax()
    deficit = (values[best] - values) / mismatch[best].clamp(min=1)
    costs = deficit + SPARSITY_NATS * problem.blurred.numel() * scores.log()
    return Ranking(candidates, costs, mismatch < MAX_MISMATCH)


@torch.no_grad()
def prior_mismatch(net: LinearGenerator, blurred: Tensor, kernels: Tensor, noise: float) -> tuple[Tensor, Tensor]:
    """Compute the log evidence of kernels ``[R, 1, kh, kw]`` and the mean square of their latents, each ``[R]``.

    The mean square is 1 for images of the prior and larger for others.
    """
    values, latents = LinearEvidence(net, blurred, DataView(LATENT, grey=False)).posterior(kernels, noise)
    return values, latents.square().mean(1)
