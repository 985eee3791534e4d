"""Twelve Kodak images under the eight kernels of Levin et al., with 1% noise of our own.

The blurred images are cut to what the kernel saw whole, so that what lies beyond their border is unknown as it is in
photographs, and rounded to 8 bits.
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

IMAGES, KERNELS = 12, 8
COUNT = IMAGES * KERNELS
NOISE = 0.01
GREY = (0.299, 0.587, 0.114)  # BT.601
REACH = 15  # px; the true kernels are off centre by up to 5


def cases(folder: Path, kernel_folder: Path, grey: bool = False) -> Iterator[gains.Case]:
    """The blurred images, in an order in which the first few already hold many images and kernels.

    Parameters
    ----------
    folder, kernel_folder : Path
        Hold ``kodim01.png`` ... and ``gt/kernels_convolution.npz``.
    """
    names = [f"kernel{number + 1}" for number in range(KERNELS)]
    kernels = read_arrays(kernel_folder / "gt" / "kernels_convolution.npz", *names)
    for i in range(COUNT):
        # a period of 24 holds each image with two kernels; the next period goes on with the next two
        image, kernel = i % IMAGES, (i + i // 24) % KERNELS
        sharp = read_image(folder / f"kodim{image + 1:02}.png")
        if grey:
            sharp = np.rint(sharp @ np.array(GREY)).astype(np.uint8)
        simulated = simulate(sharp, kernels[kernel], noise=NOISE, seed=i, boundary="valid")
        blurry = np.rint(simulated.blurred).astype(np.uint8)
        name = f"kodim{image + 1:02}_{names[kernel]}"
        yield gains.Case(name, (names[kernel],), blurry, simulated.sharp, kernels[kernel])


def lines(
    folder: Path,
    kernel_folder: Path,
    method: str = "classical",
    given: bool = False,
    grey: bool = False,
    count: int = COUNT,
    each: bool = False,
) -> Iterator[str]:
    """The table of the first ``count`` blurred images, line by line as it comes."""
    return gains.lines(islice(cases(folder, kernel_folder, grey), count), method, given, REACH, each)
