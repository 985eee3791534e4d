"""Reading test sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..core.errors import InputError


def read_arrays(path: Path, *keys: str) -> list[np.ndarray]:
    """Arrays of an npz file.

    Raises
    ------
    InputError
        The file is missing or damaged, or has no such array.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            return [content[key] for key in keys]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} is not the set it should be ({error}); it needs {' and '.join(keys)}.") from error
