"""Read untrusted model files."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import ModelError


def read_regular_file(path: Path, limit: int, what: str) -> bytes:
    """Read a regular file that is not a link to another folder.

    Parameters
    ----------
    path : Path
    limit : int
        Largest size in bytes.
    what : str
        Name of the content in messages, such as "The card".

    Raises
    ------
    ModelError
        The file is missing, unreadable, larger than ``limit`` bytes, not a regular file, or a link to another folder.
    """
    try:
        real = path.resolve(strict=True)
        if real.parent != path.parent.resolve():
            raise ModelError(f"{what}: {path} is a link to another folder; copy the file itself there.")
        if not real.is_file():  # reading a pipe or a device may never end
            raise ModelError(f"{what}: {path} is not a regular file; replace it by one.")
        size = real.stat().st_size
        if size > limit:
            raise ModelError(f"{what}: {path} has {size} bytes; at most {limit} are allowed.")
        with real.open("rb") as file:
            return file.read(size)
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: circular links; ValueError: not a path
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"{what} cannot be read: {path}: {reason}.") from error
