"""Read the files of test sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..core.errors import InputError


def read_arrays(path: Path, *keys: str) -> list[np.ndarray]:
    """Read the arrays ``keys`` of an npz file.

    Raises
    ------
    InputError
        The file is missing or damaged, or lacks one of the arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            return [content[key] for key in keys]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{path} is not the expected test set ({error}); it must hold the arrays {' and '.join(keys)}."
        ) from error
