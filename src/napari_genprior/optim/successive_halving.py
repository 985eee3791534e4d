"""Many starts, of which few remain: batched L-BFGS in rounds, after each of which the worse ones drop out.

Searches that end low are low early: on digits this finds what ten whole searches find in a third of their time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace

from torch import Tensor

from .batched_lbfgs import LbfgsState, Objective, lbfgs

FIRST, SECOND = 10, 20  # updates before the first and the second choice
MEMORY = 30  # generators have long valleys; 15 pairs of steps take half as many steps more
TOLERANCE = 1e-4  # relative fall of the objective per update, three times running, at which a search rests


def halving(
    objective: Objective, starts: Tensor, *, steps: int, between: Callable[[Tensor], None] | None = None
) -> Generator[LbfgsState, None, LbfgsState]:
    """Minimise one function from many starts: all for a while, then the best third, then the best tenth to the end.

    One start alone is searched from in one go: there is nothing to choose, and each round forgets the curvature.

    Parameters
    ----------
    objective : callable
        See :data:`~.lbfgs.Objective`; every row is the same problem.
    starts : Tensor [R, d]
    steps : int
        Largest number of updates of a point, all rounds together.
    between : callable, optional
        Told the best point ``[1, d]`` after each round but the last; it may change what ``objective`` means.

    Yields
    ------
    LbfgsState
        After each update, the best point first.

    Returns
    -------
    LbfgsState
        Of the finalists, the best first.
    """
    points, done, count = starts, 0, len(starts)
    rounds = [(count, FIRST), (-(-count // 3), SECOND), (-(-count // 10), steps)]
    if count == 1 and between is None:
        rounds = [(1, steps)]
    memory = MEMORY if count > 1 else MEMORY // 2  # a start worth going from alone lies near the end of the valley
    for number, (keep, length) in enumerate(rounds):
        last = number == len(rounds) - 1
        left = min(length, steps - done)
        search = lbfgs(objective, points[:keep], steps=left, memory=memory, tolerance=TOLERANCE)
        while True:
            try:
                state = next(search)
            except StopIteration as end:
                state = _sorted(end.value)
                break
            yield replace(_sorted(state), step=done + state.step)
        points, done = state.x, done + state.step
        if not last and between is not None:
            between(points[:1])
    return replace(state, step=done)


def _sorted(state: LbfgsState) -> LbfgsState:
    order = state.values.argsort()
    return replace(state, x=state.x[order], values=state.values[order], active=state.active[order])
