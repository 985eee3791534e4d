"""Record from what and with which settings and versions a result was computed."""

from __future__ import annotations

import hashlib
import platform
from datetime import datetime
from typing import Any

import numpy as np
import torch

from .result import Provenance
from .version import __version__


def array_hash(array: np.ndarray) -> str:
    """Compute the SHA-256 of data type, shape and values of an array."""
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Collect the versions of Python, packages and platform."""
    return {
        "napari-genprior": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
    }


def provenance_of(
    method: str,
    settings: dict[str, Any],
    arguments: dict[str, Any],
    *,
    seed: int,
    device: torch.device | str,
    input_sha256: str,
    input_shape: tuple[int, ...],
    started: datetime,
    seconds: float,
) -> Provenance:
    """Make the provenance of a run that has just ended, with the current number of threads and versions."""
    return Provenance(
        method=method,
        settings=settings,
        arguments=arguments,
        seed=seed,
        device=str(device),
        dtype="float32",
        threads=torch.get_num_threads(),
        input_sha256=input_sha256,
        input_shape=input_shape,
        versions=versions(),
        started=started.isoformat(timespec="seconds"),
        seconds=round(seconds, 3),
    )
