"""What a result was made from and with."""

from __future__ import annotations

import hashlib
import platform

import numpy as np
import torch

from . import __version__


def array_hash(array: np.ndarray) -> str:
    """SHA-256 over data type, shape and values."""
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Versions that a result depends on."""
    return {
        "napari-genprior": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
    }
