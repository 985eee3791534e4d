"""Frame training images like those users will bring: the same eye line, the same sole line.

The framings were measured on the public test images of Asim 2020's sets: where the eyes and soles are, nothing else.
"""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

WHITE = (255, 255, 255)


def unpacked(path: Path) -> np.ndarray:
    """uint8 [N, 64, 64, 3] from JPEG streams packed end to end."""
    with np.load(path) as content:
        stream, offsets = content["jpeg"], content["offsets"]
    return np.stack([np.asarray(Image.open(io.BytesIO(stream[a:b].tobytes()))) for a, b in pairwise(offsets)])


def faces(folder: Path) -> np.ndarray:
    """Eyes at row 33, as in the usual 108-pixel crop of CelebA; in the source they are at row 24."""

    def framed(raw: np.ndarray) -> np.ndarray:
        image, out = Image.fromarray(raw), Image.new("RGB", (64, 64))
        out.paste(image.crop((0, 0, 64, 24)).resize((64, 33), Image.Resampling.BICUBIC), (0, 0))
        out.paste(image.crop((0, 24, 64, 55)), (0, 33))
        return np.asarray(out)

    return np.stack([framed(raw) for raw in unpacked(folder / "faces64" / "faces64_celeba.npz")])


def shoes(folder: Path) -> np.ndarray:
    """Fitted into 60x47 pixels with the sole at row 54, and each once more squeezed sideways (few boots exist)."""

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

    images = [framed(raw) for raw in unpacked(folder / "shoes64" / "shoes64.npz")]
    return np.stack([np.asarray(image) for image in images + [squeezed(image) for image in images]])


def natural(folder: Path) -> np.ndarray:
    """As they are, uint8 [400, 180, 180, 1]."""
    with np.load(folder / "bsd400" / "bsd400.npz") as content:
        return content["train"][..., None]


def house_numbers(folder: Path, copies: int = 24, seed: int = 0) -> np.ndarray:
    """1040 digits, each seen ``copies`` times: shifted, scaled, recoloured, inverted. Few real ones exist."""
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
    """64-pixel tiles that hold something (spread of grey values above 5%), each stretched to the full range."""
    tiles = []
    with np.load(folder / "nuclei_dsb2018" / "nuclei_dsb2018.npz") as content:
        for name in sorted(n for n in content.files if n.startswith("img_")):
            for image in content[name]:
                height, width = (side // 64 * 64 for side in image.shape)
                grid = image[:height, :width].reshape(height // 64, 64, width // 64, 64).swapaxes(1, 2)
                tiles.append(grid.reshape(-1, 64, 64))
    every = np.concatenate(tiles).astype(np.float32)
    low, high = every.min((1, 2), keepdims=True), every.max((1, 2), keepdims=True)
    full = np.rint(255 * (every - low) / np.maximum(high - low, 1)).astype(np.uint8)
    return full[(high - low)[:, 0, 0] > 0.05 * 255][..., None]


def digits(folder: Path) -> np.ndarray:
    """The 60,000 training digits of MNIST as they are."""
    with np.load(folder / "mnist" / "mnist.npz") as content:
        return content["x_train"][..., None]
