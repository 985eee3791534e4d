"""The installed denoiser, the learned prior of images of any size."""

from __future__ import annotations

from pathlib import Path

import torch

from ..nets.denoiser import Denoiser
from .card import Card, read_card
from .networks import installed, load_network


def find_denoiser(device: torch.device) -> Denoiser | None:
    """Load the installed denoiser to a device, None where there is none; errors as :func:`.networks.load_network`."""
    found = installed("denoiser")
    return load_network(found[1].model_dump_json(), found[0], device, Denoiser) if found else None


def denoiser_card() -> Card | None:
    """Find the card of the installed denoiser, None where there is none."""
    found = installed("denoiser")
    return found[1] if found else None


def load_denoiser(card_path: Path, device: torch.device) -> Denoiser:
    """Load a denoiser from the path of its card, with the weights in the same folder; errors as above."""
    return load_network(read_card(card_path).model_dump_json(), card_path, device, Denoiser)
