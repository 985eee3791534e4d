"""Measure the overhead of a batch beyond its deconvolutions: reading, writing, the manifest.

The deconvolutions are timed within the batch, so that other programs on the machine slow both alike.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from skimage.transform import resize

from ..batch_jobs import task as files
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
        overheads: list[np.ndarray] = []
        for number in range(N_REPEATS):
            with _timed_deconvolutions() as restoring:
                begun = _now()
                batch(source, Path(name) / f"out{number}", kernel=kernel)
                whole = _now() - begun
            overheads.append(whole / restoring - 1)
            yield (
                f"  run {number + 1}: batch {whole[0]:.2f} processor s, its deconvolutions {restoring[0]:.2f} s; "
                f"wall time {whole[1]:.2f} s and {restoring[1]:.2f} s"
            )
    processor, wall = np.median(overheads, axis=0)
    yield f"overhead of the batch: {processor:+.1%} processor time, {wall:+.1%} wall time"
    metrics = {"added wall time, %": 100 * wall, "added processor time, %": 100 * processor}
    runs = [{"run": i, "processor": values[0], "wall": values[1]} for i, values in enumerate(overheads)]
    return [Row(f"batch of {count} images", "batch", metrics, "kernel", images=runs)]


@contextmanager
def _timed_deconvolutions() -> Iterator[np.ndarray]:
    """Sum up the time of the deconvolutions of a batch in this process: processor seconds and wall seconds."""
    spent, restore = np.zeros(2), files.run

    def timed(*arguments: Any, **others: Any) -> Generator[Any, None, Any]:
        begun = _now()
        result = yield from restore(*arguments, **others)
        spent[:] += _now() - begun
        return result

    files.run = timed
    try:
        yield spent
    finally:
        files.run = restore


def _now() -> np.ndarray:
    """Return processor seconds and wall seconds."""
    return np.array([time.process_time(), time.perf_counter()])


def _images(count: int, kernel: np.ndarray) -> list[np.ndarray]:
    sharp = resize(cat() / 255, (SIDE_PX, SIDE_PX), anti_aliasing=True)
    grey = sharp.mean(-1) if sharp.ndim == 3 else sharp
    shifted = (np.roll(grey, 5 * number, axis=1) for number in range(count))
    blurred = (simulate(each, kernel, noise=0.01, seed=number).blurred for number, each in enumerate(shifted))
    return [np.rint(np.clip(each, 0, 1) * 255).astype(np.uint8) for each in blurred]
