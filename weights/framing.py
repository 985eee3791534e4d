"""Frame training images like the images of users: eyes and soles of shoes at the usual rows.

The rows were measured on the public test images of Asim 2020, of which nothing else is used.
"""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

WHITE = (255, 255, 255)


def decode_jpeg_streams(path: Path) -> np.ndarray:
    """Decode concatenated JPEG streams of an npz file: uint8 ``[N, 64, 64, 3]``."""
    with np.load(path) as content:
        stream, offsets = content["jpeg"], content["offsets"]
    return np.stack([np.asarray(Image.open(io.BytesIO(stream[a:b].tobytes()))) for a, b in pairwise(offsets)])


def faces(folder: Path) -> np.ndarray:
    """Frame faces, uint8 ``[N, 64, 64, 3]``, with the eyes at row 33 as in the usual 108-pixel crop of CelebA.

    In the source the eyes are at row 24.
    """

    def framed(raw: np.ndarray) -> np.ndarray:
        image, out = Image.fromarray(raw), Image.new("RGB", (64, 64))
        out.paste(image.crop((0, 0, 64, 24)).resize((64, 33), Image.Resampling.BICUBIC), (0, 0))
        out.paste(image.crop((0, 24, 64, 55)), (0, 33))
        return np.asarray(out)

    return np.stack([framed(raw) for raw in decode_jpeg_streams(folder / "faces64" / "faces64_celeba.npz")])


def shoes(folder: Path) -> np.ndarray:
    """Frame shoes, uint8 ``[N, 64, 64, 3]``: fit them into 60x47 pixels with the sole at row 54.

    Each shoe is included a second time at reduced width, because the set holds few boots.
    """

    def framed(raw: np.ndarray) -> Image.Image:
        rows, columns = (np.flatnonzero((raw.min(-1) < 240).any(axis)) for axis in (1, 0))
        cut = Image.fromarray(raw).crop((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
        scale = min(60 / cut.width, 47 / cut.height)
        small = cut.resize((round(cut.width * scale), round(cut.height * scale)), Image.Resampling.LANCZOS)
        out = Image.new("RGB", (64, 64), WHITE)
        out.paste(small, ((64 - small.width) // 2, 54 - small.height))
        return out

    def squeezed(image: Image.Image) -> Image.Image:
        out = Image.new("RGB", (64, 64), WHITE)
        out.paste(image.resize((46, 64), Image.Resampling.LANCZOS), (9, 0))
        return out

    images = [framed(raw) for raw in decode_jpeg_streams(folder / "shoes64" / "shoes64.npz")]
    return np.stack([np.asarray(image) for image in images + [squeezed(image) for image in images]])


def natural(folder: Path) -> np.ndarray:
    """Read natural images without framing, uint8 ``[400, 180, 180, 1]``."""
    with np.load(folder / "bsd400" / "bsd400.npz") as content:
        return content["train"][..., None]


def house_numbers(folder: Path, copies: int = 24, seed: int = 0) -> np.ndarray:
    """Augment 1040 house-number digits ``copies`` times, uint8 ``[N, 32, 32, 3]``; the set is small.

    Each copy is shifted, scaled, recoloured and in part inverted.
    """
    rng = np.random.default_rng(seed)
    with np.load(folder / "svhn_small" / "svhn_small.npz") as content:
        digits = content["x48"]
    out = []
    for digit in digits:
        image = Image.fromarray(digit)
        for _ in range(copies):
            side = min(round(32 * rng.uniform(0.8, 1.25)), 48)
            top, left = np.clip((48 - side) / 2 + rng.uniform(-4, 4, 2), 0, 48 - side)
            cut = image.resize((32, 32), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
            pixels = np.asarray(cut, np.float32) / 255
            pixels = pixels[..., rng.permutation(3)] if rng.random() < 0.5 else pixels
            pixels = 1 - pixels if rng.random() < 0.3 else pixels
            pixels = pixels * rng.uniform(0.6, 1.2, 3) + rng.uniform(-0.1, 0.1, 3)
            out.append(np.rint(255 * np.clip(pixels, 0, 1)).astype(np.uint8))
    return np.stack(out)


def nuclei(folder: Path) -> np.ndarray:
    """Cut tiles of nuclei with a contrast above 5%, each scaled to the full range, uint8 ``[N, 64, 64, 1]``."""
    tiles = []
    with np.load(folder / "nuclei_dsb2018" / "nuclei_dsb2018.npz") as content:
        for name in sorted(n for n in content.files if n.startswith("img_")):
            for image in content[name]:
                height, width = (side // 64 * 64 for side in image.shape)
                grid = image[:height, :width].reshape(height // 64, 64, width // 64, 64).swapaxes(1, 2)
                tiles.append(grid.reshape(-1, 64, 64))
    all_tiles = np.concatenate(tiles).astype(np.float32)
    low, high = all_tiles.min((1, 2), keepdims=True), all_tiles.max((1, 2), keepdims=True)
    full = np.rint(255 * (all_tiles - low) / np.maximum(high - low, 1)).astype(np.uint8)
    return full[(high - low)[:, 0, 0] > 0.05 * 255][..., None]


def digits(folder: Path) -> np.ndarray:
    """Read the 60,000 training digits of MNIST without framing, uint8 ``[60000, 28, 28, 1]``."""
    with np.load(folder / "mnist" / "mnist.npz") as content:
        return content["x_train"][..., None]
