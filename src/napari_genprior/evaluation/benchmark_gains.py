"""What a method gains over blurry images whose truth is known: decibels, similarity, seconds, and the worst by name.

Both images are clipped to what 8 bits hold and taken at their best shift, for kernels need not be centred. ISNR is
the PSNR of the result less that of the blurry image.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ..metrics import align, psnr, ssim
from ..pipeline.plan import find_method
from ..pipeline.run import deblur

MAY_LOSE = 0.2  # dB against the blurry input


@dataclass(frozen=True)
class Case:
    """A blurry image and its truth, 8 bits; ``groups`` are the rows of the table that it counts for."""

    name: str
    groups: tuple[str, ...]
    blurry: np.ndarray
    truth: np.ndarray
    kernel: np.ndarray


@dataclass(frozen=True)
class Gain:
    """PSNR before and after, dB; SSIM after; processor seconds (all threads added up)."""

    name: str
    groups: tuple[str, ...]
    before: float
    after: float
    ssim: float
    seconds: float

    @property
    def isnr(self) -> float:
        return self.after - self.before


def measure(cases: Iterable[Case], method: str, given: bool, reach: int) -> Iterator[Gain]:
    """Deblur the cases one by one.

    Parameters
    ----------
    cases : iterable of Case
    method : str
        One that needs a kernel gets the true one.
    given : bool
        Tell the kernel's size.
    reach : int
        Largest shift in pixels; as much border is left out, so that nothing beyond the image counts.
    """
    known = find_method(method).needs_kernel
    for case in cases:
        arguments = {"kernel": case.kernel} if known else {"kernel_size": case.kernel.shape if given else "auto"}
        clock = time.process_time()
        image = deblur(case.blurry, method, **arguments).found  # the method is measured, not the verdict
        seconds = time.process_time() - clock
        before, _ = _score(case.blurry, case.truth, reach)
        yield Gain(case.name, case.groups, before, *_score(image, case.truth, reach), seconds)


def lines(cases: Iterable[Case], method: str, given: bool, reach: int, each: bool = False) -> Iterator[str]:
    """The table, line by line as it comes: a row per group, then all."""
    heads = ("n", 3), ("blurry", 6), ("PSNR", 6), ("ISNR", 6), ("SSIM", 6), ("lost", 4), ("seconds", 8)
    sizes = "" if find_method(method).needs_kernel else f", kernel size {'given' if given else 'found'}"
    yield f"{'set':14} {' '.join(f'{head:>{width}}' for head, width in heads)}   least ISNR   ({method}{sizes})"
    found = []
    for gain in measure(cases, method, given, reach):
        found.append(gain)
        if each:
            before = f"  {gain.name}: {gain.before:.2f} -> {gain.after:.2f} dB"
            yield f"{before}, SSIM {gain.ssim:.4f}, {gain.seconds:.1f} s"
    for group in sorted({group for gain in found for group in gain.groups}):
        yield _row(group, [gain for gain in found if group in gain.groups])
    yield _row("all", found)


def _score(image: np.ndarray, truth: np.ndarray, reach: int) -> tuple[float, float]:
    aligned, _ = align(np.clip(image, 0, 255), truth, reach, reach)
    return psnr(aligned, truth, crop=reach), ssim(aligned, truth, crop=reach)


def _row(name: str, gains: list[Gain]) -> str:
    before, after, isnr, similar, seconds = (
        np.mean([getattr(gain, key) for gain in gains]) for key in ("before", "after", "isnr", "ssim", "seconds")
    )
    worst = min(gains, key=lambda gain: gain.isnr)
    lost = sum(gain.isnr < -MAY_LOSE for gain in gains)
    figures = f"{len(gains):3} {before:6.2f} {after:6.2f} {isnr:+6.2f} {similar:6.4f} {lost:4} {seconds:8.2f}"
    return f"{name:14} {figures}   {worst.isnr:+6.2f} {worst.name}"
