"""Which of several finished searches is to be believed: the one of the most evidence, not of the least loss."""

from __future__ import annotations

from dataclasses import replace

import torch

from ..estimation.gaussian_evidence import LinearEvidence, View
from ..estimation.laplace_evidence import local_generator
from ..optim.batched_lbfgs import LbfgsState
from .base import Problem
from .evidence import noise_level, range_error
from .latent_pair import Pair


@torch.no_grad()
def by_evidence(final: LbfgsState, problem: Problem, pair: Pair) -> LbfgsState:
    """Finalists in the order of their log posteriors, the image integrated out, which negated become their values.

    Laplace's approximation about each finalist's own image (:meth:`~..estimation.gaussian_evidence.LinearEvidence.joint`):
    kernels that leave the image free to be anything lose, however well one image fits.
    """
    if len(final.x) == 1:
        return final
    assert problem.image_prior is not None
    latents = final.x[:, : pair.image_latents]
    near = local_generator(problem.image_prior.net, latents, range_error(problem.image_prior.card))
    evidence = LinearEvidence(near, problem.blurred, View(near.latent, grey=False))
    values = final.x.square().sum(1) / 2 - evidence.joint(*pair.decode(final.x), noise_level(problem.blurred))
    order = values.nan_to_num(nan=float("inf")).argsort()
    return replace(final, x=final.x[order], values=values[order], active=final.active[order])
