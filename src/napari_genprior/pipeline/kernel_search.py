"""The search for the kernel that pieces of a stack share: in those of them that tell most of it, together."""

from __future__ import annotations

from collections.abc import Generator as Yields
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..core.errors import InputError
from ..core.iteration import map_states
from ..core.result import DeblurResult, Progress, Verdict
from ..operators.detail import detail, most_textured_part
from . import plan as planning
from .run import run
from .stack_plan import StackPlan
from .stack_result import StackProgress

Index = tuple[int, ...]

MOST = 4  # planes that a kernel is sought in, in some three times the time of one
LEAST = 0.1  # of the detail of the first; below it a plane adds noise


def estimate_shared_kernel(
    plan: StackPlan, members: Sequence[Index]
) -> Yields[StackProgress, None, tuple[np.ndarray, Verdict]]:
    """The kernel of a group of pieces, and the verdict on it in the piece with the most detail.

    Raises
    ------
    InputError
        None of the pieces has any contrast.
    """
    take, data = plan.layout.take, plan.data
    details = {}
    for index in members:
        details[index] = detail(take(data, index))
        yield StackProgress(0, 1, f"looking for detail, {list(index)}")
    telling = most_textured_planes(details)
    if not telling:
        raise InputError("All images of the stack are constant; there is nothing to restore.")

    def shown(p: Progress) -> StackProgress:
        return StackProgress(p.step, p.total, p.stage, None, p.kernel, p.losses)

    found = yield from map_states(_blind(plan, telling), shown)
    return found.kernel, found.verdict


def most_textured_planes(details: dict[Index, float]) -> list[Index]:
    """The pieces to look at, by their :func:`.shared.detail`, the best first; none where all are blank."""
    best = sorted((index for index in details if details[index] >= 0), key=lambda index: -details[index])[:MOST]
    return [index for index in best if details[index] >= LEAST * details[best[0]]]


def _blind(plan: StackPlan, telling: list[Index]) -> Yields[Progress, None, DeblurResult]:
    pieces = (plan.layout.take(plan.data, index) for index in telling)
    if plan.layout.depth == "volume":
        from .volumes import iter_deblur_volume

        return iter_deblur_volume(next(pieces), **plan.arguments)
    first, *beside = map(most_textured_part, pieces)
    return run(replace(planning.plan(first, **plan.arguments), beside=beside))
