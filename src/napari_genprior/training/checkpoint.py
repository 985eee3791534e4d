"""Where a training stands, in one safetensors file: tensors, and the rest as JSON in its header."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import FileError
from ..io import written_whole
from .learners import Learner


def save(path: Path, learner: Learner, best: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write weights, averages, optimiser states and the best weights so far; whole or not at all."""
    from safetensors.torch import save_file

    tensors = {f"module/{name}/{key}": value for name, net in learner.modules.items() for key, value in _state(net)}
    for name, optimiser in learner.optimisers.items():
        for index, values in optimiser.state_dict()["state"].items():
            tensors.update({f"optimiser/{name}/{index}/{key}": value for key, value in values.items()})
    tensors.update({f"best/{key}": value for key, value in best.items()})
    with written_whole(path) as beside:
        separate = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
        save_file(separate, beside, metadata={"state": json.dumps(state)})


def _state(net: torch.nn.Module) -> Any:
    return net.state_dict().items()


def read_state(path: Path) -> dict[str, Any] | None:
    """The JSON part of a checkpoint; None where there is none.

    Raises
    ------
    FileError
        Something lies there that is not a checkpoint.
    """
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            return json.loads(file.metadata()["state"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise FileError(f"{path} is not a readable checkpoint ({error}); delete it to start anew.") from error


def load(path: Path, learner: Learner) -> dict[str, Tensor]:
    """Put a learner back to where it stood when the checkpoint was written; returns the best weights so far."""
    from safetensors.torch import load_file

    tensors = load_file(path)
    for name, net in learner.modules.items():
        net.load_state_dict(_below(tensors, f"module/{name}/"))
    for name, optimiser in learner.optimisers.items():
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in _below(tensors, f"optimiser/{name}/").items():
            index, field = key.split("/")
            states.setdefault(int(index), {})[field] = value
        optimiser.load_state_dict({"state": states, "param_groups": optimiser.state_dict()["param_groups"]})
    return _below(tensors, "best/")


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
