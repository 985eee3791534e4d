"""Store the state of a training run in one file, and read it back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from ..optim.checkpoint_io import optimiser_tensors, read_tensors, restore_optimiser, save_state, with_prefix
from .learners import Learner


def save(path: Path, learner: Learner, best: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write weights, averages, optimiser states and the best weights so far to one file.

    The file is complete or absent: an interruption leaves no partial file.
    """
    tensors = {f"module/{name}/{k}": v for name, net in learner.modules.items() for k, v in net.state_dict().items()}
    for name, optimiser in learner.optimisers.items():
        tensors.update({f"optimiser/{name}/{key}": value for key, value in optimiser_tensors(optimiser).items()})
    tensors.update({f"best/{key}": value for key, value in best.items()})
    save_state(path, tensors, state)


def load(path: Path, learner: Learner) -> dict[str, Tensor]:
    """Restore the state of a learner from a checkpoint, and return the best weights so far."""
    tensors = read_tensors(path)
    for name, net in learner.modules.items():
        net.load_state_dict(with_prefix(tensors, f"module/{name}/"))
    for name, optimiser in learner.optimisers.items():
        restore_optimiser(optimiser, with_prefix(tensors, f"optimiser/{name}/"))
    return with_prefix(tensors, "best/")
