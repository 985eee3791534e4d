"""The installed restorer, the network of unrolled deconvolution."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import torch

from ..core.errors import ModelError
from ..nets.restorer import Restorer
from .card import Card
from .store import load_net, readable


def find_restorer(device: torch.device) -> Restorer | None:
    """Load the installed restorer to a device, None where there is none; the user's models come first.

    Raises
    ------
    ModelError
        Its weights are missing, damaged or not those of its card.
    """
    return next((_load_checked(card.model_dump_json(), path, device) for path, card in _restorers()), None)


def restorer_card() -> Card | None:
    """Find the card of the installed restorer, None where there is none."""
    return next((card for _, card in _restorers()), None)


def _restorers() -> Iterator[tuple[Path, Card]]:
    return ((path, card) for path, card in readable() if card.kind == "restorer")


@lru_cache(maxsize=4)
def _load_checked(card_text: str, path: Path, device: torch.device) -> Restorer:
    """Load and check a restorer, cached: reading and hashing it takes a tenth of a small deconvolution."""
    card = Card.model_validate_json(card_text)
    net = load_net(card, path)
    if not isinstance(net, Restorer):
        raise ModelError(f"{card.name} is called a restorer, but has architecture {card.arch}; a restorer is needed.")
    return net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
