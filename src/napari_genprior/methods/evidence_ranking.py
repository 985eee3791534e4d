"""Rank finished searches by their evidence instead of their loss."""

from __future__ import annotations

from dataclasses import replace

import torch

from ..estimation.gaussian_evidence import DataView, LinearEvidence
from ..estimation.laplace_evidence import local_generator
from ..optim.batched_lbfgs import LbfgsState
from .base import Problem
from .evidence import noise_level
from .latent_pair import Pair


@torch.no_grad()
def by_evidence(final: LbfgsState, problem: Problem, pair: Pair) -> LbfgsState:
    """Sort the results of searches by their log posteriors, with the image integrated out.

    By Laplace's approximation about the image of each result
    (:meth:`~..estimation.gaussian_evidence.LinearEvidence.joint`): kernels with which many images fit rank low,
    however well one of the images fits.

    Parameters
    ----------
    final : LbfgsState
    problem : Problem
    pair : Pair

    Returns
    -------
    LbfgsState
        Best first; the values are the negated log posteriors.
    """
    if len(final.x) == 1:
        return final
    assert problem.image_prior is not None
    latents = final.x[:, : pair.image_latents]
    local = local_generator(problem.image_prior.net, latents, problem.image_prior.card.range_error)
    evidence = LinearEvidence(local, problem.blurred, DataView(local.latent, grey=False))
    values = final.x.square().sum(1) / 2 - evidence.joint(*pair.decode(final.x), noise_level(problem.blurred))
    order = values.nan_to_num(nan=float("inf")).argsort()
    return replace(final, x=final.x[order], values=values[order], active=final.active[order])
