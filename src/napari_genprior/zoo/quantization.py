"""Quantize stored weights: float16 where that is lossless enough, 8 bits for large weights of image generators.

Each row of 8-bit integers (a basis vector, the filters of an output channel) is stored with its step, so that its error
is at most 1/254 of its largest value: this costs 0.02 dB of the PSNR of our autoencoders.
"""

from __future__ import annotations

import torch
from torch import Tensor

FULL_PRECISION = ("residual_spectrum",)  # has values as small as 1e-8, which float16 cannot represent
NOT_QUANTIZED = ("kernel", "restorer", "denoiser")  # kinds of models that lose more with 8 bits
LARGE = 4096  # values; smaller tensors are not quantized to 8 bits
STEP = ".step"  # suffix of the tensor [rows] that holds the quantization steps of another
LARGEST = 127


def pack(state: dict[str, Tensor], *, half: bool, kernel: bool) -> dict[str, Tensor]:
    """Quantize the state of a module for storage.

    Parameters
    ----------
    state : dict
        State of a module, float32.
    half : bool
        Store with less precision than float32: tensors without values beyond its range as float16, and, unless the
        model is a ``kernel`` generator, :data:`LARGE` tensors [rows, ...] as int8, each row with its step.
    kernel : bool
        Store no tensor as int8.

    Returns
    -------
    dict
        Tensors by name, with those of the steps.
    """
    stored = {}
    for name, value in state.items():
        value = value.detach().cpu().contiguous()
        if not half or not value.is_floating_point() or name in FULL_PRECISION:
            stored[name] = value.clone()
        elif not kernel and value.ndim > 1 and value.numel() >= LARGE:
            step = (value.flatten(1).abs().amax(1) / LARGEST).clamp(min=torch.finfo(torch.float32).tiny)
            stored[name] = (value / _per_row(step, value)).round().to(torch.int8)
            stored[name + STEP] = step
        else:
            stored[name] = value.half() if torch.isfinite(value.half()).all() else value.clone()
    return stored


def unpack(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """Restore the float32 state of a module from the output of :func:`pack`.

    Raises
    ------
    KeyError
        An 8-bit tensor has no steps.
    ValueError
        There is not one step per row.
    """
    for name, value in stored.items():
        # steps of another shape would be broadcast, and a small file could make a tensor that fills the memory
        if value.dtype == torch.int8 and (value.ndim < 2 or stored[name + STEP].shape != value.shape[:1]):
            raise ValueError(f"{name} needs one step per row")
    return {
        name: value.float() * _per_row(stored[name + STEP], value) if value.dtype == torch.int8 else value.float()
        for name, value in stored.items()
        if not name.endswith(STEP)
    }


def _per_row(step: Tensor, value: Tensor) -> Tensor:
    """Reshape the steps of rows so that they broadcast over a tensor."""
    return step.view(-1, *[1] * (value.ndim - 1))
