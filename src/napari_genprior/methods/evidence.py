"""Recipe of evidence maximization: estimate the kernel by its evidence, then restore the image, guided by the prior."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import torch
from torch import Tensor

from ..core.arrays import cpu_generator
from ..core.iteration import map_states, run_to_end
from ..core.result import GENERATOR_ESTIMATE
from ..deconvolution.total_variation import deconvolve, strength_for
from ..estimation import laplace_evidence as laplace
from ..estimation.evidence_search import Candidates, find_kernels
from ..estimation.gaussian_evidence import Gaussian
from ..estimation.guided_deconvolution import restore
from ..nets.initializer import Mixture
from ..nets.linear_gaussian import LinearGenerator
from ..operators.noise import KERNEL_NOISE, noise_std
from ..settings import EvidenceSettings, KnownKernelSettings
from ..zoo.initializers import LARGEST_NOISE, find_initializer, predict_kernel_latents, predict_latents
from .base import Problem, Recipe, Snapshot, Solution
from .final_deconvolution import final_image
from .initialization import IMAGE_SPREAD
from .kernel_prior import PREVIEW_STEPS
from .prior_mismatch import MAX_MISMATCH, Ranking, prior_mismatch, rank_with_prior_free

LEAST_NOISE = 0.005  # of a blurred image: rounding to 8 bits, and pixels at the ends of the range that show no noise
INSIDE = (0.02, 0.98)  # range of pixels whose noise is not clipped
EQUAL_NATS = 5.0  # candidates whose log posteriors differ by less are compared by their images
CANDIDATE_NATS = 0.02  # per value of the image: kernels of a higher cost than this above the best are not candidates
PROGRESS_STEPS = 100
PROGRESS_SHARE = 0.8  # of the search by evidence in the progress; the rest is the search for prior-free kernels
RANDOM_POINTS = 20  # random initial points for generators that are not linear

Search = Generator[Candidates, None, tuple[Candidates, Gaussian]]


def evidence(problem: Problem) -> Recipe:
    """Estimate the kernel by its marginal likelihood, then restore the image; the boundary is periodic.

    The image prior is a linear generator with sparse edges (:mod:`..estimation.evidence_search`), or any other
    generator by Laplace's approximation (:mod:`..estimation.laplace_evidence`).

    Kernels estimated under a linear generator are ranked together with prior-free ones (:mod:`.prior_mismatch`), since
    the prior may be of the wrong class, unless an initializer network predicts the kernel and the image fits the
    prior. Under another generator, the candidate of equal evidence whose image has the least total variation is
    selected, since ringing of a wrong kernel adds to it. The image is deconvolved with the generator's posterior mean
    as guide, or without a guide if it does not fit the prior.

    Parameters
    ----------
    problem : Problem
        With both priors; ``settings`` is an :class:`EvidenceSettings`.
    """
    assert isinstance(problem.settings, EvidenceSettings)
    assert problem.image_prior is not None
    assert problem.kernel_prior is not None
    net, noise = problem.image_prior.net, noise_level(problem.blurred)
    if problem.kernel is not None:
        yield Snapshot(0, 1, "Deconvolution", problem.blurred, problem.kernel)
        gaussian = net if isinstance(net, LinearGenerator) else run_to_end(_local_search(problem, noise))[1]
        images, guides = restore(gaussian, problem.blurred, problem.kernel, noise, problem.settings.regularization)
        return Solution(images[:1], problem.kernel, extra_images={GENERATOR_ESTIMATE: guides[:1]})
    if isinstance(net, LinearGenerator):
        return (yield from _under_linear(problem, net, problem.settings, noise))
    return (yield from _under_nonlinear(problem, problem.settings, noise))


def _under_linear(problem: Problem, net: LinearGenerator, s: EvidenceSettings, noise: float) -> Recipe:
    """Run the recipe under a linear generator."""

    def after_search(snapshot: Snapshot) -> Snapshot:
        done = PROGRESS_SHARE + (1 - PROGRESS_SHARE) * snapshot.step / snapshot.total
        step = round(PROGRESS_STEPS * done)
        return replace(snapshot, step=step, total=PROGRESS_STEPS, stage="Prior-free kernel candidates")

    blurred = problem.blurred
    candidates, _ = yield from _with_previews(_linear_search(problem, noise), blurred, noise)
    predicted, noise = _predicted_kernel(problem, noise) is not None, max(noise, KERNEL_NOISE)
    # a network's prediction decides among its kernels: prior-free ones lose 0.9 dB on held-out house numbers
    if predicted and float(prior_mismatch(net, blurred, candidates.kernels[:1], noise)[1]) < MAX_MISMATCH:
        fits = torch.ones_like(candidates.values, dtype=torch.bool)
        ranking = Ranking(candidates.kernels, -candidates.values, fits)
    else:
        kernels = candidates.kernels[:1] if predicted else candidates.kernels
        ranking = yield from map_states(rank_with_prior_free(problem, net, kernels, noise), after_search)
    best = int(ranking.costs.argmin())
    kernel = ranking.kernels[best, None]
    image, guide = restore(net, blurred, kernel, noise, s.regularization)
    if not ranking.fits[best]:
        unguided = KnownKernelSettings.checked({"regularization": s.regularization})
        image = final_image(blurred, kernel, noise, unguided, periodic=True)
    near = ranking.costs <= ranking.costs[best] + CANDIDATE_NATS * blurred.numel()
    return _solution(image, guide, ranking.kernels[near], ranking.costs[near], int(near[:best].sum()))


def _under_nonlinear(problem: Problem, s: EvidenceSettings, noise: float) -> Recipe:
    """Run the recipe under a generator that is not linear."""
    blurred = problem.blurred
    candidates, gaussian = yield from _with_previews(_local_search(problem, noise), blurred, noise)
    images, guides = restore(gaussian, blurred, candidates.kernels, max(noise, KERNEL_NOISE), s.regularization)
    equal = candidates.values >= candidates.values[0] - EQUAL_NATS
    best = int(_variation(images).masked_fill(~equal, float("inf")).argmin())
    return _solution(images[best, None], guides[best, None], candidates.kernels, -candidates.values, best)


def _with_previews(
    search: Search, blurred: Tensor, noise: float
) -> Generator[Snapshot, None, tuple[Candidates, Gaussian]]:
    """Run a search, with a preview of the deconvolution by its best kernel in each snapshot."""

    def snapshot(candidates: Candidates) -> Snapshot:
        kernel = candidates.kernels[:1]
        preview = deconvolve(blurred, kernel, strength_for(max(noise, KERNEL_NOISE)), PREVIEW_STEPS, periodic=True)
        step = round(PROGRESS_STEPS * PROGRESS_SHARE * candidates.part_done)
        losses = {"log posterior": candidates.values}
        return Snapshot(step, PROGRESS_STEPS, "Kernel estimation", preview, kernel, losses)

    return (yield from map_states(search, snapshot))


def _solution(image: Tensor, guide: Tensor, kernels: Tensor, costs: Tensor, best: int) -> Solution:
    candidates = [(each[None], float(cost)) for each, cost in zip(kernels, costs, strict=True)]
    extra_images = {GENERATOR_ESTIMATE: guide}
    return Solution(image, kernels[best, None], selected=best, candidates=candidates, extra_images=extra_images)


def _linear_search(problem: Problem, noise: float) -> Search:
    """Search under a linear generator."""
    image, kernel = problem.image_prior, problem.kernel_prior
    assert image is not None
    assert kernel is not None
    assert isinstance(image.net, LinearGenerator)
    candidates = yield from find_kernels(
        image.net, kernel.decode, kernel.card.latent, problem.blurred, noise, image.card.edges,
        cpu_generator(problem.seed), _predicted_kernel(problem, noise), bool(kernel.card.centred),
    )  # fmt: skip
    return candidates, image.net


def _predicted_kernel(problem: Problem, noise: float) -> Mixture | None:
    """Predict the density of the kernel's latents, None without an initializer network for the priors."""
    image, kernel = problem.image_prior, problem.kernel_prior
    assert image is not None
    assert kernel is not None
    return predict_kernel_latents(image.card, kernel.card, problem.blurred) if noise < LARGEST_NOISE else None


