"""Levin et al. 2009: 32 photographs of real camera shake, 4 scenes under 8 kernels, with their truth.

Protocol as published with SelfDeblur: the result is clipped to [0, 1], aligned to the truth over shifts of up to
5 pixels in steps of 0.25, 15 pixels of border are cut, then PSNR and SSIM.

References
----------
A. Levin, Y. Weiss, F. Durand, W. T. Freeman, "Understanding and evaluating blind deconvolution algorithms", CVPR 2009.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import InputError
from ..core.image_io import read_image
from ..core.result import DeblurResult
from ..metrics import levin_score
from ..pipeline.run import deblur, known_kernel

USUAL_SIZES = (17, 15, 13, 27, 11, 19, 21, 21)  # px, kernels 1 to 8, as SelfDeblur is given them
SCENES = range(1, 5)
RUNS = ("blurry", "given", "auto", "true-kernel")


@dataclass(frozen=True)
class Score:
    """One image: decibels, structural similarity, and processor seconds (all threads added up)."""

    name: str
    psnr: float
    ssim: float
    seconds: float
    kernel_shape: tuple[int, ...]


def scores(folder: Path, run: str, method: str = "classical") -> Iterator[Score]:
    """Deblur the 32 images one by one.

    Parameters
    ----------
    folder : Path
        Holds ``im1_kernel1_img.png`` ... and ``gt/``.
    run : {"given", "auto", "true-kernel", "blurry"}
        What the method is told: the usual kernel size, nothing, the true kernel; "blurry" scores the input.
    """
    if run not in RUNS:
        raise InputError(f"Unknown run {run!r}; there are: {', '.join(RUNS)}.")
    if not (folder / "gt" / "im1.png").is_file():
        raise InputError(f"{folder} does not hold the Levin set (gt/im1.png is missing).")
    kernels = np.load(folder / "gt" / "kernels_convolution.npz")
    for scene in SCENES:
        truth = read_image(folder / "gt" / f"im{scene}.png") / 255
        for number, size in enumerate(USUAL_SIZES, 1):
            name = f"im{scene}_kernel{number}"
            blurred = read_image(folder / f"{name}_img.png")
            clock = time.process_time()
            image, shape = blurred, (1, 1)
            if run != "blurry":
                result = _deblurred(blurred, run, method, size, kernels[f"kernel{number}"])
                image, shape = result.found, result.kernel.shape  # the method is measured, not the verdict
            seconds = time.process_time() - clock
            psnr, ssim, _ = levin_score(np.clip(image / 255, 0, 1), truth)
            yield Score(name, psnr, ssim, seconds, shape)


def _deblurred(blurred: np.ndarray, run: str, method: str, size: int, kernel: np.ndarray) -> DeblurResult:
    if run == "true-kernel":
        return known_kernel(blurred, kernel)
    return deblur(blurred, method, kernel_size=size if run == "given" else "auto")


def lines(folder: Path, runs: tuple[str, ...] = RUNS, method: str = "classical", each: bool = False) -> Iterator[str]:
    """The table, line by line as it comes."""
    yield f"{'run':12} {'PSNR':>6} {'SSIM':>6} {'seconds':>8} {'worst':>6}   ({method}, mean of 32)"
    for run in runs:
        found = []
        for score in scores(folder, run, method):
            found.append(score)
            if each:
                shape = "x".join(map(str, score.kernel_shape))
                yield f"  {score.name:14} {score.psnr:6.2f} {score.ssim:6.4f} {score.seconds:8.2f}  kernel {shape}"
        worst = min(found, key=lambda score: score.psnr)
        psnr, ssim, seconds = (np.mean([getattr(s, key) for s in found]) for key in ("psnr", "ssim", "seconds"))
        yield f"{run:12} {psnr:6.2f} {ssim:6.4f} {seconds:8.2f} {worst.psnr:6.2f}   {worst.name}"
