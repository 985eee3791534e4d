"""Find and load pretrained models: shipped ones in ``weights/``, the user's own in the user's data folder."""

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
from .validation import MAX_WEIGHTS_BYTES, check_shapes, stored_tensors

logger = logging.getLogger(__name__)
_reported: set[str] = set()  # messages that were logged as warnings

PRIORS = ("image", "kernel")  # kinds of models that users choose from
_added_folders: list[Path] = []


@dataclass(frozen=True)
class Generator:
    """A pretrained generator, its weights frozen.

    ``decode`` maps latents ``[R, latent]`` (standard normal) to images ``[R, C, Y, X]`` in the card's output
    range, or kernels ``[R, 1, kh, kw]`` (volumes: ``[R, 1, kz, kh, kw]``), >= 0, sum 1.
    """

    card: Card
    net: nn.Module

    def decode(self, z: Tensor) -> Tensor:
        """Decode latents; raises ModelError where they are not ``[R, latent]``."""
        if z.ndim != 2 or z.shape[1] != self.card.latent:
            raise ModelError(f"{self.card.name} decodes latents [R, {self.card.latent}]; got {list(z.shape)}.")
        return self.net(z)

    def project(self, images: Any, *, restarts: int = 1, steps: int = 300, seed: int = 0) -> Projection:
        """Project images onto the range of the generator; see :func:`~.projection.project`."""
        return project(self.card, self.net, images, restarts=restarts, steps=steps, seed=seed)


def user_folder() -> Path:
    """Return the folder of the user's own models."""
    from platformdirs import user_data_path

    return user_data_path("napari-genprior") / "weights"


def add_folder(folder: Path) -> None:
    """Search models in ``folder`` first, from now on in this process (for workers that are sent models)."""
    if folder in _added_folders:
        _added_folders.remove(folder)
    _added_folders.insert(0, folder)


def folders() -> list[Path]:
    """List the folders that are searched for models: added ones, the user's, then that of package or source tree."""
    package = Path(__file__).parent.parent
    shipped = package / "weights"
    return [
        *_added_folders,
        user_folder(),
        shipped if shipped.is_dir() else package.parents[1] / "weights",
    ]


def list_priors() -> list[Card]:
    """List the cards of all installed priors; a user's own takes precedence over a shipped one of the same name.

    A card that cannot be read is left out, with a warning in the log; ``genprior doctor`` names it.

    Examples
    --------
    >>> import napari_genprior as gp
    >>> [card.name for card in gp.list_priors() if card.name.startswith("motion-28")]
    ['motion-28-linear', 'motion-28']
    """
    return [card for card in list_models() if card.kind in PRIORS]


def list_models() -> list[Card]:
    """List the cards of all installed models: priors, initializers, restorers and denoisers."""
    cards: dict[str, Card] = {}
    for _, card in readable():
        cards.setdefault(card.name, card)
    return list(cards.values())


def readable() -> Iterator[tuple[Path, Card]]:
    """Yield path and card of all installed models; unusable ones are logged and left out."""
    for path in paths():
        try:
            yield path, read_installed(path)
        except ModelError as error:
            level = logging.DEBUG if str(error) in _reported else logging.WARNING  # a warning once
            _reported.add(str(error))
            logger.log(level, "left out: %s", error)


def read_installed(path: Path) -> Card:
    """Read a card in a folder of models, where it must have the name of its file.

    Raises
    ------
    ModelError
        The card is unusable, or its name is not that of the file.
    """
    card = read_card(path)
    if card.name != path.stem:
        raise ModelError(
            f"The card {path} is called {card.name}; a card must be called as its file is. Rename one of them."
        )
    return card


def paths() -> Iterator[Path]:
    """Yield the paths of the installed cards, the user's own first."""
    for folder in folders():
        yield from sorted(folder.glob("*.json"))


def load_prior(name: str | Path) -> Generator:
    """Load a prior by name, or from the path of its card (``.json``, with its weights in the same folder).

    Raises
    ------
    ModelError
        The name is unknown, the model is no prior, or the weights are missing, damaged, of another hash than that in
        the card, or do not fit the card.

    Examples
    --------
    >>> import torch
    >>> import napari_genprior as gp
    >>> prior = gp.load_prior("motion-28")
    >>> prior.decode(torch.zeros(1, prior.card.latent)).shape
    torch.Size([1, 1, 28, 28])
    """
    path = _card_path(name)
    card = read_card(path)
    if card.initializer_for is not None:
        pair = " and ".join(prior.name for prior in card.initializer_for)
        raise ModelError(f"{card.name} is not a prior but an initializer for {pair}; it is used with them by itself.")
    if card.kind not in PRIORS:
        raise ModelError(f"{card.name} is a restoration network, not a prior; deconvolution uses it by itself.")
    net = load_net(card, path)
    # with channels last in memory, decoding a few images takes half the time
    return Generator(card, net.to(memory_format=torch.channels_last))  # type: ignore[call-overload]


def load_net(card: Card, path: Path) -> nn.Module:
    """Load the network of a card at ``path``, its weights checked and frozen; errors as in :func:`load_prior`."""
    weights = path.with_suffix(".safetensors")
    content = read_regular_file(weights, MAX_WEIGHTS_BYTES, f"The weights of {card.name}")
    if hashlib.sha256(content).hexdigest() != card.sha256:
        raise ModelError(f"The weights {weights} are not those of the card (SHA-256 differs); install the model again.")
    return _load_weights(card, content, weights)


def _card_path(name: str | Path) -> Path:
    """Find the card of a model by its name, or take a path as it is."""
    if str(name).endswith(".json"):
        return Path(name)
    for folder in folders():
        for path in folder.glob("*.json"):
            if path.stem == str(name):
                return path
    names = ", ".join(card.name for card in list_priors()) or "none"
    raise ModelError(f"There is no prior {str(name)!r}; installed: {names}. A path must end in .json.")


def _load_weights(card: Card, content: bytes, weights: Path) -> nn.Module:
    """Build the network of a card and load weights from the content of a file, all of it checked."""
    stored = stored_tensors(content, weights)
    try:
        tensors = unpack(stored)
        check_shapes(card, {name: tuple(tensor.shape) for name, tensor in tensors.items()})
        net = build(card.arch, card.arguments)
        net.load_state_dict(tensors)
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        raise ModelError(f"The weights {weights} do not fit the card of {card.name}: {error}.") from error
    if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
        raise ModelError(f"The weights {weights} hold NaN or infinite values.")
    return net.eval().requires_grad_(False)
