"""Make what a camera sees of a sharp scene: the observed image, and the truth behind it.

Nothing here calls the package, so that a fault of its simulation cannot hide a fault of its deblurring.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.signal import fftconvolve

import drawing
from drawing import LINE, SHAKE


@dataclass(frozen=True)
class Scene:
    """Hold an observed image and the truth behind it.

    Parameters
    ----------
    sharp : float array
        The truth under the observed pixels, same shape and scale as ``observed``.
    observed : array
        What the method is given.
    kernel : float array
        The true kernel, or several with leading axes.
    peak : float
        Of the PSNR.
    crop : int
        Border in pixels that the PSNR leaves out: some pixels of it are observed by half only.
    known : dict
        More that the method is told, such as the sides of voxels.
    """

    sharp: np.ndarray
    observed: np.ndarray
    kernel: np.ndarray
    peak: float = 1.0
    crop: int = 6
    known: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """Name a scene and what is done with it.

    Parameters
    ----------
    scene : callable
        Makes the :class:`Scene`.
    run : callable
        Takes the scene, gives the outcome (``cases.py``).
    quick : bool
        Takes some 3 seconds or less; the mutants are run against these.
    tolerance_db : float
        Of the PSNR: more where searches turn the last bits, which differ among platforms, into tenths of a decibel.
    """

    name: str
    scene: Callable[[], Scene]
    run: Callable[[Scene], Any]
    quick: bool = True
    tolerance_db: float = 0.1


def observe(
    wide: np.ndarray, kernel: np.ndarray, noise: float, seed: int = 0, *, periodic: bool = False, clip: bool = False
) -> Scene:
    """Blur a scene and add noise.

    The light from beyond the border of the image is in it: ``wide`` is larger than what is observed by the kernel's
    side less one. Unless ``periodic``: then it goes on at its other side.

    Parameters
    ----------
    wide : array [..., Y, X] or [Y, X, 3]
    kernel : array of odd sides
    noise : float
        Standard deviation of white Gaussian noise.
    clip : bool
        Cut off what leaves [0, 1], as a camera does.
    """
    full = kernel[..., None] if wide.ndim > kernel.ndim else kernel
    if periodic:
        sharp, blurred = wide, ndimage.convolve(wide, full, mode="wrap")
    else:
        inner = tuple(slice(side // 2, length - side // 2) for side, length in zip(full.shape, wide.shape, strict=True))
        sharp, blurred = wide[inner], fftconvolve(wide, full, "valid")
    observed = blurred + noise * np.random.default_rng(seed).standard_normal(blurred.shape)
    if clip:
        sharp, observed = sharp.clip(0, 1), observed.clip(0, 1)
    return Scene(sharp, observed.astype(np.float32), kernel)


def with_defects(scene: Scene) -> Scene:
    """As counts of a camera with an offset: hot and dead pixels, bad lines, a bar burned in, a black margin."""
    sharp, observed = (100 + 3000 * each for each in (scene.sharp, scene.observed))
    counts = np.rint(observed).astype(np.uint16)
    counts[30, 40] = counts[31, 40] = 65535
    counts[12, 70] = counts[55, 21] = 0
    counts[47] += 900
    counts[:, 85] = 4095
    for mark, value in ((np.s_[70:74, 50:80], 4000), (np.s_[:, :9], 0)):
        counts[mark] = value
        sharp[mark] = value
    return replace(scene, sharp=sharp, observed=counts, peak=3000.0)


def in_8_bits(scene: Scene) -> Scene:
    """Store a scene as a camera does: uint8, cut off at 255."""
    observed = np.rint(255 * scene.observed.clip(0, 1)).astype(np.uint8)
    return Scene(255 * scene.sharp, observed, scene.kernel, 255.0, scene.crop, scene.known)


def of_blocks(kernel: np.ndarray, noise: float, seed: int = 0, side: int = 112) -> Scene:
    """Blocks and disks under a kernel, observed [side, side + 8]."""
    margin = len(kernel) - 1
    return observe(drawing.blocks(side + margin, side + 8 + margin, seed), kernel, noise, seed)


def of_lamps(kernel: np.ndarray, side: int = 112) -> Scene:
    """Lamps that a camera cuts off, in 8 bits."""
    margin = len(kernel) - 1
    return in_8_bits(observe(drawing.lamps(side + margin, side + margin, 1), kernel, 0.01, clip=True))


def wide_range() -> Scene:
    """Values from below -300 to 500: the range is read off them."""
    scene = of_blocks(SHAKE, 0.01)
    return replace(scene, sharp=800 * scene.sharp - 320, observed=800 * scene.observed - 320, peak=800.0)


def periodic(sharp: np.ndarray, kernel: np.ndarray, noise: float = 0.01) -> Scene:
    """What pretrained generators are given: an image that goes on at its other side."""
    return replace(observe(sharp, kernel, noise, periodic=True, clip=True), crop=0)


def coded_light() -> Scene:
    """Blur light, then store its sRGB code in 8 bits."""
    light = observe(drawing.blocks(124, 132, 2) ** 2.2, LINE, 0.002)
    code = [
        np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 0.0031308) ** (1 / 2.4) - 0.055).clip(0, 1)
        for x in (light.sharp, light.observed)
    ]
    return in_8_bits(replace(light, sharp=code[0], observed=code[1]))


def planes() -> Scene:
    """Two images under one kernel, [T, Y, X]."""
    made = [of_blocks(SHAKE, 0.01, seed, 80) for seed in (5, 6)]
    stacked = [np.stack(arrays) for arrays in zip(*((each.sharp, each.observed) for each in made), strict=True)]
    return Scene(stacked[0], stacked[1], SHAKE)


def volume(noise: float, tall: float = 1.0) -> Scene:
    """A volume whose voxels are ``tall`` times as high as wide, and the things in it so many planes less high."""
    kernel = drawing.gaussian((5, 9, 9), (1.3 / tall**0.5, 1.6, 1.6))
    wide = drawing.boxes((12 + 4, 32 + 8, 32 + 8), 2)
    return replace(observe(wide, kernel, noise), crop=0, known={"voxel_size_um": (tall, 1.0, 1.0)})


def in_counts(scene: Scene, photons: float, offset: float = 100.0) -> Scene:
    """The scene as a camera counts it: photon noise, read noise of two counts, an offset, 16 bits."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(scene.observed.clip(0) * photons) + rng.normal(offset, 2, scene.observed.shape)
    return replace(scene, sharp=scene.sharp * photons + offset, observed=counts.round().astype(np.uint16), peak=photons)


def changing(side: int, noise: float) -> Scene:
    """An image that moved to the side at its left and up at its right."""
    kernels = np.stack([drawing.motion(9, angle, 13) for angle in (0, 90)])
    sharp = drawing.blocks(side, 2 * side, 3)
    right = np.interp(np.arange(2 * side) + 0.5, [side / 2, 1.5 * side], [0, 1])
    blurred = sum(ndimage.convolve(sharp * w, k) for w, k in zip((1 - right, right), kernels, strict=True))
    observed = blurred + noise * np.random.default_rng(0).standard_normal(sharp.shape)
    return Scene(sharp, observed.astype(np.float32), kernels[None], crop=16)
