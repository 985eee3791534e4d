"""How near each model comes to images and kernels it has not seen, by its best latent (eq. 13 of Asim 2020).

Figures for images are those of ``asim_table5``: scikit-image's defaults on 8-bit colour, SSIM with a 7x7 window.

References
----------
M. Asim, F. Shamshad, A. Ahmed, "Blind Image Deconvolution using Deep Generative Priors", IEEE TCI 2020, table V.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from ..core.arrays import cpu_generator
from ..core.errors import InputError
from ..training import data
from ..training import psf_3d as volumes
from ..zoo.store import Generator, list_priors, load_prior
from .benchmark_files import read_arrays

COUNT = 100  # digits; half as many drawn kernels, a quarter as many volumes
SEED = 2**20 + 7  # of the drawn kernels; training draws with small ones
SPEED_PAIR = ("digits-28", "motion-28")
SPEED_RESTARTS, SPEED_STEPS = 10, 60


@dataclass(frozen=True)
class ImageSet:
    """Images ``key`` of ``file``, for models whose names begin with ``prefix``; dB of the authors' generator."""

    prefix: str
    file: str
    key: str
    authors_db: float | None = None


IMAGES = (
    ImageSet("faces-64", "asim_table5/celeba.npz", "x_orig", 24.38),
    ImageSet("house-numbers-32", "asim_table5/svhn.npz", "x_orig", 30.29),
    ImageSet("shoes-64", "asim_table5/shoes.npz", "x_orig", 23.88),
    ImageSet("digits-28", "mnist/mnist.npz", "x_test"),
)
# kernel models by the beginning of their names, the more special first; others are measured on camera shake
SIMULATORS = {
    "motion-linear": "motion-linear", "motion": "shake", "blur-a": "blur-a", "blur-b": "blur-b",
    "gaussian": "gaussian", "defocus": "defocus", "microscope": "microscope",
}  # fmt: skip
TABLE5_KERNELS = ("asim_table5/celeba.npz", "w_true")  # 40 of the authors' 28x28 test kernels


@dataclass(frozen=True)
class Reach:
    """One model on one set: means over ``count``. Images: dB and SSIM; kernels: ``|G(z) - k| / |k|``."""

    model: str
    measured_on: str
    count: int
    seconds: float
    psnr: float | None = None
    ssim: float | None = None
    error: float | None = None
    authors_db: float | None = None


def reaches(prior: Generator, folder: Path | None, restarts: int = 1) -> Iterator[Reach]:
    """Measure a model on what is there for it.

    Parameters
    ----------
    prior : Generator
    folder : Path or None
        Holds ``asim_table5`` and ``mnist``. Drawn kernels need none.
    restarts : int
        See :func:`~napari_genprior.zoo.projection.project`.
    """
    if prior.card.kind == "image":
        known = next((s for s in IMAGES if prior.card.name.startswith(s.prefix)), None)
        if known and folder and (images := _read(folder / known.file, known.key)) is not None:
            yield _on_images(prior, images[:COUNT], known, restarts)
        return
    name, kernels = _drawn(prior)
    yield _on_kernels(prior, kernels, f"fresh {name} kernels", restarts)
    if folder and prior.card.size == (28, 28) and name == "shake":
        authors = _read(folder / TABLE5_KERNELS[0], TABLE5_KERNELS[1])
        if authors is not None:
            yield _on_kernels(prior, authors.astype(np.float32), "asim_table5 kernels", restarts)


def lines(folder: Path | None = None, models: tuple[str, ...] = (), restarts: int = 1) -> Iterator[str]:
    """The table, line by line as it comes, and the speed of the 28-pixel pair.

    Parameters
    ----------
    models : tuple of str
        Names, or paths of cards; by default all that are installed.
    """
    if folder is not None and not folder.is_dir():
        raise InputError(f"There is no folder {folder}; it should hold asim_table5 and mnist.")
    heads = ("PSNR", 6), ("SSIM", 6), ("authors", 8), ("rel. error", 10), ("s each", 7)
    yield " ".join([f"{'model':26} {'measured on':28} {'n':>4}", *(f"{head:>{width}}" for head, width in heads)])
    for name in models or [card.name for card in list_priors()]:
        prior = load_prior(name)
        found = None
        for found in reaches(prior, folder, restarts):
            yield _line(found)
        if found is None:
            held = ", ".join(f"{key} {value:g}" for key, value in prior.card.metrics.items()) or "nothing"
            yield f"{prior.card.name:26} not measured here; its card, on data held out in training: {held}"
    if not models:
        yield speed_line()