def _local_search(problem: Problem, noise: float) -> Search:
    """Search under a generator that is not linear; with a known kernel, for the latents of the image only."""
    image, kernel = problem.image_prior, problem.kernel_prior
    assert image is not None
    assert kernel is not None
    known = problem.kernel
    latent = 0 if known is not None else kernel.card.latent
    points = torch.randn(RANDOM_POINTS, image.card.latent + latent, generator=cpu_generator(problem.seed)).to(
        problem.blurred.device
    )
    points[:, : image.card.latent] *= IMAGE_SPREAD
    network = find_initializer(image.card, kernel.card) if known is None else None
    if network is not None and noise < LARGEST_NOISE:
        points = torch.cat([torch.cat(predict_latents(network, problem.blurred), 1), points])

    def decode(z: Tensor) -> Tensor:
        return kernel.decode(z) if known is None else known.expand(len(z), -1, -1, -1)

    error, latent = image.card.range_error, image.card.latent
    centred = known is None and bool(kernel.card.centred)
    return (yield from laplace.find_kernels(image.net, decode, problem.blurred, noise, error, points, latent, centred))


def noise_level(blurred: Tensor) -> float:
    """Estimate the noise standard deviation of ``[1, C, Y, X]`` from pixels inside the range, where it is not clipped.

    :func:`~..operators.noise.noise_std` uses all pixels, which suits deconvolution, where all have the same weight. On
    the black background of digits it finds no noise at all, while the evidence depends on the noise level.
    """
    corners = blurred[..., :-1, :-1], blurred[..., 1:, :-1], blurred[..., :-1, 1:], blurred[..., 1:, 1:]
    stacked = torch.stack(corners)
    inside = ((stacked > INSIDE[0]) & (stacked < INSIDE[1])).all(0)
    if inside.float().mean() < 0.05:
        return max(float(noise_std(blurred).mean()), LEAST_NOISE)
    second = ((corners[0] - corners[1] - corners[2] + corners[3]) / 2).abs()[inside]
    return max(float(second.median()) / 0.6745, LEAST_NOISE)


def _variation(images: Tensor) -> Tensor:
    """Compute the anisotropic total variation ``[R]`` of images ``[R, C, Y, X]``, clipped to [0, 1]."""
    inside = images.clamp(0, 1)
    return inside.diff(dim=-1).abs().flatten(1).mean(1) + inside.diff(dim=-2).abs().flatten(1).mean(1)
