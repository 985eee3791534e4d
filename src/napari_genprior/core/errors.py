"""Errors that users see. Each message says what was got, what is allowed, and what to do.

None derives from RuntimeError, because napari's generator workers suppress those.
"""

LONGEST = 120  # characters of a value in a message


def short_repr(value: object) -> str:
    """Represent a value in a message: shortened, and without failing where its ``repr`` does."""
    try:
        text = repr(value)
    except Exception:  # integers of more than 4300 digits, and other types
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


class GenPriorError(Exception):
    """An error that a user can fix: bad input or arguments, unusable files or models."""


class InputError(GenPriorError):
    """An image, kernel or argument that cannot be used."""


class ConstantError(InputError):
    """An image, or a piece of one, without any contrast."""


class FileError(GenPriorError):
    """A file that cannot be read or written."""


class ModelError(GenPriorError):
    """A pretrained model that is unknown, damaged or different from its card."""


class DeviceError(GenPriorError):
    """A compute device that is unknown or not available."""
