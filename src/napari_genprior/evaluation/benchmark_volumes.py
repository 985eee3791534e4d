"""Volumes: a known kernel against Richardson-Lucy at equal seconds, and how much of its gain the blind search has.

Known kernel: ``bars`` of DeconvolutionLab, reduced to a quarter (flowdec), whose truth is known. All get the same
kernel of sum 1 and data scaled to 1; a result is scored at its best gain: the set has no common scale.
Then cells of 64^3 voxels. Blind: synthetic cells, filaments and beads under simulated microscopes that no training has
drawn, with photon noise and with light from beyond the stack, at three states of knowledge.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.signal import fftconvolve

from ..blur import microscope as optics
from ..blur import random_microscope as objectives
from ..core.errors import InputError
from ..pipeline.volumes import deblur_volume

KINDS = ("cells", "filaments", "beads")
SHAPE, CUBE = (24, 64, 64), (64, 64, 64)
KERNEL = (17, 33, 33)
PHOTONS = 300  # at value 1
OURS, THEIRS = (5, 10, 20, 40), (5, 10, 20, 40, 80)  # steps
CROP = 3  # voxels
MICROSCOPES = ("widefield", "confocal")
KNOWLEDGE = {"nothing": (), "kind": ("microscope",), "optics": ("microscope", "na", "wavelength_nm", "immersion_index")}
FIRST_SEED = 777  # the prior was trained on draws of seed 0


def known_lines(folder: Path) -> Iterator[str]:
    """PSNR over seconds for several numbers of steps, on ``bars_*.tif`` in ``folder``."""
    import tifffile

    try:
        truth, data, kernel = (tifffile.imread(folder / f"bars_{what}.tif") for what in ("actual", "data", "kernel"))
    except OSError as error:
        raise InputError(f"{folder} does not hold the set flowdec: {error}.") from error
    yield from _race("bars, known kernel", data / data.max(), kernel / kernel.sum(), truth)


def cube_lines() -> Iterator[str]:
    """The same for a synthetic volume of 64^3 voxels, with light from beyond it."""
    case = synthetic(FIRST_SEED, "cells", "widefield", CUBE)
    yield from _race("cells 64^3, known kernel", case.blurred, case.kernel, case.sharp)


def _race(name: str, data: np.ndarray, kernel: np.ndarray, truth: np.ndarray) -> Iterator[str]:
    yield f"{name:28} {'steps':>5} {'seconds':>8} {'PSNR':>6}"
    yield f"{'blurred':28} {'':5} {'':8} {_at_best_gain(data, truth):6.2f}"
    for method, solve, counts in _solvers():
        if solve is None:
            yield f"{method}: not installed (pip install RedLionfish), left out"
            continue
        for count in counts:
            clock = time.process_time()
            found = solve(data, kernel, count)
            seconds = time.process_time() - clock
            yield f"{method:28} {count:5} {seconds:8.2f} {_at_best_gain(found, truth):6.2f}"


Solver = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def _solvers() -> Iterator[tuple[str, Solver | None, tuple[int, ...]]]:
    from skimage.restoration import richardson_lucy

    def ours(solver: str) -> Solver:
        return lambda y, k, n: deblur_volume(y, k, device="cpu", settings={"solver": solver, "steps": n}).image

    yield "total variation (ours)", ours("tv"), OURS
    yield "Richardson-Lucy (ours)", ours("richardson-lucy"), OURS
    yield "Wiener (ours)", ours("wiener"), (1,)
    yield (
        "scikit-image",
        lambda y, k, n: richardson_lucy(y, k, num_iter=n, clip=False, filter_epsilon=1e-6),
        THEIRS,
    )
    try:
        from RedLionfishDeconv import doRLDeconvolutionFromNpArrays
    except ImportError:
        yield "RedLionfish", None, ()
        return
    yield (
        "RedLionfish (processor)",
        lambda y, k, n: doRLDeconvolutionFromNpArrays(y, k, niter=n, method="cpu"),
        THEIRS,
    )


def _at_best_gain(found: np.ndarray, truth: np.ndarray) -> float:
    scaled = found * ((found * truth).sum() / (found * found).sum())
    return float(10 * np.log10(truth.max() ** 2 / np.mean((scaled - truth) ** 2)))


def blind_lines(count: int, first_seed: int = FIRST_SEED) -> Iterator[str]:
    """What the blind search gains, as a share of the known kernel's gain, on ``count`` synthetic volumes.

    The ratio of a voxel's sides is always known; of the microscope nothing, its kind, or its kind, aperture,
    immersion, wavelength and the size of voxels.
    """
    heads = " ".join(f"{name:>8} {'share':>6} {'verdict':>11}" for name in KNOWLEDGE)
    yield f"{'blind, synthetic':34} {'blurred':>7} {'known':>6} {heads} {'seconds':>8}"
    shares: list[list[float]] = []
    for number in range(count):
        case = synthetic(first_seed + number, KINDS[number % 3], MICROSCOPES[number // 3 % 2])
        before, best = (
            case.gain(case.blurred),
            case.gain(deblur_volume(case.blurred, case.kernel, **case.arguments).image),
        )
        told, own = [], []
        clock = time.process_time()
        for names in KNOWLEDGE.values():
            settings = {name: case.facts[name] for name in names}
            result = deblur_volume(case.blurred, **case.arguments, settings=settings)
            found = case.gain(result.found)
            own.append((found - before) / (best - before))
            told.append(f"{found:8.2f} {own[-1]:6.0%} {result.verdict.word:>11}")
        shares.append(own)
        seconds = (time.process_time() - clock) / len(KNOWLEDGE)
        yield f"{case.name:34} {before:7.2f} {best:6.2f} {' '.join(told)} {seconds:8.1f}"
    for name, each in zip(KNOWLEDGE, np.transpose(shares), strict=True):
        yield f"known: {name}: mean share {np.mean(each):.0%}, median {np.median(each):.0%}, least {min(each):.0%}"


@dataclass(frozen=True)
class Case:
    """A synthetic volume: what is true, what is seen, and what may be known."""

    name: str
    sharp: np.ndarray
    blurred: np.ndarray
    kernel: np.ndarray
    facts: dict[str, Any]  # settings that tell of the microscope
    arguments: dict[str, Any]

    def gain(self, volume: np.ndarray) -> float:
        """PSNR, dB."""
        return _aligned_psnr(volume, self.sharp)


def synthetic(seed: int, kind: str, microscope_kind: str, shape: tuple[int, int, int] = SHAPE) -> Case:
    """A case of ``kind`` under a random microscope in focus."""
    rng = np.random.default_rng(seed)
    while (microscope := objectives.random_microscope(rng, KERNEL[1])).kind != microscope_kind:
        pass
    step = objectives.random_step_nm(rng, microscope)
    kernel = optics.microscope_psf_3d(shape=KERNEL, step_z_nm=step, **{**vars(microscope), "defocus_um": 0.0})
    across = microscope.pixel_size_nm / 1000
    sharp, blurred = blurred_case(kind, kernel, step / 1000 / across, rng, shape)
    facts = {name: getattr(microscope, name) for name in ("na", "wavelength_nm", "immersion_index")}
    arguments = {"voxel_um": (step / 1000, across, across), "device": "cpu"}
    name = f"{kind}, {microscope.kind}, NA {microscope.na:.2f}"
    return Case(name, sharp, blurred, kernel, {"microscope": microscope.kind, **facts}, arguments)


def blurred_case(
    kind: str, kernel: np.ndarray, step: float, rng: np.random.Generator, shape: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """A sharp volume and it blurred, with photon noise, float32 of ``shape``; light comes from beyond it too."""
    wide = tuple(n + k - 1 for n, k in zip(shape, kernel.shape, strict=True))
    sharp = sharp_volume(kind, wide, step, rng) + 0.02
    inner = tuple(slice(k // 2, k // 2 + n) for n, k in zip(shape, kernel.shape, strict=True))
    blurred = rng.poisson(np.clip(fftconvolve(sharp, kernel, "valid"), 0, None) * PHOTONS) / PHOTONS
    return sharp[inner].astype(np.float32), blurred.astype(np.float32)


def sharp_volume(kind: str, shape: tuple[int, ...], step: float, rng: np.random.Generator) -> np.ndarray:
    """Something to look at through a microscope, float32 of ``shape``, values about [0, 1].

    Parameters
    ----------
    kind : {"cells", "filaments", "beads"}
    step : float
        Height of a voxel over its width.
    """
    z, y, x = np.indices(shape, dtype=np.float32)
    volume = np.zeros(shape, np.float32)
    size = np.prod(shape) * step
    if kind == "cells":
        for _ in range(max(3, int(size / 16_000))):
            centre, radii = rng.uniform(0, 1, 3) * shape, rng.uniform(6, 13, 3)
            turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
            away = np.stack([(z - centre[0]) * step, y - centre[1], x - centre[2]], -1) @ turn
            radius = np.sqrt(((away / radii) ** 2).sum(-1))
            body = np.clip((1 - radius) * radii.mean() + 0.5, 0, 1)
            wall = 0.35 + 0.65 * (np.abs(radius - 0.92) < 0.1)
            volume = np.maximum(volume, rng.uniform(0.4, 1) * body * wall)
        texture = ndimage.gaussian_filter(rng.normal(size=shape), (1.8 / step, 1.5, 1.5))
        volume *= np.clip(1 + 0.25 * texture / texture.std(), 0.1, None)
    elif kind == "filaments":
        for _ in range(max(4, int(size / 9000))):
            place, way = rng.uniform(0, 1, 3) * shape * [step, 1, 1], rng.normal(size=3)
            bright = rng.uniform(0.4, 1)
            for _ in range(int(rng.uniform(40, 140))):
                way = way / np.linalg.norm(way) + 0.12 * rng.normal(size=3)
                place = place + 0.4 * way / np.linalg.norm(way)
                low = np.floor(place / [step, 1, 1]).astype(int)
                for corner in product((0, 1), repeat=3):
                    voxel = low + corner
                    if (voxel >= 0).all() and (voxel < shape).all():
                        volume[tuple(voxel)] += bright * np.prod(1 - np.abs(place / [step, 1, 1] - voxel))
        volume = ndimage.gaussian_filter(np.clip(volume, 0, 2), (0.4 / step, 0.6, 0.6))
    else:
        for _ in range(max(6, int(size / 6000))):
            centre, radius = rng.uniform(0, 1, 3) * shape, rng.uniform(1, 3.5)
            away = np.sqrt(((z - centre[0]) * step) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2)
            volume += rng.uniform(0.3, 1) * np.clip(radius - away + 0.5, 0, 1)
    return (volume / np.quantile(volume[volume > 0.02 * volume.max()], 0.98)).astype(np.float32)


def _aligned_psnr(volume: np.ndarray, truth: np.ndarray) -> float:
    """At the best whole shift of a voxel, the border left out."""
    inner = (slice(CROP, -CROP),) * 3
    errors = [
        np.mean((np.roll(volume, shift, (0, 1, 2))[inner] - truth[inner]) ** 2)
        for shift in product((-1, 0, 1), repeat=3)
    ]
    return float(10 * np.log10(truth.max() ** 2 / min(errors)))


def lines(folder: Path | None, count: int) -> Iterator[str]:
    """All tables: that of bars where the folder of the set is given, the blind one of ``count`` volumes."""
    if folder is not None:
        yield from known_lines(folder)
    yield from cube_lines()
    if count:
        yield from blind_lines(count)
