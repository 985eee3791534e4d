"""The installed restorer, the network of unrolled deconvolution."""

from __future__ import annotations

import torch

from ..nets.restorer import Restorer
from .card import Card
from .networks import installed, load_network


def find_restorer(device: torch.device) -> Restorer | None:
    """Load the installed restorer to a device, None where there is none; errors as :func:`.networks.load_network`."""
    found = installed("restorer")
    return load_network(found[1].model_dump_json(), found[0], device, Restorer) if found else None


def restorer_card() -> Card | None:
    """Find the card of the installed restorer, None where there is none."""
    found = installed("restorer")
    return found[1] if found else None
