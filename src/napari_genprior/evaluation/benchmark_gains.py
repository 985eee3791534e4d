"""Measure the gain of a method over blurred images whose true image is known: PSNR, SSIM, seconds, and the worst case.

Results and blurred images are clipped to 0 to 255 and aligned to the true image, because kernels need not be centred.
ISNR is the PSNR of the result less that of the blurred image.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import numpy as np

from ..metrics import align, psnr, ssim
from ..pipeline.front_door import deblur
from ..pipeline.request import find_method
from .benchmark_report import Report, Row

TOLERANCE_DB = 0.2  # a result that is worse than its input by more counts as a loss


@dataclass(frozen=True)
class Case:
    """A blurred image and its true image, uint8, and its kernel; ``groups`` names its rows of the table."""

    name: str
    groups: tuple[str, ...]
    blurred: np.ndarray
    truth: np.ndarray
    kernel: np.ndarray


@dataclass(frozen=True)
class Gain:
    """PSNR before and after in dB, SSIM after, and processor seconds (sum over all threads)."""

    name: str
    groups: tuple[str, ...]
    before: float
    after: float
    ssim: float
    seconds: float

    @property
    def isnr(self) -> float:
        """PSNR after less PSNR before, dB."""
        return self.after - self.before


def measure(cases: Iterable[Case], method: str, size_given: bool, max_shift: int) -> Iterator[Gain]:
    """Deblur the cases one by one, and yield the gain of each.

    Parameters
    ----------
    cases : iterable of Case
    method : str
        A method that needs a kernel gets the true one.
    size_given : bool
        Give the method the size of the true kernel.
    max_shift : int
        Largest shift of the alignment, pixels; a border of the same width is cropped.
    """
    known = find_method(method).needs_kernel
    for case in cases:
        arguments = {"kernel": case.kernel} if known else {"kernel_size": case.kernel.shape if size_given else "auto"}
        clock = time.process_time()
        image = deblur(case.blurred, method, **arguments).found  # the method is measured, not the verdict
        seconds = time.process_time() - clock
        before, _ = _score(case.blurred, case.truth, max_shift)
        yield Gain(case.name, case.groups, before, *_score(image, case.truth, max_shift), seconds)


def lines(
    set_name: str, cases: Iterable[Case], method: str, size_given: bool, max_shift: int, per_image: bool = False
) -> Report:
    """Run the benchmark: yield the table line by line, a row per group and one for all, and return the rows."""
    heads = ("n", 3), ("blurred", 7), ("PSNR", 6), ("ISNR", 6), ("SSIM", 6), ("losses", 6), ("seconds", 8)
    known = find_method(method).needs_kernel
    sizes = "" if known else f", kernel size {'given' if size_given else 'estimated'}"
    yield f"{'set':14} {' '.join(f'{head:>{width}}' for head, width in heads)}   least ISNR   ({method}{sizes})"
    gains = []
    for gain in measure(cases, method, size_given, max_shift):
        gains.append(gain)
        if per_image:
            before = f"  {gain.name}: {gain.before:.2f} -> {gain.after:.2f} dB"
            yield f"{before}, SSIM {gain.ssim:.4f}, {gain.seconds:.1f} s"
    names = sorted({group for gain in gains for group in gain.groups})
    groups = {name: [gain for gain in gains if name in gain.groups] for name in names} | {"all": gains}
    side_information = "kernel" if known else "kernel size" if size_given else None
    rows = []
    for name, group in groups.items():
        metrics = _metrics(group)
        yield _line(name, group, metrics)
        images = [{**asdict(gain), "isnr": gain.isnr} for gain in group] if name == "all" else []
        full_name = set_name if name == "all" else f"{set_name}, {name}"
        blurred = metrics.pop("blurred PSNR, dB")
        rows.append(Row(full_name, method, metrics, side_information, blurred=blurred, images=images))
    return rows


def _score(image: np.ndarray, truth: np.ndarray, max_shift: int) -> tuple[float, float]:
    aligned, _ = align(np.clip(image, 0, 255), truth, max_shift, max_shift)
    return psnr(aligned, truth, crop=max_shift), ssim(aligned, truth, crop=max_shift)


def _metrics(gains: list[Gain]) -> dict[str, float]:
    before, after, isnr, similarity, seconds = (
        float(np.mean([getattr(gain, key) for gain in gains])) for key in ("before", "after", "isnr", "ssim", "seconds")
    )
    return {
        "blurred PSNR, dB": before, "PSNR, dB": after, "gain, dB": isnr, "SSIM": similarity,
        "worst gain, dB": min(gain.isnr for gain in gains),
        "images > 0.2 dB below input": sum(gain.isnr < -TOLERANCE_DB for gain in gains), "CPU s an image": seconds,
    }  # fmt: skip


def _line(name: str, gains: list[Gain], metrics: dict[str, float]) -> str:
    before, after, isnr, similarity, _, losses, seconds = metrics.values()
    worst = min(gains, key=lambda gain: gain.isnr)
    cells = f"{len(gains):3} {before:7.2f} {after:6.2f} {isnr:+6.2f} {similarity:6.4f} {losses:6} {seconds:8.2f}"
    return f"{name:14} {cells}   {worst.isnr:+6.2f} {worst.name}"
