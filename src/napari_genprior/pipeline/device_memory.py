"""Deconvolve many planes on a device: as many at once as its memory holds, fewer where it runs out, the CPU at last."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from ..core.arrays import out_of_memory
from ..core.errors import DeviceError

logger = logging.getLogger(__name__)

# Of a deconvolution, per pixel and channel: its two dozen float32 planes, and what the FFT needs
BYTES_PER_PIXEL = 160
SHARE = 0.7  # of the free memory
MOST = 64  # planes at once; more gain nothing


class AdaptiveBatcher:
    """Run deconvolutions on a device in batches, and remember how many fit there.

    Parameters
    ----------
    device : torch.device

    Attributes
    ----------
    device : torch.device
        Where the next batch runs.
    notes : list of str
        A human-readable sentence for each time that memory ran out.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.notes: list[str] = []
        self._most = MOST if device.type != "cpu" else 1

    def batch_size(self, shape: tuple[int, ...]) -> int:
        """Return how many planes ``[C, Y, X]`` to process at once; 1 on the CPU, whose threads one plane keeps busy."""
        free = _free_bytes(self.device)
        if free is None:
            return self._most
        each = BYTES_PER_PIXEL * torch.Size(shape).numel()
        return max(1, min(self._most, int(SHARE * free / each)))

    def __call__(self, solve: Callable[[Tensor, slice], Tensor], planes: Tensor) -> Tensor:
        """Deconvolve ``planes`` [N, C, Y, X], from the CPU to the CPU.

        Parameters
        ----------
        solve : callable
            Takes some of the planes, on the device to use, and a slice that says which they are.

        Raises
        ------
        DeviceError
            Out of memory on the CPU with a single plane.
        """
        done: list[Tensor] = []
        first = 0
        while first < len(planes):
            count = min(self.batch_size(planes.shape[1:]), len(planes) - first)
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
                f"Out of memory in the deconvolution of {size} px ({reason}); "
                "choose smaller tiles, such as tile_size=512."
            )
        if count > 1:
            self._most = count // 2
            note = f"Out of memory on {self.device} with {count} parts of {size} px at once; {self._most} are tried."
        else:
            note = f"Out of memory on {self.device} with a part of {size} px; the CPU took over."
            self.device, self._most = torch.device("cpu"), 1
        reason.__traceback__ = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        logger.warning(note)
        self.notes.append(note)


def _free_bytes(device: torch.device) -> int | None:
    """Return the free memory of a device in bytes; None where it is not known, or is not to be filled."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return None
