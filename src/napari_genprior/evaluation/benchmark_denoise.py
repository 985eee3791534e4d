"""Benchmark of the denoiser: images with white Gaussian noise of known level.

The images are converted to grey (BT.601, 8 bits). Noise and result are not clipped, as is usual for this comparison. Of
the set of training photographs only the held-out ones are measured.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch

from ..core.errors import InputError
from ..training.denoisers import LEVELS, psnr
from ..training.photos import HELD_OUT_PHOTOS, photo_files, read_photo
from ..zoo.card import read_card
from ..zoo.denoisers import denoiser_card, find_denoiser, load_denoiser
from .benchmark_kodak import GREY_WEIGHTS
from .benchmark_report import Report, Row, column


def grey_image(path: Path) -> np.ndarray:
    """Read an image in grey, uint8 ``[Y, X]``."""
    return np.rint(np.tensordot(GREY_WEIGHTS, read_photo(path), 1)).astype(np.uint8)


def lines(folder: Path, model: Path | None = None, per_image: bool = False) -> Report:
    """Measure PSNR and seconds on all images of a folder.

    Parameters
    ----------
    folder : Path
    model : Path, optional
        Card of a denoiser; by default the installed one.
    per_image : bool
        Yield a line per image too.

    Raises
    ------
    InputError
        There is no denoiser, or the folder holds no images.
    """
    device = torch.device("cpu")
    card = read_card(model) if model else denoiser_card()
    net = load_denoiser(model, device) if model else find_denoiser(device)
    if net is None or card is None:
        raise InputError("No denoiser is installed; give the card of one with --model, or train one.")
    held_out = any((folder / name).exists() for name in HELD_OUT_PHOTOS)
    files = photo_files(folder, held_out=held_out)
    yield f"{'PSNR in dB at noise of':30}" + "".join(f"{level:>8g}" for level in LEVELS) + "  / 255"
    images = []
    for number, path in enumerate(files):
        sharp = torch.from_numpy(grey_image(path))[None, None].float() / 255
        values: dict[str, str | float] = {"name": path.stem}
        started = time.monotonic()
        with torch.no_grad():
            values |= {f"{level:g}": float(psnr(net, sharp, level, seed=number)) for level in LEVELS}
        values["seconds"] = (time.monotonic() - started) / len(LEVELS)
        images.append(values)
        if per_image:
            yield _line(path.stem, [float(values[f"{level:g}"]) for level in LEVELS])
    means = [float(column(images, f"{level:g}").mean()) for level in LEVELS]
    name = f"{folder.name}, {'held out, ' if held_out else ''}{len(files)} images"
    yield _line(name, means)
    metrics = {f"PSNR at {level:g}/255, dB": mean for level, mean in zip(LEVELS, means, strict=True)}
    metrics["s an image"] = float(column(images, "seconds").mean())
    return [Row(name, card.name, metrics, side_information="noise level", images=images)]


def _line(name: str, values: list[float]) -> str:
    return f"{name[:29]:30}" + "".join(f"{value:8.2f}" for value in values)
