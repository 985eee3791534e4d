"""A stranger's model is read, weighed and compared before anything is built: no file costs much more than its own size.

Nothing in a card or a weights file is run or believed: files are plain ones of their own folder and no larger than
allowed, the architecture is one of ours and is first built without memory (torch's ``meta`` device), and only where
that fits the tensors that the file really holds it is built in full.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .card import Card

MAX_WEIGHTS_BYTES = 2**30
MAX_HEADER_BYTES = 2**20  # of a safetensors file: names and shapes
MAX_LAYER = 2**28  # values that one layer may make of one latent: 1 GiB


def stored_tensors(content: bytes, weights: Path) -> dict[str, Tensor]:
    """What a safetensors file holds, as it is stored; it takes as much memory as the file again.

    Raises
    ------
    ModelError
        No safetensors file, or one that declares what is not in it.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    header = struct.unpack("<Q", content[:8])[0] if len(content) >= 8 else 0
    if not 0 < header <= min(MAX_HEADER_BYTES, len(content)):
        raise ModelError(f"The weights {weights} do not fit: they are no safetensors file.")
    try:
        return load(content)
    except (SafetensorError, KeyError, ValueError, RuntimeError, TypeError, OverflowError) as error:
        raise ModelError(f"The weights {weights} do not fit: no whole safetensors file ({error}).") from error


def check_weight(card: Card, shapes: dict[str, tuple[int, ...]]) -> None:
    """Refuse a card whose network is not made of tensors of these shapes, or whose decoding would fill the memory.

    Raises
    ------
    ModelError
    """
    import torch

    from .registry import build

    with torch.device("meta"):  # shapes without memory
        net = build(card.arch, card.arguments)
    wanted = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    if wanted != shapes:
        wrong = sorted(name for name in wanted.keys() | shapes.keys() if wanted.get(name) != shapes.get(name))
        first = wrong[0]
        raise ModelError(
            f"The weights do not fit the card of {card.name}: {first} has shape {shapes.get(first, 'none')}, the "
            f"architecture {wanted.get(first, 'none')} ({len(wrong)} such)."
        )
    if card.kind in ("image", "kernel"):
        _check_decoding(card, net)


def _check_decoding(card: Card, net: nn.Module) -> None:
    import torch

    def weigh(layer: nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor) and output.numel() > MAX_LAYER:
            raise ModelError(f"{card.name} decodes by way of {tuple(output.shape)} values; that is not allowed.")

    for layer in net.modules():
        layer.register_forward_hook(weigh)
    said = (1, card.channels, *card.size)
    try:
        latent = getattr(net, "latent", None)
        shape = tuple(net(torch.zeros(1, card.latent, device="meta")).shape) if latent == card.latent else None
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{card.name} does not decode latents of {card.latent} ({error}).") from error
    if shape != said:
        raise ModelError(f"{card.name} decodes to {shape}, its card says {said}.")
