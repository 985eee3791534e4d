"""What a batch costs beyond the solves it consists of: reading, writing, the manifest.

In processor seconds, which other work on the machine does not change, but which do not see a disk that is waited for;
and by the clock.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from skimage.transform import resize

from ..blur import motion
from ..deblurring import known_kernel
from ..io import write_image
from ..samples import cat
from ..simulation import simulate
from ..stacks.batch import batch

SIDE = 256  # px
LENGTH = 15  # of the motion, px
ROUNDS = 3  # of loop and batch in turn; the quickest of each counts, for other work slows both


def lines(count: int) -> Iterator[str]:
    """Seconds of ``count`` known-kernel solves in a loop, and of a batch of the same pictures as files."""
    kernel = motion(length=LENGTH, angle_deg=30)
    pictures = _pictures(count, kernel)
    yield f"{count} pictures of {SIDE}x{SIDE}, 8 bits, known kernel of {kernel.shape[0]}x{kernel.shape[1]} px"
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "in"
        source.mkdir()
        for number, picture in enumerate(pictures):
            write_image(source / f"{number:04}.png", picture)
        known_kernel(pictures[0], kernel)  # what a process does once
        loops, batches = [], []
        for number in range(ROUNDS):
            begun = _now()
            for picture in pictures:
                known_kernel(picture, kernel)
            loops.append(_now() - begun)
            begun = _now()
            batch(source, Path(name) / f"out{number}", kernel=kernel)
            batches.append(_now() - begun)
            (solves, by_clock), (whole, whole_by_clock) = loops[-1], batches[-1]
            yield (
                f"  round {number + 1}: solves {solves:.2f} s ({by_clock:.2f} s by the clock), "
                f"batch {whole:.2f} s ({whole_by_clock:.2f} s)"
            )
    for what, solves, whole in zip(("processor", "clock"), np.min(loops, axis=0), np.min(batches, axis=0), strict=True):
        yield (
            f"{what:9}  solves {solves:.2f} s, {solves / count * 1e3:.0f} ms each; "
            f"batch {whole:.2f} s: {whole / solves - 1:+.1%}"
        )


def _now() -> np.ndarray:
    """Processor seconds, and those of the clock."""
    return np.array([time.process_time(), time.perf_counter()])


def _pictures(count: int, kernel: np.ndarray) -> list[np.ndarray]:
    sharp = resize(cat() / 255, (SIDE, SIDE), anti_aliasing=True)
    grey = sharp.mean(-1) if sharp.ndim == 3 else sharp
    shifted = (np.roll(grey, 5 * number, axis=1) for number in range(count))
    blurred = (simulate(each, kernel, noise=0.01, seed=number).blurred for number, each in enumerate(shifted))
    return [np.rint(np.clip(each, 0, 1) * 255).astype(np.uint8) for each in blurred]
