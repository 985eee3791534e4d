"""Shared by all tests: one torch thread, small pictures with known answers, and where the big sets are."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

torch.set_num_threads(1)  # two busy threads on small arrays are slower than one, and results repeat only per count


@pytest.fixture
def shared() -> Path:
    """The folder of evaluation and training sets; tests that need it skip where it is missing."""
    folder = Path(os.environ.get("GENPRIOR_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"needs the data sets, looked for in {folder} (set GENPRIOR_SHARED)")
    return folder


def blocks(height: int = 96, width: int = 112, seed: int = 0) -> np.ndarray:
    """A picture of random overlapping rectangles and disks, float32 in [0, 1]: edges in all directions."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    picture = np.full((height, width), 0.5)
    for _ in range(40):
        top, left = rng.uniform(-10, height), rng.uniform(-10, width)
        tall, wide = rng.uniform(6, 30, 2)
        if rng.random() < 0.5:
            inside = (y >= top) & (y < top + tall) & (x >= left) & (x < left + wide)
        else:
            inside = np.hypot(y - top, x - left) < tall / 2
        picture[inside] = rng.random()
    return picture.astype(np.float32)


@pytest.fixture
def sharp() -> np.ndarray:
    return blocks()
