"""The installed denoiser, the learned prior of images of any size."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch

from ..core.errors import ModelError
from ..nets.denoiser import Denoiser
from .card import Card, read_card
from .store import load_net, readable


def find_denoiser(device: torch.device) -> Denoiser | None:
    """Load the installed denoiser to a device, None where there is none; the user's models come first.

    Raises
    ------
    ModelError
        Its weights are missing, damaged or not those of its card.
    """
    found = _installed()
    return _load_checked(found[1].model_dump_json(), found[0], device) if found else None


def denoiser_card() -> Card | None:
    """Find the card of the installed denoiser, None where there is none."""
    found = _installed()
    return found[1] if found else None


def load_denoiser(card_path: Path, device: torch.device) -> Denoiser:
    """Load a denoiser from the path of its card, with the weights in the same folder; errors as above."""
    return _load_checked(read_card(card_path).model_dump_json(), card_path, device)


def _installed() -> tuple[Path, Card] | None:
    return next(((path, card) for path, card in readable() if card.kind == "denoiser"), None)


@lru_cache(maxsize=4)
def _load_checked(card_text: str, path: Path, device: torch.device) -> Denoiser:
    """Load and check a denoiser, cached: a method may ask for it once per channel."""
    card = Card.model_validate_json(card_text)
    net = load_net(card, path)
    if not isinstance(net, Denoiser):
        raise ModelError(f"{card.name} has architecture {card.arch}, kind {card.kind}; a denoiser is needed.")
    return net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
