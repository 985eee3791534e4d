"""Restore volumes for a given kernel, or blind, with simulated microscopes as candidates for it.

Blind, the kernel is that of the microscope which best predicts voxels held out of the deconvolution.
"""

from __future__ import annotations

from collections.abc import Generator as Yields
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..deconvolution.richardson_lucy import TV_FRACTION, richardson_lucy
from ..deconvolution.state import Deconvolution, DeconvolutionState
from ..deconvolution.total_variation import tv_weighted
from ..deconvolution.wiener import wiener
from ..estimation.cross_validation import (
    REGION,
    HoldOutSplit,
    PaddedVolume,
    held_out_error,
    hold_out,
    padded_volume,
)
from ..estimation.psf_candidates import MicroscopeConstraints, PsfCandidate, kernel_shape, sample_candidates
from ..operators.boundary import kernel_reach
from ..operators.convolution import apply_transfer
from ..operators.data_fidelity import normalized_misfit
from ..operators.detail import most_textured_place
from ..operators.finite_differences import Weights
from ..operators.observation import KERNEL_TAIL
from ..operators.observed import Observed
from ..settings import VolumeSettings
from .base import Problem, Recipe, Snapshot, Solution

SPREADS = (0.25, 0.15, 0.1)  # of microscopes near the best ones so far, round by round
VARIANTS = 8  # a round
FINALISTS = 3
CONFOCAL_COST = 0.005  # added: in strong noise they predict widefield volumes no worse, and undo little


def known_kernel(problem: Problem) -> Recipe:
    """Restore a volume for a given kernel, by the solver that the settings name."""
    s, kernel, weights = problem.settings, problem.kernel, problem.voxel_weights
    assert isinstance(s, VolumeSettings)
    assert kernel is not None
    margin, regularization = kernel_reach(kernel, KERNEL_TAIL), 1.0
    if s.solver == "tv":
        yield Snapshot(0, s.steps, "regularization", problem.blurred, kernel)
        _, regularization = held_out_error(_split(problem.observed, weights, margin, problem.seed), kernel)
    volume = yield from _restore(padded_volume(problem.observed, weights, margin), kernel, s, regularization)
    return Solution(volume, kernel)


def blind(problem: Problem) -> Recipe:
    """Estimate the kernel of a volume by cross-validation, then restore the volume for it.

    Notes
    -----
    Candidates are simulated microscopes that agree with what is known: first any, then such as are near the best. The
    generator gives the kernel's size. In the end "no blur", a point, is a candidate too.
    """
    s, prior, weights = problem.settings, problem.kernel_prior, problem.voxel_weights
    assert isinstance(s, VolumeSettings)
    assert prior is not None
    shape = kernel_shape(prior)
    split = _split(problem.observed, weights, [side - 1 for side in shape], problem.seed)
    point = torch.zeros((1, 1, *shape), device=problem.blurred.device)
    point[..., shape[0] // 2, shape[1] // 2, shape[2] // 2] = 1
    no_blur = PsfCandidate(*held_out_error(split, point), point, None)
    candidates = yield from _search(problem, s, split)
    candidates = sorted([*candidates, no_blur], key=lambda each: each.cost)
    best = candidates[0]
    whole = padded_volume(problem.observed, weights, kernel_reach(best.kernel, KERNEL_TAIL))
    volume = yield from _restore(whole, best.kernel, s, best.regularization, _candidate_count(s))
    return Solution(volume, best.kernel, candidates=[(each.kernel, each.cost) for each in candidates])


def _split(blurred: Observed, weights: Weights, margin: Sequence[int], seed: int) -> HoldOutSplit:
    """Hold out voxels of the most textured part of a volume."""
    part = blurred.crop(most_textured_place(blurred.values, REGION))
    return hold_out(padded_volume(part, weights, margin), part, seed)


def _candidate_count(s: VolumeSettings) -> int:
    return s.n_candidates + len(SPREADS) * VARIANTS


def _search(problem: Problem, s: VolumeSettings, split: HoldOutSplit) -> Yields[Snapshot, None, list[PsfCandidate]]:
    """Try microscopes, first any and then near the best so far; returns the best ones, lowest cost first."""
    assert problem.kernel_prior is not None
    known = problem.psf_constraints or MicroscopeConstraints({})
    rng, total = np.random.default_rng(problem.seed), _candidate_count(s)
    best: list[PsfCandidate] = []
    for index in range(total):
        kernel = best[0].kernel if best else None
        yield Snapshot(index, total + s.steps, f"kernel candidate {index + 1}/{total}", problem.blurred, kernel)
        turn = (index - s.n_candidates) // VARIANTS
        near = best[(index - s.n_candidates) % len(best)] if turn >= 0 else None
        optic, kernel = sample_candidates(rng, problem.kernel_prior, known, near, SPREADS[max(turn, 0)])
        cost, regularization = held_out_error(split, kernel)
        if optic.microscope.kind == "confocal":
            cost += CONFOCAL_COST
        best = sorted([*best, PsfCandidate(cost, regularization, kernel, optic)], key=lambda each: each.cost)
        best = best[:FINALISTS]
    return best


def _restore(
    padded: PaddedVolume, kernel: Tensor, s: VolumeSettings, regularization: float, done: int = 0
) -> Yields[Snapshot, None, Tensor]:
    """Restore the whole volume ``[1, 1, Z, Y, X]``, yielding each iterate with its misfit."""
    observation, noise, weights = padded.observation, padded.noise, padded.weights
    strength, transfer = s.regularization * regularization * padded.strength, padded.transfer(kernel)
    states: Deconvolution | list[DeconvolutionState]
    if s.solver == "wiener":
        image = wiener(observation, transfer, noise, weights).clamp(min=0)
        states = [DeconvolutionState(1, image, apply_transfer(image, transfer))]
    elif s.solver == "richardson-lucy":
        strength *= TV_FRACTION
        states = richardson_lucy(observation, transfer, noise, weights, strength=strength, steps=s.steps)
    else:
        states = tv_weighted(observation, transfer, noise, weights, strength=strength, steps=s.steps)
    for state in states:
        volume = observation.crop(state.image)
        misfit = torch.tensor([normalized_misfit(observation, state.model, noise)])
        yield Snapshot(done + state.step, done + s.steps, "deconvolution", volume, kernel, {"misfit": misfit})
    return volume
