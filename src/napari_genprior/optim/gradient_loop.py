"""The gradient loop: minimise a function with one value per restart by an optimiser.

It is a generator: iterating over it runs the loop, closing it cancels the loop.
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

DIVERGED = "The optimization diverged at step {step}; the last good state is kept."


@dataclass(frozen=True)
class LoopState:
    """The state after ``step`` of ``total`` updates: named losses of the current parameters, each float array [R]."""

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
    """Minimise ``objective(step)["total"]`` with an optimiser.

    Parameters
    ----------
    objective : callable
        Maps the step, 0 to ``steps``, to named losses ``[R]``: ``"total"`` is minimised, the others are reported.
    optimiser : torch.optim.Optimizer
        Holds the parameters. Element-wise step rules (Adam, SGD) keep restarts independent.
    steps, first : int
        Number of updates; resume at step ``first``, after as many updates in earlier runs.
    milestones, decay : collection of int, float
        Numbers of updates after which every learning rate is multiplied by ``decay``.
    report_every : int
        Yield at step 0, every so many steps, and at the last one.
    before : callable, optional
        Called with the step before ``objective``.

    Yields
    ------
    LoopState
        The parameters have finite losses then, and closing the generator leaves them in place.

    Returns
    -------
    Status
        DONE, or DIVERGED when a total is not finite: the parameters are reset to the last ones with finite totals.
    """
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    kept = [p.detach().clone() for p in parameters]
    for step in range(first, steps + 1):
        if before is not None:
            before(step)
        with torch.enable_grad():  # the caller of the generator may be inside no_grad
            losses = objective(step)
            if not torch.isfinite(losses["total"]).all():
                _copy(kept, parameters)
                logger.warning("losses are not finite at step %d", step)
                return Status(StatusCode.DIVERGED, DIVERGED.format(step=step))
            _copy(parameters, kept)
            if step < steps:
                optimiser.zero_grad(set_to_none=True)
                losses["total"].sum().backward()  # before the yield, so that no graph is held while a caller pauses
        if step % report_every == 0 or step == steps:
            yield LoopState(step, steps, to_numpy(losses))
        if step < steps:
            optimiser.step()
            if step + 1 in milestones:
                _scale_learning_rates(optimiser, decay)
    return Status(StatusCode.DONE, f"Completed all {steps} steps.")


def _scale_learning_rates(optimiser: torch.optim.Optimizer, factor: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] *= factor


@torch.no_grad()
def _copy(source: list[Tensor], target: list[Tensor]) -> None:
    """Copy the values of tensors in place."""
    for old, new in zip(source, target, strict=True):
        new.copy_(old)


def to_numpy(losses: Losses) -> dict[str, np.ndarray]:
    """Copy losses to detached arrays on the CPU."""
    return {name: value.detach().cpu().numpy().copy() for name, value in losses.items()}
