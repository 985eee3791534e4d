"""Benchmark on simulated microscopy: the product as it is called by default, beside what microscopists use.

The product gets the data as a camera records them, offset included; the other programs get them less the offset, and
are scored at their best number of steps, which only the truth tells. All are scored at the best gain and offset.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..core.result import VerdictLabel
from ..pipeline.front_door import deblur, known_kernel
from . import benchmark_microscopy_psf as psf_parts
from . import benchmark_microscopy_speed as speed_part
from .benchmark_microscopy_cases import (
    OIL,
    PLANE_SIDE,
    PSF_SHAPES,
    SHAPES,
    Case,
    camera,
    textured_blobs,
    thin_objects,
    true_psf,
    volumes,
)
from .benchmark_microscopy_peers import PEERS, RICHARDSON_LUCY, Peer, installed, skipped_lines
from .benchmark_report import Report, Row, column

OURS, INPUT = "known-kernel", "input"
FIXED_STEPS = 30  # what users take who have no truth
NOISE_PHOTONS = (20, 5, 200)  # flat, per voxel
NOISE_COUNT = 40
NOISE_SHAPES, NOISE_SIDES = {"full": (24, 96, 96), "small": SHAPES["small"]}, {"full": PLANE_SIDE, "small": 64}
Values = dict[str, Any]


def lines(parts: Sequence[str], folder: Path | None, size: str = "full", count: int | None = None) -> Report:
    """Run parts of the benchmark: yield the tables line by line, and return their rows.

    Parameters
    ----------
    parts : sequence of {"known", "plain", "noise", "wrong-psf", "blind", "speed"}
    folder : Path, optional
        Folder that holds ``bars_*.tif`` of flowdec; without it this volume is left out.
    size : {"full", "small"}
        Size of the volumes; "small" serves tests.
    count : int, optional
        Number of volumes or images of each part, from the first. By default all, and 40 of noise alone.
    """
    reports = {
        "known": lambda: known_lines(folder, size, count),
        "plain": lambda: plain_lines(count),
        "noise": lambda: noise_lines(size, NOISE_COUNT if count is None else count),
        "wrong-psf": lambda: psf_parts.wrong_psf_lines(size, count),
        "blind": lambda: psf_parts.blind_lines(size, count),
        "speed": lambda: speed_part.lines(size),
    }
    rows: list[Row] = []
    for part in parts:
        rows += yield from reports[part]()
    return rows


def known_lines(folder: Path | None, size: str = "full", count: int | None = None) -> Report:
    """Compare deconvolution of volumes with a known PSF; at full size, textured blobs follow in a table of their own.

    See :func:`lines` for the parameters.
    """
    yield from skipped_lines()
    rows = yield from _compare("simulated microscopy, known PSF", islice(volumes(size, folder), count), installed())
    if size == "full":
        yield ""
        rows += yield from _compare("textured blobs, known PSF", [textured_blobs()], installed())
    return rows


def plain_lines(count: int | None = None) -> Report:
    """Compare deconvolution of images of thin objects with the true in-focus PSF."""
    peers = {name: (PEERS[name][0], (10, 30, 100)) for name in (RICHARDSON_LUCY, "scikit-image")}
    return (yield from _compare("simulated thin objects, known PSF", islice(thin_objects(), count), peers))


def _compare(name: str, cases: Iterable[Case], peers: Mapping[str, tuple[Peer, tuple[int, ...]]]) -> Report:
    """Score the input, the product and its peers on each case; see the module."""
    yield f"{name:34} {'program':32} {'best of':>7} {'PSNR':>6} {'SSIM':>6}   {FIXED_STEPS} steps"
    compared: list[Values] = []
    for case in cases:
        compared.append((yield from _compare_case(case, peers)))
    return (yield from _summary(name, compared, list(peers)))


def _compare_case(case: Case, peers: Mapping[str, tuple[Peer, tuple[int, ...]]]) -> Generator[str, None, Values]:
    """Score one case, and yield a line for each program."""

    def line(program: str, steps: Any, psnr: float, ssim: float, rest: str = "") -> str:
        return f"{case.name:34} {program:32} {steps:>7} {psnr:6.2f} {ssim:6.3f}   {rest}".rstrip()

    before = case.score(case.data)
    yield line(INPUT, "", *before)
    clock = time.process_time()
    result = known_kernel(case.data, case.psf, **case.arguments)
    seconds = time.process_time() - clock
    ours = case.score(result.image)
    yield line(OURS, "", *ours, f"{result.verdict.label}, {seconds:.1f} CPU s")
    values: Values = {"image": case.name, "input": before[0], "input, SSIM": before[1], OURS: ours[0]}
    values |= {f"{OURS}, SSIM": ours[1], "verdict": str(result.verdict.label), "CPU s": seconds}
    best = []
    for name, (peer, counts) in peers.items():
        scores = [(*case.score(image), steps) for steps, image in peer(case.above_offset, case.psf, counts)]
        psnr, ssim, steps = max(scores)
        fixed = max(score for score in scores if score[2] == FIXED_STEPS)
        yield line(name, steps, psnr, ssim, f"{fixed[0]:.2f} / {fixed[1]:.3f}")
        values |= {name: psnr, f"{name}, SSIM": ssim, f"{name}, steps": steps, f"{name}, {FIXED_STEPS} steps": fixed[0]}
        best.append((psnr, ssim, name))
    psnr, ssim, name = max(best)
    values |= {"difference": ours[0] - psnr, "difference, SSIM": ours[1] - ssim, "best peer": name}
    return values


def _summary(name: str, compared: list[Values], peers: Sequence[str]) -> Report:
    """Yield the means over all cases, and return a row for each program."""
    before, ours = column(compared, INPUT), column(compared, OURS)
    difference, similarity = column(compared, "difference"), column(compared, "difference, SSIM")
    worst = compared[int(difference.argmin())]
    rows = []
    for program in (INPUT, OURS, *peers):
        psnr, ssim = (float(column(compared, key).mean()) for key in (program, f"{program}, SSIM"))
        yield f"{'mean of ' + str(len(compared)):34} {program:32} {'':7} {psnr:6.2f} {ssim:6.3f}"
        if program != INPUT:
            rows.append(Row(name, program, {"PSNR, dB": psnr, "SSIM": ssim}, "PSF", blurred=float(before.mean())))
    below = int((ours < before).sum())
    yield (
        f"{OURS} less the best peer at its best steps: mean {difference.mean():+.2f} dB, worst "
        f"{difference.min():+.2f} dB ({worst['image']}, {worst['best peer']}), SSIM mean {similarity.mean():+.3f}, "
        f"worst {similarity.min():+.3f}"
    )
    improved = int((column(compared, "verdict") == str(VerdictLabel.IMPROVED)).sum())
    yield f"{OURS} below the input: {below} of {len(compared)}; called improved: {improved}"
    metrics = {
        **rows[0].metrics, "difference to the best peer, dB": float(difference.mean()),
        "worst difference to the best peer, dB": float(difference.min()),
        "SSIM difference to the best peer": float(similarity.mean()), "images below input": float(below),
    }  # fmt: skip
    rows[0] = Row(name, OURS, metrics, "PSF", blurred=float(before.mean()), images=compared)
    return rows


def noise_lines(size: str, count: int) -> Report:
    """Count how often a result on flat light and noise alone is called improved, with a known PSF and blind.

    Volumes and images alternate in groups of three levels of light.
    """
    yield f"{'nothing but noise':34} {'known PSF':>20} {'blind':>20}"
    shape, plane = NOISE_SHAPES[size], (NOISE_SIDES[size],) * 2
    psf, plane_psf = true_psf(OIL, PSF_SHAPES[size]), OIL.psf_in_focus(PSF_SHAPES[size][1])
    images: list[Values] = []
    for number in range(count):
        photons, flat = NOISE_PHOTONS[number % 3], number // 3 % 2 == 1
        data = camera(np.full(plane if flat else shape, float(photons)), np.random.default_rng(number))
        arguments: Values = {} if flat else {"mode": "3d", "voxel_size_um": OIL.voxel_size_um}
        known = known_kernel(data, plane_psf if flat else psf, **arguments).verdict.label
        blind = deblur(data, **arguments).verdict.label
        what = f"{'image' if flat else 'volume'}, {photons} photons"
        yield f"{f'{number}: {what}':34} {known:>20} {blind:>20}"
        images.append({"image": what, "known PSF": str(known), "blind": str(blind)})
    rows = []
    for way, side_information in (("known PSF", "PSF"), ("blind", None)):
        improved = int((column(images, way) == str(VerdictLabel.IMPROVED)).sum())
        yield f"called improved, {way}: {improved} of {count}"
        rows.append(Row("noise alone", way, {"called improved": float(improved)}, side_information, images=images))
    return rows
