"""The front door: checked input -> plan -> kernels -> restored pieces -> verdict -> result.

One run serves images, stacks, volumes, large files and spatially varying blur: they differ in their :mod:`.pieces`.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Generator as Yields
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..core.arrays import out_of_memory
from ..core.axes import KernelPer
from ..core.errors import LONGEST, DeviceError, InputError
from ..core.image_io import check_place
from ..core.iteration import map_states, run_to_end
from ..core.lazy_io import open_lazy
from ..core.provenance import array_hash
from ..core.result import (
    DeblurResult,
    Index,
    Progress,
)
from ..core.version import __version__
from ..methods.checkpoint import Checkpoint
from ..settings import Settings
from .finalize import Clock, build_result
from .finalize import partial_result as partial_result
from .large import LargePieces
from .pieces import Pieces
from .plan import Plan, make_plan
from .recipe_run import Restored, run_recipe
from .request import KernelSize, Mode, is_path
from .single import SinglePiece
from .spatially_varying import VaryingPieces
from .stack import StackPieces

logger = logging.getLogger(__name__)


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
    tile_size: int | str | None = None,
    voxel_size_um: Sequence[float] | None = None,
    image_prior: str | None = None,
    kernel_prior: str | None = None,
    restarts: int | None = None,
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    time_limit_s: float | None = None,
    out: Any = None,
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
    arguments = {name: value for name, value in locals().items() if name not in ("image", "checkpoint")}
    if not is_path(image):
        return run(make_plan(image, **arguments), checkpoint)
    if output_is_input(image, out):
        raise InputError(f"The output {out} is the input itself; inputs are never overwritten.")
    with open_lazy(image) as source:  # only its head is read
        make_plan(source, **arguments)
    return _run_file(Path(image), arguments, checkpoint)


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
    tile_size: int | str | None = None,
    voxel_size_um: Sequence[float] | None = None,
    image_prior: str | None = None,
    kernel_prior: str | None = None,
    restarts: int | None = None,
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    time_limit_s: float | None = None,
    out: Any = None,
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
        The kernel, where it is known: ``[kh, kw]``, of volumes ``[kz, kh, kw]``; >= 0, it is normalized to sum 1. Or
        one for each group of pieces, ``[groups..., kh, kw]``; with ``tiles``, ``[rows, columns, kh, kw]``.
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
    out : path or array-like, optional
        Where the result goes instead of a new float32 array: a path, in the input's type (stacks and volumes: TIFF or
        Zarr), or something of the image's shape that can be assigned to, such as a Zarr array.
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
        Image, kernel or arguments cannot be used; axes are wrong or ambiguous. The message says what is allowed.
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
    return run_to_end(iter_deblur(**locals()))


def known_kernel(
    image: Any,
    kernel: Any,
    *,
    axes: str | Sequence[str] | None = None,
    mode: Mode = "auto",
    voxel_size_um: Sequence[float] | None = None,
    device: str = "auto",
    seed: int = 0,
    out: Any = None,
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
    return deblur(method="known-kernel", **locals())


def run(plan: Plan, checkpoint: str | Path | None = None) -> Yields[Progress, None, DeblurResult]:
    """Run a plan: yields snapshots, returns the result. Raises DeviceError where memory runs out."""
    stored = None if checkpoint is None else _checkpoint(plan, Path(checkpoint))
    return _run_guarded(plan, stored)


def output_is_input(source: Any, out: Any) -> bool:
    """Return whether an output path names the input file."""
    return is_path(source) and is_path(out) and Path(source).resolve() == Path(out).resolve()


def _run_file(
    path: Path, arguments: dict[str, Any], checkpoint: str | Path | None
) -> Yields[Progress, None, DeblurResult]:
    with open_lazy(path) as source:
        return (yield from run(make_plan(source, **arguments), checkpoint))


def _run_guarded(plan: Plan, checkpoint: Checkpoint | None) -> Yields[Progress, None, DeblurResult]:
    try:
        return (yield from _run(plan, checkpoint))
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        reason = " ".join(str(error).split())[:LONGEST]
    # outside of the handler: its error would keep every tensor of the run alive
    size = "x".join(map(str, plan.layout.piece_shape))
    raise DeviceError(
        f"Out of memory on {plan.device} in a run of {plan.method.name} on {size} px ({reason}); "
        "use a smaller part, tile_size='auto', fewer restarts or another device."
    )


def _run(plan: Plan, checkpoint: Checkpoint | None) -> Yields[Progress, None, DeblurResult]:
    clock = Clock(datetime.now(UTC))
    with _pieces_of(plan) as pieces:
        yield from pieces.survey()
        for batch in pieces.batches:
            for group in batch:
                if not pieces.known(group):
                    estimate = yield from _estimate(pieces, group, checkpoint)
                    pieces.take(group, estimate)
            yield from pieces.restore(batch)
        outcome = pieces.outcome()
        clock.stop()
    return build_result(plan, outcome, clock)


def _pieces_of(plan: Plan) -> Pieces:
    if plan.tiles is not None:
        return VaryingPieces(plan)
    if plan.tiled:
        return LargePieces(plan)
    return SinglePiece(plan) if plan.single else StackPieces(plan)


def _estimate(pieces: Pieces, group: Index, checkpoint: Checkpoint | None) -> Yields[Progress, None, Restored]:
    """Estimate the kernel of a group in its parts, and of a single image the image with it."""
    parts = yield from pieces.parts(group)
    plan = pieces.plan_of(group)
    kernel = plan.kernels if plan.single else None
    recipe = run_recipe(plan, parts, kernel, checkpoint)
    return (yield from map_states(recipe, lambda progress: pieces.while_estimating(group, progress)))


def _checkpoint(plan: Plan, path: Path) -> Checkpoint:
    if not plan.method.untrained or not plan.single:
        raise InputError(
            f"Method {plan.method.name!r} does not support checkpoints; single images with untrained networks do."
        )
    check_place(path)
    parts = [plan.method.name, plan.settings.model_dump_json(), plan.kernel_size, plan.seed, array_hash(plan.image)]
    parts += [prior.card.sha256 for prior in plan.priors.values()]
    parts += ["" if plan.kernels is None else array_hash(plan.kernels), __version__]
    return Checkpoint(path, hashlib.sha256(repr(parts).encode()).hexdigest())
