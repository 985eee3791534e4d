"""The front door: check the arguments, open files, run.

One function serves images, stacks, volumes, large files and spatially varying blur.
"""

from __future__ import annotations

from collections.abc import Generator as Yields
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..core.axes import KernelPer
from ..core.conversion import FileType
from ..core.errors import InputError
from ..core.iteration import run_to_end
from ..core.lazy_io import open_lazy
from ..core.result import DeblurResult, Progress
from ..settings import Settings
from .output_checks import check_inputs_safe
from .plan import plan_request
from .request import KernelSize, Mode, Request, TileSize, is_path, parse_request
from .run import run


def iter_deblur(
    image: Any,
    method: str = "auto",
    *,
    axes: str | Sequence[str] | None = None,
    kernel: Any = None,
    kernel_size: KernelSize = "auto",
    kernel_per: KernelPer = "stack",
    mode: Mode = "auto",
    tiles: tuple[int, int] | None = None,
    tile_size: TileSize = None,
    voxel_size_um: Sequence[float] | None = None,
    mask: Any = None,
    image_prior: str | None = None,
    kernel_prior: str | None = None,
    restarts: int | None = None,
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    time_limit_s: float | None = None,
    series: int | None = None,
    out: Any = None,
    dtype: FileType = "input",
    checkpoint: str | Path | None = None,
    settings: Settings | Mapping[str, Any] | None = None,
) -> Yields[Progress, None, DeblurResult]:
    """Deblur as :func:`deblur` does, yielding snapshots; the generator's return value is the result.

    Arguments are checked at the call, before the first snapshot. Closing the generator stops the run; pieces of a stack
    that were yielded remain valid.

    Yields
    ------
    Progress

    Examples
    --------
    >>> import napari_genprior as gp
    >>> sim = gp.simulate(gp.samples.cells()[:64, :64], gp.blur.motion(length=5), noise=0.01, seed=0)
    >>> for progress in gp.iter_deblur(sim.blurred, kernel=sim.kernel):
    ...     print(progress.step, progress.total)
    0 1
    """
    request = parse_request(
        method,
        axes=axes, kernel=kernel, kernel_size=kernel_size, kernel_per=kernel_per, mode=mode, tiles=tiles,
        tile_size=tile_size, voxel_size_um=voxel_size_um, mask=mask, image_prior=image_prior, kernel_prior=kernel_prior,
        restarts=restarts, steps=steps, seed=seed, device=device, time_limit_s=time_limit_s, series=series,
        dtype=dtype, settings=settings,
    )  # fmt: skip
    check_inputs_safe(out, image, kernel, mask, checkpoint)
    check_inputs_safe(checkpoint, image, kernel, mask)
    return _plan_and_run(image, request, out, checkpoint)


