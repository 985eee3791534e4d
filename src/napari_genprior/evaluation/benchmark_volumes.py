"""Benchmark on volumes: known-kernel deconvolution compared with Richardson-Lucy, and blind deconvolution.

Known kernel: ``bars`` of DeconvolutionLab, reduced to a quarter (flowdec), whose true volume is known, and simulated
cells of 64^3 voxels. All methods get the same kernel of sum 1 and data scaled to 1. The PSNR is computed at the best
intensity scale, because the set has no common one.

Blind: simulated cells, filaments and beads under microscopes that no training has used, with photon noise and with
light from outside the volume. The blind gain is measured as a share of the known-kernel gain, for three amounts of
information about the microscope.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..pipeline.front_door import deblur
from .benchmark_report import Report, Row, column
from .benchmark_volume_cases import CUBE, KINDS, MICROSCOPES, Case, synthetic

OUR_STEPS, THEIR_STEPS = (5, 10, 20, 40), (5, 10, 20, 40, 80)
INFORMATION = {
    "nothing": (), "type": ("microscope",), "optics": ("microscope", "na", "wavelength_nm", "immersion_index"),
}  # fmt: skip
SIDE_INFORMATION = {"nothing": None, "type": "microscope type", "optics": "type and optics"}
FIRST_SEED = 777  # the prior was trained on simulations of seed 0


def known_lines(folder: Path) -> Report:
    """Compare methods with a known kernel on ``bars_*.tif`` in ``folder``: PSNR and seconds by number of steps."""
    import tifffile

    try:
        truth, data, kernel = (tifffile.imread(folder / f"bars_{what}.tif") for what in ("actual", "data", "kernel"))
    except OSError as error:
        raise InputError(f"{folder} does not hold the set flowdec: {error}.") from error
    return (yield from _compare("flowdec bars", data / data.max(), kernel / kernel.sum(), truth))


def cube_lines() -> Report:
    """Compare methods with a known kernel on a simulated volume of 64^3 voxels, with light from outside it."""
    case = synthetic(FIRST_SEED, "cells", "widefield", CUBE)
    return (yield from _compare("simulated cells 64^3", case.blurred, case.kernel, case.sharp))


def _compare(name: str, data: np.ndarray, kernel: np.ndarray, truth: np.ndarray) -> Report:
    before = _psnr_best_scale(data, truth)
    yield f"{f'{name}, known kernel':34} {'steps':>5} {'seconds':>8} {'PSNR':>6}"
    yield f"{'blurred':34} {'':5} {'':8} {before:6.2f}"
    rows = []
    for method, deconvolve, counts in _solvers():
        if deconvolve is None:
            yield f"{method}: skipped, not installed (pip install RedLionfish)"
            continue
        for count in counts:
            clock = time.process_time()
            restored = deconvolve(data, kernel, count)
            seconds = time.process_time() - clock
            psnr = _psnr_best_scale(restored, truth)
            yield f"{method:34} {count:5} {seconds:8.2f} {psnr:6.2f}"
            rows.append(
                Row(name, f"{method}, {count} steps", {"PSNR, dB": psnr, "CPU s": seconds}, "PSF", blurred=before)
            )
    return rows


Solver = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def _solvers() -> Iterator[tuple[str, Solver | None, tuple[int, ...]]]:
    from skimage.restoration import richardson_lucy

    def ours(solver: str) -> Solver:
        return lambda y, k, n: (
            deblur(y, kernel=k, mode="3d", device="cpu", settings={"solver": solver, "steps": n}).image
        )

    yield "total variation (ours)", ours("tv"), OUR_STEPS
    yield "Richardson-Lucy (ours)", ours("richardson-lucy"), OUR_STEPS
    yield "Wiener (ours)", ours("wiener"), (1,)
    yield (
        "scikit-image",
        lambda y, k, n: richardson_lucy(y, k, num_iter=n, clip=False, filter_epsilon=1e-6),
        THEIR_STEPS,
    )
    try:
        from RedLionfishDeconv import doRLDeconvolutionFromNpArrays
    except ImportError:
        yield "RedLionfish", None, ()
        return
    yield (
        "RedLionfish (processor)",
        lambda y, k, n: doRLDeconvolutionFromNpArrays(y, k, niter=n, method="cpu"),
        THEIR_STEPS,
    )


def _psnr_best_scale(restored: np.ndarray, truth: np.ndarray) -> float:
    scaled = restored * ((restored * truth).sum() / (restored * restored).sum())
    return float(10 * np.log10(truth.max() ** 2 / np.mean((scaled - truth) ** 2)))


def blind_lines(count: int, first_seed: int = FIRST_SEED) -> Report:
    """Measure the blind gain as a share of the known-kernel gain, on ``count`` simulated volumes.

    The ratio of a voxel's sides is always given; of the microscope nothing, its type, or its type, aperture,
    immersion, wavelength and the size of the voxels.
    """
    heads = " ".join(f"{name:>8} {'share':>6} {'verdict':>14}" for name in INFORMATION)
    yield f"{'simulated volumes, blind':34} {'blurred':>7} {'known':>6} {heads} {'seconds':>8}"
    volumes: list[dict[str, Any]] = []
    for number in range(count):
        case = synthetic(first_seed + number, KINDS[number % 3], MICROSCOPES[number // 3 % 2])
        volumes.append((yield from _blind_case(case)))
    rows = []
    for name, side_information in SIDE_INFORMATION.items():
        shares = column(volumes, f"share, {name}")
        mean, median, least = float(shares.mean()), float(np.median(shares)), float(shares.min())
        yield f"given: {name}: mean share {mean:.0%}, median {median:.0%}, least {least:.0%}"
        values = {"mean share": mean, "median share": median, "least share": least}
        metrics = {f"{key} of known-PSF gain, %": 100 * value for key, value in values.items()}
        rows.append(Row("simulated volumes, blind", "deblur", metrics, side_information, images=volumes))
    return rows


def _blind_case(case: Case) -> Generator[str, None, dict[str, Any]]:
    known = deblur(case.blurred, kernel=case.kernel, mode="3d", **case.arguments).image
    before, best = case.psnr(case.blurred), case.psnr(known)
    cells, values = [], {"volume": case.name, "blurred": before, "known": best}
    clock = time.process_time()
    for information, names in INFORMATION.items():
        settings = {name: case.optics[name] for name in names}
        result = deblur(case.blurred, mode="3d", **case.arguments, settings=settings)
        psnr = case.psnr(result.found)
        share = (psnr - before) / (best - before)
        values |= {f"PSNR, {information}": psnr, f"share, {information}": share}
        cells.append(f"{psnr:8.2f} {share:6.0%} {result.verdict.label:>14}")
    seconds = (time.process_time() - clock) / len(INFORMATION)
    yield f"{case.name:34} {before:7.2f} {best:6.2f} {' '.join(cells)} {seconds:8.1f}"
    return values | {"seconds": seconds}


def lines(folder: Path | None, count: int) -> Report:
    """Run the benchmark: yield the tables line by line, and return their rows.

    Parameters
    ----------
    folder : Path, optional
        Folder that holds ``bars_*.tif`` of flowdec; without it this set is skipped.
    count : int
        Number of simulated volumes with unknown kernel; 0 skips this part.
    """
    rows: list[Row] = []
    if folder is not None:
        rows += yield from known_lines(folder)
    rows += yield from cube_lines()
    if count:
        rows += yield from blind_lines(count)
    return rows
