"""Kernels found without an image prior against those of the best evidence: is the prior the right one at all?"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..estimation.gaussian_evidence import LinearEvidence, View
from ..nets.linear_gaussian import LinearGenerator
from .base import Problem, Snapshot
from .kernel_prior import kernels_from_prior, ringing

CANDIDATES = 3  # class-free kernels that compete: those whose images ring least
LATENT = 256  # principal components that the evidence counts here; the others go into the spectrum of what they leave
SPARSER = 0.15  # worth, in nats a value, of an image whose gradients' l1/l2 is less by a factor e; .1 to .3 do as well
UNUSUAL = 1.5  # mean square of the latents, 1 for images of the prior: beyond, its image is no guide


@dataclass(frozen=True)
class Contest:
    """Kernels ``[R, 1, kh, kw]``, what speaks against each ``[R]`` (nats), and whether the prior fits its image."""

    kernels: Tensor
    against: Tensor
    fits: Tensor


def contest(
    problem: Problem, net: LinearGenerator, kernels: Tensor, noise: float
) -> Generator[Snapshot, None, Contest]:
    """Let class-free kernels compete with ``kernels [R, 1, kh, kw]``, the border circular.

    By evidence, and by the sparsity of the restored image (:func:`~.latent.ringing`), which knows nothing of the
    class. A prior that does not fit exaggerates differences of evidence: they are divided by the latents' mean square.
    """
    found = yield from kernels_from_prior(problem)
    rings = ringing(problem.blurred, found, circular=True)
    order = rings.argsort()[:CANDIDATES]
    everyone = torch.cat([kernels, found[order]])
    rings = torch.cat([ringing(problem.blurred, kernels, circular=True), rings[order]])
    values, unusual = unusualness(net, problem.blurred, everyone, noise)
    best = values.argmax()
    behind = (values[best] - values) / unusual[best].clamp(min=1)
    return Contest(everyone, behind + SPARSER * problem.blurred.numel() * rings.log(), unusual < UNUSUAL)


@torch.no_grad()
def unusualness(net: LinearGenerator, blurred: Tensor, kernels: Tensor, noise: float) -> tuple[Tensor, Tensor]:
    """Log evidence of kernels ``[R, 1, kh, kw]`` and mean square of their images' latents, each ``[R]``."""
    values, latents = LinearEvidence(net, blurred, View(LATENT, grey=False)).posterior(kernels, noise)
    return values, latents.square().mean(1)
