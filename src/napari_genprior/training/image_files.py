"""Read training images from a folder, or from an npz or npy file, and cut images into tiles."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from ..core.errors import FileError, InputError
from ..core.image_io import READABLE, read_image
from ..core.paths import is_file, is_folder

KEYS = ("x", "train", "x_train")  # default names of the array in an npz file, tried in this order


def read_images(path: Path, *, size: int = 0, channels: int = 0, key: str = "", tiles: bool = False) -> np.ndarray:
    """Read the images of a folder, an npz or an npy file, in the type they are stored in.

    Parameters
    ----------
    path : Path
        A folder: all images in it and in its subfolders. An npz file: the array ``key`` (by default ``x``,
        ``train`` or ``x_train``), or concatenated JPEG streams ``jpeg`` with their ``offsets``. Arrays are
        ``[N, Y, X]`` or ``[N, Y, X, C]``, C one of 1, 3, 4 (the alpha channel is dropped).
    size : int
        Side in pixels of the images read from a folder (0: 64): the central square is scaled to it.
    channels : int
        1 or 3; 0: three if any image has colours.
    key : str
        Name of the array in an npz file.
    tiles : bool
        Cut the images of a folder into tiles of ``size`` pixels instead of scaling them.

    Returns
    -------
    array [N, C, Y, X]

    Raises
    ------
    InputError, FileError
        The file or folder is missing, cannot be read, or holds no usable images.
    """
    path = Path(path)
    if is_folder(path):
        images = list(_from_folder(path, size or 64, tiles))
        if not images:
            raise InputError(f"The folder {path} holds no images; readable are {', '.join(READABLE)}.")
        return np.stack(_match_channels(images, channels))
    if not is_file(path):
        raise FileError(f"There is no file or folder {path}.")
    array = _from_file(path, key)
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.shape[-1] not in (1, 3, 4) or array.dtype.kind not in "uf":
        raise InputError(
            f"{path} holds an array of shape {array.shape} and type {array.dtype}; "
            "images are [N, Y, X] or [N, Y, X, 1, 3 or 4], unsigned integers or floats."
        )
    return np.stack(_match_channels(list(np.moveaxis(array[..., :3], -1, 1)), channels))


def _from_file(path: Path, key: str) -> np.ndarray:
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return content
        with content:
            if not key and {"jpeg", "offsets"} <= set(content.files):
                return _decode_jpeg_streams(content["jpeg"], content["offsets"])
            names = [name for name in ([key] if key else KEYS) if name in content.files]
            if not names:
                wanted, available = key or " or ".join(KEYS), ", ".join(content.files)
                raise InputError(f"{path} has no array {wanted}; it has: {available}. Select one with --key.")
            return content[names[0]]
    except InputError:
        raise
    except Exception as error:  # numpy, zipfile and the codec raise errors of many types for damaged files
        raise InputError(f"{path} is not a readable npz or npy file ({error}).") from error


def _decode_jpeg_streams(stream: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    import imagecodecs

    return np.stack([imagecodecs.jpeg8_decode(stream[start:end].tobytes()) for start, end in pairwise(offsets)])


def _from_folder(folder: Path, size: int, tiles: bool) -> Iterator[np.ndarray]:
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in READABLE):
        image = read_image(path)
        planes = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)[:3]
        if image.ndim not in (2, 3) or len(planes) not in (1, 3) or image.dtype.kind not in "uf":
            raise InputError(
                f"{path} has shape {image.shape}, type {image.dtype}; only grey and colour images can be used."
            )
        if min(planes.shape[1:]) < size:
            raise InputError(
                f"{path} has {planes.shape[1]}x{planes.shape[2]} px, smaller than the {size} px asked for (--size)."
            )
        yield from _cut_tiles(planes, size) if tiles else [_scale_central_square(planes, size)]


def _cut_tiles(planes: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for top in range(0, planes.shape[1] - size + 1, size):
        for left in range(0, planes.shape[2] - size + 1, size):
            yield planes[:, top : top + size, left : left + size]


def tiles_of(stack: np.ndarray, size: int) -> np.ndarray:
    """Cut planes into square tiles; an incomplete tile at the border is dropped.

    Parameters
    ----------
    stack : array [N, Y, X] or [N, Y, X, 3]
    size : int
        Side of the tiles in pixels.

    Returns
    -------
    array [M, C, size, size]

    Raises
    ------
    InputError
        The planes are smaller than ``size``.
    """
    planes = stack[:, None] if stack.ndim == 3 else np.moveaxis(stack[..., :3], -1, 1)
    if min(planes.shape[2:]) < size:
        raise InputError(
            f"The images have {planes.shape[2]}x{planes.shape[3]} px; tiles of {size} px need larger images."
        )
    return np.stack([tile for image in planes for tile in _cut_tiles(image, size)])


def _scale_central_square(planes: np.ndarray, size: int) -> np.ndarray:
    side = min(planes.shape[1:])
    top, left = (planes.shape[1] - side) // 2, (planes.shape[2] - side) // 2
    square = torch.from_numpy(planes[:, top : top + side, left : left + side].astype(np.float32))[None]
    small = torch.nn.functional.interpolate(square, size=(size, size), mode="bilinear", antialias=True)[0].numpy()
    return np.rint(small).astype(planes.dtype) if planes.dtype.kind == "u" else small


def _match_channels(images: list[np.ndarray], channels: int) -> list[np.ndarray]:
    channels = channels or max(len(planes) for planes in images)
    types = {planes.dtype for planes in images}
    if len(types) > 1:
        raise InputError(f"The images differ in type ({', '.join(sorted(map(str, types)))}); convert them to one type.")

    def converted(planes: np.ndarray) -> np.ndarray:
        if len(planes) == channels:
            return planes
        return planes.mean(axis=0, keepdims=True).astype(planes.dtype) if channels == 1 else planes.repeat(channels, 0)

    return [converted(planes) for planes in images]
