"""Checkpoints of long computations: one safetensors file with tensors, and other state as JSON in its header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..core.errors import FileError
from ..core.image_io import write_atomic
from ..core.paths import exists


def save_state(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write tensors and a JSON-serializable state to a checkpoint, atomically."""
    from safetensors.torch import save_file

    with write_atomic(path) as beside:
        separate = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
        save_file(separate, beside, metadata={"state": json.dumps(state)})


def read_state(path: Path) -> dict[str, Any] | None:
    """Read the JSON state of a checkpoint, None where there is no such file.

    Raises
    ------
    FileError
        The file is not a readable checkpoint.
    """
    from safetensors import SafetensorError, safe_open

    if not exists(path):
        return None
    try:
        with safe_open(path, framework="pt") as file:
            return dict(json.loads(file.metadata()["state"]))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise FileError(
            f"{path} is not a readable checkpoint ({error}); delete it to start from the beginning."
        ) from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint."""
    from safetensors.torch import load_file

    return load_file(path)


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Collect the state of an optimiser for each parameter, by ``index/name``."""
    states = optimiser.state_dict()["state"].items()
    return {f"{index}/{key}": value for index, values in states for key, value in values.items()}


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restore the state from :func:`optimiser_tensors`; learning rates stay as they are."""
    states: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, field = key.split("/")
        states.setdefault(int(index), {})[field] = value
    optimiser.load_state_dict({"state": states, "param_groups": optimiser.state_dict()["param_groups"]})


def with_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Select the tensors whose names begin with a prefix, and remove it from the names."""
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
