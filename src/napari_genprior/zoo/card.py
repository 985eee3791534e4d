"""The model card: the description of a pretrained model, checked when it is read. Imports no torch."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, Self, TypedDict

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..core.errors import ModelError
from .files import read_regular_file

MAX_PIXELS = 2**24  # of one decoded image; a card that declares more is refused before memory is allocated
MAX_CARD_BYTES = 2**20
MAX_TEXT = 2000  # characters
HASH = r"^[0-9a-f]{64}$"

# Values of cards written before 0.1, and what they are called now.
OLD_KINDS = {"start": "initializer"}
OLD_ARCHITECTURES = {"proposal": "initializer", "kernel-proposal": "kernel-initializer"}


def _printable(text: str) -> str:
    """Refuse control characters: cards are shown on terminals, which execute them."""
    if not text.isprintable():
        raise ValueError("control characters and line breaks are not allowed")
    return text


Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT), AfterValidator(_printable)]
Argument = bool | Annotated[int, Field(ge=0, le=MAX_PIXELS)] | float


class Named(BaseModel):
    """A reference to a prior in another card: its name, and the hash of its weights, which identifies it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Text
    sha256: str = Field(pattern=HASH)


USUAL_RANGE_DB = 25.0  # of image priors whose card does not state it


Kind = Literal["image", "kernel", "initializer", "restorer", "denoiser"]


class ModelFields(TypedDict):
    """Fields of a :class:`Card` that are known before the training."""

    kind: Kind
    initializer_for: NotRequired[tuple[Named, Named] | None]
    arch: str
    arguments: dict[str, Any]
    latent: int
    channels: int
    size: tuple[int, int] | tuple[int, int, int]
    data: str
    edges: NotRequired[float]
    centred: NotRequired[bool | None]


class CardFields(ModelFields):
    """Fields of a :class:`Card` but the hash of the weights; :class:`Card` checks their values."""

    name: str
    distribution: Literal["normal"]
    output_range: tuple[float, float]
    license_weights: str
    license_data: str
    recipe: str
    metrics: dict[str, float]


class Card(BaseModel):
    """The description of a pretrained model: what it is, how it was trained, and its licences."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")
    kind: Kind = Field(
        description="A prior of images or kernels; an initializer predicts initial latents of both from a blurred "
        "image; a restorer is the network of unrolled deconvolution; a denoiser is a prior of images of any size."
    )
    initializer_for: tuple[Named, Named] | None = Field(
        None, description="Initializers: the image prior and the kernel prior whose latents are predicted."
    )
    arch: Text
    arguments: dict[Text, Argument] = Field(description="Arguments of the architecture.")
    latent: int = Field(
        ge=0,
        le=65536,
        description="Length of the latent vector; initializers: of both together; restorers and denoisers have none.",
    )
    distribution: Literal["normal"] = Field(description="Distribution of the latent vector.")
    channels: int = Field(ge=1, le=16)
    size: tuple[int, int] | tuple[int, int, int] = Field(
        description="Height and width (volumes: depth, height and width) in pixels of the decoded images, or of the "
        "images an initializer, restorer or denoiser was trained on."
    )
    output_range: tuple[float, float]
    sha256: str = Field(pattern=HASH, description="SHA-256 of the weights file.")
    license_weights: Text
    license_data: Text
    data: Text = Field(description="Training data.")
    recipe: Text = Field(description="The command that trained it.")
    metrics: dict[Text, float]
    edges: float = Field(
        0.06,
        gt=0,
        le=10,
        description="Linear image priors: weight of sparse edges with which method evidence is most accurate.",
    )
    centred: bool | None = Field(
        None, description="Kernel priors: the centres of mass of all training kernels lie in the middle of the grid."
    )

    @model_validator(mode="before")
    @classmethod
    def _accept_old_names(cls, values: Any) -> Any:
        """Translate the names and values of cards written before 0.1."""
        if not isinstance(values, dict):
            return values
        values = dict(values)
        if "starts_for" in values and "initializer_for" not in values:
            values["initializer_for"] = values.pop("starts_for")
        for name, old in (("kind", OLD_KINDS), ("arch", OLD_ARCHITECTURES)):
            if isinstance(values.get(name), str):
                values[name] = old.get(values[name], values[name])
        return values

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if (self.kind == "initializer") != (self.initializer_for is not None):
            raise ValueError("initializer_for (two priors) is needed for an initializer, and for no other model")
        if (self.kind in ("restorer", "denoiser")) != (self.latent == 0):
            raise ValueError("latent must be 0 for a restorer or denoiser, and for no other model")
        return self

    @property
    def range_error(self) -> float:
        """Root mean square representation error of an image prior on new images, 0 to 1; typical where not stated."""
        return float(10 ** (-self.metrics.get("psnr_range_db", USUAL_RANGE_DB) / 20))

    @property
    def pixels(self) -> int:
        """Number of values of one image, all channels together."""
        return prod(self.size) * self.channels

    @property
    def shape(self) -> str:
        """Size and channels in human-readable form, such as 64x64x3."""
        return "x".join(map(str, (*self.size, self.channels)))


def read_card(path: Path) -> Card:
    """Read and check a card.

    Raises
    ------
    ModelError
        The file is unreadable, not a card, or a card with impossible values.
    """
    try:
        card = Card.model_validate_json(read_regular_file(path, MAX_CARD_BYTES, "The card"))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ModelError(f"The card {path} is not usable: {where}: {first['msg']}.") from error
    if min(card.size) < 1 or card.pixels > MAX_PIXELS:
        raise ModelError(f"The card {path} declares images of {card.shape}; allowed are 1 to {MAX_PIXELS} values.")
    return card
