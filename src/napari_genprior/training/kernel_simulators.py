"""Simulate random kernels as training data: camera shake, motion, Gaussians, defocus, microscopes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import blur
from ..core.errors import InputError


def _shake(rng: np.random.Generator, size: int) -> np.ndarray:
    return blur.shake(rng.uniform(min(5, size), size), rng, size)


def _straight(rng: np.random.Generator, size: int) -> np.ndarray:
    return blur.motion(rng.uniform(1, size), rng.uniform(0, 180), size)


def _gaussian(rng: np.random.Generator, size: int) -> np.ndarray:
    return blur.gaussian(rng.uniform(0.5, size / 7), rng.uniform(0.4, 1), rng.uniform(0, 180), size)


def _microscope(rng: np.random.Generator, size: int) -> np.ndarray:
    return blur.microscope.microscope_psf(size=size, **vars(blur.random_microscope.random_microscope(rng, size)))


def _defocus(rng: np.random.Generator, size: int) -> np.ndarray:
    return blur.defocus(rng.uniform(0.5, 0.45 * size), size)


SIMULATED = {
    "shake": (_shake, "camera shake, path length 5 px to the kernel's side (Asim 2020: 5 to 28)"),
    "blur-a": (lambda rng, size: blur.asim_a(rng.uniform(0, 360), size), "motion of length 10 (blur A of Asim 2018)"),
    "blur-b": (
        lambda rng, size: blur.asim_b(rng.uniform(0, 360), rng.uniform(0.5, 1.5), size),
        "motion of length 10 overlaid with a Gaussian, sigma 0.5 to 1.5 px (blur B of Asim 2018)",
    ),
    "motion-linear": (_straight, "straight motion of any length up to the kernel's side, any angle"),
    "gaussian": (_gaussian, "Gaussians, sigma 0.5 px to a seventh of the side, aspect 0.4 to 1, any angle"),
    "defocus": (_defocus, "defocus disks, radius 0.5 px to 0.45 of the side"),
    "microscope": (
        _microscope,
        "widefield and confocal microscopes, NA 0.3 to 1.45, 450 to 700 nm, pixels of 50 to 400 nm, index mismatch, "
        "defocus within 3 depths of field",
    ),
}
DEFAULT_SIZE_PX = {"microscope": 33}  # of the other simulators: 28


def draw_kernels(simulator: str, size: int, seed: int) -> Iterator[np.ndarray]:
    """Draw random kernels without end; equal seeds give equal kernels.

    Parameters
    ----------
    simulator : str
        A key of :data:`SIMULATED`.
    size : int
        Side in pixels.
    seed : int

    Yields
    ------
    float32 array [size, size], >= 0, sum 1

    Raises
    ------
    InputError
        There is no such simulator.
    """
    if simulator not in SIMULATED:
        raise InputError(f"Unknown kernel simulator {simulator!r}; there are: {', '.join(SIMULATED)}.")
    rng = np.random.default_rng(seed)
    while True:
        yield SIMULATED[simulator][0](rng, size)
