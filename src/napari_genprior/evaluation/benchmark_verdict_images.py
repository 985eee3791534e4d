"""Draw true images for the calibration of the verdict, from training sets and from scikit-image."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import skimage.data
from skimage.transform import resize

from ..training.data import split
from ..training.image_files import read_images
from .benchmark_files import read_arrays

LARGE = ("astronaut", "brick", "camera", "chelsea", "coffee", "gravel", "rocket")  # names in skimage.data

Draw = np.random.Generator


class Sets:
    """Images by subject, read on first use; for the training sets of shipped priors, their held-out part."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def photograph(self) -> np.ndarray:
        return read_arrays(self.folder / "bsd400" / "bsd400.npz", "train")[0]

    @cached_property
    def nuclei(self) -> np.ndarray:
        return read_arrays(self.folder / "nuclei_dsb2018" / "nuclei_dsb2018.npz", "img_256x256")[0]

    @cached_property
    def digits(self) -> np.ndarray:
        images = read_arrays(self.folder / "mnist" / "mnist.npz", "x_train")[0]
        return split(images[:, None], "image", "digits").held_out.numpy()[:, 0]

    @cached_property
    def large_photograph(self) -> list[np.ndarray]:
        return [getattr(skimage.data, name)() for name in LARGE]

    @cached_property
    def face(self) -> np.ndarray:
        array = read_images(self.folder / "faces64" / "faces64_celeba.npz")
        return np.moveaxis(split(array, "image", "faces").held_out.numpy(), 1, -1)

    def draw(self, subject: str, side: int, rng: Draw) -> tuple[str, np.ndarray]:
        """Draw a textured part of an image; return its name and float64 ``[side, side]`` or ``[64, 64, 3]``."""
        source = getattr(self, "nuclei" if subject == "nuclei tile" else subject.replace(" ", "_"))
        while True:
            number = int(rng.integers(len(source)))
            image = source[number] / 255
            if subject == "face":  # frame faces as in the training of the prior, with the eyes at row 33
                image = np.concatenate([resize(image[:24], (33, 64)), image[24:55]])
            top, left = (int(rng.integers(n - min(side, n) + 1)) for n in image.shape[:2])
            part = image[top : top + side, left : left + side]
            if part.std() > 0.03:
                break
        if subject.startswith("nuclei"):  # many are dim: scale them to the full range, as in the training of the prior
            part = (part - part.min()) / (part.max() - part.min())
        return f"{subject} {number}", part
