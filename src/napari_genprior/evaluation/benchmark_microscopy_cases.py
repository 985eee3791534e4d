"""Simulate images of fluorescence microscopes as cameras record them: photon noise, read noise, and a known offset.

Unlike :mod:`.benchmark_volume_cases`, the optics are given, the data are 16-bit counts above an offset, and results are
scored at the best gain and offset, because programs scale their results differently.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve
from skimage.metrics import structural_similarity

from ..blur.microscope import microscope_psf, microscope_psf_3d
from ..core.errors import InputError

OFFSET, READ_NOISE_STD = 100, 2.0  # counts
SHAPES = {"full": (36, 112, 112), "small": (24, 64, 64)}
PSF_SHAPES = {"full": (21, 49, 49), "small": (13, 25, 25)}
BARS_BORDER = 4  # voxels: the file of its PSF is as large as the volume, and dark outside
BIG_SHAPE, BIG_PSF_SHAPE = (64, 256, 256), (25, 65, 65)
VOLUMES = (
    ("wf14", "cells", 1000), ("wf14", "cells", 100), ("wf08", "cells", 1000), ("wf08", "filaments", 100),
    ("cf14", "filaments", 1000), ("cf14", "cells", 100), ("wf14", "beads", 1000),
)  # fmt: skip
PLANE_SIDE, PLANE_PSF_SIDE = 256, 49
NUCLEUS_PX, TEXTURE_PX = 10, 2  # standard deviations of the noise whose high parts are nuclei, and of their texture
NUCLEUS_LEVEL = 1.7  # in standard deviations of that noise
FILAMENT_INTENSITY = 2.0  # beside nuclei of intensity about 1
THIN_EDGES_PX = 1.0  # standard deviation by which objects in one plane are smooth


@dataclass(frozen=True)
class Optics:
    """A microscope and its voxels; ``squared`` stands for a confocal one with a point as pinhole."""

    na: float
    immersion_index: float
    sample_index: float
    wavelength_nm: float
    pixel_size_nm: float
    step_z_nm: float
    squared: bool = False
    depth_um: float = 0.0

    @property
    def voxel_size_um(self) -> tuple[float, float, float]:
        """Sides of a voxel along z, y and x in um."""
        return self.step_z_nm / 1000, self.pixel_size_nm / 1000, self.pixel_size_nm / 1000

    @property
    def anisotropy(self) -> float:
        """Height of a voxel over its width."""
        return self.step_z_nm / self.pixel_size_nm

    def psf(self, shape: tuple[int, int, int]) -> np.ndarray:
        """Compute the point spread function, float32 of ``shape``, sum 1."""
        return self._normalized(microscope_psf_3d(shape=shape, step_z_nm=self.step_z_nm, **self._parameters()))

    def psf_in_focus(self, side: int) -> np.ndarray:
        """Compute the point spread function in the plane of focus, float32 ``[side, side]``, sum 1."""
        return self._normalized(microscope_psf(size=side, **self._parameters()))

    def _parameters(self) -> dict[str, Any]:
        names = ("na", "immersion_index", "sample_index", "wavelength_nm", "pixel_size_nm", "depth_um")
        return {name: getattr(self, name) for name in names}

    def _normalized(self, psf: np.ndarray) -> np.ndarray:
        light = psf.astype(np.float64) ** (2 if self.squared else 1)
        return (light / light.sum()).astype(np.float32)


OIL = Optics(1.4, 1.515, 1.515, 520, 65, 200)
AIR = Optics(0.8, 1.0, 1.33, 650, 162, 500)
OPTICS = {"wf14": OIL, "wf08": AIR, "cf14": replace(OIL, squared=True)}


@dataclass(frozen=True)
class Case:
    """An image of known truth: counts ``data``, noise-free sharp ``truth`` of the same shape, and PSF of sum 1."""

    name: str
    truth: np.ndarray
    data: np.ndarray
    psf: np.ndarray
    optics: Optics | None = None  # None: not simulated here
    offset: float = OFFSET
    border: int | None = None  # pixels that scores leave out; None: half a PSF, at most a third of a side

    @property
    def _borders(self) -> list[int]:
        if self.border is not None:
            return [self.border] * self.data.ndim
        return [min(k // 2, n // 3) for n, k in zip(self.data.shape, self.psf.shape, strict=True)]

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of ``known_kernel`` and ``deblur`` that say what the axes mean."""
        if self.data.ndim == 2:
            return {}
        return {"mode": "3d", "voxel_size_um": self.optics.voxel_size_um if self.optics else None}

    @property
    def above_offset(self) -> np.ndarray:
        """The data less the offset, float32 >= 0, as users of other programs prepare them."""
        return (self.data.astype(np.float32) - self.offset).clip(0)

    def score(self, image: np.ndarray) -> tuple[float, float]:
        """Compute PSNR (dB) and SSIM at the best gain and offset, without the border."""
        inner = tuple(slice(border, n - border) for n, border in zip(self.data.shape, self._borders, strict=True))
        truth, image = self.truth.astype(np.float64), np.asarray(image, np.float64)
        spread = image[inner].std()
        centred = (image - image[inner].mean()) / (spread or 1.0)
        gain = np.mean(centred[inner] * truth[inner])
        fitted = gain * centred + truth[inner].mean()
        peak = np.ptp(truth[inner])
        error = np.mean((fitted[inner] - truth[inner]) ** 2)
        _, similarity = structural_similarity(
            fitted, truth, data_range=peak, gaussian_weights=True, use_sample_covariance=False, full=True
        )
        return float(10 * np.log10(peak**2 / error)), float(similarity[inner].mean())


