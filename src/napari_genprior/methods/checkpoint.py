"""Checkpoints of long runs: the same run, begun again, goes on from the last one and ends in the same result."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from ..core.errors import FileError
from ..optim.checkpoint_io import below, optimiser_tensors, read_state, read_tensors, restore_optimiser, save_state
from ..priors.objective import Objective

EVERY = 60.0  # s, between two of them


class Checkpoint:
    """Of a run that is one search after another. Searches that were over when it was written are left out.

    A search that is left out leaves image and kernel at their random start; all that counts of them, and of the
    random numbers drawn, is in the checkpoint of the search that followed.

    Parameters
    ----------
    path : Path
        Of the file.
    run : str
        Stands for all that the result depends on: a file of another run is refused.
    """

    def __init__(self, path: Path, run: str) -> None:
        self.path, self.run = path, run
        self._search = 0  # which of the run's searches is on
        self._state: dict[str, Any] | None = None
        self._written = time.monotonic()

    def part(self, number: int) -> Checkpoint:
        """Of one of several runs that make a result, counted from 0."""
        path = self.path if number == 0 else self.path.with_name(f"{self.path.name}.{number + 1}")
        return Checkpoint(path, f"{self.run} {number}")

    def delete(self) -> None:
        """Once the result is there; those of the parts too."""
        number = 0
        while (part := self.part(number).path).exists():
            part.unlink()
            number += 1

    def enter(self, objective: Objective, optimiser: torch.optim.Optimizer) -> int | None:
        """Begin the next search: at which step? None: it was over before.

        Raises
        ------
        FileError
            What lies at the path is no checkpoint, or that of another run.
        """
        if self._search == 0:
            self._state = read_state(self.path)
            if self._state is not None and self._state.get("run") != self.run:
                raise FileError(f"{self.path} is the checkpoint of another run; delete it, or name another file.")
        self._search += 1
        if self._state is None or self._state["search"] < self._search:
            return 0
        if self._state["search"] > self._search:
            return None
        self._load(objective, optimiser)
        return int(self._state["step"])

    def save(self, step: int, objective: Objective, optimiser: torch.optim.Optimizer, *, last: bool) -> None:
        """Write where a search stands before a step, if the last time is long ago or this is its ``last``."""
        if not last and time.monotonic() - self._written < EVERY:
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
                kept = below(tensors, name)
                for key, tensor in block.items():
                    tensor.copy_(kept[key])
            restore_optimiser(optimiser, below(tensors, "optimiser/"))
            objective.generator.set_state(tensors["random"])
            for group, rate in zip(optimiser.param_groups, self._state["rates"], strict=True):
                group["lr"] = rate
        except (KeyError, RuntimeError, ValueError) as error:
            raise FileError(f"{self.path} does not fit the run ({error}); delete it to start anew.") from error
