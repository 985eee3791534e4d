"""Checkpoints of long runs: a run that is started again resumes from the last one and gives the same result."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from ..core.errors import FileError
from ..optim.checkpoint_io import (
    optimiser_tensors,
    read_state,
    read_tensors,
    restore_optimiser,
    save_state,
    with_prefix,
)
from ..priors.objective import Objective

INTERVAL_S = 60.0  # between two checkpoints


class Checkpoint:
    """The checkpoint of a run that is a sequence of searches; searches completed before it are skipped on resuming.

    A skipped search leaves image and kernel at their random initial state; whatever later searches need of them, and
    of the random numbers drawn, is in the checkpoint of the search that followed.

    Parameters
    ----------
    path : Path
        The file.
    run : str
        Identifies everything that the result depends on: a file of another run is refused.
    """

    def __init__(self, path: Path, run: str) -> None:
        self.path, self.run = path, run
        self._search = 0  # number of the present search
        self._state: dict[str, Any] | None = None
        self._written = time.monotonic()

    def part(self, number: int) -> Checkpoint:
        """Return the checkpoint of one of several runs that make a result, counted from 0."""
        path = self.path if number == 0 else self.path.with_name(f"{self.path.name}.{number + 1}")
        return Checkpoint(path, f"{self.run} {number}")

    def delete(self) -> None:
        """Delete the files of this run and of its parts, once the result is complete."""
        number = 0
        while (part := self.part(number).path).exists():
            part.unlink()
            number += 1

    def enter(self, objective: Objective, optimiser: torch.optim.Optimizer) -> int | None:
        """Begin the next search, with its state restored from the file if it was interrupted.

        Returns
        -------
        int or None
            The step from which the search resumes; None: it was completed before the checkpoint.

        Raises
        ------
        FileError
            The file is not a checkpoint, or is the checkpoint of another run.
        """
        if self._search == 0:
            self._state = read_state(self.path)
            if self._state is not None and self._state.get("run") != self.run:
                raise FileError(f"{self.path} is the checkpoint of another run; delete it, or give another file.")
        self._search += 1
        if self._state is None or self._state["search"] < self._search:
            return 0
        if self._state["search"] > self._search:
            return None
        self._load(objective, optimiser)
        return int(self._state["step"])

    def save(self, step: int, objective: Objective, optimiser: torch.optim.Optimizer, *, last: bool) -> None:
        """Write the state before a step, if the last checkpoint is older than the interval or this is the last step."""
        if not last and time.monotonic() - self._written < INTERVAL_S:
            return
        tensors = {f"image/{name}": tensor for name, tensor in objective.image_block.items()}
        tensors |= {f"kernel/{name}": tensor for name, tensor in objective.kernel_block.items()}
        tensors |= {f"optimiser/{name}": tensor for name, tensor in optimiser_tensors(optimiser).items()}
        tensors["random"] = objective.generator.get_state()
        rates = [group["lr"] for group in optimiser.param_groups]
        save_state(self.path, tensors, {"run": self.run, "search": self._search, "step": step, "rates": rates})
        self._written = time.monotonic()

    @torch.no_grad()
    def _load(self, objective: Objective, optimiser: torch.optim.Optimizer) -> None:
        assert self._state is not None
        tensors = read_tensors(self.path)
        try:
            for name, block in (("image/", objective.image_block), ("kernel/", objective.kernel_block)):
                stored = with_prefix(tensors, name)
                for key, tensor in block.items():
                    tensor.copy_(stored[key])
            restore_optimiser(optimiser, with_prefix(tensors, "optimiser/"))
            objective.generator.set_state(tensors["random"])
            for group, rate in zip(optimiser.param_groups, self._state["rates"], strict=True):
                group["lr"] = rate
        except (KeyError, RuntimeError, ValueError) as error:
            raise FileError(f"{self.path} does not fit the run ({error}); delete it to start again.") from error
