"""Starts for searches, proposed by a network that belongs to one pair of priors."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from ..core.errors import ModelError
from ..nets.initializer import KernelProposal, Mixture, Proposal
from .card import Card, read_card
from .store import load_net, readable

LARGEST_NOISE = 0.05  # standard deviation, fraction of the range: networks have seen no more


def find_initializer(image: Card, kernel: Card) -> Proposal | None:
    """The installed start network of a pair of priors, None where there is none; the user's own goes first."""
    found = _find(image, kernel, "proposal")
    assert found is None or isinstance(found, Proposal)
    return found


def kernel_proposal(image: Card, kernel: Card, blurred: Tensor) -> Mixture | None:
    """What latents of the kernel are likely for a blurred image, told by the network of a pair of priors, if any.

    Parameters
    ----------
    blurred : Tensor [1, C, Y, X]
        Of the image prior's size and colours, in working units.
    """
    network = _find(image, kernel, "kernel-proposal")
    if network is None:
        return None
    with torch.no_grad():
        said = network(blurred.cpu())
    return Mixture(*(part.to(blurred.device) for part in (said.means, said.log_spreads, said.log_shares)))


def start_card(image: Card, kernel: Card, arch: str) -> Card | None:
    """The card of the installed start network of this architecture for a pair of priors, None where there is none."""
    return next((card for _, card in _starts(image, kernel, arch)), None)


def _find(image: Card, kernel: Card, arch: str) -> Proposal | KernelProposal | None:
    return next((load_start(path, image, kernel) for path, _ in _starts(image, kernel, arch)), None)


def _starts(image: Card, kernel: Card, arch: str) -> Iterator[tuple[Path, Card]]:
    return ((path, card) for path, card in readable() if card.arch == arch and _belongs(card, image, kernel))


def load_start(path: Path, image: Card, kernel: Card) -> Proposal | KernelProposal:
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
    latents = (0 if card.arch == "kernel-proposal" else image.latent, kernel.latent)
    return _checked(card.model_dump_json(), path, latents)


def propose(network: Proposal, blurred: Tensor) -> tuple[Tensor, Tensor]:
    """Latents of image and kernel to start from, ``[n, image latent]`` and ``[n, kernel latent]``.

    Parameters
    ----------
    network : Proposal
        From :func:`find_initializer`.
    blurred : Tensor [1, C, Y, X]
        Of the image prior's size and colours, in working units.
    """
    with torch.no_grad():
        image, kernel = network(blurred.cpu())
    return image[0].to(blurred.device), kernel[0].to(blurred.device)


def _belongs(card: Card, image: Card, kernel: Card) -> bool:
    return card.starts_for is not None and [prior.sha256 for prior in card.starts_for] == [image.sha256, kernel.sha256]


@lru_cache(maxsize=4)
def _checked(card_text: str, path: Path, latents: tuple[int, int]) -> Proposal | KernelProposal:
    """Kept in memory: reading and hashing it takes as long as the search that it spares."""
    card = Card.model_validate_json(card_text)
    net = load_net(card, path)
    if not isinstance(net, Proposal | KernelProposal) or net.latents != latents or sum(latents) != card.latent:
        raise ModelError(f"{card.name} does not propose latents of lengths {latents[0]} and {latents[1]}.")
    try:
        with torch.no_grad():
            net(torch.zeros(1, card.channels, *card.size))
    except RuntimeError as error:
        raise ModelError(f"{card.name} does not look at images of {card.shape}, as its card says.") from error
    return net
