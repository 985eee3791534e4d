"""Solving many planes on a device: as many at once as its memory holds, fewer where it does not, on the CPU at last."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from ..core.arrays import out_of_memory
from ..core.errors import DeviceError

logger = logging.getLogger(__name__)

# Of a known-kernel solve, per pixel and channel: its two dozen float32 planes, and what the FFT wants
BYTES_PER_PIXEL = 160
SHARE = 0.7  # of the free memory
MOST = 64  # planes at once; more gain nothing


class Solves:
    """Runs solves on a device and remembers what fits there.

    Parameters
    ----------
    device : torch.device

    Attributes
    ----------
    device : torch.device
        Where the next solve runs.
    notes : list of str
        A sentence for each time that memory ran out, for a person.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.notes: list[str] = []
        self._most = MOST if device.type != "cpu" else 1

    def at_once(self, shape: tuple[int, ...]) -> int:
        """How many planes ``[C, Y, X]`` to solve at once; 1 on the CPU, whose threads one plane keeps busy."""
        free = _free_bytes(self.device)
        if free is None:
            return self._most
        each = BYTES_PER_PIXEL * torch.Size(shape).numel()
        return max(1, min(self._most, int(SHARE * free / each)))

    def __call__(self, solve: Callable[[Tensor, slice], Tensor], planes: Tensor) -> Tensor:
        """Solve ``planes`` [N, C, Y, X], from the CPU to the CPU.

        Parameters
        ----------
        solve : callable
            Takes some of the planes, on the device to use, and which of them these are.

        Raises
        ------
        DeviceError
            The CPU's memory does not hold a single plane.
        """
        done: list[Tensor] = []
        first = 0
        while first < len(planes):
            count = min(self.at_once(planes.shape[1:]), len(planes) - first)
            which = slice(first, first + count)
            try:
                done.append(solve(planes[which].to(self.device), which).cpu())
                first += count
                continue
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                reason = error
            # outside of the handler: the error's traceback holds the tensors that are to be freed
            self._step_down(count, planes.shape, reason)
            del reason
        return torch.cat(done)

    def _step_down(self, count: int, shape: tuple[int, ...], reason: BaseException) -> None:
        size = "x".join(map(str, shape[-2:]))
        if self.device.type == "cpu":
            raise DeviceError(
                f"The memory does not hold a solve of {size} px ({reason}); choose smaller tiles, such as tile=512."
            )
        if count > 1:
            self._most = count // 2
            note = (
                f"The memory of {self.device} ran out with {count} parts of {size} px at once; {self._most} are tried."
            )
        else:
            note = f"The memory of {self.device} does not hold a part of {size} px; the CPU went on."
            self.device, self._most = torch.device("cpu"), 1
        reason.__traceback__ = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        logger.warning(note)
        self.notes.append(note)


def _free_bytes(device: torch.device) -> int | None:
    """Memory that is free on a device; None where that cannot be told, or is not to be filled."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return None
