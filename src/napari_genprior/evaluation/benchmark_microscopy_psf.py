"""Measure what a wrong PSF costs, and how close blind deconvolution comes to that with the true PSF."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np

from ..pipeline.front_door import deblur, known_kernel
from .benchmark_microscopy_cases import PSF_SHAPES, SHAPES, VOLUMES, Case, Optics, volume
from .benchmark_microscopy_peers import DECONWOLF, RICHARDSON_LUCY, installed
from .benchmark_report import Report, Row, column

WRONG_ON, BLIND_ON = (0, 4), (0, 2, 4, 5)  # places in VOLUMES
TOLD = ("all optics", "voxel ratio")


def wrong_psfs(optics: Optics, shape: tuple[int, int, int]) -> Iterator[tuple[str, np.ndarray]]:
    """Compute the true PSF and five wrong ones, as they come from slightly wrong optics, each of sum 1."""
    true = optics.psf(shape)
    yield "true", true
    yield "na", replace(optics, na=optics.na - 0.1).psf(shape)
    yield "ri", replace(optics, sample_index=1.47, depth_um=5).psf(shape)
    yield "dz", replace(optics, step_z_nm=1.1 * optics.step_z_nm).psf(shape)
    yield "wvl", replace(optics, wavelength_nm=1.12 * optics.wavelength_nm).psf(shape)
    yield "gauss", gaussian_like(true)


def gaussian_like(psf: np.ndarray) -> np.ndarray:
    """Make a Gaussian of sum 1 that has the half widths of ``psf`` along each axis."""
    kernel = np.ones(1)
    centre = tuple(n // 2 for n in psf.shape)
    for axis, side in enumerate(psf.shape):
        profile = psf[(*centre[:axis], slice(centre[axis], None), *centre[axis + 1 :])] / psf[centre]
        below = int(np.argmax(profile < 0.5))  # the first place on the profile below one half
        if below == 0:
            half = float(len(profile))
        else:
            half = below - (0.5 - profile[below]) / (profile[below - 1] - profile[below])
        line = np.exp(-np.log(2) * ((np.arange(side) - centre[axis]) / half) ** 2)
        kernel = np.multiply.outer(kernel, line)
    return (kernel[0] / kernel.sum()).astype(np.float32)


def _volumes(places: tuple[int, ...], size: str, count: int | None) -> Iterator[Case]:
    """Simulate those volumes of the part "known" that stand at ``places``."""
    for place in islice(places, count):
        yield volume(*VOLUMES[place], SHAPES[size], PSF_SHAPES[size], place)


def wrong_psf_lines(size: str, count: int | None = None) -> Report:
    """Deconvolve with PSFs of wrong optics: loss against the true PSF, of the product and of peers at their best."""
    peers = {name: peer for name, peer in installed().items() if name in (RICHARDSON_LUCY, DECONWOLF)}
    heads = " ".join(f"{name:>32} {'loss':>6}" for name in peers)
    yield f"{'simulated volumes, wrong PSF':34} {'ours':>6} {'SSIM':>6} {'loss':>6} {heads}  verdict"
    images = []
    for case in _volumes(WRONG_ON, size, count):
        assert case.optics is not None
        true: dict[str, float] = {}
        for error, psf in wrong_psfs(case.optics, case.psf.shape):
            result = known_kernel(case.data, psf, **case.arguments)
            ours, similarity = case.score(result.image)
            values = {"ours": ours}
            for name, (peer, counts) in peers.items():
                values[name] = max(case.score(image)[0] for _, image in peer(case.above_offset, psf, counts))
            true = true or values
            losses = {f"loss, {name}": true[name] - value for name, value in values.items()}
            cells = " ".join(f"{values[name]:32.2f} {losses[f'loss, {name}']:6.2f}" for name in peers)
            loss, label = losses["loss, ours"], result.verdict.label
            yield f"{f'{case.name}, {error}':34} {ours:6.2f} {similarity:6.3f} {loss:6.2f} {cells}  {label}"
            images.append(
                {"image": case.name, "PSF": error, "SSIM": similarity, "verdict": str(label), **values, **losses}
            )
    rows = []
    wrong = [image for image in images if image["PSF"] != "true"]
    for name in ("ours", *peers):
        losses_of = column(wrong, f"loss, {name}")
        yield f"{name}: mean loss {losses_of.mean():.2f} dB, largest {losses_of.max():.2f} dB"
        metrics = {"mean loss, dB": float(losses_of.mean()), "largest loss, dB": float(losses_of.max())}
        method = "known-kernel" if name == "ours" else name
        rows.append(Row("simulated microscopy, wrong PSF", method, metrics, "wrong PSF", images=images))
    return rows


def blind_lines(size: str, count: int | None = None) -> Report:
    """Deblur volumes blind: share of the gain with the true PSF, and distance of the kernel from it.

    Given are all optics, or the ratio of a voxel's sides alone. The distance is the sum of absolute differences inside
    the smaller of the two kernels, each of sum 1 there (0 equal, 2 disjoint).
    """
    yield (
        f"{'simulated volumes, blind':34} {'given':12} {'input':>6} {'known':>6} {'blind':>6} {'share':>6} "
        f"{'distance':>8} {'CPU s':>6}  verdict"
    )
    images = []
    for case in _volumes(BLIND_ON, size, count):
        before = case.score(case.data)[0]
        known = case.score(known_kernel(case.data, case.psf, **case.arguments).found)[0]
        for told in TOLD:
            clock = time.process_time()
            result = deblur(case.data, **_told(case, told))
            seconds = time.process_time() - clock
            found, label = case.score(result.found)[0], result.verdict.label
            share, distance = (found - before) / (known - before), kernel_distance(result.kernel, case.psf)
            yield (
                f"{case.name:34} {told:12} {before:6.2f} {known:6.2f} {found:6.2f} {share:6.0%} {distance:8.3f} "
                f"{seconds:6.0f}  {label}"
            )
            images.append(
                {"image": case.name, "given": told, "input": before, "known": known, "blind": found, "share": share,
                 "distance": distance, "CPU s": seconds, "verdict": str(label)}
            )  # fmt: skip
    rows = []
    for told in TOLD:
        part = [image for image in images if image["given"] == told]
        shares = column(part, "share")
        yield f"given {told}: mean share {shares.mean():.0%}, least {shares.min():.0%}"
        metrics = {
            "mean share of known-PSF gain, %": 100 * float(shares.mean()),
            "least share of known-PSF gain, %": 100 * float(shares.min()),
            "mean distance of the kernel": float(column(part, "distance").mean()),
        }
        rows.append(Row("simulated microscopy, blind", "deblur", metrics, told, images=part))
    return rows


def _told(case: Case, told: str) -> dict:
    """Return the arguments of ``deblur`` that say what is known of the microscope."""
    assert case.optics is not None
    if told == "voxel ratio":
        return {"mode": "3d", "voxel_size_um": (case.optics.anisotropy, 1.0, 1.0)}
    names = ("na", "wavelength_nm", "immersion_index")
    kind = "confocal" if case.optics.squared else "widefield"
    return {**case.arguments, "settings": {"microscope": kind, **{name: getattr(case.optics, name) for name in names}}}


def kernel_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Sum the absolute differences of two kernels inside the smaller one, each of sum 1 there."""
    shape = tuple(map(min, first.shape, second.shape))
    parts = [_middle(kernel, shape) for kernel in (first, second)]
    return float(np.abs(parts[0] / parts[0].sum() - parts[1] / parts[1].sum()).sum())


def _middle(kernel: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Crop a kernel to ``shape`` about its centre."""
    starts = [k // 2 - n // 2 for k, n in zip(kernel.shape, shape, strict=True)]
    return kernel[tuple(slice(start, start + n) for start, n in zip(starts, shape, strict=True))]
