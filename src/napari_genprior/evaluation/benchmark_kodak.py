"""Benchmark on twelve Kodak images under the eight kernels of Levin et al., with simulated 1% noise.

The blurred images are cropped to the valid part of the convolution, so that the scene beyond their border is unknown
as in photographs, and rounded to 8 bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from ..core.image_io import read_image
from ..simulation import simulate
from . import benchmark_gains as gains
from .benchmark_files import read_arrays
from .benchmark_report import Report

IMAGES, KERNELS = 12, 8
COUNT = IMAGES * KERNELS
NOISE = 0.01
GREY_WEIGHTS = (0.299, 0.587, 0.114)  # BT.601
MAX_SHIFT_PX = 15  # the true kernels are off centre by up to 5 px


def cases(folder: Path, kernel_folder: Path, grey: bool = False) -> Iterator[gains.Case]:
    """Simulate the blurred images, in an order in which the first few hold many images and kernels.

    Parameters
    ----------
    folder, kernel_folder : Path
        Folders that hold ``kodim01.png`` ... and ``gt/kernels_convolution.npz``.
    grey : bool
        Convert the images to grey.
    """
    names = [f"kernel{number + 1}" for number in range(KERNELS)]
    kernels = read_arrays(kernel_folder / "gt" / "kernels_convolution.npz", *names)
    for i in range(COUNT):
        # a period of 24 cases holds each image with two kernels; the next period has the next two kernels
        image, kernel = i % IMAGES, (i + i // 24) % KERNELS
        sharp = read_image(folder / f"kodim{image + 1:02}.png")
        if grey:
            sharp = np.rint(sharp @ np.array(GREY_WEIGHTS)).astype(np.uint8)
        simulated = simulate(sharp, kernels[kernel], noise=NOISE, seed=i, boundary="valid")
        blurred = np.rint(simulated.blurred).astype(np.uint8)
        name = f"kodim{image + 1:02}_{names[kernel]}"
        yield gains.Case(name, (names[kernel],), blurred, simulated.sharp, kernels[kernel])


def lines(
    folder: Path,
    kernel_folder: Path,
    method: str = "classical",
    size_given: bool = False,
    grey: bool = False,
    count: int = COUNT,
    per_image: bool = False,
) -> Report:
    """Run the benchmark on the first ``count`` cases; see :func:`.benchmark_gains.lines`."""
    name = f"Kodak, {'grey' if grey else 'colour'}, {count} cases"
    selected = islice(cases(folder, kernel_folder, grey), count)
    return gains.lines(name, selected, method, size_given, MAX_SHIFT_PX, per_image)
