"""Run a recipe several times with successive seeds, or with an estimated kernel size."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from dataclasses import replace

import torch

from ..core.iteration import map_states
from ..core.result import RESTART_STD
from ..estimation.multi_start import find_size
from ..settings import UntrainedSettings
from .base import Problem, Recipe, Snapshot, Solution

SEARCH_SHARE = 0.9  # of a time limit; the rest is for the final deconvolution

Outcome = tuple[Solution, float]  # the solution of a run, and its last loss


def ensemble(problem: Problem, run_once: Callable[[Problem, float], Generator[Snapshot, None, Outcome]]) -> Recipe:
    """Run a recipe with successive seeds and return the solution of least loss, with the standard deviation of all.

    Parameters
    ----------
    problem : Problem
    run_once : callable
        Runs the recipe, given the problem and the time limit on the monotonic clock. Runs that reach the time limit
        are discarded, except for the first.
    """
    assert isinstance(problem.settings, UntrainedSettings)
    runs = problem.settings.ensemble
    end = math.inf if problem.time_limit_s is None else time.monotonic() + SEARCH_SHARE * problem.time_limit_s
    outcomes: list[Outcome] = []
    for number in range(runs):

        def numbered(snapshot: Snapshot, number: int = number) -> Snapshot:
            if runs == 1:
                return snapshot
            step, total = number * snapshot.total + snapshot.step, runs * snapshot.total
            return replace(snapshot, step=step, total=total, stage=f"Run {number + 1}/{runs}: {snapshot.stage}")

        checkpoint = None if problem.checkpoint is None else problem.checkpoint.part(number)
        run = run_once(replace(problem, seed=problem.seed + number, checkpoint=checkpoint), end)
        outcome = yield from map_states(run, numbered)
        if not outcomes or time.monotonic() <= end:
            outcomes.append(outcome)
        if time.monotonic() > end:
            break
    best = min(range(len(outcomes)), key=lambda i: (outcomes[i][0].diverged, outcomes[i][1]))
    solution = outcomes[best][0]
    solution = replace(solution, stopped=solution.stopped or len(outcomes) < runs)
    if len(outcomes) == 1:
        return solution
    spread = torch.cat([one.image for one, _ in outcomes]).std(0, keepdim=True)
    return replace(solution, selected=best, extra_images=solution.extra_images | {RESTART_STD: spread})


def with_size(problem: Problem) -> Problem:
    """Return the problem with a kernel size: the given one, or that estimated by a classical search."""
    if problem.kernel is not None:
        return replace(problem, kernel_size=(problem.kernel.shape[-2], problem.kernel.shape[-1]))
    size = problem.kernel_size or find_size(problem.blurred, problem.noise)
    return replace(problem, kernel_size=size)
