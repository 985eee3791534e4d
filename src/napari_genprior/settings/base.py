"""What all settings have in common."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from ..core.errors import InputError, shown


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
            return cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            known = ", ".join(cls.model_fields)
            if first["type"] == "extra_forbidden":
                raise InputError(f"Unknown setting {shown(name)}; {cls.__name__} has: {known}.") from error
            raise InputError(f"Setting {name} = {shown(first['input'])} is not allowed: {first['msg']}.") from error


def unit(unit: str) -> dict[str, Any]:
    return {"unit": unit}
