"""The model card: everything known about a pretrained prior, checked when it is read. No torch here."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..core.errors import ModelError
from .files import read_regular_file

MAX_PIXELS = 2**24  # of one decoded image; a card that declares more is refused before memory is touched
MAX_CARD_BYTES = 2**20
MAX_TEXT = 2000  # characters
HASH = r"^[0-9a-f]{64}$"


def _printable(text: str) -> str:
    """Cards are shown on terminals, where control characters are commands."""
    if not text.isprintable():
        raise ValueError("control characters and line breaks are not allowed")
    return text


Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT), AfterValidator(_printable)]
Argument = bool | Annotated[int, Field(ge=0, le=MAX_PIXELS)] | float


class Named(BaseModel):
    """A prior as another card names it: by its name, and by the hash of its weights, which is what counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Text
    sha256: str = Field(pattern=HASH)


class Card(BaseModel):
    """What a pretrained model is, how it was made, and under which licence."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")
    kind: Literal["image", "kernel", "start", "restorer"] = Field(
        description="A prior of images or kernels; a start looks at a blurred image and proposes latents of both; "
        "a restorer works inside the known-kernel solve."
    )
    starts_for: tuple[Named, Named] | None = Field(
        None, description="Of a start: the image and the kernel prior it belongs to."
    )
    arch: Text
    arguments: dict[Text, Argument] = Field(description="Arguments of the architecture.")
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
    license_weights: Text
    license_data: Text
    data: Text = Field(description="What it was trained on.")
    recipe: Text = Field(description="The command that made it.")
    metrics: dict[Text, float]
    edges: float = Field(
        0.06, gt=0, le=10, description="Linear images: weight of sparse edges that method evidence does best with."
    )
    centred: bool | None = Field(
        None, description="Kernels: the centres of mass of all it was trained on lie in the middle of the grid."
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
        card = Card.model_validate_json(read_regular_file(path, MAX_CARD_BYTES, "The card"))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ModelError(f"The card {path} is not usable: {where}: {first['msg']}.") from error
    if min(card.size) < 1 or card.pixels > MAX_PIXELS:
        raise ModelError(f"The card {path} declares images of {card.shape}; that is not allowed.")
    return card
