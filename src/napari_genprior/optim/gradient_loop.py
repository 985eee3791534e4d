"""The one loop. It knows nothing of images: a function with one value per restart, and an optimiser.

It is a generator: to drive it is to run it, to close it is to cancel it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..core.result import Status, StatusCode

logger = logging.getLogger(__name__)

Losses = dict[str, Tensor]


@dataclass(frozen=True)
class LoopState:
    """Where the loop stands: ``losses`` are those of the parameters after ``step`` updates, each float array [R]."""

    step: int
    total: int
    losses: dict[str, np.ndarray]


def minimise(
    objective: Callable[[int], Losses],
    optimiser: torch.optim.Optimizer,
    *,
    steps: int,
    milestones: Collection[int] = (),
    decay: float = 0.5,
    report_every: int = 10,
    first: int = 0,
    before: Callable[[int], None] | None = None,
) -> Generator[LoopState, None, Status]:
    """Minimise ``objective(step)["total"]``.

    Parameters
    ----------
    objective : callable
        Step to named losses, each ``[R]``; ``"total"`` is minimised, the others are reported.
        It is called for ``step = 0 .. steps``, the last time only to judge the final parameters.
    optimiser : torch.optim.Optimizer
        Holds the parameters and makes one update per gradient. Restarts are summed for the gradient only:
        a step rule that works element by element (Adam, SGD) keeps them independent.
    steps : int
        Number of updates.
    milestones : collection of int
        After this many updates every learning rate is multiplied by ``decay``.
    report_every : int
        Yield at step 0, every so many steps, and at the last one.
    first : int
        Go on at this step: so many updates were made before.
    before : callable, optional
        Called before each step, as ``objective`` is.

    Yields
    ------
    LoopState
        Detached; at that moment the parameters are good ones (finite losses) and gradients are enabled as
        the caller has them. Closing the generator there leaves them in place.

    Returns
    -------
    Status
        DONE, or DIVERGED when a total became NaN or infinite: then the parameters are put back to the last
        ones with finite totals. If the very first is not finite, the parameters stay as they were.
    """
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    kept = [p.detach().clone() for p in parameters]
    for step in range(first, steps + 1):
        if before is not None:
            before(step)
        with torch.enable_grad():  # whoever drives the generator may be inside no_grad
            losses = objective(step)
            total = losses["total"]
            if not torch.isfinite(total).all():
                _copy(kept, parameters)
                logger.warning("losses are not finite at step %d", step)
                return Status(StatusCode.DIVERGED, f"The search diverged at step {step}; the last good state is kept.")
            _copy(parameters, kept)
            if step < steps:
                optimiser.zero_grad(set_to_none=True)
                total.sum().backward()  # before the yield, so that no graph is held while a caller pauses
        if step % report_every == 0 or step == steps:
            yield LoopState(step, steps, {name: _numpy(value) for name, value in losses.items()})
        if step < steps:
            optimiser.step()
            if step + 1 in milestones:
                for group in optimiser.param_groups:
                    group["lr"] *= decay
    return Status(StatusCode.DONE, f"All {steps} steps were made.")


@torch.no_grad()
def _copy(source: list[Tensor], target: list[Tensor]) -> None:
    for old, new in zip(source, target, strict=True):
        new.copy_(old)


def _numpy(value: Tensor) -> np.ndarray:
    return value.detach().cpu().numpy().copy()
