"""Alternating descent: each block of parameters in turn, every row with steps of a length that is set beforehand.

It knows nothing of images, and it is a generator as :func:`~.loop.minimise` is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence

import torch
from torch import Tensor

from ..core.result import Status, StatusCode
from .gradient_loop import LoopState, Losses

logger = logging.getLogger(__name__)

SMALLEST_RMS = 1e-5  # as in the authors' code: a gradient far below it makes no step


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
        As in :func:`~.loop.minimise`; it reads the blocks as they are.
    blocks : sequence of Tensor [R, d]
        Leaves that require gradients; changed in place, the first one first. The gradient of each sees the steps
        that those before it have made.
    steps : int
    rate : callable
        Step to the root mean square of a row's update.
    report_every : int
        Yield at step 0, every so many steps, and at the last one.

    Yields
    ------
    LoopState
        Losses of a row that has diverged are those of its last good state.

    Returns
    -------
    Status
        DIVERGED when no row is left with a finite total. A row that diverges goes back to its last good state and
        stays there; the others go on.

    Notes
    -----
    The division by the root mean square (per row) is in the code of Asim 2020, not in their text: printed
    as it is, plain gradient descent ends with images 1 dB worse.
    """
    alive = torch.ones(len(blocks[0]), dtype=torch.bool, device=blocks[0].device)
    kept = [block.detach().clone() for block in blocks]
    for step in range(steps + 1):
        with torch.enable_grad():  # whoever drives the generator may be inside no_grad
            losses = objective(step)
            lost = alive & ~torch.isfinite(losses["total"])
            if lost.any():
                alive = alive & ~lost
                logger.warning("%d restarts diverged at step %d", int(lost.sum()), step)
                _put_back(kept, blocks, lost)
                losses = objective(step)
        if not alive.any():
            return Status(StatusCode.DIVERGED, f"The search diverged at step {step}; the last good state is kept.")
        kept = [block.detach().clone() for block in blocks]
        if step % report_every == 0 or step == steps:
            shown = {name: value.detach().cpu().numpy().copy() for name, value in losses.items()}
            yield LoopState(step, steps, shown)
        if step == steps:
            break
        for index, block in enumerate(blocks):
            with torch.enable_grad():
                total = (losses if index == 0 else objective(step))["total"]
                (gradient,) = torch.autograd.grad(total.sum(), block)
            with torch.no_grad():
                update = gradient / (gradient.square().mean(1, keepdim=True).sqrt() + SMALLEST_RMS)
                block -= torch.where(alive[:, None], rate(step) * update, 0.0)
    return Status(StatusCode.DONE, f"All {steps} steps were made.")


@torch.no_grad()
def _put_back(kept: Sequence[Tensor], blocks: Sequence[Tensor], rows: Tensor) -> None:
    for old, block in zip(kept, blocks, strict=True):
        block[rows] = old[rows]
