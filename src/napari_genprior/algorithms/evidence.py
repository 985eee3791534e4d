"""The recipe that integrates the picture out: kernel by its evidence, then a guided known-kernel solve."""

from __future__ import annotations

import torch
from torch import Tensor

from .._generators import relay
from .._tensors import seeded
from ..classical.known_kernel import deconvolve, noise_std, strength_for
from ..evidence.guided import restore
from ..evidence.search import Candidates, find_kernels
from ..nets.linear import LinearGenerator
from ..settings import EvidenceSettings
from .base import Problem, Recipe, Snapshot, Solution

LEAST_NOISE = 0.005  # of a blurred picture: rounding to 8 bits, and pixels at the end of the range that show none
KERNEL_NOISE = 0.01  # an estimated kernel errs like at least this much noise
INSIDE = (0.02, 0.98)  # beyond, noise is cut off
EQUAL = 5.0  # candidates whose log posteriors differ by less are told apart by their pictures
ROUNDS = 100  # of the progress shown
PREVIEW_STEPS = 15  # of the known-kernel solve behind a preview


def evidence(problem: Problem) -> Recipe:
    """Kernel by marginal likelihood under a linear generator with sparse edges (:mod:`..evidence`), circular border.

    Among candidates of equal evidence the one whose picture has the least total variation wins: ringing of a wrong
    kernel adds to it. The picture comes from a solve with the generator's posterior mean as its guide.
    ``problem.settings`` is an :class:`EvidenceSettings`, ``problem.image_prior`` holds a :class:`LinearGenerator`.
    """
    s, blurred = problem.settings, problem.blurred
    assert isinstance(s, EvidenceSettings)
    assert problem.image_prior is not None
    assert problem.kernel_prior is not None
    net = problem.image_prior.net
    assert isinstance(net, LinearGenerator)
    noise = noise_level(blurred)
    if problem.kernel is not None:
        yield Snapshot(0, 1, "picture", blurred, problem.kernel)
        image, guide = restore(net, blurred, problem.kernel, noise, s.smoothing)
        return Solution(image, problem.kernel, extras={"generator picture": guide})

    def snapshot(found: Candidates) -> Snapshot:
        kernel = found.kernels[:1]
        preview = deconvolve(blurred, kernel, strength_for(max(noise, KERNEL_NOISE)), PREVIEW_STEPS)
        step = round(ROUNDS * found.part_done)
        return Snapshot(step, ROUNDS, "kernel", preview, kernel, {"log posterior": found.values})

    decode, latent = problem.kernel_prior.decode, problem.kernel_prior.card.latent
    edges = problem.image_prior.card.edges
    search = find_kernels(net, decode, latent, blurred, noise, edges, seeded(problem.seed))
    found = yield from relay(search, snapshot)
    equal = found.kernels[found.values > found.values[0] - EQUAL]
    images, guides = restore(net, blurred, equal, max(noise, KERNEL_NOISE), s.smoothing)
    best = int(_variation(images).argmin())
    kept = slice(best, best + 1)
    return Solution(images[kept], equal[kept], chosen=best, extras={"generator picture": guides[kept]})


def noise_level(blurred: Tensor) -> float:
    """Standard deviation of the noise of ``[1, C, Y, X]``, by pixels inside the range: at its ends noise is cut off."""
    corners = blurred[..., :-1, :-1], blurred[..., 1:, :-1], blurred[..., :-1, 1:], blurred[..., 1:, 1:]
    stacked = torch.stack(corners)
    inside = ((stacked > INSIDE[0]) & (stacked < INSIDE[1])).all(0)
    if inside.float().mean() < 0.05:
        return max(float(noise_std(blurred).mean()), LEAST_NOISE)
    second = ((corners[0] - corners[1] - corners[2] + corners[3]) / 2).abs()[inside]
    return max(float(second.median()) / 0.6745, LEAST_NOISE)


def _variation(images: Tensor) -> Tensor:
    inside = images.clamp(0, 1)
    return inside.diff(dim=-1).abs().flatten(1).mean(1) + inside.diff(dim=-2).abs().flatten(1).mean(1)
