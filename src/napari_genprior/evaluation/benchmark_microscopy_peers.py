"""Run the programs that microscopists use, where they are installed, and a Richardson-Lucy deconvolution of our own.

Each gets the data less the camera's offset and the PSF of sum 1, and yields its result after several numbers of steps.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy.fft import irfftn, next_fast_len, rfftn

Results = Iterator[tuple[int, np.ndarray]]  # steps, image
Peer = Callable[[np.ndarray, np.ndarray, Sequence[int]], Results]

LEAST_SENSITIVITY = 0.01  # points outside the image from which less light than this arrives are not restored


def richardson_lucy(data: np.ndarray, psf: np.ndarray, counts: Sequence[int]) -> Results:
    """Deconvolve by Richardson-Lucy with an unknown border, of images or volumes.

    Parameters
    ----------
    data : array, >= 0
    psf : array of as many axes, >= 0, sum 1
    counts : sequence of int, ascending
        Numbers of steps after which the result is yielded.

    Yields
    ------
    (int, float32 array)
        Steps, and the estimate, of the shape of ``data``.

    Notes
    -----
    The estimate reaches half a PSF beyond the image: ``x <- x / H^T(1) * H^T(y / H x)``, where ``H`` is the valid part
    of the convolution [1]_.

    References
    ----------
    .. [1] M. Bertero, P. Boccacci, "A simple method for the reduction of boundary effects in the Richardson-Lucy
       approach to image deconvolution", Astronomy & Astrophysics 437, 2005.
    """
    canvas = [n + k - 1 for n, k in zip(data.shape, psf.shape, strict=True)]
    fast = [next_fast_len(n, real=True) for n in canvas]
    transfer = rfftn(psf.astype(np.float32), fast)
    valid = tuple(slice(k - 1, k - 1 + n) for n, k in zip(data.shape, psf.shape, strict=True))
    inner = tuple(slice((k - 1) // 2, (k - 1) // 2 + n) for n, k in zip(data.shape, psf.shape, strict=True))
    y, padded = data.astype(np.float32), np.zeros(fast, np.float32)

    def adjoint(image: np.ndarray) -> np.ndarray:
        padded[valid] = image
        return irfftn(rfftn(padded) * transfer.conj(), fast)[tuple(map(slice, canvas))]

    sensitivity = adjoint(np.ones_like(y))
    weight = np.where(sensitivity > LEAST_SENSITIVITY, 1 / sensitivity.clip(LEAST_SENSITIVITY), 0)
    estimate = np.full(canvas, y.mean(), np.float32) * (weight > 0)
    least = 1e-6 * y.mean()
    for step in range(1, max(counts) + 1):
        predicted = irfftn(rfftn(estimate, fast) * transfer, fast)[valid]
        estimate = estimate * weight * adjoint(y / predicted.clip(least)).clip(0)
        if step in counts:
            yield step, estimate[inner]


def scikit_image(data: np.ndarray, psf: np.ndarray, counts: Sequence[int]) -> Results:
    """Deconvolve by scikit-image's Richardson-Lucy, which takes the image as dark outside."""
    from skimage.restoration import richardson_lucy as deconvolve

    for count in counts:
        yield count, deconvolve(data, psf, num_iter=count, clip=False, filter_epsilon=1e-6)


def deconwolf(data: np.ndarray, psf: np.ndarray, counts: Sequence[int]) -> Results:
    """Deconvolve by the program ``dw`` on one thread, with its default method.

    Raises
    ------
    RuntimeError
        The program failed.
    """
    import tifffile

    with tempfile.TemporaryDirectory() as name:
        for count in counts:
            command = deconwolf_command(Path(name), data, psf, count)
            run = subprocess.run(command, capture_output=True, text=True, check=False)
            if run.returncode:
                raise RuntimeError(f"dw failed: {(run.stderr or run.stdout).strip()[-300:]}")
            yield count, tifffile.imread(command[-3])


def deconwolf_command(folder: Path, data: np.ndarray, psf: np.ndarray, count: int) -> list[str]:
    """Write the files of ``dw`` to a folder, and return its command; its last three words are result, data and PSF."""
    import tifffile

    target, source, kernel = (str(folder / f"{what}.tif") for what in ("result", "data", "psf"))
    for path, array in ((source, data), (kernel, psf)):
        tifffile.imwrite(path, array.astype(np.float32), photometric="minisblack")
    options = ["--iter", str(count), "--float", "--threads", "1", "--overwrite", "--out", target]
    return ["dw", *options, source, kernel]


def red_lionfish(data: np.ndarray, psf: np.ndarray, counts: Sequence[int]) -> Results:
    """Deconvolve by RedLionfish on the processor; yields two results of each count.

    It is off by a voxel for PSFs of odd sides: the second result is that of the PSF moved by a plane, row and column.
    """
    from RedLionfishDeconv import doRLDeconvolutionFromNpArrays as deconvolve

    for count in counts:
        for shift in (0, 1):
            yield count, deconvolve(data, np.roll(psf, (shift,) * 3, (0, 1, 2)), niter=count, method="cpu")


RICHARDSON_LUCY, DECONWOLF = "Richardson-Lucy, unknown border", "deconwolf"
PEERS: dict[str, tuple[Peer, tuple[int, ...]]] = {
    RICHARDSON_LUCY: (richardson_lucy, (10, 30, 100, 300)),
    "scikit-image": (scikit_image, (10, 30)),  # more steps are slow, and worse at the border
    DECONWOLF: (deconwolf, (10, 30, 100)),
    "RedLionfish": (red_lionfish, (10, 30, 100)),
}
NEEDED = {DECONWOLF: "the program dw is not on PATH", "RedLionfish": "the package RedLionfish is not installed"}


def installed() -> dict[str, tuple[Peer, tuple[int, ...]]]:
    """Return those of :data:`PEERS` that can run here."""
    there = {DECONWOLF: shutil.which("dw"), "RedLionfish": importlib.util.find_spec("RedLionfishDeconv")}
    return {name: peer for name, peer in PEERS.items() if there.get(name, True)}


def skipped_lines() -> list[str]:
    """Say which peers are left out, and why."""
    return [f"{name}: skipped, {why}" for name, why in NEEDED.items() if name not in installed()]
