"""Validate untrusted model files before their network is built.

Nothing in a card or a weights file is executed or trusted. Files must be regular, in their own folder and no larger
than allowed. The architecture must be in the registry; it is first built without memory (torch's ``meta`` device), and
in full only if its tensors have the shapes of those in the file. So no file needs much more memory than its own size.
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
MAX_LAYER_VALUES = 2**28  # output of one layer for one latent: 1 GiB


def stored_tensors(content: bytes, weights: Path) -> dict[str, Tensor]:
    """Read the tensors of a safetensors file as they are stored; this needs as much memory as the file again.

    Raises
    ------
    ModelError
        The content is not a safetensors file, or declares tensors that it does not contain.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    header = struct.unpack("<Q", content[:8])[0] if len(content) >= 8 else 0
    if not 0 < header <= min(MAX_HEADER_BYTES, len(content)):
        raise ModelError(f"The weights {weights} do not fit: they are not a safetensors file; install the model again.")
    try:
        return load(content)
    except (SafetensorError, KeyError, ValueError, RuntimeError, TypeError, OverflowError) as error:
        raise ModelError(f"The weights {weights} do not fit: not a complete safetensors file ({error}).") from error


def check_shapes(card: Card, shapes: dict[str, tuple[int, ...]]) -> None:
    """Refuse a card whose network has tensors of other shapes, or whose decoding would need too much memory.

    Raises
    ------
    ModelError
        The shapes differ, or decoding is too large or does not give what the card declares.
    """
    import torch

    from .registry import build

    with torch.device("meta"):  # shapes without memory
        net = build(card.arch, card.arguments)
    expected = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    if expected != shapes:
        wrong = sorted(name for name in expected.keys() | shapes.keys() if expected.get(name) != shapes.get(name))
        first = wrong[0]
        raise ModelError(
            f"The weights do not fit the card of {card.name}: {first} has shape {shapes.get(first, 'none')}, the "
            f"architecture {expected.get(first, 'none')} ({len(wrong)} such tensors)."
        )
    if card.kind in ("image", "kernel"):
        _check_decoding(card, net)


def _check_decoding(card: Card, net: nn.Module) -> None:
    """Decode on the meta device, and compare the shape with that in the card."""
    import torch

    def limit_size(layer: nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor) and output.numel() > MAX_LAYER_VALUES:
            raise ModelError(
                f"{card.name} decodes by way of {tuple(output.shape)} values; at most {MAX_LAYER_VALUES} are allowed."
            )

    for layer in net.modules():
        layer.register_forward_hook(limit_size)
    declared = (1, card.channels, *card.size)
    try:
        latent = getattr(net, "latent", None)
        shape = tuple(net(torch.zeros(1, card.latent, device="meta")).shape) if latent == card.latent else None
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{card.name} does not decode latents of {card.latent} ({error}).") from error
    if shape != declared:
        raise ModelError(f"{card.name} decodes to {shape}, but its card declares {declared}.")
