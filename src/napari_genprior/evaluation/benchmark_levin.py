"""Benchmark on Levin et al. 2009: 32 photographs of real camera shake, 4 scenes under 8 kernels, with the true images.

The evaluation is that of SelfDeblur (Ren 2020): the result is clipped to [0, 1] and aligned to the true image over
shifts of up to 5 pixels in steps of 0.25, a border of 15 pixels is cropped, then PSNR and SSIM are computed.

References
----------
A. Levin, Y. Weiss, F. Durand, W. T. Freeman, "Understanding and evaluating blind deconvolution algorithms", CVPR 2009.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..core.errors import InputError
from ..core.image_io import read_image
from ..core.result import DeblurResult
from ..metrics import levin_score
from ..pipeline.front_door import deblur, known_kernel
from .benchmark_report import Report, Row

KERNEL_SIZES_PX = (17, 15, 13, 27, 11, 19, 21, 21)  # of kernels 1 to 8, as SelfDeblur gets them
SCENES = range(1, 5)
PROTOCOLS = ("blurred", "size-given", "size-estimated", "true-kernel")
SIDE_INFORMATION = {"size-given": "kernel size", "true-kernel": "kernel"}


@dataclass(frozen=True)
class Score:
    """Scores of one image: PSNR in dB, SSIM, and processor seconds (sum over all threads)."""

    name: str
    psnr: float
    ssim: float
    seconds: float
    kernel_shape: tuple[int, ...]


def scores(folder: Path, protocol: str, method: str = "classical") -> Iterator[Score]:
    """Deblur the 32 images one by one, and yield the scores of each.

    Parameters
    ----------
    folder : Path
        Folder that holds ``im1_kernel1_img.png`` ... and ``gt/``.
    protocol : {"blurred", "size-given", "size-estimated", "true-kernel"}
        What the method gets beside the image: the kernel size as published, nothing, or the true kernel; "blurred"
        scores the input.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"Unknown protocol {protocol!r}; there are: {', '.join(PROTOCOLS)}.")
    if not (folder / "gt" / "im1.png").is_file():
        raise InputError(f"{folder} does not hold the Levin set: gt/im1.png is missing.")
    kernels = np.load(folder / "gt" / "kernels_convolution.npz")
    for scene in SCENES:
        truth = read_image(folder / "gt" / f"im{scene}.png") / 255
        for number, size in enumerate(KERNEL_SIZES_PX, 1):
            name = f"im{scene}_kernel{number}"
            blurred = read_image(folder / f"{name}_img.png")
            clock = time.process_time()
            image, shape = blurred, (1, 1)
            if protocol != "blurred":
                result = _deblur(blurred, protocol, method, size, kernels[f"kernel{number}"])
                image, shape = result.found, result.kernel.shape  # the method is measured, not the verdict
            seconds = time.process_time() - clock
            psnr, ssim, _ = levin_score(np.clip(image / 255, 0, 1), truth)
            yield Score(name, psnr, ssim, seconds, shape)


def _deblur(blurred: np.ndarray, protocol: str, method: str, size: int, kernel: np.ndarray) -> DeblurResult:
    if protocol == "true-kernel":
        return known_kernel(blurred, kernel)
    return deblur(blurred, method, kernel_size=size if protocol == "size-given" else "auto")


def lines(
    folder: Path, protocols: tuple[str, ...] = PROTOCOLS, method: str = "classical", per_image: bool = False
) -> Report:
    """Run the benchmark: yield the table line by line, and return its rows, one per protocol."""
    yield f"{'protocol':14} {'PSNR':>6} {'SSIM':>6} {'seconds':>8} {'worst':>6}   ({method}, mean of 32)"
    rows = []
    for protocol in protocols:
        rows.append((yield from _run_protocol(folder, protocol, method, per_image)))
    return rows


def _run_protocol(folder: Path, protocol: str, method: str, per_image: bool) -> Generator[str, None, Row]:
    images = []
    for score in scores(folder, protocol, method):
        images.append(score)
        if per_image:
            shape = "x".join(map(str, score.kernel_shape))
            yield f"  {score.name:14} {score.psnr:6.2f} {score.ssim:6.4f} {score.seconds:8.2f}  kernel {shape}"
    worst = min(images, key=lambda score: score.psnr)
    psnr, ssim, seconds = (
        float(np.mean([getattr(score, key) for score in images])) for key in ("psnr", "ssim", "seconds")
    )
    yield f"{protocol:14} {psnr:6.2f} {ssim:6.4f} {seconds:8.2f} {worst.psnr:6.2f}   {worst.name}"
    used = {"blurred": "none", "true-kernel": "known-kernel"}.get(protocol, method)
    metrics = {"PSNR, dB": psnr, "SSIM": ssim, "worst PSNR, dB": worst.psnr, "CPU s an image": seconds}
    return Row("Levin 2009", used, metrics, SIDE_INFORMATION.get(protocol), images=[asdict(score) for score in images])
