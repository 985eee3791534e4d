"""Provide the images and kernels of a study. Images are 8-bit, so that dark blurred images are not scaled up."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from .. import blur
from ..core.arrays import cpu_generator
from ..core.errors import InputError
from ..training import image_files, kernel_simulators
from ..zoo.store import Generator, load_prior
from .study_table import Axis

MAXIMUM = 255


@dataclass(frozen=True)
class Seeds:
    """Seeds of one image. They differ, so that no search starts at the latents from which its image was sampled."""

    image: int
    kernel: int
    noise: int
    search: int

    @classmethod
    def of(cls, seed: int, number: int) -> Seeds:
        return cls(*np.random.SeedSequence([seed, number]).generate_state(4).tolist())


@dataclass(frozen=True)
class Images:
    """Sharp images uint8 ``[N, Y, X]`` or ``[N, Y, X, C]``, their description, and a hash of the whole data set."""

    images: np.ndarray
    about: str
    sha256: str


def given_images(path: Path, key: str, prior: Generator, count: int) -> Images:
    """Read the first ``count`` images of a folder, an npz or an npy file, in the prior's size and colours.

    Raises
    ------
    InputError, FileError
        The images cannot be read, are too few, or differ from the prior's images in size.
    """
    card = prior.card
    array = image_files.read_images(path, size=card.size[0], channels=card.channels, key=key)
    if array.shape[2:] != card.size:
        size = "x".join(map(str, array.shape[2:]))
        raise InputError(
            f"The images of {path} have {size} px; {card.name} has images of {card.shape}. Scale or crop them."
        )
    if len(array) < count:
        raise InputError(f"{path} holds {len(array)} images; --count is {count}. Give a smaller --count.")
    selected = np.moveaxis(_eight_bit(array[:count], path), 1, -1)
    images = selected[..., 0] if card.channels == 1 else selected
    sha256 = hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
    return Images(np.ascontiguousarray(images), f"of {path.name}{f' ({key})' if key else ''}", sha256)


def sampled_images(name: str, count: int, seed: int) -> Images:
    """Decode ``count`` random latents of a prior.

    Raises
    ------
    InputError
        The prior is not one of images.
    """
    prior = load_prior(name)
    if prior.card.kind != "image":
        raise InputError(f"{name} is a prior of {prior.card.kind}s; give an image prior to sample images from.")
    latents = [
        torch.randn(1, prior.card.latent, generator=cpu_generator(Seeds.of(seed, i).image)) for i in range(count)
    ]
    with torch.no_grad():
        planes = torch.cat([prior.decode(z) for z in latents]).numpy()
    images = as_image(planes[:, 0] if prior.card.channels == 1 else np.moveaxis(planes, 1, -1))
    return Images(images, f"sampled from {prior.card.name}", prior.card.sha256)


def range_image(prior: Generator, image: np.ndarray, seed: int) -> np.ndarray:
    """Project an image uint8 onto the generator's range: return the closest image, uint8."""
    return as_image(prior.project(image[None], seed=seed).images[0])


def as_image(unit: np.ndarray) -> np.ndarray:
    """Clip floats to [0, 1] and convert them to uint8."""
    return np.rint(MAXIMUM * np.clip(unit, 0, 1)).astype(np.uint8)


def draw_kernel(varies: Axis, value: float, simulator: str, size: int, seed: int) -> np.ndarray:
    """Draw a kernel float32 ``[size, size]``, >= 0, sum 1.

    Where the study varies length or sigma, ``value`` sets it (in pixels), and equal seeds give equal paths and
    directions for all values. Else the kernel is one of the simulator ``simulator``.
    """
    rng = np.random.default_rng(seed)
    if varies == "length":
        if simulator == "shake":
            return blur.shake(value, rng, size)
        return blur.motion(value, rng.uniform(0, 180), size)
    if varies == "sigma":
        return blur.gaussian(value, rng.uniform(0.4, 1), rng.uniform(0, 180), size)
    return next(kernel_simulators.draw_kernels(simulator, size, seed))


def _eight_bit(array: np.ndarray, path: Path) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return as_image(array / 65535)
    if array.dtype.kind != "f" or not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
        raise InputError(f"The images of {path} must be uint8, uint16, or finite floats in [0, 1]; got {array.dtype}.")
    return as_image(array)
