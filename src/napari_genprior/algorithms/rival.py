"""A kernel found without a picture prior against the one of the best evidence: is the prior the right one at all?"""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor

from ..evidence.linear import LinearEvidence, View
from ..nets.linear import LinearGenerator
from .base import Problem, Snapshot
from .latent import class_free_kernels, ringing

BEHIND = 0.025  # log evidence for each value of the picture that a rival may lack. On held-out training pictures rivals
# that were right lacked at most 0.015, wrong ones of less ringing 0.04 and more
UNUSUAL = 2.0  # mean square of the latents, 1 for pictures of the prior: beyond, its picture is no guide


def rival_kernel(
    problem: Problem, net: LinearGenerator, kernel: Tensor, noise: float
) -> Generator[Snapshot, None, tuple[Tensor, bool] | None]:
    """The better kernel ``[1, 1, kh, kw]``, and whether the picture prior still fits; None if ``kernel`` is to stay.

    The rival wins if its picture rings less (:func:`~.latent.ringing`), unless its evidence is clearly less. A prior
    that does not fit exaggerates such differences: they are divided by the mean square of the latents.
    """
    found = yield from class_free_kernels(problem)
    rival = found[int(ringing(problem.blurred, found).argmin()), None]
    with torch.no_grad():
        pair = torch.cat([kernel, rival])
        evidence = LinearEvidence(net, problem.blurred, View(net.latent, grey=False))
        kept, new = (float(value) for value in evidence(pair, noise, pair.new_zeros(2, 2)))
        size_kept, size_new = (float(z.square().mean()) for z in evidence.posterior(pair, noise))
    behind = (kept - new) / problem.blurred.numel() / max(1.0, size_kept)
    if behind > BEHIND or ringing(problem.blurred, pair).argmin() == 0:
        return None
    return rival, size_new < UNUSUAL
