"""What generators are trained on: a folder of images, an npz or npy file, an array, or simulated kernels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from .. import blur
from ..core.arrays import check_kernel
from ..core.errors import FileError, InputError
from ..core.image_io import READABLE, read_image

Kind = Literal["image", "kernel"]
KEYS = ("x", "train", "x_train")  # of a plain array in an npz file, tried in this order
MOST_HELD_OUT = 1000
FEWEST = 8  # images; with fewer nothing is learnt


@dataclass(frozen=True)
class Images:
    """Training data.

    Attributes
    ----------
    train, held_out : Tensor [N, C, Y, X]
        uint8 (255 stands for 1) or float32 in [0, 1]; kernels are float32, >= 0, sum 1.
    kind : {"image", "kernel"}
    about : str
        What they are, for the model card.
    turn : bool
        Quarter turns and mirror images are as likely as the data themselves.
    """

    train: Tensor
    held_out: Tensor
    kind: Kind
    about: str
    turn: bool = False

    def fingerprint(self) -> str:
        """SHA-256 of the training part: a run resumes on its own data only."""
        return hashlib.sha256(self.train.numpy().tobytes()).hexdigest()


def split(array: np.ndarray, kind: Kind, about: str, *, held_out: float = 0.05, seed: int = 0, turn: bool = False):
    """Check an array ``[N, C, Y, X]`` and set a random part of it aside.

    Raises
    ------
    InputError
        Too few, not numeric, not finite, images outside [0, 1], or not kernels.
    """
    if array.ndim != 4 or len(array) < FEWEST or min(array.shape) < 1:
        raise InputError(f"Training needs at least {FEWEST} images [N, C, Y, X]; got shape {array.shape}.")
    array = _kernels(array) if kind == "kernel" else _unit_range(array)
    order = np.random.default_rng(seed).permutation(len(array))
    aside = max(1, min(int(held_out * len(array)), MOST_HELD_OUT))
    held, train = (torch.from_numpy(np.ascontiguousarray(array[np.sort(part)])) for part in np.split(order, [aside]))
    return Images(train, held, kind, about, turn)


def _unit_range(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return (array / np.float32(65535)).astype(np.float32)
    if array.dtype.kind != "f":
        raise InputError(f"Images to train on are uint8, uint16 or float in [0, 1]; got {array.dtype}.")
    if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
        raise InputError(
            f"Float images must lie in [0, 1] and be finite; got {array.min():.3g} to {array.max():.3g}. Scale them."
        )
    return array.astype(np.float32)


def _kernels(array: np.ndarray) -> np.ndarray:
    if array.shape[1] != 1:
        raise InputError(f"Kernels have one channel; got {array.shape[1]}.")
    return np.stack([check_kernel(kernel[0], f"kernel {i}") for i, kernel in enumerate(array)])[:, None]


def read_images(path: Path, *, size: int = 0, channels: int = 0, key: str = "", tiles: bool = False) -> np.ndarray:
    """Images of a folder, an npz or an npy file, ``[N, C, Y, X]``, in the type they are stored in.

    Parameters
    ----------
    path : Path
        A folder: all its images, however deep. npz: the array ``key`` (by default ``x``, ``train`` or
        ``x_train``), or JPEG streams packed end to end as ``jpeg`` with their ``offsets``. Arrays are
        ``[N, Y, X]`` or ``[N, Y, X, C]``, C one of 1, 3, 4 (alpha is left out).
    size : int
        Images of a folder become this large (0: 64): the central square is scaled, or cut into ``tiles``.
    channels : int
        1 or 3; 0: three if any image is coloured.
    tiles : bool

    Raises
    ------
    InputError, FileError
    """
    path = Path(path)
    if path.is_dir():
        images = list(_from_folder(path, size or 64, tiles))
        if not images:
            raise InputError(f"The folder {path} holds no images ({', '.join(READABLE)}).")
        return np.stack(_same_colours(images, channels))
    if not path.is_file():
        raise FileError(f"There is no file or folder {path}.")
    array = _from_file(path, key)
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.shape[-1] not in (1, 3, 4) or array.dtype.kind not in "uf":
        raise InputError(
            f"{path} holds an array {array.shape} of {array.dtype}; images are [N, Y, X] or [N, Y, X, 1, 3 or 4]."
        )
    return np.stack(_same_colours(list(np.moveaxis(array[..., :3], -1, 1)), channels))


def _from_file(path: Path, key: str) -> np.ndarray:
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return content
        with content:
            if not key and {"jpeg", "offsets"} <= set(content.files):
                return _unpacked(content["jpeg"], content["offsets"])
            found = [name for name in ([key] if key else KEYS) if name in content.files]
            if not found:
                wanted, there = key or " or ".join(KEYS), ", ".join(content.files)
                raise InputError(f"{path} has no array {wanted}; it has: {there}. Name one by --key.")
            return content[found[0]]
    except InputError:
        raise
    except Exception as error:  # numpy, zipfile and the codec have their own errors for damaged files
        raise InputError(f"{path} is not a readable npz or npy file ({error}).") from error


def _unpacked(stream: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    import imagecodecs

    return np.stack([imagecodecs.jpeg8_decode(stream[start:end].tobytes()) for start, end in pairwise(offsets)])


def _from_folder(folder: Path, size: int, tiles: bool) -> Iterator[np.ndarray]:
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in READABLE):
        image = read_image(path)
        planes = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)[:3]
        if image.ndim not in (2, 3) or len(planes) not in (1, 3) or image.dtype.kind not in "uf":
            raise InputError(f"{path} has shape {image.shape}, type {image.dtype}; grey and colour images are used.")
        if min(planes.shape[1:]) < size:
            raise InputError(f"{path} is {planes.shape[1]}x{planes.shape[2]} px, smaller than the {size} px asked for.")
        yield from _tiled(planes, size) if tiles else [_scaled(planes, size)]


def _tiled(planes: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for top in range(0, planes.shape[1] - size + 1, size):
        for left in range(0, planes.shape[2] - size + 1, size):
            yield planes[:, top : top + size, left : left + size]


def tiles_of(stack: np.ndarray, size: int) -> np.ndarray:
    """Planes ``[N, Y, X]`` or ``[N, Y, X, 3]`` cut into squares ``[M, C, size, size]``; a rest is left out.

    Raises
    ------
    InputError
        The planes are smaller than ``size``.
    """
    planes = stack[:, None] if stack.ndim == 3 else np.moveaxis(stack[..., :3], -1, 1)
    if min(planes.shape[2:]) < size:
        raise InputError(f"The images are {planes.shape[2]}x{planes.shape[3]} px, smaller than tiles of {size} px.")
    return np.stack([tile for image in planes for tile in _tiled(image, size)])


def _scaled(planes: np.ndarray, size: int) -> np.ndarray:
    side = min(planes.shape[1:])
    top, left = (planes.shape[1] - side) // 2, (planes.shape[2] - side) // 2
    square = torch.from_numpy(planes[:, top : top + side, left : left + side].astype(np.float32))[None]
    small = torch.nn.functional.interpolate(square, size=(size, size), mode="bilinear", antialias=True)[0].numpy()
    return np.rint(small).astype(planes.dtype) if planes.dtype.kind == "u" else small


def _same_colours(images: list[np.ndarray], channels: int) -> list[np.ndarray]:
    channels = channels or max(len(planes) for planes in images)
    types = {planes.dtype for planes in images}
    if len(types) > 1:
        raise InputError(f"The images differ in type ({', '.join(sorted(map(str, types)))}); give them one type.")

    def recoloured(planes: np.ndarray) -> np.ndarray:
        if len(planes) == channels:
            return planes
        return planes.mean(axis=0, keepdims=True).astype(planes.dtype) if channels == 1 else planes.repeat(channels, 0)

    return [recoloured(planes) for planes in images]


def _shake(rng: np.random.Generator, size: int) -> np.ndarray:
    return blur.shake(rng.uniform(min(5, size), size), rng, size)


def _straight(rng: np.random.Generator, size: int) -> np.ndarray:
    return blur.motion(rng.uniform(1, size), rng.uniform(0, 180), size)


def _gaussian(rng: np.random.Generator, size: int) -> np.ndarray:
    return blur.gaussian(rng.uniform(0.5, size / 7), rng.uniform(0.4, 1), rng.uniform(0, 180), size)


def _microscope(rng: np.random.Generator, size: int) -> np.ndarray:
    return blur.optics.microscope_psf(size=size, **vars(blur.objectives.random_microscope(rng, size)))


def _defocus(rng: np.random.Generator, size: int) -> np.ndarray:
    return blur.defocus(rng.uniform(0.5, 0.45 * size), size)


SIMULATED = {
    "shake": (_shake, "camera shake, path length 5 px to the kernel's side (Asim 2020, 003: 5 to 28)"),
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
        "defocus within 3 depths of field (psfmodels)",
    ),
}
USUAL_SIZE = {"microscope": 33}  # px; the others: 28


def draw_kernels(simulator: str, size: int, seed: int) -> Iterator[np.ndarray]:
    """Kernels float32 ``[size, size]`` without end: equal seeds give equal ones. See :data:`SIMULATED`."""
    if simulator not in SIMULATED:
        raise InputError(f"There is no kernel simulator {simulator!r}; there are: {', '.join(SIMULATED)}.")
    rng = np.random.default_rng(seed)
    while True:
        yield SIMULATED[simulator][0](rng, size)


def batch(
    images: Tensor, indices: Tensor, size: int, random: torch.Generator | None = None, *, mirror: bool = False,
    turn: bool = False, shift_px: int = 0,
) -> Tensor:  # fmt: skip
    """Some of the images ``[N, C, Y, X]``, cut to ``size`` around the middle, float32 ``[B, C, size, size]``.

    With ``random`` given, each is shifted, mirrored and turned at random; what a shift uncovers is taken from beyond
    the cut where the image is larger, else the border is repeated.
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
    chosen = images[indices[:, None, None, None], planes, rows[:, None, :, None], columns[:, None, None, :]]
    if turn and random is not None:
        chosen = torch.where(flips()[..., None, None], chosen.transpose(2, 3), chosen)
    return chosen.float() / 255 if chosen.dtype == torch.uint8 else chosen
