"""Measure the representation error of each prior: the error of its closest images and kernels (eq. 13 of Asim 2020).

The images and kernels were not used in training. PSNR and SSIM of images are computed as in ``asim_table5``:
scikit-image's defaults on 8-bit colour, SSIM with a 7x7 window.

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
from ..training import kernel_simulators, psf_3d
from ..zoo.store import Generator, list_priors, load_prior
from .benchmark_files import read_arrays
from .benchmark_report import Report, Row

COUNT = 100  # images; half as many simulated kernels, a quarter as many volumes
SEED = 2**20 + 7  # of the simulated kernels; training uses small seeds
SPEED_PAIR = ("digits-28", "motion-28")
SPEED_RESTARTS, SPEED_STEPS = 10, 60


@dataclass(frozen=True)
class ImageSet:
    """Images ``key`` of ``file``, for priors whose names begin with ``prefix``; PSNR of the authors' generator, dB."""

    name: str
    prefix: str
    file: str
    key: str
    published_db: float | None = None


IMAGES = (
    ImageSet("Asim 2020 (Table V), faces", "faces-64", "asim_table5/celeba.npz", "x_orig", 24.38),
    ImageSet("Asim 2020 (Table V), house numbers", "house-numbers-32", "asim_table5/svhn.npz", "x_orig", 30.29),
    ImageSet("Asim 2020 (Table V), shoes", "shoes-64", "asim_table5/shoes.npz", "x_orig", 23.88),
    ImageSet("MNIST, test set", "digits-28", "mnist/mnist.npz", "x_test"),
)
# simulators of kernel priors by the beginning of their names, longer names first; others are measured on camera shake
SIMULATORS = {
    "motion-linear": "motion-linear", "motion": "shake", "blur-a": "blur-a", "blur-b": "blur-b",
    "gaussian": "gaussian", "defocus": "defocus", "microscope": "microscope",
}  # fmt: skip
TABLE5_KERNELS = ("asim_table5/celeba.npz", "w_true")  # 40 of the authors' 28x28 test kernels


@dataclass(frozen=True)
class RepresentationError:
    """Means over ``count`` images or kernels of one set. Images: PSNR in dB, SSIM; kernels: ``|G(z) - k| / |k|``."""

    model: str
    set: str
    measured_on: str
    count: int
    seconds: float
    psnr: float | None = None
    ssim: float | None = None
    error: float | None = None
    published_db: float | None = None


def representation_errors(prior: Generator, folder: Path | None, restarts: int = 1) -> Iterator[RepresentationError]:
    """Measure a prior on the test sets that exist for it.

    Parameters
    ----------
    prior : Generator
    folder : Path or None
        Folder that holds ``asim_table5`` and ``mnist``; simulated kernels need none.
    restarts : int
        Random restarts of the projection, see :func:`~napari_genprior.zoo.projection.project`.
    """
    if prior.card.kind == "image":
        known = next((s for s in IMAGES if prior.card.name.startswith(s.prefix)), None)
        if known and folder and (images := _read(folder / known.file, known.key)) is not None:
            yield _on_images(prior, images[:COUNT], known, restarts)
        return
    name, kernels = _simulated_kernels(prior)
    yield _on_kernels(prior, kernels, f"simulated kernels, {name}", f"new {name} kernels", restarts)
    if folder and prior.card.size == (28, 28) and name == "shake":
        authors = _read(folder / TABLE5_KERNELS[0], TABLE5_KERNELS[1])
        if authors is not None:
            yield _on_kernels(
                prior, authors.astype(np.float32), "Asim 2020 (Table V), kernels", "asim_table5 kernels", restarts
            )


def lines(folder: Path | None = None, models: tuple[str, ...] = (), restarts: int = 1) -> Report:
    """Run the benchmark: yield the table and the speed of the 28-pixel pair line by line, and return the rows.

    Parameters
    ----------
    folder : Path, optional
        Folder that holds ``asim_table5`` and ``mnist``.
    models : tuple of str
        Names of priors, or paths of cards; by default all installed priors.
    restarts : int
        Random restarts of the projections.
    """
    if folder is not None and not folder.is_dir():
        raise InputError(f"There is no folder {folder}; give one that holds asim_table5 and mnist.")
    heads = ("PSNR", 6), ("SSIM", 6), ("authors", 8), ("rel. error", 10), ("s each", 7)
    yield " ".join([f"{'model':26} {'measured on':28} {'n':>4}", *(f"{head:>{width}}" for head, width in heads)])
    rows: list[Row] = []
    for name in models or [card.name for card in list_priors()]:
        prior = load_prior(name)
        errors = []
        for error in representation_errors(prior, folder, restarts):
            errors.append(error)
            yield _line(error)
        if not errors:
            metrics = ", ".join(f"{key} {value:g}" for key, value in prior.card.metrics.items()) or "nothing"
            yield f"{prior.card.name:26} not measured here; its card states for held-out training data: {metrics}"
        rows += map(_row, errors)
    if not models:
        rows += yield from _speed()
    return rows


