"""Images with known answers, made here."""

from __future__ import annotations

import numpy as np


def blocks(height: int = 96, width: int = 112, seed: int = 0) -> np.ndarray:
    """An image of random overlapping rectangles and disks, float32 in [0, 1]: edges in all directions."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    image = np.full((height, width), 0.5)
    for _ in range(40):
        top, left = rng.uniform(-10, height), rng.uniform(-10, width)
        tall, wide = rng.uniform(6, 30, 2)
        if rng.random() < 0.5:
            inside = (y >= top) & (y < top + tall) & (x >= left) & (x < left + wide)
        else:
            inside = np.hypot(y - top, x - left) < tall / 2
        image[inside] = rng.random()
    return image.astype(np.float32)
