"""Write a pretrained model: its weights, then the card with their hash."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Unpack

import torch
from torch import nn

from ..core.errors import InputError, ModelError
from ..core.image_io import write_atomic
from .card import Card, CardFields
from .quantization import NOT_QUANTIZED, pack, unpack


def write_prior(net: nn.Module, folder: Path, *, half: bool = True, **about: Unpack[CardFields]) -> Card:
    """Write a model as ``NAME.safetensors`` and ``NAME.json``.

    Parameters
    ----------
    net : Module
        Built from the card's ``arch`` and ``arguments``.
    folder : Path
        Where both files are written; existing files of this name are replaced.
    half : bool
        Store weights with less precision than float32, see :func:`~.quantization.pack`.
    **about
        Fields of the card, except ``sha256``.

    Raises
    ------
    InputError
        A field of the card is not allowed.
    ModelError
        The weights are not finite.
    """
    from safetensors.torch import save

    tensors = pack(net.state_dict(), half=half, kernel=about.get("kind") in NOT_QUANTIZED)
    if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
        raise ModelError("The weights hold NaN or infinite values; nothing was written.")
    content = save(tensors)
    card = checked_card(sha256=hashlib.sha256(content).hexdigest(), **about)
    path = folder / f"{card.name}.json"
    # The old card is removed first, so that there never is a card without weights or with other weights.
    path.unlink(missing_ok=True)
    with write_atomic(folder / f"{card.name}.safetensors") as beside:
        beside.write_bytes(content)
    with write_atomic(path) as beside:
        beside.write_text(card.model_dump_json(indent=2, exclude_none=True) + "\n", encoding="utf-8")
    return card


def checked_card(sha256: str, **fields: Unpack[CardFields]) -> Card:
    """Make a card from its fields; also called before long runs, with the fields known by then.

    Raises
    ------
    InputError
        A field of the card is not allowed.
    """
    from pydantic import ValidationError

    try:
        return Card(sha256=sha256, **fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = first["loc"][0]
        raise InputError(f"The model card cannot have {name} = {first['input']!r}: {first['msg']}.") from error


def stored_precision(net: nn.Module, half: bool, kernel: bool) -> None:
    """Round a generator's weights as :func:`write_prior` stores them, so that it is evaluated as it will be used."""
    net.load_state_dict(unpack(pack(net.state_dict(), half=half, kernel=kernel)))
