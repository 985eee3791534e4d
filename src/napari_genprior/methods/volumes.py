"""Restore volumes for a given kernel, or blind, with simulated microscopes as candidates for it.

Blind, the kernel is that of the microscope which best predicts voxels held out of the deconvolution.
"""

from __future__ import annotations

from collections.abc import Generator as Yields
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..core.iteration import map_states
from ..deconvolution.estimated_error import split_noise
from ..deconvolution.photon_noise import MOST_TRIALS, Strength, choose_strength, restore_photons
from ..deconvolution.richardson_lucy import TV_FRACTION, richardson_lucy
from ..deconvolution.state import Deconvolution, DeconvolutionState
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
    s, kernel = problem.settings, problem.kernel
    assert isinstance(s, VolumeSettings)
    assert kernel is not None
    volume = yield from _restore(problem, kernel, s, 0)
    return Solution(volume, kernel)


def blind(problem: Problem) -> Recipe:
    """Estimate the kernel of a volume by cross-validation, then restore the volume for it.

    Notes
    -----
    Candidates are simulated microscopes that agree with what is known: first any, then such as are near the best. The
    generator gives the kernel's size. In the end "no blur", a point, is a candidate too.
    """
    s, prior = problem.settings, problem.kernel_prior
    assert isinstance(s, VolumeSettings)
    assert prior is not None
    shape = kernel_shape(prior)
    part = _textured_part(problem)
    split = hold_out(_padded(problem, part, [side - 1 for side in shape]), part, problem.seed)
    point = torch.zeros((1, 1, *shape), device=problem.blurred.device)
    point[..., shape[0] // 2, shape[1] // 2, shape[2] // 2] = 1
    no_blur = PsfCandidate(*held_out_error(split, point), point, None)
    candidates = yield from _search(problem, s, split)
    candidates = sorted([*candidates, no_blur], key=lambda each: each.cost)
    best = candidates[0]
    volume = yield from _restore(problem, best.kernel, s, _candidate_count(s))
    return Solution(volume, best.kernel, candidates=[(each.kernel, each.cost) for each in candidates])


def _textured_part(problem: Problem) -> Observed:
    """Crop the volume to its most textured part."""
    return problem.observed.crop(most_textured_place(problem.observed.values, REGION))


def _padded(problem: Problem, volume: Observed, margin: Sequence[int]) -> PaddedVolume:
    return padded_volume(volume, problem.voxel_weights, margin, problem.known_noise)


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


def _restore(problem: Problem, kernel: Tensor, s: VolumeSettings, done: int) -> Yields[Snapshot, None, Tensor]:
    """Restore the whole volume ``[1, 1, Z, Y, X]``, yielding each iterate with its misfit."""
    padded, strength = _padded(problem, problem.observed, kernel_reach(kernel, KERNEL_TAIL)), None
    if s.solver == "tv":
        total = done + MOST_TRIALS + s.steps
        strength = yield from map_states(
            _choose_strength(problem, kernel),
            lambda n: Snapshot(done + n - 1, total, f"regularization, trial {n}", problem.blurred, kernel),
        )
        done += MOST_TRIALS
    for state in _solver(padded, kernel, s, strength):
        volume = padded.observation.crop(state.image)
        misfit = torch.tensor([normalized_misfit(padded.observation, state.model, padded.noise)])
        yield Snapshot(done + state.step, done + s.steps, "deconvolution", volume, kernel, {"misfit": misfit})
    return volume


def _choose_strength(problem: Problem, kernel: Tensor) -> Yields[int, None, Strength]:
    """Choose the strength of the total variation in the most textured part of the volume."""
    part = _padded(problem, _textured_part(problem), kernel_reach(kernel, KERNEL_TAIL))
    halves = split_noise(part.observation, part.transfer(kernel), part.noise, part.weights, problem.seed)
    return choose_strength(halves)


def _solver(
    padded: PaddedVolume, kernel: Tensor, s: VolumeSettings, strength: Strength | None
) -> Deconvolution | list[DeconvolutionState]:
    """Prepare the solver; that of total variation has a strength."""
    observation, noise, weights, transfer = padded.observation, padded.noise, padded.weights, padded.transfer(kernel)
    if strength is not None:
        strength = strength.times(s.regularization)
        return restore_photons(observation, transfer, noise, weights, strength=strength, steps=s.steps)
    if s.solver == "richardson-lucy":
        tv = s.regularization * TV_FRACTION * padded.strength
        return richardson_lucy(observation, transfer, noise, weights, strength=tv, steps=s.steps)
    image = wiener(observation, transfer, noise, weights).clamp(min=0)
    return [DeconvolutionState(1, image, apply_transfer(image, transfer))]
