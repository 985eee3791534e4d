"""In which precision weights are stored: float16 where that costs nothing, large weights of images in 8 bits a value.

Each row of 8-bit integers (a basis vector, the filters of an output channel) comes with its step, so that it errs by
1/254 of its largest value: 0.02 dB of what our autoencoders reach.
"""

from __future__ import annotations

import torch
from torch import Tensor

FULL_PRECISION = ("residual_spectrum",)  # powers as small as 1e-8, which float16 cannot hold
NOT_QUANTIZED = ("kernel", "restorer")  # kinds of models that 8 bits would cost more
LARGE = 4096  # values; smaller tensors are not worth it
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
        generator, :data:`LARGE` tensors [rows, ...] as int8, each row with its step.
    """
    stored = {}
    for name, value in state.items():
        value = value.detach().cpu().contiguous()
        if not half or not value.is_floating_point() or name in FULL_PRECISION:
            stored[name] = value.clone()
        elif not kernel and value.ndim > 1 and value.numel() >= LARGE:
            step = (value.flatten(1).abs().amax(1) / LARGEST).clamp(min=torch.finfo(torch.float32).tiny)
            stored[name] = (value / _along(step, value)).round().to(torch.int8)
            stored[name + STEP] = step
        else:
            stored[name] = value.half() if torch.isfinite(value.half()).all() else value.clone()
    return stored


def unpack(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """float32 state of a module from what :func:`pack` made.

    KeyError for 8-bit tensors without their step; ValueError for steps that are not one per row.
    """
    for name, value in stored.items():
        # steps of another shape would be spread over the values: a small file, a tensor that fills the memory
        if value.dtype == torch.int8 and (value.ndim < 2 or stored[name + STEP].shape != value.shape[:1]):
            raise ValueError(f"{name} needs one step per row")
    return {
        name: value.float() * _along(stored[name + STEP], value) if value.dtype == torch.int8 else value.float()
        for name, value in stored.items()
        if not name.endswith(STEP)
    }


def _along(step: Tensor, value: Tensor) -> Tensor:
    return step.view(-1, *[1] * (value.ndim - 1))