def deblur(
    image: Any,
    method: str = "auto",
    *,
    axes: str | Sequence[str] | None = None,
    kernel: Any = None,
    kernel_size: KernelSize = "auto",
    kernel_per: KernelPer = "stack",
    mode: Mode = "auto",
    tiles: tuple[int, int] | None = None,
    tile_size: TileSize = None,
    voxel_size_um: Sequence[float] | None = None,
    mask: Any = None,
    image_prior: str | None = None,
    kernel_prior: str | None = None,
    restarts: int | None = None,
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    time_limit_s: float | None = None,
    series: int | None = None,
    out: Any = None,
    dtype: FileType = "input",
    checkpoint: str | Path | None = None,
    settings: Settings | Mapping[str, Any] | None = None,
) -> DeblurResult:
    """Deblur an image, stack or volume; its kernel is estimated too, unless it is given.

    Parameters
    ----------
    image : array, lazy array or path
        Any integer or float type, any range. ``[Y, X]`` or ``[Y, X, 3 or 4]`` (colours share one kernel, alpha is
        kept); with more axes a stack or volume. Dask and Zarr arrays and paths (images, TIFF, OME-TIFF, Zarr, OME-Zarr)
        are read piece by piece.
    method : str
        One of ``napari_genprior.methods.registry.METHODS``; "auto" chooses.
    axes : str or sequence of str, optional
        What the axes mean, a letter each: T (time), C (channel), Z (depth), Y, X, S (colour), such as "TCYX". By
        default as the file says, or as the shape allows.
    kernel : array or path, optional
        The kernel, where it is known: ``[kh, kw]``, of volumes ``[kz, kh, kw]``; it is normalized to sum 1. Or one for
        each group of pieces, ``[groups..., kh, kw]``; with ``tiles``, ``[rows, columns, kh, kw]``. A measured kernel is
        cleaned, centred and resampled to the image's pixels; the sentence of ``status`` says what was done.
    kernel_size : "auto", int or (int, int)
        Side, or height and width, of the unknown kernel in pixels; raised to odd numbers.
    kernel_per : {"stack", "channel", "frame", "plane"}
        Of a stack: one kernel for all, for each channel, for each frame, or for each plane (volume).
    mode : {"auto", "2d", "3d"}
        Whether Z counts planes, or is a spatial axis of volumes. "auto": volumes where ``kernel`` has three axes,
        ``voxel_size_um`` is given, or ``settings`` are those of volumes.
    tiles : (int, int), optional
        Rows and columns of tiles with a kernel each, where the blur varies over the image.
    tile_size : "auto" or int, optional
        Restore a large image tile by tile, in bounded memory; pixels that a tile adds to its overlaps ("auto": by
        memory, 1.2 GB for a tile). Chosen by itself where ``out`` is a path and a side is longer than 4096 px.
    voxel_size_um : (float, float, float), optional
        Sides of a voxel along z, y and x in um; by default as the file says, else voxels are cubes.
    mask : array or path, optional
        Not 0 at pixels that say nothing of the scene, such as dust or a label: of the image's shape, without colours,
        or of one plane (volume) for all. They influence nothing, and keep their values. Masked arrays bring their own.
        Hot and dead pixels, stuck lines, bars, burned-in text, margins and NaN are found without it.
    image_prior, kernel_prior : str, optional
        Names of pretrained priors, for the methods that use them.
    restarts, steps : int, optional
        For the methods that have them.
    seed : int
        Equal seeds give equal results on one machine with one number of threads.
    device : str
        "auto", "cpu", "cuda", "cuda:1", "mps".
    time_limit_s : float, optional
        Seconds after which the best estimate so far is returned, > 0; of each kernel estimation, where there are
        several. A step that is under way is finished.
    series : int, optional
        Which image of a file with several, from 0. By default the largest; where several are as large, the error lists
        them.
    out : path or array-like, optional
        Where the result goes instead of a new float32 array: a path, in the input's type (stacks and volumes: TIFF,
        NPY or Zarr), or something of the image's shape that can be assigned to, such as a Zarr array.
    dtype : {"input", "float32"}
        Data type of a file at ``out``: the input's, whose range cuts values off, which is told; or float32, which
        keeps all. Results in memory are float32.
    checkpoint : path, optional
        Of methods with untrained networks: a file that is written every minute and deleted at the end. If the run is
        killed, the same call resumes from it and ends in the same result.
    settings : Settings or mapping, optional
        The method's own settings, see :mod:`napari_genprior.settings`.

    Returns
    -------
    DeblurResult

    Raises
    ------
    InputError
        Image, kernel or arguments cannot be used, or one would have no effect beside the others; axes are wrong or
        ambiguous. The message says what is allowed.
    DeviceError
        No such device, or out of memory.
    FileError
        A file cannot be read or written; the checkpoint is that of another run.

    Examples
    --------
    >>> import napari_genprior as gp
    >>> sim = gp.simulate(gp.samples.cat()[:96, :96], kernel=gp.blur.motion(length=9), noise=0.01, seed=0)
    >>> result = gp.deblur(sim.blurred, kernel_size=9)
    >>> result.image.shape, result.kernel.shape
    ((96, 96, 3), (9, 9))
    """
    run_of_image = iter_deblur(
        image, method,
        axes=axes, kernel=kernel, kernel_size=kernel_size, kernel_per=kernel_per, mode=mode, tiles=tiles,
        tile_size=tile_size, voxel_size_um=voxel_size_um, mask=mask, image_prior=image_prior, kernel_prior=kernel_prior,
        restarts=restarts, steps=steps, seed=seed, device=device, time_limit_s=time_limit_s, series=series,
        out=out, dtype=dtype, checkpoint=checkpoint, settings=settings,
    )  # fmt: skip
    return run_to_end(run_of_image)


def known_kernel(
    image: Any,
    kernel: Any,
    *,
    axes: str | Sequence[str] | None = None,
    kernel_per: KernelPer = "stack",
    mode: Mode = "auto",
    tiles: tuple[int, int] | None = None,
    tile_size: TileSize = None,
    voxel_size_um: Sequence[float] | None = None,
    mask: Any = None,
    device: str = "auto",
    seed: int = 0,
    series: int | None = None,
    out: Any = None,
    dtype: FileType = "input",
    settings: Settings | Mapping[str, Any] | None = None,
) -> DeblurResult:
    """Deconvolve with a known kernel: ``deblur(image, "known-kernel", kernel=kernel)``.

    Parameters are those of :func:`deblur`.

    Examples
    --------
    >>> import napari_genprior as gp
    >>> sim = gp.simulate(gp.samples.cells()[:64, :64], gp.blur.motion(length=5), noise=0.01, seed=0)
    >>> gp.known_kernel(sim.blurred, sim.kernel).image.shape
    (64, 64)
    """
    return deblur(
        image, "known-kernel",
        axes=axes, kernel=kernel, kernel_per=kernel_per, mode=mode, tiles=tiles, tile_size=tile_size,
        voxel_size_um=voxel_size_um, mask=mask, seed=seed, device=device, series=series, out=out, dtype=dtype,
        settings=settings,
    )  # fmt: skip


def _plan_and_run(
    image: Any, request: Request, out: Any, checkpoint: str | Path | None
) -> Yields[Progress, None, DeblurResult]:
    """Plan at once, so that errors are raised at the call; a file stays open until the run ends."""
    if request.series is not None and not is_path(image):
        raise InputError("series= chooses an image of a file; an array is one image. Leave it out.")
    with ExitStack() as opened:
        source = opened.enter_context(open_lazy(image, request.series)) if is_path(image) else image
        begun = run(plan_request(source, request, out), checkpoint)
        files = opened.pop_all()
    return _close_at_end(begun, files)


def _close_at_end(
    begun: Yields[Progress, None, DeblurResult], files: ExitStack
) -> Yields[Progress, None, DeblurResult]:
    with files:
        return (yield from begun)
