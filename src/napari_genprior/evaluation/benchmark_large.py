"""An image larger than the memory it may take: peak memory and seconds of a process of its own.

The image is made here, as a 16-bit TIFF: random rectangles, blurred once and repeated.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .. import blur
from ..core.lazy_io import Lazy, open_lazy
from ..core.tiled_io import open_writer
from ..metrics import psnr
from ..simulation import simulate

PERIOD = 1024  # px; the image repeats itself, so that its truth need not be kept
RECTANGLES = 600
NOISE = 0.005
BRIGHTEST = 50_000  # of 16 bits
BORDER = 64  # px, not judged: there no circular blur was
LIMIT_GB = 4.0  # at most, for 16384 x 16384 px
CHILD = """
import json, resource, sys, time
import napari_genprior as gp
from napari_genprior.core.image_io import read_image
source, destination, kernel, tile = sys.argv[1:5]
clock = time.perf_counter()
arguments = {"kernel": read_image(kernel)} if kernel else {}
result = gp.deblur_large(source, destination, tile="auto" if tile == "auto" else int(tile), **arguments)
seconds = time.perf_counter() - clock
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps([seconds, peak, result.tiles, result.provenance.arguments["tile_px"]]))
"""


def lines(side: int, folder: Path | None = None, blind: bool = False, tile: str = "auto") -> Iterator[str]:
    """What it took, line by line.

    Parameters
    ----------
    side : int
        Of the image, pixels.
    folder : Path, optional
        Where the files are put for the time being: twice the image; by default where temporary files go.
    blind : bool
        The kernel is to be found; else it is given.
    tile : str
        "auto" or a number of pixels.
    """
    with tempfile.TemporaryDirectory(dir=folder) as name:
        source, destination, kernel_file = (Path(name) / file for file in ("in.tif", "out.zarr", "kernel.npy"))
        sharp = _rectangles()
        kernel = blur.shake(15, seed=1)
        blurred = simulate(sharp, kernel, noise=NOISE, seed=0, boundary="circular").blurred
        np.save(kernel_file, kernel)
        _write_repeated(source, blurred, side)
        size = source.stat().st_size / 1e9
        how = "found" if blind else "given"
        yield f"{side} x {side} px, 16 bits, {size:.2f} GB, kernel of {kernel.shape[0]} px, {how}"
        words = [sys.executable, "-c", CHILD, source, destination, "" if blind else kernel_file, tile]
        answer = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
        if answer.returncode:
            raise RuntimeError(f"The run failed: {answer.stderr.strip().splitlines()[-1]}")
        seconds, peak, tiles, tile_px = json.loads(answer.stdout)
        yield f"tiles            {tiles[0]} x {tiles[1]}, of {tile_px} px with their overlaps"
        yield f"seconds          {seconds:.0f}: {(side / 512) ** 2 / seconds:.2f} planes of 512 x 512 px a second"
        yield f"peak memory      {peak / 1e9:.2f} GB of the process (limit for 16384 px: {LIMIT_GB:g} GB)"
        with open_lazy(destination) as made:
            # a corner, where four tiles meet, and the end
            for where in sorted({0, max(0, side // 2 - PERIOD // 2), max(0, side - PERIOD)}):
                part = slice(where + BORDER, min(where + PERIOD, side) - BORDER)
                truth = np.roll(sharp, (-where, -where), (0, 1))[: part.stop - where, : part.stop - where]
                truth = truth[BORDER:, BORDER:]
                before = np.roll(blurred, (-where, -where), (0, 1))[
                    BORDER : part.stop - where, BORDER : part.stop - where
                ]
                yield (
                    f"PSNR at {where:6}   {psnr(before / BRIGHTEST, truth / BRIGHTEST):.2f} dB -> "
                    f"{psnr(made.data[part, part] / BRIGHTEST, truth / BRIGHTEST):.2f} dB"
                )


def _rectangles() -> np.ndarray:
    """An image [PERIOD, PERIOD] that goes on at its other side, 0 to :data:`BRIGHTEST`."""
    rng = np.random.default_rng(0)
    image = np.full((PERIOD, PERIOD), BRIGHTEST / 2, np.float32)
    for _ in range(RECTANGLES):
        (top, left), (tall, wide) = rng.integers(0, PERIOD, 2), rng.integers(6, 90, 2)
        rows, columns = (np.arange(tall) + top) % PERIOD, (np.arange(wide) + left) % PERIOD
        image[np.ix_(rows, columns)] = rng.uniform(0.02, 0.98) * BRIGHTEST
    return image


def _write_repeated(path: Path, period: np.ndarray, side: int) -> None:
    values = np.clip(np.rint(period), 0, BRIGHTEST).astype(np.uint16)
    row = np.tile(values, (1, -(-side // PERIOD)))[:, :side]
    with open_writer(path, (side, side), row.dtype, Lazy(row), "YX") as write:
        for top in range(0, side, PERIOD):
            write((), top, row[: min(PERIOD, side - top)])