def volumes(size: str, folder: Path | None) -> Iterator[Case]:
    """Simulate the volumes one by one: seven small ones, flowdec's bars if ``folder`` is given, and a large one.

    Parameters
    ----------
    size : {"full", "small"}
        "small": lower volumes and PSFs, without the large volume.
    folder : Path, optional
        Folder that holds ``bars_*.tif`` of flowdec.
    """
    for number, (name, kind, photons) in enumerate(VOLUMES):
        yield volume(name, kind, photons, SHAPES[size], PSF_SHAPES[size], number)
    if folder is not None:
        yield bars(folder)
    if size == "full":
        yield volume("wf14", "cells", 1000, BIG_SHAPE, BIG_PSF_SHAPE, len(VOLUMES), "big_")


def volume(
    optics_name: str, kind: str, photons: float, shape: tuple[int, ...], psf_shape: tuple[int, ...], seed: int,
    prefix: str = "",
) -> Case:  # fmt: skip
    """Simulate a volume of ``kind`` whose brightest voxel has ``photons``; light from outside it contributes."""
    rng, optics = np.random.default_rng(seed), OPTICS[optics_name]
    psf = true_psf(optics, psf_shape)
    sharp = scene(kind, padded_shape(shape, psf.shape), optics.anisotropy, rng)
    truth, data = record(sharp, psf, photons, rng)
    return Case(f"{prefix}{optics_name}_{kind}_{photons}", truth, data, psf, optics)


@cache
def true_psf(optics: Optics, shape: tuple[int, int, int]) -> np.ndarray:
    """Compute a PSF once; it must not be changed."""
    return optics.psf(shape)


def bars(folder: Path) -> Case:
    """Read flowdec's reduction of DeconvolutionLab's volume, which has no offset."""
    import tifffile

    try:
        truth, data, psf = (tifffile.imread(folder / f"bars_{what}.tif") for what in ("actual", "data", "kernel"))
    except OSError as error:
        raise InputError(f"{folder} does not hold the set flowdec: {error}.") from error
    return Case("bars", truth, data, psf / psf.sum(), offset=0, border=BARS_BORDER)


def textured_blobs() -> Case:
    """Simulate 24x96x96 voxels of textured blobs at 500 photons, wide-field, NA 1.4: a case of weak signal in haze."""
    rng, psf, shape = np.random.default_rng(0), true_psf(OIL, PSF_SHAPES["full"]), (24, 96, 96)
    full = padded_shape(shape, psf.shape)
    blobs = gaussian_filter(rng.standard_normal(full), (4, 10, 10))
    texture = gaussian_filter(rng.standard_normal(full), (1, 3, 3))
    sharp = np.where(blobs > blobs.std(), 1 + 0.5 * texture / texture.std(), 0).clip(0)
    truth, data = record(gaussian_filter(sharp, 0.8), psf, 500, rng)
    return Case("textured_blobs_500", truth, data, psf, OIL)


def thin_objects() -> Iterator[Case]:
    """Simulate images of thin objects in focus, with the in-focus PSF: oil and air objective, 1000 and 100 photons."""
    for seed, ((name, optics), photons) in enumerate(product({"oil": OIL, "air": AIR}.items(), (1000, 100))):
        rng = np.random.default_rng(seed)
        psf = optics.psf_in_focus(PLANE_PSF_SIDE)
        full = padded_shape((PLANE_SIDE, PLANE_SIDE), psf.shape)
        sharp = gaussian_filter(scene("cells", (1, *full), 1.0, rng)[0], THIN_EDGES_PX)
        truth, data = record(sharp, psf, photons, rng)
        yield Case(f"thin_{name}_{photons}", truth, data, psf, optics)


