"""Simulate volumes under random microscopes, whose true volume is known."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.signal import fftconvolve

from ..blur import microscope as optics
from ..blur import random_microscope as objectives

KINDS = ("cells", "filaments", "beads")
MICROSCOPES = ("widefield", "confocal")
SHAPE, CUBE = (24, 64, 64), (64, 64, 64)
KERNEL = (17, 33, 33)
PHOTONS = 300  # at intensity 1
CROP_VOXELS = 3


@dataclass(frozen=True)
class Case:
    """A simulated volume, sharp and blurred, its kernel, and the settings that describe its microscope."""

    name: str
    sharp: np.ndarray
    blurred: np.ndarray
    kernel: np.ndarray
    optics: dict[str, Any]  # settings that describe the microscope
    arguments: dict[str, Any]

    def psnr(self, volume: np.ndarray) -> float:
        """Compute the PSNR in dB, at the best shift of up to a voxel, without the border."""
        return _aligned_psnr(volume, self.sharp)


def synthetic(seed: int, kind: str, microscope_kind: str, shape: tuple[int, int, int] = SHAPE) -> Case:
    """Simulate a volume of ``kind`` (see :data:`KINDS`) under a random microscope in focus."""
    rng = np.random.default_rng(seed)
    while (microscope := objectives.random_microscope(rng, KERNEL[1])).kind != microscope_kind:
        pass
    step = objectives.random_step_nm(rng, microscope)
    kernel = optics.microscope_psf_3d(shape=KERNEL, step_z_nm=step, **{**vars(microscope), "defocus_um": 0.0})
    pixel_um = microscope.pixel_size_nm / 1000
    sharp, blurred = blurred_case(kind, kernel, step / 1000 / pixel_um, rng, shape)
    known = {name: getattr(microscope, name) for name in ("na", "wavelength_nm", "immersion_index")}
    arguments = {"voxel_size_um": (step / 1000, pixel_um, pixel_um), "device": "cpu"}
    name = f"{kind}, {microscope.kind}, NA {microscope.na:.2f}"
    return Case(name, sharp, blurred, kernel, {"microscope": microscope.kind, **known}, arguments)


def blurred_case(
    kind: str, kernel: np.ndarray, step: float, rng: np.random.Generator, shape: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Simulate a sharp volume and its blurred image with photon noise, float32 of ``shape``.

    Light from outside the volume contributes to the image. ``step`` is the height of a voxel over its width.
    """
    padded = tuple(n + k - 1 for n, k in zip(shape, kernel.shape, strict=True))
    sharp = sharp_volume(kind, padded, step, rng) + 0.02
    inner = tuple(slice(k // 2, k // 2 + n) for n, k in zip(shape, kernel.shape, strict=True))
    blurred = rng.poisson(np.clip(fftconvolve(sharp, kernel, "valid"), 0, None) * PHOTONS) / PHOTONS
    return sharp[inner].astype(np.float32), blurred.astype(np.float32)


def sharp_volume(kind: str, shape: tuple[int, ...], step: float, rng: np.random.Generator) -> np.ndarray:
    """Draw a sharp volume of microscopic structures, float32 of ``shape``, values about [0, 1].

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
            rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
            offset = np.stack([(z - centre[0]) * step, y - centre[1], x - centre[2]], -1) @ rotation
            radius = np.sqrt(((offset / radii) ** 2).sum(-1))
            body = np.clip((1 - radius) * radii.mean() + 0.5, 0, 1)
            wall = 0.35 + 0.65 * (np.abs(radius - 0.92) < 0.1)
            volume = np.maximum(volume, rng.uniform(0.4, 1) * body * wall)
        texture = ndimage.gaussian_filter(rng.normal(size=shape), (1.8 / step, 1.5, 1.5))
        volume *= np.clip(1 + 0.25 * texture / texture.std(), 0.1, None)
    elif kind == "filaments":
        for _ in range(max(4, int(size / 9000))):
            position, direction = rng.uniform(0, 1, 3) * shape * [step, 1, 1], rng.normal(size=3)
            intensity = rng.uniform(0.4, 1)
            for _ in range(int(rng.uniform(40, 140))):
                direction = direction / np.linalg.norm(direction) + 0.12 * rng.normal(size=3)
                position = position + 0.4 * direction / np.linalg.norm(direction)
                low = np.floor(position / [step, 1, 1]).astype(int)
                for corner in product((0, 1), repeat=3):
                    voxel = low + corner
                    if (voxel >= 0).all() and (voxel < shape).all():
                        volume[tuple(voxel)] += intensity * np.prod(1 - np.abs(position / [step, 1, 1] - voxel))
        volume = ndimage.gaussian_filter(np.clip(volume, 0, 2), (0.4 / step, 0.6, 0.6))
    else:
        for _ in range(max(6, int(size / 6000))):
            centre, radius = rng.uniform(0, 1, 3) * shape, rng.uniform(1, 3.5)
            offset = np.sqrt(((z - centre[0]) * step) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2)
            volume += rng.uniform(0.3, 1) * np.clip(radius - offset + 0.5, 0, 1)
    return (volume / np.quantile(volume[volume > 0.02 * volume.max()], 0.98)).astype(np.float32)


def _aligned_psnr(volume: np.ndarray, truth: np.ndarray) -> float:
    """Compute the PSNR in dB at the best shift by at most one voxel, without the border."""
    inner = (slice(CROP_VOXELS, -CROP_VOXELS),) * 3
    errors = [
        np.mean((np.roll(volume, shift, (0, 1, 2))[inner] - truth[inner]) ** 2)
        for shift in product((-1, 0, 1), repeat=3)
    ]
    return float(10 * np.log10(truth.max() ** 2 / min(errors)))
