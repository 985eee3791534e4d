"""What all settings have in common."""

from __future__ import annotations

import warnings
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from ..core.errors import InputError, short_repr

# Names of settings until 0.1, accepted for one release: old -> (new, old value -> new value).
RENAMED: dict[str, tuple[str, dict[str, str]]] = {
    "closeness": ("range_weight", {}),
    "evaluate_every": ("validate_every", {}),
    "final": ("deconvolution", {"learned": "network"}),
    "image_ridge": ("image_latent_weight", {}),
    "kernel_ridge": ("kernel_latent_weight", {}),
    "light": ("transfer_function", {"given": "none", "linear": "srgb"}),
    "range_misfit": ("generator_data_weight", {}),
    "rate": ("learning_rate", {}),
    "smoothing": ("regularization", {}),
    "start": ("image_initialization", {}),
    "starts": ("n_candidates", {}),
}


class Settings(BaseModel):
    """Base of all settings: immutable, and strict about unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="after")
    @classmethod
    def _can_be_written(cls, value: Any) -> Any:
        if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError("half a character, which no file can hold")
        return value

    @classmethod
    def checked(cls, values: dict[str, Any]) -> Self:
        """Build from plain values, turning pydantic's report into one sentence.

        Raises
        ------
        InputError
            An unknown name or a value out of bounds.
        """
        try:
            return cls(**cls._with_new_names(values))
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            known = ", ".join(cls.model_fields)
            if first["type"] == "extra_forbidden":
                raise InputError(f"Unknown setting {short_repr(name)}; {cls.__name__} has: {known}.") from error
            raise InputError(
                f"Setting {name} = {short_repr(first['input'])} is not allowed: {first['msg']}."
            ) from error

    @classmethod
    def _with_new_names(cls, values: dict[str, Any]) -> dict[str, Any]:
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
    return {"unit": unit}
