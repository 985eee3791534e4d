"""Training data: check and split an array, and draw batches from it. Files are read by :mod:`.image_files`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..core.checks import check_kernel
from ..core.errors import InputError

Kind = Literal["image", "kernel"]
MAX_HELD_OUT = 1000  # images
MIN_IMAGES = 8  # a smaller set cannot train anything


@dataclass(frozen=True)
class Images:
    """Training data: images or kernels, split into a training and a held-out part.

    Attributes
    ----------
    train, held_out : Tensor [N, C, Y, X]
        Images are uint8 (255 stands for 1) or float32 in [0, 1]; kernels are float32, >= 0, sum 1.
    kind : {"image", "kernel"}
    about : str
        Description of the data for the model card.
    turn : bool
        Whether quarter turns and mirror images are as likely as the data themselves.
    """

    train: Tensor
    held_out: Tensor
    kind: Kind
    about: str
    turn: bool = False

    def fingerprint(self) -> str:
        """Return the SHA-256 of the training part; a run resumes on the same data only."""
        return hashlib.sha256(self.train.numpy().tobytes()).hexdigest()


def split(array: np.ndarray, kind: Kind, about: str, *, held_out: float = 0.05, seed: int = 0, turn: bool = False):
    """Check an array and split off a random held-out part.

    Parameters
    ----------
    array : array [N, C, Y, X]
        Images: uint8, uint16 or float in [0, 1]. Kernels: C is 1, >= 0, finite.
    kind : {"image", "kernel"}
    about : str
        Description of the data for the model card.
    held_out : float
        Fraction to hold out, at most :data:`MAX_HELD_OUT` images and at least one.
    seed : int
    turn : bool
        Whether quarter turns and mirror images are as likely as the data themselves.

    Returns
    -------
    Images

    Raises
    ------
    InputError
        The array holds too few images, is not numeric or not finite, lies outside [0, 1], or holds no kernels.
    """
    if array.ndim != 4 or len(array) < MIN_IMAGES or min(array.shape) < 1:
        raise InputError(f"Training needs at least {MIN_IMAGES} images [N, C, Y, X]; got shape {array.shape}.")
    array = _kernels(array) if kind == "kernel" else _unit_range(array)
    order = np.random.default_rng(seed).permutation(len(array))
    count = max(1, min(int(held_out * len(array)), MAX_HELD_OUT))
    held, train = (torch.from_numpy(np.ascontiguousarray(array[np.sort(part)])) for part in np.split(order, [count]))
    return Images(train, held, kind, about, turn)


def _unit_range(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return (array / np.float32(65535)).astype(np.float32)
    if array.dtype.kind != "f":
        raise InputError(f"Training images must be uint8, uint16 or float in [0, 1]; got {array.dtype}.")
    if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
        raise InputError(
            f"Float images must lie in [0, 1] and be finite; got {array.min():.3g} to {array.max():.3g}. "
            "Scale the images to that range."
        )
    return array.astype(np.float32)


def _kernels(array: np.ndarray) -> np.ndarray:
    if array.shape[1] != 1:
        raise InputError(f"Kernels must have one channel; got {array.shape[1]} channels.")
    return np.stack([check_kernel(kernel[0], f"kernel {i}") for i, kernel in enumerate(array)])[:, None]


def batch(
    images: Tensor, indices: Tensor, size: int, random: torch.Generator | None = None, *, mirror: bool = False,
    turn: bool = False, shift_px: int = 0,
) -> Tensor:  # fmt: skip
    """Select images and crop them to the central square, with random augmentation where ``random`` is given.

    Parameters
    ----------
    images : Tensor [N, C, Y, X]
        uint8, or float in [0, 1].
    indices : Tensor [B]
    size : int
        Side of the crop in pixels.
    random : Generator, optional
        Without it nothing is augmented.
    mirror, turn : bool
        Flip left and right; flip and rotate by quarter turns.
    shift_px : int
        Largest shift of the crop. Pixels beyond the image repeat its border.

    Returns
    -------
    float32 Tensor [B, C, size, size] in [0, 1]
    """
    count, height, width = len(indices), *images.shape[-2:]
    rows = (height - size) // 2 + torch.arange(size).expand(count, size)
    columns = (width - size) // 2 + torch.arange(size).expand(count, size)

    def flips() -> Tensor:
        return torch.rand(count, 1, generator=random) < 0.5

    if random is not None:
        if shift_px:
            shifts = torch.randint(-shift_px, shift_px + 1, (2, count, 1), generator=random)
            rows, columns = (rows + shifts[0]).clamp(0, height - 1), (columns + shifts[1]).clamp(0, width - 1)
        if mirror or turn:
            columns = torch.where(flips(), columns.flip(1), columns)
        if turn:
            rows = torch.where(flips(), rows.flip(1), rows)
    planes = torch.arange(images.shape[1])[None, :, None, None]
    selected = images[indices[:, None, None, None], planes, rows[:, None, :, None], columns[:, None, None, :]]
    if turn and random is not None:
        selected = torch.where(flips()[..., None, None], selected.transpose(2, 3), selected)
    return selected.float() / 255 if selected.dtype == torch.uint8 else selected
