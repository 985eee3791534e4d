"""Where pretrained priors lie: shipped ones in ``weights/``, the user's own in the user's data folder."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..core.errors import ModelError
from .card import Card, read_card
from .files import read_regular_file
from .projection import Projection, project
from .quantization import unpack
from .registry import build
from .validation import MAX_WEIGHTS_BYTES, check_weight, stored_tensors

logger = logging.getLogger(__name__)
_complained: set[str] = set()

PRIORS = ("image", "kernel")  # kinds of models that users choose from
_added: list[Path] = []


@dataclass(frozen=True)
class Generator:
    """A pretrained generator, its weights frozen.

    ``decode`` maps latents ``[R, latent]`` (standard normal) to images ``[R, C, Y, X]`` in the card's output
    range, or kernels ``[R, 1, kh, kw]`` (volumes: ``[R, 1, kz, kh, kw]``), >= 0, sum 1.
    """

    card: Card
    net: nn.Module

    def decode(self, z: Tensor) -> Tensor:
        if z.ndim != 2 or z.shape[1] != self.card.latent:
            raise ModelError(f"{self.card.name} decodes latents [R, {self.card.latent}]; got {list(z.shape)}.")
        return self.net(z)

    def project(self, images: Any, *, restarts: int = 1, steps: int = 300, seed: int = 0) -> Projection:
        """The images of the range that are closest to ``images``; see :func:`~.projection.project`."""
        return project(self.card, self.net, images, restarts=restarts, steps=steps, seed=seed)


def user_folder() -> Path:
    """Where the user's own models lie."""
    from platformdirs import user_data_path

    return user_data_path("napari-genprior") / "weights"


def add_folder(folder: Path) -> None:
    """From now on, in this process, look for models in ``folder`` first: for machines that are sent some."""
    if folder in _added:
        _added.remove(folder)
    _added.insert(0, folder)


def folders() -> list[Path]:
    """Where models are looked for: the user's folder, then what came with the package (or the source tree)."""
    package = Path(__file__).parent.parent
    shipped = package / "weights"
    return [
        *_added,
        user_folder(),
        shipped if shipped.is_dir() else package.parents[1] / "weights",
    ]


def list_priors() -> list[Card]:
    """The cards of all installed priors; a user's own goes before a shipped one of the same name.

    A card that cannot be read is left out, with a warning in the log; ``genprior doctor`` names it.
    """
    return [card for card in list_models() if card.kind in PRIORS]


def list_models() -> list[Card]:
    """The cards of all that is installed: priors, the starts that belong to pairs of them, restorers."""
    found: dict[str, Card] = {}
    for _, card in readable():
        found.setdefault(card.name, card)
    return list(found.values())


def readable() -> Iterator[tuple[Path, Card]]:
    """Path and card of all that is installed; one bad file spoils no other."""
    for path in paths():
        try:
            yield path, read_installed(path)
        except ModelError as error:
            level = logging.DEBUG if str(error) in _complained else logging.WARNING  # lists are made often
            _complained.add(str(error))
            logger.log(level, "left out: %s", error)


def read_installed(path: Path) -> Card:
    """A card as a folder of models may have it: it is called as its file.

    Raises
    ------
    ModelError
    """
    card = read_card(path)
    if card.name != path.stem:
        raise ModelError(f"The card {path} is called {card.name}; a card is called as its file is.")
    return card


def paths() -> Iterator[Path]:
    """Where the installed cards lie, the user's own first."""
    for folder in folders():
        yield from sorted(folder.glob("*.json"))


def load_prior(name: str | Path) -> Generator:
    """Load a prior by name, or from a card's path (``.json``, its weights beside it).

    Raises
    ------
    ModelError
        Unknown name, missing or damaged weights, a hash that differs from the card's, or weights that do not
        fit what the card says.
    """
    path = _find(name)
    card = read_card(path)
    if card.starts_for is not None:
        pair = " and ".join(prior.name for prior in card.starts_for)
        raise ModelError(f"{card.name} is no prior: it proposes starts for {pair}, and is used with them by itself.")
    if card.kind not in PRIORS:
        raise ModelError(f"{card.name} is no prior but a {card.kind}: known-kernel solves use it by themselves.")
    net = load_net(card, path)
    # colours last in memory: decoding the few images of a search takes half the time so
    return Generator(card, net.to(memory_format=torch.channels_last))  # type: ignore[call-overload]


def load_net(card: Card, path: Path) -> nn.Module:
    """The network of a card that lies at ``path``, its weights checked and frozen; errors as in :func:`load_prior`."""
    weights = path.with_suffix(".safetensors")
    content = read_regular_file(weights, MAX_WEIGHTS_BYTES, f"The weights of {card.name}")
    if hashlib.sha256(content).hexdigest() != card.sha256:
        raise ModelError(
            f"The weights {weights} are not those the card names (SHA-256 differs); install the model again."
        )
    return _filled(card, content, weights)


def _find(name: str | Path) -> Path:
    if str(name).endswith(".json"):
        return Path(name)
    for folder in folders():
        for path in folder.glob("*.json"):
            if path.stem == str(name):
                return path
    names = ", ".join(card.name for card in list_priors()) or "none"
    raise ModelError(f"There is no prior {str(name)!r}; installed: {names}. A path must end in .json.")


def _filled(card: Card, content: bytes, weights: Path) -> nn.Module:
    stored = stored_tensors(content, weights)
    try:
        tensors = unpack(stored)
        check_weight(card, {name: tuple(tensor.shape) for name, tensor in tensors.items()})
        net = build(card.arch, card.arguments)
        net.load_state_dict(tensors)
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        raise ModelError(f"The weights {weights} do not fit the card of {card.name}: {error}.") from error
    if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
        raise ModelError(f"The weights {weights} hold NaN or infinite values.")
    return net.eval().requires_grad_(False)
