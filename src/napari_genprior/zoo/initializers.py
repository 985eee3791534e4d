"""Initializers: networks that predict initial latents for one pair of priors."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from ..core.errors import ModelError
from ..nets.initializer import Initializer, KernelInitializer, Mixture
from .card import Card, read_card
from .store import load_net, readable

LARGEST_NOISE = 0.05  # standard deviation, fraction of the range: the training data have no more


def find_initializer(image: Card, kernel: Card) -> Initializer | None:
    """Load the installed initializer of a pair of priors, None where there is none; the user's models come first."""
    network = _load_first(image, kernel, "initializer")
    assert network is None or isinstance(network, Initializer)
    return network


def predict_kernel_latents(image: Card, kernel: Card, blurred: Tensor) -> Mixture | None:
    """Predict the distribution of the kernel's latents for a blurred image, None where no network is installed.

    Parameters
    ----------
    image, kernel : Card
        The cards of the pair of priors.
    blurred : Tensor [1, C, Y, X]
        Blurred image of the image prior's size and channels, in working units.
    """
    network = _load_first(image, kernel, "kernel-initializer")
    if network is None:
        return None
    with torch.no_grad():
        mixture = network(blurred.cpu())
    return Mixture(*(part.to(blurred.device) for part in (mixture.means, mixture.log_spreads, mixture.log_weights)))


def initializer_card(image: Card, kernel: Card, arch: str) -> Card | None:
    """Find the card of the installed initializer of this architecture for a pair of priors, None without one."""
    return next((card for _, card in _installed(image, kernel, arch)), None)


def _load_first(image: Card, kernel: Card, arch: str) -> Initializer | KernelInitializer | None:
    return next((load_initializer(path, image, kernel) for path, _ in _installed(image, kernel, arch)), None)


def _installed(image: Card, kernel: Card, arch: str) -> Iterator[tuple[Path, Card]]:
    """List paths and cards of the installed initializers of this architecture for a pair of priors."""
    return ((path, card) for path, card in readable() if card.arch == arch and _matches(card, image, kernel))


def load_initializer(path: Path, image: Card, kernel: Card) -> Initializer | KernelInitializer:
    """Load the initializer whose card lies at ``path``.

    Raises
    ------
    ModelError
        It was trained for other priors (identified by the hashes of their weights, not by name), or it is damaged.
    """
    card = read_card(path)
    if card.initializer_for is None:
        raise ModelError(f"{card.name} is of kind {card.kind}, not an initializer; give the card of an initializer.")
    if not _matches(card, image, kernel):
        pair = " and ".join(f"{prior.name} ({prior.sha256[:8]})" for prior in card.initializer_for)
        raise ModelError(
            f"{card.name} is an initializer for {pair}, not for {image.name} ({image.sha256[:8]}) and {kernel.name} "
            f"({kernel.sha256[:8]}); train one for this pair by genprior train --initializer."
        )
    latents = (0 if card.arch == "kernel-initializer" else image.latent, kernel.latent)
    return _load_checked(card.model_dump_json(), path, latents)


def predict_latents(network: Initializer, blurred: Tensor) -> tuple[Tensor, Tensor]:
    """Predict initial latents of image and kernel, ``[heads, image_latent]`` and ``[heads, kernel_latent]``.

    Parameters
    ----------
    network : Initializer
        From :func:`find_initializer`.
    blurred : Tensor [1, C, Y, X]
        Blurred image of the image prior's size and channels, in working units.
    """
    with torch.no_grad():
        image, kernel = network(blurred.cpu())
    return image[0].to(blurred.device), kernel[0].to(blurred.device)


def _matches(card: Card, image: Card, kernel: Card) -> bool:
    """Tell whether a card is that of an initializer for this pair of priors."""
    priors = card.initializer_for
    return priors is not None and [prior.sha256 for prior in priors] == [image.sha256, kernel.sha256]


@lru_cache(maxsize=4)
def _load_checked(card_text: str, path: Path, latents: tuple[int, int]) -> Initializer | KernelInitializer:
    """Load and check a network, cached: reading and hashing it takes as long as the search it replaces."""
    card = Card.model_validate_json(card_text)
    net = load_net(card, path)
    if not isinstance(net, Initializer | KernelInitializer) or net.latents != latents or sum(latents) != card.latent:
        raise ModelError(f"{card.name} does not predict latents of lengths {latents[0]} and {latents[1]}.")
    try:
        with torch.no_grad():
            net(torch.zeros(1, card.channels, *card.size))
    except RuntimeError as error:
        raise ModelError(
            f"{card.name} does not take images of {card.shape}, which its card declares; train it anew."
        ) from error
    return net
