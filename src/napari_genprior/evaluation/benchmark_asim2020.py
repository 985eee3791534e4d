"""Benchmark on the images of table V of Asim 2020: the authors' blurred inputs, kernels of 28 pixels, 1% noise.

PSNR and SSIM are computed as in the set's README: scikit-image's defaults on 8-bit colour, no alignment. "estimate" is
the estimate of the method, "output" the image that users get: the input, where the verdict rejects the estimate.

References
----------
M. Asim, F. Shamshad, A. Ahmed, "Blind Image Deconvolution using Deep Generative Priors", IEEE TCI 2020, table V.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from ..pipeline.front_door import deblur
from ..pipeline.request import find_method
from .benchmark_files import read_arrays
from .benchmark_report import Report, Row, column

TOLERANCE_DB = 0.2  # a result that is worse than its input by more counts as a loss


@dataclass(frozen=True)
class TestSet:
    """A file of ``asim_table5``: blurred inputs ``key``, image prior, and the authors' PSNR on these images, dB."""

    file: str
    key: str
    prior: str
    authors_db: float


SETS = {
    "house-numbers": TestSet("svhn.npz", "alg1_y_from_test", "house-numbers-32", 24.54),
    "shoes": TestSet("shoes.npz", "alg2_y_from_test", "shoes-64", 27.35),
    "faces": TestSet("celeba.npz", "alg2_y_from_test", "faces-64", 27.02),
}


def lines(
    folder: Path,
    sets: tuple[str, ...] = (),
    method: str = "evidence",
    count: int = 40,
    per_image: bool = False,
    kernel_prior: str | None = None,
    schedule: str | None = None,
) -> Report:
    """Run the benchmark: yield the table line by line, and return its rows.

    Parameters
    ----------
    folder : Path
        The folder ``asim_table5``.
    sets : tuple of str
        Keys of :data:`SETS`; by default all.
    method : str
        Name of a method; one with an image prior gets the prior of the set.
    count : int
        Number of images of each set, from the first.
    per_image : bool
        Yield a line per image too.
    kernel_prior : str, optional
        Kernel prior in place of the method's default.
    schedule : str, optional
        "fast" or "paper", for methods that have both.
    """
    entry = find_method(method)
    heads = [("n", 3), ("blurred", 7), ("authors", 7), ("estimate", 8), ("SSIM", 6), ("worst gain", 10), ("losses", 6)]
    heads += [("output", 6), ("losses", 6)]
    yield " ".join([f"{'set':14}", *(f"{head:>{width}}" for head, width in heads), "s each"])
    rows = []
    for name in sets or tuple(SETS):
        test_set = SETS[name]
        arguments: dict[str, Any] = {} if kernel_prior is None else {"kernel_prior": kernel_prior}
        if schedule is not None:
            arguments["settings"] = {"schedule": schedule}
        if "image_prior" in entry.settings.model_fields:
            arguments["image_prior"] = test_set.prior + ("-linear" if entry.prefers_linear else "")
        rows.append((yield from _run_set(name, folder, method, arguments, count, per_image)))
    return rows


def _run_set(
    name: str, folder: Path, method: str, arguments: dict[str, Any], count: int, per_image: bool
) -> Generator[str, None, Row]:
    test_set = SETS[name]
    sharp, blurred = read_arrays(folder / test_set.file, "x_orig", test_set.key)
    images: list[dict[str, Any]] = []
    start = time.process_time()
    for i, (x, y) in enumerate(zip(sharp[:count], blurred[:count], strict=True)):
        result = deblur(y, method, **arguments)
        estimate, output = (np.rint(np.clip(image, 0, 255)).astype(np.uint8) for image in (result.found, result.image))
        before, after, returned = (peak_signal_noise_ratio(x, image) for image in (y, estimate, output))
        ssim = structural_similarity(x, estimate, channel_axis=-1)
        images.append({"image": i, "blurred": before, "estimate": after, "output": returned, "ssim": ssim})
        if per_image:
            yield f"  {name} {i:3} {before:6.2f} -> {after:6.2f} dB ({result.verdict.label})"
    before, after, returned, ssim = (column(images, key) for key in ("blurred", "estimate", "output", "ssim"))
    gains, output_gains = after - before, returned - before
    seconds = (time.process_time() - start) / len(images)
    losses, output_losses = (int((values < -TOLERANCE_DB).sum()) for values in (gains, output_gains))
    yield (
        f"{name:14} {len(images):3} {before.mean():7.2f} {test_set.authors_db:7.2f} {after.mean():8.2f} "
        f"{ssim.mean():6.3f} {gains.min():10.2f} {losses:6} {returned.mean():6.2f} {output_losses:6} {seconds:6.1f}"
    )
    metrics = {
        "PSNR, dB": after.mean(), "SSIM": ssim.mean(), "worst gain, dB": gains.min(),
        "images > 0.2 dB below input": losses, "output PSNR, dB": returned.mean(),
        "outputs > 0.2 dB below input": output_losses, "CPU s an image": seconds,
    }  # fmt: skip
    set_name = f"Asim 2020 (Table V), {name.replace('-', ' ')}"
    return Row(set_name, method, metrics, blurred=before.mean(), published=test_set.authors_db, images=images)
