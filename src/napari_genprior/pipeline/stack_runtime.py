"""How long a run over a stack, or with blur that changes, will take: by what single runs take, and those before it."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from ..methods.registry import METHODS
from . import runtime_estimate as expected
from .kernel_search import MOST
from .plan import Plan
from .spatially_varying import VaryingPlan
from .stack_plan import StackPlan

TOGETHER = 0.6  # of the time of a search, for each plane more that it looks at
PLANE = 0.3  # of the time of a known-kernel run, for a plane of a stack: it gets no verdict of its own
VOLUME = {"known-kernel": 5.0, "blind": 125.0}  # processor seconds a million voxels


def of_stack(plan: StackPlan) -> float | None:
    """Seconds that a run of the plan will take here; None for a method that nothing is known of."""
    guess = _guess(plan)
    return None if guess is None else guess * expected.learnt().get(_key(plan), 1.0)


def learn(plan: StackPlan, seconds: float) -> None:
    """Remember how long a run took that went through to its end."""
    guess = _guess(plan)
    if guess is not None and plan.piece.time_limit_s is None:
        expected.remember(_key(plan), seconds / guess, seconds)


def of_varying(plan: VaryingPlan) -> float | None:
    """As :func:`of_stack`: a search for each tile and one for all, then the image."""
    image, tiles = plan.whole.image, prod(plan.tiles)
    solve = expected.expected_s(_known(plan.whole, image.shape))
    if plan.given is not None:
        return solve
    side = [n // count for n, count in zip(image.shape, plan.tiles, strict=False)]
    searches = [expected.expected_s(_like(plan.whole, shape)) for shape in (image.shape, (*side, *image.shape[2:]))]
    if solve is None or searches[0] is None or searches[1] is None:
        return None
    return solve + searches[0] + tiles * searches[1]


def _guess(plan: StackPlan) -> float | None:
    layout = plan.layout
    groups, pieces = prod(layout.groups), prod(layout.pieces)
    if layout.depth == "volume":
        megavoxels = prod(layout.piece_shape) / 1e6
        searches = 0 if plan.given is not None else groups
        return megavoxels * (searches * VOLUME["blind"] + pieces * VOLUME["known-kernel"])
    known = expected.expected_s(_known(plan.piece, layout.piece_shape))
    search = 0.0 if plan.given is not None else expected.expected_s(plan.piece)
    if known is None or search is None:
        return None
    more = min(MOST, pieces // groups) - 1 if plan.piece.method.name in ("auto", "classical") else 0
    return groups * search * (1 + TOGETHER * more) + pieces * PLANE * known


def _known(plan: Plan, shape: tuple[int, ...]) -> Plan:
    """A known-kernel run on an image of this shape."""
    return replace(_like(plan, shape), method=METHODS["known-kernel"], priors={})


def _like(plan: Plan, shape: tuple[int, ...]) -> Plan:
    """The same run on an image of this shape, which takes no memory."""
    return replace(plan, image=np.broadcast_to(np.uint8(0), shape))


def _key(plan: StackPlan) -> str:
    what = plan.layout.depth if plan.layout.depth == "volume" else plan.piece.method.name
    return ", ".join(("stack", what, "blind" if plan.given is None else "given", plan.piece.device.type))
