"""Measure peak memory and seconds of deblurring a large image in a separate process.

The image is simulated, as a 16-bit TIFF: random rectangles, blurred once and repeated periodically.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from .. import blur
from ..core.lazy_io import Lazy, open_lazy
from ..core.tiled_io import open_writer
from ..metrics import psnr
from ..simulation import simulate
from .benchmark_report import Report, Row

PERIOD_PX = 1024  # the image is periodic, so that its true image need not be stored
N_RECTANGLES = 600
NOISE_STD = 0.005
MAX_VALUE = 50_000  # of 16 bits
BORDER_PX = 64  # cropped before the PSNR: at the border of the image the periodic blur does not hold
LIMIT_GB = 4.0  # target for 16384 x 16384 px
CHILD = """
import json, resource, sys, time
import napari_genprior as gp
from napari_genprior.core.image_io import read_image
source, destination, kernel, tile = sys.argv[1:5]
clock = time.perf_counter()
arguments = {"kernel": read_image(kernel)} if kernel else {}
result = gp.deblur(source, out=destination, tile_size="auto" if tile == "auto" else int(tile), **arguments)
seconds = time.perf_counter() - clock
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps([seconds, peak, result.tiles, result.provenance.arguments["tile_px"]]))
"""


def lines(side: int, folder: Path | None = None, blind: bool = False, tile: str = "auto") -> Report:
    """Deblur a large image in a separate process: yield the measurements line by line, and return a row.

    Parameters
    ----------
    side : int
        Side of the image in pixels.
    folder : Path, optional
        Folder for temporary files of twice the size of the image; by default that of the system.
    blind : bool
        Estimate the kernel; else it is given.
    tile : str
        Tile size: "auto" or a number of pixels.
    """
    with tempfile.TemporaryDirectory(dir=folder) as name:
        source, destination, kernel_file = (Path(name) / file for file in ("in.tif", "out.zarr", "kernel.npy"))
        sharp = _rectangles()
        kernel = blur.shake(15, seed=1)
        blurred = simulate(sharp, kernel, noise=NOISE_STD, seed=0, boundary="circular").blurred
        np.save(kernel_file, kernel)
        _write_repeated(source, blurred, side)
        size = source.stat().st_size / 1e9
        yield (
            f"{side} x {side} px, 16 bits, {size:.2f} GB, kernel of {kernel.shape[0]} px, "
            f"{'estimated' if blind else 'given'}"
        )
        command = [sys.executable, "-c", CHILD, source, destination, "" if blind else kernel_file, tile]
        child = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        if child.returncode:
            raise RuntimeError(f"The run failed: {child.stderr.strip().splitlines()[-1]}")
        seconds, peak, tiles, tile_px = json.loads(child.stdout)
        planes_per_second = (side / 512) ** 2 / seconds
        yield f"tiles            {tiles[0]} x {tiles[1]}, of {tile_px} px with their overlaps"
        yield f"seconds          {seconds:.0f}: {planes_per_second:.2f} planes of 512 x 512 px a second"
        yield f"peak memory      {peak / 1e9:.2f} GB of the process (target for 16384 px: {LIMIT_GB:g} GB)"
        images = []
        with open_lazy(destination) as restored:
            # a corner, the middle where four tiles meet, and the opposite corner
            for start in sorted({0, max(0, side // 2 - PERIOD_PX // 2), max(0, side - PERIOD_PX)}):
                part = slice(start + BORDER_PX, min(start + PERIOD_PX, side) - BORDER_PX)
                inner = (slice(BORDER_PX, part.stop - start),) * 2
                truth, before = (np.roll(image, (-start, -start), (0, 1))[inner] for image in (sharp, blurred))
                values = [psnr(image / MAX_VALUE, truth / MAX_VALUE) for image in (before, restored.data[part, part])]
                images.append({"start": start, "blurred": values[0], "restored": values[1]})
                yield f"PSNR at {start:6}   {values[0]:.2f} dB -> {values[1]:.2f} dB"
    metrics = {"peak memory, GB": peak / 1e9, "wall s": seconds, "planes a second": planes_per_second}
    side_information = None if blind else "kernel"
    return [Row(f"image of {side}x{side} px", "deblur", metrics, side_information, images=images)]


def _rectangles() -> np.ndarray:
    """Draw a periodic image ``[PERIOD_PX, PERIOD_PX]`` of values from 0 to :data:`MAX_VALUE`."""
    rng = np.random.default_rng(0)
    image = np.full((PERIOD_PX, PERIOD_PX), MAX_VALUE / 2, np.float32)
    for _ in range(N_RECTANGLES):
        (top, left), (tall, wide) = rng.integers(0, PERIOD_PX, 2), rng.integers(6, 90, 2)
        rows, columns = (np.arange(tall) + top) % PERIOD_PX, (np.arange(wide) + left) % PERIOD_PX
        image[np.ix_(rows, columns)] = rng.uniform(0.02, 0.98) * MAX_VALUE
    return image


def _write_repeated(path: Path, period: np.ndarray, side: int) -> None:
    values = np.clip(np.rint(period), 0, MAX_VALUE).astype(np.uint16)
    row = np.tile(values, (1, -(-side // PERIOD_PX)))[:, :side]
    with open_writer(path, (side, side), row.dtype, Lazy(row), "YX") as write:
        for top in range(0, side, PERIOD_PX):
            write((), top, row[: min(PERIOD_PX, side - top)])
