"""The images and kernels of a study. Images are 8-bit, so that a dark blurred one is not scaled up."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from .. import blur
from ..core.arrays import cpu_generator
from ..core.errors import InputError
from ..training import data
from ..zoo.store import Generator, load_prior
from .study_table import Axis

MAXIMUM = 255


@dataclass(frozen=True)
class Seeds:
    """Of one image. They differ: a search that began at the latents an image was drawn from would be cheating."""

    image: int
    kernel: int
    noise: int
    search: int

    @classmethod
    def of(cls, seed: int, number: int) -> Seeds:
        return cls(*np.random.SeedSequence([seed, number]).generate_state(4).tolist())


@dataclass(frozen=True)
class Images:
    """Sharp images uint8 ``[N, Y, X]`` or ``[N, Y, X, C]``, what they are, and a hash of all there are."""

    images: np.ndarray
    about: str
    sha256: str


def given_images(path: Path, key: str, prior: Generator, count: int) -> Images:
    """The first ``count`` images of a folder, an npz or an npy file, of the prior's size and colours.

    Raises
    ------
    InputError, FileError
        Unreadable, too few, or not of the prior's size.
    """
    card = prior.card
    found = data.read_images(path, size=card.size[0], channels=card.channels, key=key)
    if found.shape[2:] != card.size:
        size = "x".join(map(str, found.shape[2:]))
        raise InputError(f"The images of {path} are {size} px; {card.name} has {card.shape}. Scale or cut them.")
    if len(found) < count:
        raise InputError(f"{path} holds {len(found)} images; --count is {count}.")
    chosen = np.moveaxis(_eight_bit(found[:count], path), 1, -1)
    images = chosen[..., 0] if card.channels == 1 else chosen
    sha256 = hashlib.sha256(np.ascontiguousarray(found).data).hexdigest()
    return Images(np.ascontiguousarray(images), f"of {path.name}{f' ({key})' if key else ''}", sha256)


def sampled_images(name: str, count: int, seed: int) -> Images:
    """What a prior makes of random latents."""
    prior = load_prior(name)
    if prior.card.kind != "image":
        raise InputError(f"{name} is a prior of {prior.card.kind}s; images can be sampled from one of images.")
    drawn = [torch.randn(1, prior.card.latent, generator=cpu_generator(Seeds.of(seed, i).image)) for i in range(count)]
    with torch.no_grad():
        planes = torch.cat([prior.decode(z) for z in drawn]).numpy()
    images = as_image(planes[:, 0] if prior.card.channels == 1 else np.moveaxis(planes, 1, -1))
    return Images(images, f"sampled from {prior.card.name}", prior.card.sha256)


def range_image(prior: Generator, image: np.ndarray, seed: int) -> np.ndarray:
    """The image of the generator's range that is closest."""
    return as_image(prior.project(image[None], seed=seed).images[0])


def as_image(unit: np.ndarray) -> np.ndarray:
    """Floats in [0, 1], cut to it, as uint8."""
    return np.rint(MAXIMUM * np.clip(unit, 0, 1)).astype(np.uint8)


def draw_kernel(varies: Axis, value: float, simulator: str, size: int, seed: int) -> np.ndarray:
    """A kernel ``[size, size]``: of length or sigma ``value`` where that is what varies, else one of the simulator's.

    Equal seeds give equal paths and directions, whatever the length or sigma.
    """
    rng = np.random.default_rng(seed)
    if varies == "length":
        if simulator == "shake":
            return blur.shake(value, rng, size)
        return blur.motion(value, rng.uniform(0, 180), size)
    if varies == "sigma":
        return blur.gaussian(value, rng.uniform(0.4, 1), rng.uniform(0, 180), size)
    return next(data.draw_kernels(simulator, size, seed))


def _eight_bit(array: np.ndarray, path: Path) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return as_image(array / 65535)
    if array.dtype.kind != "f" or not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
        raise InputError(f"The images of {path} must be uint8, uint16, or floats in [0, 1]; got {array.dtype}.")
    return as_image(array)
