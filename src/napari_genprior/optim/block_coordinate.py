"""Block coordinate descent: each block of parameters in turn, with normalised gradient steps.

It is a generator, as :func:`~.gradient_loop.minimise` is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence

import torch
from torch import Tensor

from ..core.result import Status, StatusCode
from .gradient_loop import DIVERGED, LoopState, Losses, to_numpy

logger = logging.getLogger(__name__)

SMALLEST_RMS = 1e-5  # as in the code of Asim 2020: a much smaller gradient makes no step


def alternate(
    objective: Callable[[int], Losses],
    blocks: Sequence[Tensor],
    *,
    steps: int,
    rate: Callable[[int], float],
    report_every: int = 10,
) -> Generator[LoopState, None, Status]:
    """Minimise ``objective(step)["total"]`` by ``block -= rate(step) g / rms(g)``, one block after the other.

    Parameters
    ----------
    objective : callable
        As in :func:`~.gradient_loop.minimise`.
    blocks : sequence of Tensor [R, d]
        Leaves that require gradients; updated in place, each after those before it.
    steps, report_every : int
        Number of updates; yield at step 0, every ``report_every`` steps, and at the last one.
    rate : callable
        Maps the step to the root mean square of a row's update.

    Yields
    ------
    LoopState
        Losses of a row that has diverged are those of its last finite state.

    Returns
    -------
    Status
        DIVERGED when no row has a finite total. A row that diverges stays at its last finite state.

    Notes
    -----
    The division by the root mean square (per row) is in the code of Asim 2020, not in the text; without it images
    are 1 dB worse.
    """
    alive = torch.ones(len(blocks[0]), dtype=torch.bool, device=blocks[0].device)
    kept = [block.detach().clone() for block in blocks]
    for step in range(steps + 1):
        with torch.enable_grad():  # the caller of the generator may be inside no_grad
            losses = objective(step)
            lost = alive & ~torch.isfinite(losses["total"])
            if lost.any():
                alive = alive & ~lost
                logger.warning("%d restarts diverged at step %d", int(lost.sum()), step)
                _restore(kept, blocks, lost)
                losses = objective(step)
        if not alive.any():
            return Status(StatusCode.DIVERGED, DIVERGED.format(step=step))
        kept = [block.detach().clone() for block in blocks]
        if step % report_every == 0 or step == steps:
            yield LoopState(step, steps, to_numpy(losses))
        if step == steps:
            break
        for index, block in enumerate(blocks):
            with torch.enable_grad():
                total = (losses if index == 0 else objective(step))["total"]
                (gradient,) = torch.autograd.grad(total.sum(), block)
            _update(block, gradient, rate(step), alive)
    return Status(StatusCode.DONE, f"Completed all {steps} steps.")


@torch.no_grad()
def _update(block: Tensor, gradient: Tensor, rate: float, rows: Tensor) -> None:
    """Take a step of root mean square ``rate`` in these rows of a block, in place."""
    update = gradient / (gradient.square().mean(1, keepdim=True).sqrt() + SMALLEST_RMS)
    block -= torch.where(rows[:, None], rate * update, 0.0)


@torch.no_grad()
def _restore(kept: Sequence[Tensor], blocks: Sequence[Tensor], rows: Tensor) -> None:
    """Reset these rows of all blocks to the kept values, in place."""
    for old, block in zip(kept, blocks, strict=True):
        block[rows] = old[rows]
