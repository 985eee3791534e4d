"""Measure the overhead of a batch beyond its deconvolutions: reading, writing, the manifest.

The seconds of the deconvolutions are those in the reports of the batch, so that other programs on the machine slow both
alike.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from skimage.transform import resize

from ..batch_jobs.run import batch
from ..blur import motion
from ..core.image_io import write_image
from ..pipeline.front_door import known_kernel
from ..samples import cat
from ..simulation import simulate
from .benchmark_report import Report, Row

SIDE_PX = 256
MOTION_LENGTH_PX = 15
N_REPEATS = 3  # the median counts


def lines(count: int) -> Report:
    """Time a batch of ``count`` images with a known kernel and the deconvolutions in it; yield lines, return rows."""
    kernel = motion(length=MOTION_LENGTH_PX, angle_deg=30)
    images = _images(count, kernel)
    yield f"{count} images of {SIDE_PX}x{SIDE_PX}, 8 bits, known kernel of {kernel.shape[0]}x{kernel.shape[1]} px"
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "in"
        source.mkdir()
        for number, image in enumerate(images):
            write_image(source / f"{number:04}.png", image)
        known_kernel(images[0], kernel)  # warm up: a process initializes once
        overheads: list[float] = []
        for number in range(N_REPEATS):
            begun = time.perf_counter()
            entries = batch(source, Path(name) / f"out{number}", kernel=kernel)
            whole = time.perf_counter() - begun
            restoring = sum(entry.report["provenance"]["seconds"] for entry in entries)
            overheads.append(whole / restoring - 1)
            yield f"  run {number + 1}: batch {whole:.2f} s, its deconvolutions {restoring:.2f} s"
    added = float(np.median(overheads))
    yield f"overhead of the batch: {added:+.1%} wall time"
    runs = [{"run": i, "wall": overhead} for i, overhead in enumerate(overheads)]
    return [Row(f"batch of {count} images", "batch", {"added wall time, %": 100 * added}, "kernel", images=runs)]


def _images(count: int, kernel: np.ndarray) -> list[np.ndarray]:
    sharp = resize(cat() / 255, (SIDE_PX, SIDE_PX), anti_aliasing=True)
    grey = sharp.mean(-1) if sharp.ndim == 3 else sharp
    shifted = (np.roll(grey, 5 * number, axis=1) for number in range(count))
    blurred = (simulate(each, kernel, noise=0.01, seed=number).blurred for number, each in enumerate(shifted))
    return [np.rint(np.clip(each, 0, 1) * 255).astype(np.uint8) for each in blurred]
