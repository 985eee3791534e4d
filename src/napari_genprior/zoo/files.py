"""Read the files of models, whoever wrote them."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import ModelError


def read_regular_file(path: Path, limit: int, what: str) -> bytes:
    """The content of a plain file that lies where its path says.

    Raises
    ------
    ModelError
        Not there, not readable, larger than ``limit`` bytes, no plain file, or a link out of its folder.
    """
    try:
        real = path.resolve(strict=True)
        if real.parent != path.parent.resolve():
            raise ModelError(f"{what}: {path} is a link out of its folder; copy the file itself there.")
        if not real.is_file():  # a pipe or a device never ends
            raise ModelError(f"{what}: {path} is no plain file.")
        size = real.stat().st_size
        if size > limit:
            raise ModelError(f"{what}: {path} has {size} bytes; at most {limit} are allowed.")
        with real.open("rb") as file:
            return file.read(size)
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a circle of links; ValueError: no path at all
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"{what} cannot be read: {path}: {reason}.") from error
