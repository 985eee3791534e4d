"""Recipes for volumes: the volume for a given kernel, and blind, with a generator of microscopes' blur.

Blind, the kernel is that of the simulated microscope which best foretells voxels left out of the solve.
"""

from __future__ import annotations

from collections.abc import Generator as Yields

import numpy as np
import torch
from torch import Tensor

from ..deconvolution.volumes import (
    LUCY_SHARE,
    TAIL,
    Solve,
    VolumeState,
    Weights,
    misfit_of,
    richardson_lucy,
    tv_admm,
    wiener,
)
from ..estimation.cross_validation import REGION, Scene, held_out_error, most_textured, scene_of, trial_of
from ..estimation.psf_candidates import Candidate, Known, sample_candidates, sides_of_kernels
from ..operators.volumes import apply_transfer, margin_for, transfer_function
from ..settings import VolumeSettings
from .base import Problem, Recipe, Snapshot, Solution

SPREADS = (0.25, 0.15, 0.1)  # of microscopes near the best ones so far, turn by turn
VARIANTS = 8  # a turn
FINALISTS = 3
HANDICAP = 0.005  # of confocal microscopes: in strong noise they foretell widefield volumes no worse, and undo little


def known_kernel(problem: Problem, weights: Weights) -> Recipe:
    """The volume for a given kernel, by the solver that the settings name."""
    s, kernel = problem.settings, problem.kernel
    assert isinstance(s, VolumeSettings)
    assert kernel is not None
    margin, suits = margin_for(kernel, TAIL), 1.0
    if s.solver == "tv":
        yield Snapshot(0, s.steps, "how much smoothing suits", problem.blurred, kernel)
        part = most_textured(problem.blurred, REGION)
        _, suits = held_out_error(trial_of(scene_of(part, weights, margin), part, problem.seed), kernel)
    volume = yield from _final(scene_of(problem.blurred, weights, margin), kernel, s, suits)
    return Solution(volume, kernel)


def _final(
    scene: Scene, kernel: Tensor, s: VolumeSettings, suits: float, done: int = 0
) -> Yields[Snapshot, None, Tensor]:
    """Yields snapshots with the misfit so far, the last with that of what is returned, ``[1, 1, Z, Y, X]``."""
    strength = s.regularization * suits * scene.strength
    canvas, transfer = scene.canvas, transfer_function(kernel, scene.canvas.sides)
    arguments = (canvas, transfer, scene.noise, scene.weights)
    solve: Solve | list[VolumeState]
    if s.solver == "wiener":
        volume = wiener(*arguments).clamp(min=0)
        solve = [VolumeState(1, volume, misfit_of(canvas, apply_transfer(volume, transfer), scene.noise))]
    elif s.solver == "richardson-lucy":
        solve = richardson_lucy(*arguments, strength=LUCY_SHARE * strength, steps=s.steps)
    else:
        solve = tv_admm(*arguments, strength=strength, steps=s.steps)
    for state in solve:
        volume = canvas.cut(state.canvas)
        losses = {"misfit": torch.tensor([state.misfit])}
        yield Snapshot(done + state.step, done + s.steps, "volume", volume, kernel, losses)
    return volume


def blind(problem: Problem, weights: Weights, known: Known) -> Recipe:
    """Kernel by what it foretells, then the volume for it.

    Notes
    -----
    Candidates are simulated microscopes that agree with what is known: first any, then such as are near the best. The
    generator gives the kernel's size, and kernels where microscopes cannot be simulated. In the end "no blur", a point,
    is a candidate too.
    """
    s, prior = problem.settings, problem.kernel_prior
    assert isinstance(s, VolumeSettings)
    assert prior is not None
    depth, height, width = sides_of_kernels(prior)
    part = most_textured(problem.blurred, REGION)
    trial = trial_of(scene_of(part, weights, (depth - 1, height - 1, width - 1)), part, problem.seed)
    rng = np.random.default_rng(problem.seed)
    total = s.n_candidates + len(SPREADS) * VARIANTS
    point = torch.zeros((1, 1, depth, height, width), device=part.device)
    point[..., depth // 2, height // 2, width // 2] = 1
    no_blur = Candidate(*held_out_error(trial, point), point, None)
    found: list[Candidate] = []
    for tried in range(total):
        best = found[0].kernel if found else None
        yield Snapshot(tried, total + s.steps, f"kernel, microscope {tried + 1}", problem.blurred, best)
        turn = (tried - s.n_candidates) // VARIANTS
        near = found[(tried - s.n_candidates) % len(found)] if turn >= 0 else None
        optic, kernel = sample_candidates(rng, prior, known, near, SPREADS[max(turn, 0)])
        wrong, regularization = held_out_error(trial, kernel)
        if optic is not None and optic.microscope.kind == "confocal":
            wrong += HANDICAP
        candidate = Candidate(wrong, regularization, kernel, optic)
        found = sorted([*found, candidate], key=lambda each: each.against)[:FINALISTS]
    found = sorted([*found, no_blur], key=lambda each: each.against)
    kernel = found[0].kernel
    whole = scene_of(problem.blurred, weights, margin_for(kernel, TAIL))
    volume = yield from _final(whole, kernel, s, found[0].regularization, total)
    return Solution(volume, kernel, candidates=[(each.kernel, each.against) for each in found])
