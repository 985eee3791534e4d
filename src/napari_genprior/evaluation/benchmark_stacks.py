"""How many planes a second the known-kernel step makes sharp, and what sharing kernels costs and gains.

Planes are made here: overlapping disks and rectangles with fine texture, moved from frame to frame, under straight
motion, so that everybody can repeat the figures.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import torch
from scipy import ndimage

from .. import blur
from ..blur.support import center_subpixel
from ..metrics import psnr
from ..pipeline.planes import smooth_over_time
from ..pipeline.stack import deblur_stack, iter_deblur_stack
from ..simulation import simulate

SIDE, LENGTH, NOISE = 512, 15.0, 0.01
FRAMES, FRAME_SIDE, FRAME_LENGTH, FRAME_NOISE = 6, 192, 9.0, 0.02
TURN_DEG = 6.0  # of the motion from frame to frame: it changes slowly


def scene(side: int, seed: int = 0) -> np.ndarray:
    """A sharp plane, float32 in [0, 1]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    plane = np.full((side, side), 0.5)
    for _ in range(side // 4):
        top, left, size = rng.uniform(0, side), rng.uniform(0, side), rng.uniform(3, 25)
        if rng.random() < 0.5:
            inside = np.hypot(y - top, x - left) < size
        else:
            inside = (abs(y - top) < size) & (abs(x - left) < 9)
        plane[inside] = rng.random()
    texture = ndimage.gaussian_filter(rng.standard_normal((side, side)), 1.5)
    return np.clip(plane + 0.1 * texture, 0, 1).astype(np.float32)


def lines(planes: int = 8) -> Iterator[str]:
    """The figures, line by line as they come."""
    kernel = blur.motion(length=LENGTH, angle_deg=30)
    sharp = [scene(SIDE, seed) for seed in range(planes)]
    stack = np.stack([simulate(each, kernel, NOISE, seed).blurred for seed, each in enumerate(sharp)])
    run = iter_deblur_stack(stack, "TYX", kernel=kernel)
    next(run)  # the first plane pays for what is set up once
    wall, used, done = time.perf_counter(), time.process_time(), 0
    gained = []
    for progress in run:
        done += 1
        assert progress.index is not None
        assert progress.image is not None
        truth = sharp[progress.index[0]]
        before = psnr(stack[progress.index[0]], truth, crop=16)
        gained.append(psnr(progress.image, truth, crop=16) - before)
        if done == planes - 1:
            wall, used = time.perf_counter() - wall, time.process_time() - used
            break
    yield (
        f"known kernel, {SIDE}x{SIDE}: {done / wall:.2f} planes a second ({used / done:.3f} processor s a plane, "
        f"{torch.get_num_threads()} threads), {np.mean(gained):+.2f} dB"
    )
    yield from _frames()


def _frames() -> Iterator[str]:
    """A kernel per frame, with and without smoothing over time, where the motion turns slowly and where it jumps."""
    for name, turn in (("turning slowly", TURN_DEG), ("jumping", 77.0)):
        true = [blur.motion(length=FRAME_LENGTH, angle_deg=20 + turn * t) for t in range(FRAMES)]
        sharp = [scene(FRAME_SIDE, 100 + t) for t in range(FRAMES)]
        movie = np.stack([simulate(s, true[t], FRAME_NOISE, t).blurred for t, s in enumerate(sharp)])
        found = deblur_stack(movie, "TYX", kernels="plane", kernel_size=13).kernels
        for how, kernels in (("each by itself", found), ("smoothed", smooth_over_time(list(found)))):
            result = deblur_stack(movie, "TYX", kernels="plane", kernel=np.stack([center_subpixel(k) for k in kernels]))
            gain = np.mean([psnr(i, s, align=True, crop=16) for i, s in zip(result.image, sharp, strict=True)])
            start = np.mean([psnr(m, s, align=True, crop=16) for m, s in zip(movie, sharp, strict=True)])
            yield f"a kernel per frame, motion {name}, {how}: {gain - start:+.2f} dB"
