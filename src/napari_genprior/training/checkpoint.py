"""Store the state of a training run in one file, and resume from it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from ..core.errors import InputError
from ..core.image_io import write_image
from ..optim.checkpoint_io import (
    optimiser_tensors,
    read_state,
    read_tensors,
    restore_optimiser,
    save_state,
    with_prefix,
)
from .learners import Learner
from .tasks import Task

RESUMABLE = ("minutes", "checkpoint_seconds", "device", "patience", "float16", "keep_encoder")  # may differ on resuming


@dataclass
class State:
    """What a run has reached; ``best`` is the lowest held-out loss, ``run`` holds its settings and hash of the data."""

    step: int = 0
    seconds: float = 0.0
    held_out: float | None = None
    best: float | None = None
    since_best: int = 0
    run: dict[str, Any] = field(default_factory=dict)


def resume_or_start(path: Path, learner: Learner, task: Task) -> tuple[State, dict[str, Tensor]]:
    """Restore the state and best weights of an interrupted run, or return those of a new run.

    Raises
    ------
    InputError
        The interrupted run has other settings or data.
    """
    settings = task.settings.model_dump(mode="json", exclude=set(RESUMABLE))
    run: dict[str, Any] = {"settings": settings, "data": task.fingerprint()}
    stored = read_state(path)
    if stored is None:
        return State(run=run), {}
    if stored["run"] != run:
        before, now = stored["run"]["settings"], settings
        differ = [
            f"{key} {before.get(key)!r} (now {value!r})" for key, value in now.items() if before.get(key) != value
        ]
        raise InputError(
            f"{path} is an unfinished training with {', '.join(differ) or 'other data'}; "
            "repeat its command to finish it, delete it, or choose another name."
        )
    return State(**stored), _load(path, learner)


def write(path: Path, learner: Learner, task: Task, held_out: Any, state: State, best: dict[str, Tensor]) -> None:
    """Write a checkpoint, and beside it an image that shows results of the averaged model."""
    _save(path, learner, best, json.loads(json.dumps(vars(state))))
    write_image(path.with_suffix(".png"), task.sample_sheet(learner.averaged, held_out))


def _save(path: Path, learner: Learner, best: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write weights, averages, optimiser states and the best weights so far to one file.

    The file is complete or absent: an interruption leaves no partial file.
    """
    tensors = {f"module/{name}/{k}": v for name, net in learner.modules.items() for k, v in net.state_dict().items()}
    for name, optimiser in learner.optimisers.items():
        tensors.update({f"optimiser/{name}/{key}": value for key, value in optimiser_tensors(optimiser).items()})
    tensors.update({f"best/{key}": value for key, value in best.items()})
    save_state(path, tensors, state)


def _load(path: Path, learner: Learner) -> dict[str, Tensor]:
    """Restore the state of a learner from a checkpoint, and return the best weights so far."""
    tensors = read_tensors(path)
    for name, net in learner.modules.items():
        net.load_state_dict(with_prefix(tensors, f"module/{name}/"))
    for name, optimiser in learner.optimisers.items():
        restore_optimiser(optimiser, with_prefix(tensors, f"optimiser/{name}/"))
    return with_prefix(tensors, "best/")