def padded_shape(shape: tuple[int, ...], psf_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the scene whose light reaches an image of ``shape``."""
    return tuple(n + k - 1 for n, k in zip(shape, psf_shape, strict=True))


def record(
    sharp: np.ndarray, psf: np.ndarray, photons: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Blur a scene, and record it: photon noise, read noise and offset.

    Returns
    -------
    truth : float32 array
        The part of the scene that the image shows, in photons.
    data : uint16 array
        Counts, of the same shape.
    """
    light = fftconvolve(sharp, psf, "valid").clip(0)
    gain = photons / light.max()
    inner = tuple(slice(k // 2, k // 2 + n) for n, k in zip(light.shape, psf.shape, strict=True))
    return (sharp[inner] * gain).astype(np.float32), camera(light * gain, rng)


def camera(photons: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn expected photons into counts, uint16: Poisson noise, read noise, offset."""
    counts = rng.poisson(photons) + rng.normal(0, READ_NOISE_STD, photons.shape) + OFFSET
    return counts.round().clip(0, 65535).astype(np.uint16)


def scene(kind: str, shape: tuple[int, ...], anisotropy: float, rng: np.random.Generator) -> np.ndarray:
    """Draw a sharp volume ``[Z, Y, X]``, float64 >= 0: nuclei with texture and filaments, filaments, or beads.

    Parameters
    ----------
    kind : {"cells", "filaments", "beads"}
    anisotropy : float
        Height of a voxel over its width.
    """
    if kind == "beads":
        return _beads(shape, anisotropy, rng)
    lines = gaussian_filter(_filaments(shape, anisotropy, rng), (0.4 / anisotropy, 0.6, 0.6))
    if kind == "filaments":
        return lines
    widths = np.array([1 / anisotropy, 1, 1])
    noise, texture = (gaussian_filter(rng.standard_normal(shape), std * widths) for std in (NUCLEUS_PX, TEXTURE_PX))
    nuclei = np.where(noise > NUCLEUS_LEVEL * noise.std(), 1 + 0.4 * texture / texture.std(), 0).clip(0)
    return gaussian_filter(nuclei, 0.8 * widths) + FILAMENT_INTENSITY * lines


def _filaments(shape: tuple[int, ...], anisotropy: float, rng: np.random.Generator) -> np.ndarray:
    """Draw random walks whose direction changes slowly, each with its own intensity."""
    sides = np.array(shape) * [anisotropy, 1, 1]
    count, steps = max(6, int(np.prod(sides) / 30_000)), 160
    turns = np.cumsum(0.12 * rng.normal(size=(count, steps, 3)), 1) + rng.normal(size=(count, 1, 3))
    turns[..., 0] *= shape[0] > 1  # filaments of a plane stay in it
    directions = turns / np.linalg.norm(turns, axis=-1, keepdims=True)
    places = rng.uniform(0, 1, (count, 1, 3)) * sides + np.cumsum(0.4 * directions, 1)
    return _deposit(shape, places / [anisotropy, 1, 1], np.repeat(rng.uniform(0.4, 1, count), steps))


def _beads(shape: tuple[int, ...], anisotropy: float, rng: np.random.Generator) -> np.ndarray:
    """Draw balls of 1 to 3 pixels radius with soft edges."""
    sharp = np.zeros(shape)
    for _ in range(max(6, int(np.prod(shape) * anisotropy / 40_000))):
        centre, radius, intensity = rng.uniform(0, 1, 3) * shape, rng.uniform(1, 3), rng.uniform(0.3, 1)
        reach = np.ceil([(radius + 1) / anisotropy, radius + 1, radius + 1])
        low, high = (centre - reach).astype(int).clip(0), (centre + reach + 1).astype(int)
        part = tuple(map(slice, low, high))
        offsets = np.indices(sharp[part].shape) + (low - centre).reshape(3, 1, 1, 1)
        distance = np.sqrt((offsets[0] * anisotropy) ** 2 + offsets[1] ** 2 + offsets[2] ** 2)
        sharp[part] += intensity * np.clip(radius - distance + 0.5, 0, 1)
    return sharp


def _deposit(shape: tuple[int, ...], places: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Add values at fractional places ``[..., 3]`` (voxels), each shared by the eight voxels around it."""
    places = places.reshape(-1, 3)
    low, sharp = np.floor(places).astype(int), np.zeros(shape)
    for corner in product((0, 1), repeat=3):
        voxels = low + corner
        inside = ((voxels >= 0) & (voxels < shape)).all(1)
        weights = np.prod(1 - np.abs(places - voxels), 1)
        np.add.at(sharp, tuple(voxels[inside].T), (values * weights)[inside])
    return sharp
