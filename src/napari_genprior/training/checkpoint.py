"""Where a training stands, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from ..optim.checkpoint_io import below, optimiser_tensors, read_tensors, restore_optimiser, save_state
from .learners import Learner


def save(path: Path, learner: Learner, best: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write weights, averages, optimiser states and the best weights so far; whole or not at all."""
    tensors = {f"module/{name}/{k}": v for name, net in learner.modules.items() for k, v in net.state_dict().items()}
    for name, optimiser in learner.optimisers.items():
        tensors.update({f"optimiser/{name}/{key}": value for key, value in optimiser_tensors(optimiser).items()})
    tensors.update({f"best/{key}": value for key, value in best.items()})
    save_state(path, tensors, state)


def load(path: Path, learner: Learner) -> dict[str, Tensor]:
    """Put a learner back to where it stood when the checkpoint was written; returns the best weights so far."""
    tensors = read_tensors(path)
    for name, net in learner.modules.items():
        net.load_state_dict(below(tensors, f"module/{name}/"))
    for name, optimiser in learner.optimisers.items():
        restore_optimiser(optimiser, below(tensors, f"optimiser/{name}/"))
    return below(tensors, "best/")