def seconds_per_step(pair: tuple[Generator, Generator], restarts: int = SPEED_RESTARTS) -> float:
    """Time one step on one thread: decode both latents of each restart and compute the gradient.

    Returns
    -------
    float
        Processor seconds, median over :data:`SPEED_STEPS`.
    """
    random = cpu_generator(0)
    latents = [torch.randn(restarts, prior.card.latent, generator=random).requires_grad_() for prior in pair]
    threads = torch.get_num_threads()
    times = []
    try:
        torch.set_num_threads(1)
        for _ in range(SPEED_STEPS):
            start = time.process_time()
            total = sum(prior.decode(z).square().sum() for prior, z in zip(pair, latents, strict=True))
            torch.autograd.grad(total, latents)  # type: ignore[arg-type]
            times.append(time.process_time() - start)
    finally:
        torch.set_num_threads(threads)
    return float(np.median(times))


def _speed() -> Report:
    installed = {card.name for card in list_priors()}
    missing = [name for name in SPEED_PAIR if name not in installed]
    subject = f"decode + gradient of {' + '.join(SPEED_PAIR)}, {SPEED_RESTARTS} restarts, one core"
    if missing:
        yield f"{subject}: not measured, {' and '.join(missing)} not installed"
        return []
    first, second = (load_prior(name) for name in SPEED_PAIR)
    milliseconds = 1000 * seconds_per_step((first, second))
    yield f"{subject}: {milliseconds:.1f} ms a step"
    metrics = {f"ms a step, {SPEED_RESTARTS} restarts": milliseconds}
    return [Row("MNIST, test set", ", ".join(SPEED_PAIR), metrics)]


def _on_images(prior: Generator, images: np.ndarray, known: ImageSet, restarts: int) -> RepresentationError:
    start = time.process_time()
    projected = prior.project(images, restarts=restarts).images
    seconds = (time.process_time() - start) / len(images)
    rounded = np.rint(255 * np.clip(projected, 0, 1)).astype(np.uint8)
    axis = -1 if images.ndim == 4 else None
    pairs = list(zip(images, rounded, strict=True))
    psnr = np.mean([peak_signal_noise_ratio(truth, closest) for truth, closest in pairs])
    ssim = np.mean([structural_similarity(truth, closest, channel_axis=axis) for truth, closest in pairs])
    return RepresentationError(
        prior.card.name, known.name, f"{known.file} {known.key}", len(images), seconds, float(psnr), float(ssim),
        published_db=known.published_db,
    )  # fmt: skip


def _on_kernels(
    prior: Generator, kernels: np.ndarray, set_name: str, measured_on: str, restarts: int
) -> RepresentationError:
    start = time.process_time()
    errors = prior.project(kernels, restarts=restarts).errors
    seconds = (time.process_time() - start) / len(kernels)
    return RepresentationError(
        prior.card.name, set_name, measured_on, len(kernels), seconds, error=float(errors.mean())
    )


def _simulated_kernels(prior: Generator) -> tuple[str, np.ndarray]:
    size = prior.card.size
    if len(size) == 3:
        return psf_3d.SIMULATED, np.stack(list(islice(psf_3d.draw_volumes(size, SEED), COUNT // 4)))
    name = next((value for key, value in SIMULATORS.items() if prior.card.name.startswith(key)), "shake")
    return name, np.stack(list(islice(kernel_simulators.draw_kernels(name, size[0], SEED), COUNT // 2)))


def _read(path: Path, key: str) -> np.ndarray | None:
    """Read an array of an npz file; None where the file is missing."""
    return read_arrays(path, key)[0] if path.is_file() else None


def _line(error: RepresentationError) -> str:
    def cell(value: float | None, width: int, digits: int) -> str:
        return f"{'-' if value is None else f'{value:.{digits}f}':>{width}}"

    return (
        f"{error.model:26} {error.measured_on:28} {error.count:4} {cell(error.psnr, 6, 2)} {cell(error.ssim, 6, 3)} "
        f"{cell(error.published_db, 8, 2)} {cell(error.error, 10, 3)} {cell(error.seconds, 7, 3)}"
    )


def _row(error: RepresentationError) -> Row:
    values = {"range PSNR, dB": error.psnr, "SSIM": error.ssim, "relative range error": error.error}
    metrics = {name: value for name, value in values.items() if value is not None}
    metrics["CPU s each"] = error.seconds
    side_information = "kernel" if error.psnr is None else "image"
    return Row(error.set, error.model, metrics, side_information, published=error.published_db)
