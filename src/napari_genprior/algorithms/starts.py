"""Where second-order searches over a pair of generators begin."""

from __future__ import annotations

import torch
from torch import Tensor

from .._tensors import seeded
from .base import Problem
from .pair import Pair

PICTURE_SPREAD = 0.3  # standard deviation of random picture latents: near the mean picture, which fits nothing badly


def proposed_starts(problem: Problem) -> list[tuple[Tensor, Tensor]]:
    """Starts that know the blurred picture: pairs of picture latents ``[n, d_i]`` and kernel latents ``[n, d_k]``.

    The place for networks that were trained on a pair of generators; without one for this pair there are none.
    """
    return []


def starts(problem: Problem, pair: Pair, count: int) -> Tensor:
    """Points ``[n, d]``: all that are proposed, or else ``count`` at random.

    Notes
    -----
    A bank of kernels with Wiener solves, whose pictures an encoder turns into latents, was tried in their place (64
    kernels, the better ones kept, alone or beside random starts): no lower objective on digits at 1, 10 or 30%
    noise, or on house numbers, and often a higher one, as the ringing of wrong kernels leads astray.
    """
    if problem.kernel is None and (proposed := proposed_starts(problem)):
        return torch.cat([torch.cat(both, dim=1) for both in proposed])
    drawn = torch.randn(count, pair.image_latents + pair.kernel_latents, generator=seeded(problem.seed))
    drawn[:, : pair.image_latents] *= PICTURE_SPREAD
    return drawn.to(problem.blurred.device)
