"""Starts for searches, proposed by a network that belongs to one pair of priors."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from ..errors import ModelError
from ..nets.proposal import Proposal
from .card import Card, read_card
from .store import load_net, paths

LARGEST_NOISE = 0.05  # standard deviation, fraction of the range: networks have seen no more


def find_for(image: Card, kernel: Card) -> Proposal | None:
    """The installed start network of a pair of priors, None where there is none; the user's own goes first."""
    for path in paths():
        if _belongs(read_card(path), image, kernel):
            return load_start(path, image, kernel)
    return None


def load_start(path: Path, image: Card, kernel: Card) -> Proposal:
    """The start network whose card lies at ``path``.

    Raises
    ------
    ModelError
        It belongs to other priors (or to others of these names: the hashes of their weights count), or it is damaged.
    """
    card = read_card(path)
    if card.starts_for is None:
        raise ModelError(f"{card.name} is a prior of {card.kind}s; it proposes no starts.")
    if not _belongs(card, image, kernel):
        pair = " and ".join(f"{prior.name} ({prior.sha256[:8]})" for prior in card.starts_for)
        raise ModelError(
            f"{card.name} proposes starts for {pair}, not for {image.name} ({image.sha256[:8]}) and {kernel.name} "
            f"({kernel.sha256[:8]}); train one for this pair by genprior train --start."
        )
    return _checked(card.model_dump_json(), path, (image.latent, kernel.latent))


def propose(network: Proposal, blurred: Tensor) -> tuple[Tensor, Tensor]:
    """Latents of picture and kernel to start from, ``[n, image latent]`` and ``[n, kernel latent]``.

    Parameters
    ----------
    network : Proposal
        From :func:`find_for`.
    blurred : Tensor [1, C, Y, X]
        Of the image prior's size and colours, in working units.
    """
    with torch.no_grad():
        image, kernel = network(blurred.cpu())
    return image[0].to(blurred.device), kernel[0].to(blurred.device)


def _belongs(card: Card, image: Card, kernel: Card) -> bool:
    return card.starts_for is not None and [prior.sha256 for prior in card.starts_for] == [image.sha256, kernel.sha256]


@lru_cache(maxsize=4)
def _checked(card_text: str, path: Path, latents: tuple[int, int]) -> Proposal:
    """Kept in memory: reading and hashing it takes as long as the search that it spares."""
    card = Card.model_validate_json(card_text)
    net = load_net(card, path)
    if not isinstance(net, Proposal) or net.latents != latents or sum(latents) != card.latent:
        raise ModelError(f"{card.name} does not propose latents of lengths {latents[0]} and {latents[1]}.")
    try:
        propose(net, torch.zeros(1, card.channels, *card.size))
    except RuntimeError as error:
        raise ModelError(f"{card.name} does not look at pictures of {card.shape}, as its card says.") from error
    return net
