"""Measure the planes a second of known-kernel deconvolution, and the gain by regularizing kernels over time.

Planes are simulated, so that everybody can repeat the measurement: overlapping disks and rectangles with fine
texture, different in each frame, under straight motion.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from scipy import ndimage

from .. import blur
from ..blur.support import center_subpixel
from ..metrics import psnr
from ..pipeline.front_door import deblur, iter_deblur
from ..pipeline.stack import smooth_over_time
from ..simulation import simulate
from .benchmark_report import Report, Row

SIDE_PX, LENGTH_PX, NOISE_STD = 512, 15.0, 0.01
N_FRAMES, FRAME_SIDE_PX, FRAME_LENGTH_PX, FRAME_NOISE_STD = 6, 192, 9.0, 0.02
TURN_DEG = 6.0  # rotation of the motion from frame to frame, where it changes slowly


def scene(side: int, seed: int = 0) -> np.ndarray:
    """Draw a sharp plane ``[side, side]``, float32 in [0, 1]."""
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


def lines(planes: int = 8) -> Report:
    """Run the benchmark: yield the measurements line by line, and return its rows."""
    kernel = blur.motion(length=LENGTH_PX, angle_deg=30)
    sharp = [scene(SIDE_PX, seed) for seed in range(planes)]
    stack = np.stack([simulate(each, kernel, NOISE_STD, seed).blurred for seed, each in enumerate(sharp)])
    run = iter_deblur(stack, axes="TYX", kernel=kernel)
    next(run)  # the first plane includes the initialization
    wall, used, done = time.perf_counter(), time.process_time(), 0
    gains = []
    for progress in run:
        done += 1
        assert progress.index is not None
        assert progress.image is not None
        truth = sharp[progress.index[0]]
        before = psnr(stack[progress.index[0]], truth, crop=16)
        gains.append(psnr(progress.image, truth, crop=16) - before)
        if done == planes - 1:
            wall, used = time.perf_counter() - wall, time.process_time() - used
            break
    yield (
        f"known kernel, {SIDE_PX}x{SIDE_PX}: {done / wall:.2f} planes a second ({used / done:.3f} processor s a plane, "
        f"{torch.get_num_threads()} threads), {np.mean(gains):+.2f} dB"
    )
    metrics = {"planes a second": done / wall, "CPU s a plane": used / done, "gain, dB": float(np.mean(gains))}
    name = f"simulated planes, {SIDE_PX}x{SIDE_PX}"
    return [Row(name, "deblur", metrics, "kernel"), *(yield from _frames())]


def _frames() -> Report:
    """Estimate a kernel per frame, with and without regularization over time, for slow and for abrupt changes."""
    rows = []
    for name, turn in (("turning slowly", TURN_DEG), ("jumping", 77.0)):
        true = [blur.motion(length=FRAME_LENGTH_PX, angle_deg=20 + turn * t) for t in range(N_FRAMES)]
        sharp = [scene(FRAME_SIDE_PX, 100 + t) for t in range(N_FRAMES)]
        movie = np.stack([simulate(s, true[t], FRAME_NOISE_STD, t).blurred for t, s in enumerate(sharp)])
        estimated = deblur(movie, axes="TYX", kernel_per="plane", kernel_size=13).kernels
        for how, kernels in (("independent", estimated), ("regularized over time", smooth_over_time(list(estimated)))):
            result = deblur(
                movie, axes="TYX", kernel_per="plane", kernel=np.stack([center_subpixel(k) for k in kernels])
            )
            after = np.mean([psnr(i, s, align=True, crop=16) for i, s in zip(result.image, sharp, strict=True)])
            before = np.mean([psnr(m, s, align=True, crop=16) for m, s in zip(movie, sharp, strict=True)])
            gain = float(after - before)
            yield f"a kernel per frame, motion {name}, kernels {how}: {gain:+.2f} dB"
            name_of_set = f"simulated movie, motion {name}"
            rows.append(Row(name_of_set, f"kernels {how}", {"gain, dB": gain}, "kernel size", blurred=float(before)))
    return rows
