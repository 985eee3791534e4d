"""The sharp images that denoisers are trained on: scaled photographs, nuclei, simulated microscope scenes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..core.errors import InputError
from .microscope_scenes import microscope_scene
from .photos import photo_files, read_photo

CROP_PX = 96  # side of the training examples
PHOTO_SCALES = (1.0, 0.75, 0.55, 0.4)
NUCLEI_FRACTION = SCENE_FRACTION = 0.125  # of the training examples
N_SCENES, SCENE_PX = 300, 144
LINEAR_FRACTION = 0.3  # of the photographs' examples, decoded to linear light: deconvolution may work there
VALIDATION_PX = 192
MIN_NUCLEI_CONTRAST = 30  # of 255, range of an image of nuclei that is used


@dataclass(frozen=True)
class SharpImages:
    """Sharp images to draw training examples from.

    Attributes
    ----------
    photos, nuclei, scenes : list of uint8 arrays [C, Y, X]
        C is 3 for photographs, else 1. All sides are at least CROP_PX.
    held_out : float32 Tensor [N, 1, VALIDATION_PX, VALIDATION_PX]
        Luminance of crops of the held-out photographs, 0 to 1.
    """

    photos: list[np.ndarray]
    nuclei: list[np.ndarray]
    scenes: list[np.ndarray]
    held_out: Tensor

    def fingerprint(self) -> str:
        """Return the SHA-256 of all training images."""
        digest = hashlib.sha256()
        for image in (*self.photos, *self.nuclei, *self.scenes):
            digest.update(image.tobytes())
        return digest.hexdigest()

    def examples(self, count: int, rng: np.random.Generator) -> Tensor:
        """Draw training examples: float32 ``[count, 1, CROP_PX, CROP_PX]``, 0 to 1."""
        return torch.from_numpy(np.stack([self._example(rng) for _ in range(count)])[:, None])

    def _example(self, rng: np.random.Generator) -> np.ndarray:
        draw = rng.random()
        if draw < NUCLEI_FRACTION and self.nuclei:
            return _crop(self.nuclei, rng)[0].astype(np.float32) / 255
        if draw < NUCLEI_FRACTION + SCENE_FRACTION:
            return _crop(self.scenes, rng)[0].astype(np.float32) / 255
        colours = _crop(self.photos, rng).astype(np.float32) / 255
        if rng.random() < LINEAR_FRACTION:
            colours = colours**2.2
        mix = rng.dirichlet(np.ones(3)).astype(np.float32)
        return np.tensordot(mix, colours, 1)


def _crop(images: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Draw a crop ``[C, CROP_PX, CROP_PX]``: of two random ones the more detailed, turned and mirrored at random."""
    crops = []
    for _ in range(2):
        image = images[rng.integers(len(images))]
        top, left = (rng.integers(side - CROP_PX + 1) for side in image.shape[1:])
        crops.append(image[:, top : top + CROP_PX, left : left + CROP_PX])
    crop = max(crops, key=_detail)
    crop = crop[:, :: rng.choice((-1, 1)), :: rng.choice((-1, 1))]
    return np.ascontiguousarray(crop.transpose(0, 2, 1) if rng.random() < 0.5 else crop)


def _detail(crop: np.ndarray) -> float:
    plane = crop[len(crop) // 2].astype(np.int16)  # of a photograph the green one
    return float(np.abs(np.diff(plane)).mean())


def read_sharp_images(photos: Path, nuclei: Path | None = None, seed: int = 0) -> SharpImages:
    """Read and scale the photographs and nuclei, and simulate the microscope scenes.

    Parameters
    ----------
    photos : Path
        Folder of colour photographs; those named in :data:`.photos.HELD_OUT_PHOTOS` are for validation only.
    nuclei : Path, optional
        An npz file of grey images, uint8 ``[N, Y, X]``, in the arrays whose names begin with ``img``.
    seed : int
        Of the scenes.

    Raises
    ------
    InputError, FileError
        A file or folder is missing or unusable.
    """
    held_out = np.concatenate([_validation_crops(read_photo(path)) for path in photo_files(photos, held_out=True)])
    scaled = [read_photo(path, scale) for path in photo_files(photos, held_out=False) for scale in PHOTO_SCALES]
    scaled = [image for image in scaled if min(image.shape[1:]) >= CROP_PX]
    if not scaled:
        raise InputError(f"All photographs of {photos} are too small; at least {CROP_PX} px a side are needed.")
    rng = np.random.default_rng([seed, 1])
    scenes = [microscope_scene(SCENE_PX, rng)[None] for _ in range(N_SCENES)]
    return SharpImages(scaled, _nuclei(nuclei) if nuclei else [], scenes, torch.from_numpy(held_out)[:, None])


def _validation_crops(photo: np.ndarray) -> np.ndarray:
    """Cut two crops side by side from the middle of a photograph, float32 ``[2, VALIDATION_PX, VALIDATION_PX]``."""
    height, width = photo.shape[1:]
    if height < VALIDATION_PX or width < 2 * VALIDATION_PX:
        raise InputError(
            f"A held-out photograph has {height}x{width} px; at least {VALIDATION_PX}x{2 * VALIDATION_PX} are needed."
        )
    top, left = (height - VALIDATION_PX) // 2, width // 2 - VALIDATION_PX
    grey = photo.mean(0, dtype=np.float32)[top : top + VALIDATION_PX, left : left + 2 * VALIDATION_PX] / 255
    return np.stack(np.split(grey, 2, axis=1))


def _nuclei(path: Path) -> list[np.ndarray]:
    """Read nuclei in full and in half size, each image scaled to its range."""
    try:
        with np.load(path, allow_pickle=False) as content:
            images = [image for key in sorted(content.files) if key.startswith("img") for image in content[key]]
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a readable npz file ({error}).") from error
    prepared = []
    for image in images:
        low, high = np.quantile(image, (0.001, 0.999))
        if image.ndim != 2 or min(image.shape) < 2 * CROP_PX or high - low < MIN_NUCLEI_CONTRAST:
            continue
        full = np.clip((image - low) / (high - low), 0, 1)
        y, x = (side // 2 * 2 for side in full.shape)
        half = full[:y, :x].reshape(y // 2, 2, x // 2, 2).mean((1, 3))
        prepared += [np.rint(255 * plane).astype(np.uint8)[None] for plane in (full, half)]
    if not prepared:
        raise InputError(f"{path} holds no usable images: grey, {2 * CROP_PX} px or more a side, in arrays img*.")
    return prepared
