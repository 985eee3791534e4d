"""What a batch costs beyond the solves it consists of: reading, writing, the manifest.

The solves are timed where the batch makes them: other work on the machine, which comes and goes, then slows both alike.
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

from ..batch import task as files
from ..batch.run import batch
from ..blur import motion
from ..core.image_io import write_image
from ..pipeline.run import known_kernel
from ..samples import cat
from ..simulation import simulate

SIDE = 256  # px
LENGTH = 15  # of the motion, px
ROUNDS = 3  # the middle one counts


def lines(count: int) -> Iterator[str]:
    """Seconds of a batch of ``count`` images with a known kernel, and of the solves in it."""
    kernel = motion(length=LENGTH, angle_deg=30)
    images = _images(count, kernel)
    yield f"{count} images of {SIDE}x{SIDE}, 8 bits, known kernel of {kernel.shape[0]}x{kernel.shape[1]} px"
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "in"
        source.mkdir()
        for number, image in enumerate(images):
            write_image(source / f"{number:04}.png", image)
        known_kernel(images[0], kernel)  # what a process does once
        costs = []
        for number in range(ROUNDS):
            with _timed_solves() as solves:
                begun = _now()
                batch(source, Path(name) / f"out{number}", kernel=kernel)
                whole = _now() - begun
            costs.append(whole / solves - 1)
            yield (
                f"  round {number + 1}: batch {whole[0]:.2f} processor s, solves in it {solves[0]:.2f} s; "
                f"by the clock {whole[1]:.2f} s, {solves[1]:.2f} s"
            )
    processor, clock = np.median(costs, axis=0)
    yield f"beyond its solves a batch takes {processor:+.1%} processor seconds, {clock:+.1%} by the clock"


@contextmanager
def _timed_solves() -> Iterator[np.ndarray]:
    """Adds up what the solves of a batch in this process take: processor seconds, and those of the clock."""
    spent, solve = np.zeros(2), files.iter_deblur

    def timed(*arguments: Any, **others: Any) -> Generator[Any, None, Any]:
        begun = _now()
        result = yield from solve(*arguments, **others)
        spent[:] += _now() - begun
        return result

    files.iter_deblur = timed
    try:
        yield spent
    finally:
        files.iter_deblur = solve


def _now() -> np.ndarray:
    """Processor seconds, and those of the clock."""
    return np.array([time.process_time(), time.perf_counter()])


def _images(count: int, kernel: np.ndarray) -> list[np.ndarray]:
    sharp = resize(cat() / 255, (SIDE, SIDE), anti_aliasing=True)
    grey = sharp.mean(-1) if sharp.ndim == 3 else sharp
    shifted = (np.roll(grey, 5 * number, axis=1) for number in range(count))
    blurred = (simulate(each, kernel, noise=0.01, seed=number).blurred for number, each in enumerate(shifted))
    return [np.rint(np.clip(each, 0, 1) * 255).astype(np.uint8) for each in blurred]
