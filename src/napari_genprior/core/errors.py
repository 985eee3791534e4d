"""The errors users meet. Each message says what was got, what is allowed, and what to do.

None derives from RuntimeError: napari's generator workers swallow those.
"""

LONGEST = 120  # characters of a value that is shown


def short_repr(value: object) -> str:
    """A value as a sentence can show it: cut, and whatever its own ``repr`` does."""
    try:
        text = repr(value)
    except Exception:  # integers of more than 4300 digits, foreign types
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


class GenPriorError(Exception):
    """Anything a user can mend: bad input, bad arguments, unusable files or models."""


class InputError(GenPriorError):
    """An image, kernel or argument that cannot be used."""


class FileError(GenPriorError):
    """A file that cannot be read or written."""


class ModelError(GenPriorError):
    """A pretrained prior that is unknown, damaged or not what its card says."""


class DeviceError(GenPriorError):
    """A compute device that is unknown or not present."""
