"""Benchmark on Lai et al. 2016, uniform blur: large kernels on larger images, some with text or saturation.

Ten scenes under two kernels of 31 and 51 pixels; grey, registered, about 1% noise. ``saturated`` images were clipped
after blurring, so that no kernel explains them.

References
----------
W.-S. Lai, J.-B. Huang, Z. Hu, N. Ahuja, M.-H. Yang, "A comparative study for single image blind deblurring", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ..core.image_io import read_image
from . import benchmark_gains as gains
from .benchmark_files import read_arrays
from .benchmark_report import Report

CLASSES = ("manmade", "natural", "people", "saturated", "text")
KERNELS = ("kernel_01", "kernel_02")
COUNT = 20
MAX_SHIFT_PX = 37  # half the largest kernel of the whole set (75 px): results may be shifted by as much


def cases(folder: Path) -> Iterator[gains.Case]:
    """Read the blurred images: first each scene once, with alternating kernels, then under the other kernel.

    Parameters
    ----------
    folder : Path
        Folder that holds ``manmade_01_gt.png``, ``manmade_01_kernel_01.png`` ... and ``kernels_estimated.npz``.
    """
    kernels = dict(zip(KERNELS, read_arrays(folder / "kernels_estimated.npz", *KERNELS), strict=True))
    for turn in range(2):
        for kind in CLASSES:
            for scene in range(2):
                name, kernel = f"{kind}_0{scene + 1}", KERNELS[(scene + turn) % 2]
                blurred, truth = (read_image(folder / f"{name}_{what}.png") for what in (kernel, "gt"))
                yield gains.Case(f"{name}_{kernel}", (kind, kernel), blurred, truth, kernels[kernel])


def lines(
    folder: Path, method: str = "classical", size_given: bool = False, count: int = COUNT, per_image: bool = False
) -> Report:
    """Run the benchmark on the first ``count`` images; see :func:`.benchmark_gains.lines`."""
    name = "Lai 2016" if count == COUNT else f"Lai 2016, {count} images"
    return gains.lines(name, islice(cases(folder), count), method, size_given, MAX_SHIFT_PX, per_image)
