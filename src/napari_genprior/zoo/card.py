"""The model card: everything known about a pretrained prior, checked when it is read. No torch here."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import ModelError

MAX_PIXELS = 2**24  # of one decoded picture; a card that declares more is refused before memory is touched
MAX_CARD_BYTES = 2**20
HASH = r"^[0-9a-f]{64}$"


class Named(BaseModel):
    """A prior as another card names it: by its name, and by the hash of its weights, which is what counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    sha256: str = Field(pattern=HASH)


class Card(BaseModel):
    """What a pretrained model is, how it was made, and under which licence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")
    kind: Literal["image", "kernel", "start", "restorer"] = Field(
        description="A prior of pictures or kernels; a start looks at a blurred picture and proposes latents of both; "
        "a restorer works inside the known-kernel solve."
    )
    starts_for: tuple[Named, Named] | None = Field(
        None, description="Of a start: the image and the kernel prior it belongs to."
    )
    arch: str
    arguments: dict[str, Any] = Field(description="Arguments of the architecture.")
    latent: int = Field(
        ge=0, le=65536, description="Length of the latent vector; of a start, of both together; a restorer has none."
    )
    distribution: Literal["normal"] = Field(description="Of the latent vector.")
    channels: int = Field(ge=1, le=16)
    size: tuple[int, int] | tuple[int, int, int] = Field(
        description="Height and width, for volumes depth, height and width, in pixels, of what it decodes to, or looks "
        "at."
    )
    output_range: tuple[float, float]
    sha256: str = Field(pattern=HASH, description="Of the weights file.")
    license_weights: str = Field(min_length=1)
    license_data: str = Field(min_length=1)
    data: str = Field(min_length=1, description="What it was trained on.")
    recipe: str = Field(min_length=1, description="The command that made it.")
    metrics: dict[str, float]
    edges: float = Field(
        0.06, gt=0, le=10, description="Linear pictures: weight of sparse edges that method evidence does best with."
    )

    @model_validator(mode="after")
    def _kind_has_its_own(self) -> Self:
        if (self.kind == "start") != (self.starts_for is not None):
            raise ValueError("a start, and nothing else, names the two priors it belongs to in starts_for")
        if (self.kind == "restorer") != (self.latent == 0):
            raise ValueError("a restorer, and nothing else, has no latent")
        return self

    @property
    def pixels(self) -> int:
        return prod(self.size) * self.channels

    @property
    def shape(self) -> str:
        """Size and channels to read, as 64x64x3."""
        return "x".join(map(str, (*self.size, self.channels)))


def read_card(path: Path) -> Card:
    """Read and check a card.

    Raises
    ------
    ModelError
        Unreadable, not a card, or a card that cannot be true.
    """
    try:
        if path.stat().st_size > MAX_CARD_BYTES:
            raise ModelError(f"The card {path} is larger than {MAX_CARD_BYTES} bytes; it is not a model card.")
        card = Card.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ModelError(f"The card {path} is not usable: {where}: {first['msg']}.") from error
    except OSError as error:
        raise ModelError(f"The card {path} cannot be read: {error.strerror or error}.") from error
    if min(card.size) < 1 or card.pixels > MAX_PIXELS:
        raise ModelError(f"The card {path} declares pictures of {card.shape}; that is not allowed.")
    return card
