"""The installed network of a kind of which one serves all images: a restorer, a denoiser."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import torch

from ..core.errors import ModelError
from .card import Card
from .store import load_net, readable

Net = TypeVar("Net", bound=torch.nn.Module)


def installed(kind: str) -> tuple[Path, Card] | None:
    """Find path and card of the installed network of a kind, None where there is none; the user's come first."""
    return next(((path, card) for path, card in readable() if card.kind == kind), None)


def load_network(card_text: str, path: Path, device: torch.device, network: type[Net]) -> Net:
    """Load a network to a device and check it.

    Raises
    ------
    ModelError
        Its weights are missing, damaged or not those of its card, or it is another network.
    """
    net = _load_cached(card_text, path, device)
    if not isinstance(net, network):
        card, wanted = Card.model_validate_json(card_text), network.__name__.lower()
        raise ModelError(
            f"{card.name} is called a {card.kind}, but has architecture {card.arch}; a {wanted} is needed."
        )
    return net


@lru_cache(maxsize=8)
def _load_cached(card_text: str, path: Path, device: torch.device) -> torch.nn.Module:
    """Load a network, cached: reading and hashing it takes a tenth of a small deconvolution."""
    net = load_net(Card.model_validate_json(card_text), path)
    return net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
