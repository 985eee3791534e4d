"""The recipe that integrates the image out: kernel by its evidence, then a guided known-kernel solve."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import torch
from torch import Tensor

from ..core.arrays import cpu_generator
from ..core.iteration import map_states, run_to_end
from ..deconvolution.total_variation import deconvolve, strength_for
from ..estimation import laplace_evidence as laplace
from ..estimation.evidence_search import Candidates, find_kernels
from ..estimation.gaussian_evidence import Gaussian
from ..estimation.guided_deconvolution import restore
from ..nets.initializer import Mixture
from ..nets.linear_gaussian import LinearGenerator
from ..operators.noise import KERNEL_NOISE, noise_std
from ..settings import EvidenceSettings, KnownKernelSettings
from ..zoo.card import Card
from ..zoo.initializers import LARGEST_NOISE, find_initializer, kernel_proposal, propose
from .base import Problem, Recipe, Snapshot, Solution
from .final_deconvolution import final_image
from .initialization import IMAGE_SPREAD
from .kernel_prior import PREVIEW_STEPS
from .prior_mismatch import UNUSUAL, Contest, contest, unusualness

LEAST_NOISE = 0.005  # of a blurred image: rounding to 8 bits, and pixels at the end of the range that show none
INSIDE = (0.02, 0.98)  # beyond, noise is cut off
EQUAL = 5.0  # candidates whose log posteriors differ by less are told apart by their images
CANDIDATE = 0.02  # nats a value: what is further behind is no candidate to the kernel taken
ROUNDS = 100  # of the progress shown
SHARE = 0.8  # of the search by evidence in it; the rest is the candidate's
STARTS = 20  # at random, where the generator is not linear
USUAL_RANGE = 25.0  # dB: what a generator's own error is taken for where its card does not tell

Search = Generator[Candidates, None, tuple[Candidates, Gaussian]]


def evidence(problem: Problem) -> Recipe:
    """Kernel by marginal likelihood, circular border.

    Under a linear generator with sparse edges (:mod:`..estimation.evidence_search`), or under any other generator by Laplace's
    approximation (:mod:`..estimation.laplace_evidence`).

    Against a linear generator's kernels those of a search without image prior compete (:mod:`.candidate`): the prior may
    be of the wrong class; but not where a network knows its kernels and the image is a usual one. Under another
    generator, among candidates of equal evidence the one whose image has the least total variation wins: ringing of
    a wrong kernel adds to it. The image comes from a solve with the generator's posterior mean as its guide, or
    without one where it is too unlike the generator's.
    ``problem.settings`` is an :class:`EvidenceSettings`.
    """
    s, blurred = problem.settings, problem.blurred
    assert isinstance(s, EvidenceSettings)
    assert problem.image_prior is not None
    assert problem.kernel_prior is not None
    noise = noise_level(blurred)
    net = problem.image_prior.net
    search = _linear_search if isinstance(net, LinearGenerator) else _local_search
    if problem.kernel is not None:
        yield Snapshot(0, 1, "image", blurred, problem.kernel)
        gaussian = net if isinstance(net, LinearGenerator) else run_to_end(_local_search(problem, noise))[1]
        images, guides = restore(gaussian, blurred, problem.kernel, noise, s.regularization)
        return Solution(images[:1], problem.kernel, extras={"generator image": guides[:1]})

    def snapshot(found: Candidates) -> Snapshot:
        kernel = found.kernels[:1]
        preview = deconvolve(blurred, kernel, strength_for(max(noise, KERNEL_NOISE)), PREVIEW_STEPS, circular=True)
        step = round(ROUNDS * SHARE * found.part_done)
        return Snapshot(step, ROUNDS, "kernel", preview, kernel, {"log posterior": found.values})

    def later(candidate: Snapshot) -> Snapshot:
        done = SHARE + (1 - SHARE) * candidate.step / candidate.total
        return replace(candidate, step=round(ROUNDS * done), total=ROUNDS, stage="kernel, without the image prior")

    found, gaussian = yield from map_states(search(problem, noise), snapshot)
    told, noise = _likely(problem, noise) is not None, max(noise, KERNEL_NOISE)
    if isinstance(net, LinearGenerator):
        # a network's word settles it among them: there other picks lose 0.9 dB on held-out house numbers
        if told and float(unusualness(net, blurred, found.kernels[:1], noise)[1]) < UNUSUAL:
            tried = Contest(found.kernels, -found.values, torch.ones_like(found.values, dtype=torch.bool))
        else:
            among = found.kernels[:1] if told else found.kernels
            tried = yield from map_states(contest(problem, net, among, noise), later)
        best = int(tried.against.argmin())
        kernel = tried.kernels[best, None]
        image, guide = restore(net, blurred, kernel, noise, s.regularization)
        if not tried.fits[best]:
            plain = KnownKernelSettings.checked({"regularization": s.regularization})
            image = final_image(blurred, kernel, noise, plain, circular=True)
        near = tried.against <= tried.against[best] + CANDIDATE * blurred.numel()
        kernels, against, best = tried.kernels[near], tried.against[near], int(near[:best].sum())
    else:
        images, guides = restore(gaussian, blurred, found.kernels, noise, s.regularization)
        equal = found.values >= found.values[0] - EQUAL
        best = int(_variation(images).masked_fill(~equal, float("inf")).argmin())
        image, guide = images[best, None], guides[best, None]
        kernels, against = found.kernels, -found.values
    candidates = [(each[None], float(value)) for each, value in zip(kernels, against, strict=True)]
    return Solution(image, kernels[best, None], chosen=best, candidates=candidates, extras={"generator image": guide})


def _linear_search(problem: Problem, noise: float) -> Search:
    image, kernel = problem.image_prior, problem.kernel_prior
    assert image is not None
    assert kernel is not None
    assert isinstance(image.net, LinearGenerator)
    found = yield from find_kernels(
        image.net, kernel.decode, kernel.card.latent, problem.blurred, noise, image.card.edges, cpu_generator(problem.seed),
        _likely(problem, noise), bool(kernel.card.centred),
    )  # fmt: skip
    return found, image.net


def _likely(problem: Problem, noise: float) -> Mixture | None:
    image, kernel = problem.image_prior, problem.kernel_prior
    assert image is not None
    assert kernel is not None
    return kernel_proposal(image.card, kernel.card, problem.blurred) if noise < LARGEST_NOISE else None


def _local_search(problem: Problem, noise: float) -> Search:
    """Under a generator that is not linear; a given kernel is kept, and its image's latents are found."""
    image, kernel = problem.image_prior, problem.kernel_prior
    assert image is not None
    assert kernel is not None
    known = problem.kernel
    latent = 0 if known is not None else kernel.card.latent
    points = torch.randn(STARTS, image.card.latent + latent, generator=cpu_generator(problem.seed)).to(
        problem.blurred.device
    )
    points[:, : image.card.latent] *= IMAGE_SPREAD
    network = find_initializer(image.card, kernel.card) if known is None else None
    if network is not None and noise < LARGEST_NOISE:
        points = torch.cat([torch.cat(propose(network, problem.blurred), 1), points])

    def decode(z: Tensor) -> Tensor:
        return kernel.decode(z) if known is None else known.expand(len(z), -1, -1, -1)

    error, latent = range_error(image.card), image.card.latent
    held = known is None and bool(kernel.card.centred)
    return (yield from laplace.find_kernels(image.net, decode, problem.blurred, noise, error, points, latent, held))


def range_error(card: Card) -> float:
    """Root mean square of what an image generator leaves of images of its class."""
    return 10 ** (-card.metrics.get("psnr_range_db", USUAL_RANGE) / 20)


def noise_level(blurred: Tensor) -> float:
    """Standard deviation of the noise of ``[1, C, Y, X]``, by pixels inside the range: at its ends noise is cut off.

    :func:`~..deconvolution.total_variation.noise_std` counts all pixels: right for its solves, which weigh them alike, but on
    the black ground of digits it finds no noise at all, and the evidence depends on it.
    """
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
