"""The images behind table V of Asim 2020: their own blurry inputs, kernels of 28 pixels, 1% noise.

PSNR and SSIM as in the set's README: scikit-image's defaults on 8-bit colour, no alignment. "found" is what the method
found, "given" what is handed out: the input, where the verdict says that nothing was gained.

References
----------
M. Asim, F. Shamshad, A. Ahmed, "Blind Image Deconvolution using Deep Generative Priors", IEEE TCI 2020, table V.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from ..pipeline.plan import find_method
from ..pipeline.run import deblur
from .benchmark_files import read_arrays

MAY_LOSE = 0.2  # dB against the blurry input


@dataclass(frozen=True)
class Set:
    """A file of ``asim_table5``: blurry inputs ``key``, prior, and what the authors reach on these images, dB."""

    file: str
    key: str
    prior: str
    authors_db: float


SETS = {
    "house-numbers": Set("svhn.npz", "alg1_y_from_test", "house-numbers-32", 24.54),
    "shoes": Set("shoes.npz", "alg2_y_from_test", "shoes-64", 27.35),
    "faces": Set("celeba.npz", "alg2_y_from_test", "faces-64", 27.02),
}


def lines(
    folder: Path,
    sets: tuple[str, ...] = (),
    method: str = "evidence",
    count: int = 40,
    each: bool = False,
    kernel_prior: str | None = None,
    schedule: str | None = None,
):
    """The table, line by line as it comes.

    Parameters
    ----------
    folder : Path
        ``asim_table5``.
    sets : tuple of str
        Of :data:`SETS`; by default all.
    method : str
        One with an image prior, or any other.
    count : int
        The first so many images of each.
    each : bool
        A line per image too.
    kernel_prior : str, optional
        Another one than the method's own, or for a method that has none by default.
    schedule : str, optional
        "paper" for the methods that have a published one.
    """
    chosen = find_method(method)
    heads = [("n", 3), ("blurry", 6), ("authors", 7), ("found", 6), ("SSIM", 6), ("worst gain", 10), ("lost", 4)]
    heads += [("given", 6), ("lost", 4)]
    yield " ".join([f"{'set':14}", *(f"{head:>{width}}" for head, width in heads), "s each"])
    for name in sets or tuple(SETS):
        where = SETS[name]
        arguments: dict[str, Any] = {} if kernel_prior is None else {"kernel_prior": kernel_prior}
        if schedule is not None:
            arguments["settings"] = {"schedule": schedule}
        if "image_prior" in chosen.settings.model_fields:
            arguments["image_prior"] = where.prior + ("-linear" if chosen.prefers_linear else "")
        yield from _one(name, where, folder, method, arguments, count, each)


def _one(
    name: str, where: Set, folder: Path, method: str, arguments: dict[str, Any], count: int, each: bool
) -> Iterator[str]:
    sharp, blurry = read_arrays(folder / where.file, "x_orig", where.key)
    scores = []
    start = time.process_time()
    for i, (x, y) in enumerate(zip(sharp[:count], blurry[:count], strict=True)):
        result = deblur(y, method, **arguments)
        found, given = (np.rint(np.clip(image, 0, 255)).astype(np.uint8) for image in (result.found, result.image))
        before, after, safe = (peak_signal_noise_ratio(x, image) for image in (y, found, given))
        scores.append((before, after, safe, structural_similarity(x, found, channel_axis=-1)))
        if each:
            yield f"  {name} {i:3} {before:6.2f} -> {after:6.2f} dB ({result.verdict.word})"
    before, after, safe, ssim = np.array(scores).T
    gain, handed = after - before, safe - before
    seconds = (time.process_time() - start) / len(scores)
    yield (
        f"{name:14} {len(scores):3} {before.mean():6.2f} {where.authors_db:7.2f} {after.mean():6.2f} "
        f"{ssim.mean():6.3f} {gain.min():10.2f} {int((gain < -MAY_LOSE).sum()):4} "
        f"{safe.mean():6.2f} {int((handed < -MAY_LOSE).sum()):4} {seconds:6.1f}"
    )
