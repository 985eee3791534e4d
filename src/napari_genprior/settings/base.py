"""The base class of all settings."""

from __future__ import annotations

import warnings
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from ..core.errors import InputError, short_repr

# Names of settings before 0.1, accepted for one release: old -> (new, old value -> new value).
RENAMED: dict[str, tuple[str, dict[str, str]]] = {
    "average": ("ema_decay", {}),
    "closeness": ("range_weight", {}),
    "evaluate_every": ("validate_every", {}),
    "final": ("deconvolution", {"learned": "network"}),
    "half": ("float16", {}),
    "held_out": ("validation_fraction", {}),
    "image_ridge": ("image_latent_weight", {}),
    "kernel_ridge": ("kernel_latent_weight", {}),
    "light": ("transfer_function", {"given": "none", "linear": "srgb"}),
    "mirror": ("flip_horizontal", {}),
    "range_misfit": ("generator_data_weight", {}),
    "rate": ("learning_rate", {}),
    "refiner": ("residual_network", {}),
    "smoothing": ("regularization", {}),
    "start": ("image_initialization", {}),
    "starts": ("n_candidates", {}),
    "turn": ("rotate90", {}),
}


class Settings(BaseModel):
    """The base class of all settings: immutable, without unknown names and infinite values."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="after")
    @classmethod
    def _check_encodable(cls, value: Any) -> Any:
        """Refuse text that cannot be encoded as UTF-8."""
        if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError("half a character (a lone surrogate), which no file can hold")
        return value

    @classmethod
    def checked(cls, values: dict[str, Any]) -> Self:
        """Build settings from plain values, and report errors in one sentence.

        Raises
        ------
        InputError
            A name is unknown or no text, or a value is out of bounds.
        """
        nameless = [name for name in values if not isinstance(name, str)]
        if nameless:
            raise InputError(f"Names of settings must be text; got {short_repr(nameless[0])}.")
        try:
            return cls(**cls._with_new_names(values))
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            known = ", ".join(cls.model_fields)
            if first["type"] == "extra_forbidden":
                raise InputError(f"Unknown setting {short_repr(name)}; there are: {known}.") from error
            raise InputError(
                f"Setting {name} = {short_repr(first['input'])} is not allowed: {first['msg']}."
            ) from error

    @classmethod
    def _with_new_names(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Translate names and values of settings before 0.1, with a warning for each."""
        renamed = {}
        for name, value in values.items():
            new, new_values = RENAMED.get(name, (name, {}))
            if name in cls.model_fields or new not in cls.model_fields or new in values:
                renamed[name] = value
                continue
            warnings.warn(f"The setting {name!r} is now called {new!r}.", DeprecationWarning, stacklevel=4)
            renamed[new] = new_values.get(value, value) if isinstance(value, str) else value
        return renamed


def unit(unit: str) -> dict[str, Any]:
    """Make the schema entry for the unit of a field."""
    return {"unit": unit}