def seconds_per_step(pair: tuple[Generator, Generator], restarts: int = SPEED_RESTARTS) -> float:
    """Processor seconds to decode both latents of each restart and take the gradient, on one thread: the median."""
    random = cpu_generator(0)
    latents = [torch.randn(restarts, prior.card.latent, generator=random).requires_grad_() for prior in pair]
    threads = torch.get_num_threads()
    taken = []
    try:
        torch.set_num_threads(1)
        for _ in range(SPEED_STEPS):
            start = time.process_time()
            total = sum(prior.decode(z).square().sum() for prior, z in zip(pair, latents, strict=True))
            torch.autograd.grad(total, latents)  # type: ignore[arg-type]
            taken.append(time.process_time() - start)
    finally:
        torch.set_num_threads(threads)
    return float(np.median(taken))


def speed_line() -> str:
    installed = {card.name for card in list_priors()}
    missing = [name for name in SPEED_PAIR if name not in installed]
    what = f"decode + gradient of {' + '.join(SPEED_PAIR)}, {SPEED_RESTARTS} restarts, one core"
    if missing:
        return f"{what}: not measured, {' and '.join(missing)} not installed"
    first, second = (load_prior(name) for name in SPEED_PAIR)
    return f"{what}: {1000 * seconds_per_step((first, second)):.1f} ms a step"


def _on_images(prior: Generator, images: np.ndarray, known: ImageSet, restarts: int) -> Reach:
    start = time.process_time()
    found = prior.project(images, restarts=restarts).images
    seconds = (time.process_time() - start) / len(images)
    shown = np.rint(255 * np.clip(found, 0, 1)).astype(np.uint8)
    axis = -1 if images.ndim == 4 else None
    pairs = list(zip(images, shown, strict=True))
    psnr = np.mean([peak_signal_noise_ratio(truth, near) for truth, near in pairs])
    ssim = np.mean([structural_similarity(truth, near, channel_axis=axis) for truth, near in pairs])
    return Reach(
        prior.card.name, f"{known.file} {known.key}", len(images), seconds, float(psnr), float(ssim),
        authors_db=known.authors_db,
    )  # fmt: skip


def _on_kernels(prior: Generator, kernels: np.ndarray, name: str, restarts: int) -> Reach:
    start = time.process_time()
    errors = prior.project(kernels, restarts=restarts).errors
    seconds = (time.process_time() - start) / len(kernels)
    return Reach(prior.card.name, name, len(kernels), seconds, error=float(errors.mean()))


def _drawn(prior: Generator) -> tuple[str, np.ndarray]:
    size = prior.card.size
    if len(size) == 3:
        return volumes.SIMULATED, np.stack(list(islice(volumes.draw_volumes(size, SEED), COUNT // 4)))
    name = next((value for key, value in SIMULATORS.items() if prior.card.name.startswith(key)), "shake")
    return name, np.stack(list(islice(data.draw_kernels(name, size[0], SEED), COUNT // 2)))


def _read(path: Path, key: str) -> np.ndarray | None:
    """An array of an npz file, None where the file is missing."""
    return read_arrays(path, key)[0] if path.is_file() else None


def _line(found: Reach) -> str:
    def cell(value: float | None, width: int, digits: int) -> str:
        return f"{'-' if value is None else f'{value:.{digits}f}':>{width}}"

    return (
        f"{found.model:26} {found.measured_on:28} {found.count:4} {cell(found.psnr, 6, 2)} {cell(found.ssim, 6, 3)} "
        f"{cell(found.authors_db, 8, 2)} {cell(found.error, 10, 3)} {cell(found.seconds, 7, 3)}"
    )
