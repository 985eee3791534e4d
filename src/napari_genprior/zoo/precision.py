"""In which precision weights are stored: float16 where that costs nothing, bases of pictures in 8 bits a value.

A basis row of 8-bit integers comes with its step: errors of 1/254 of its largest value, some 50 dB below a picture.
"""

from __future__ import annotations

import torch
from torch import Tensor

FULL_PRECISION = ("residual_spectrum",)  # powers as small as 1e-8, which float16 cannot hold
EIGHT_BITS = ("basis",)
STEP = ".step"  # of the tensor of the same name: [rows], value of the integer 1
LARGEST = 127


def pack(state: dict[str, Tensor], *, half: bool, kernel: bool) -> dict[str, Tensor]:
    """What is written to a file.

    Parameters
    ----------
    state : dict
        Of a module, float32.
    half : bool
        Less than float32: float16 for tensors that lose no value to overflow, and where it is no ``kernel``
        generator, :data:`EIGHT_BITS` tensors [rows, columns] as int8, each row with its step.
    """
    stored = {}
    for name, value in state.items():
        value = value.detach().cpu().contiguous()
        if half and not kernel and name in EIGHT_BITS:
            step = (value.abs().amax(1) / LARGEST).clamp(min=torch.finfo(torch.float32).tiny)
            stored[name] = (value / step[:, None]).round().to(torch.int8)
            stored[name + STEP] = step
        elif half and value.is_floating_point() and name not in FULL_PRECISION:
            stored[name] = value.half() if torch.isfinite(value.half()).all() else value.clone()
        else:
            stored[name] = value.clone()
    return stored


def unpack(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """float32 state of a module from what :func:`pack` made; KeyError for 8-bit tensors without their step."""
    return {
        name: value.float() * stored[name + STEP][:, None] if value.dtype == torch.int8 else value.float()
        for name, value in stored.items()
        if not name.endswith(STEP)
    }
