"""The front door of large images: a file or lazy array -> tiles -> a file, in bounded memory."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator as Yields
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ..core.arrays import check_kernel
from ..core.axes import Layout, make_layout
from ..core.errors import InputError
from ..core.image_io import as_type
from ..core.iteration import map_states, run_to_end
from ..core.lazy_io import Lazy, open_lazy
from ..core.provenance import array_hash, provenance_of
from ..core.result import Progress, Provenance, Status, StatusCode, Word
from ..core.tiled_io import check_destination, open_writer
from ..core.version import __version__
from ..operators.detail import REGION
from ..operators.noise import KERNEL_NOISE, LEAST_NOISE
from ..settings import KnownKernelSettings
from . import plan as planning
from .device_memory import Solves
from .global_statistics import Survey
from .resume import resume_or_start
from .run import iter_deblur, known_kernel
from .stack_result import LargeResult
from .tiled_deconvolution import Step, cut, restored_by_tiles, side_for
from .tiling import Span, row_to_go_on_from

logger = logging.getLogger(__name__)

LARGE = 4096  # px, longest side of what is restored in one piece where nothing else is asked for
SHARES = (0.05, 0.15)  # of the progress bar: the survey, the search for the kernel; the rest is for the tiles
TOTAL = 1000  # of the progress bar
LEAST_TILE = 64  # px


@dataclass(frozen=True)
class _Request:
    """Checked arguments."""

    source: Any
    destination: Path
    axes: str | Sequence[str] | None
    tile: int | None
    region: int
    piece: planning.Request
    arguments: dict[str, Any]


def deblur_large(source: Any, destination: str | Path, **arguments: Any) -> LargeResult:
    """Make an image sharp that is too large for the memory, tile by tile, from a file into a file.

    All of it is looked at once: for its range, its noise, and the part with the most detail, where the kernel is
    searched unless it is given. Then overlapping tiles are solved for that kernel with one strength, and blended.

    Parameters
    ----------
    source : path or array
        TIFF, OME-TIFF, Zarr, OME-Zarr, or a numpy, dask or zarr array; Y and X (and colours) must be its last axes.
        Further axes are looped over, with one kernel for all.
    destination : path
        ``.zarr`` becomes OME-Zarr, ``.tif`` BigTIFF, in the type of the source and with its pixel sizes. What stands
        there is replaced when the run is at its end; a run that is stopped leaves nothing.
    kernel : array [kh, kw], optional
        Where it is known: >= 0; it is normalised to sum 1.
    axes : str, optional
        What the axes of the source mean, a letter each, where it does not say so itself.
    tile : "auto" or int
        Most pixels that a tile adds to its overlaps; "auto" chooses by memory: 1.2 GB for a tile.
    **arguments
        Of :func:`~napari_genprior.deblur`; ``time_limit_s`` goes for the search.

    Returns
    -------
    LargeResult

    Raises
    ------
    InputError
        Image, kernel or arguments cannot be used.
    FileError
        The source cannot be read, the destination not written, or the package zarr is missing.
    DeviceError
        No such device, or the memory does not hold a tile.

    Notes
    -----
    A run that was killed leaves what it had beside the destination (``.NAME.part``); the same call goes on with it.
    Tiles overlap by 8 sides of the kernel. So far from a border, a solve for a kernel of some 20 pixels takes notice
    of it by less than 1e-3 of the range; for long shakes by some 5e-3, below their noise.
    """
    return run_to_end(iter_deblur_large(source, destination, **arguments))


def iter_deblur_large(
    source: Any,
    destination: str | Path,
    *,
    axes: str | Sequence[str] | None = None,
    tile: int | str = "auto",
    **arguments: Any,
) -> Yields[Progress, None, LargeResult]:
    """As :func:`deblur_large`, yielding how far it is; the generator's return value is the result.

    Arguments are checked at the call, the source at the first step. Closing the generator stops the run.

    Yields
    ------
    Progress
        Its ``kernel`` is the one found so far, its ``image`` None.
    """
    if tile != "auto" and (isinstance(tile, bool) or not isinstance(tile, int | np.integer) or tile < LEAST_TILE):
        raise InputError(f"tile must be 'auto' or at least {LEAST_TILE} pixels; got {tile!r}.")
    destination = check_destination(destination)
    if isinstance(source, str | Path) and Path(source).resolve() == destination.resolve():
        raise InputError(f"The output {destination} is the input itself; inputs are never overwritten.")
    piece = planning.parse_request(**arguments)
    if planning.is_coded(piece.settings):
        raise InputError("Images in tiles are solved in the values they have; leave out transfer_function='srgb'.")
    size = None if tile == "auto" else int(tile)
    return _run(_Request(source, destination, axes, size, REGION, piece, arguments))


def _run(request: _Request) -> Yields[Progress, None, LargeResult]:
    started, clock = datetime.now(UTC), time.perf_counter()
    given = request.piece.kernel is not None
    with ExitStack() as files:
        lazy = files.enter_context(open_lazy(request.source))
        layout = _layout(lazy, request.axes)
        indices = list(np.ndindex(layout.pieces))
        dtype = np.dtype(lazy.data.dtype)
        survey = Survey(dtype.newbyteorder("="), layout.shape, request.region)
        for number, index in enumerate(indices):
            for fraction in survey.look(_Plane(lazy.data, index)):
                yield _progress(SHARES[0] * (number + fraction) / len(indices), "looking for detail")
        if survey.part is None:
            raise InputError("The image is constant; there is nothing to restore.")

        settings = (
            request.piece.settings
            if isinstance(request.piece.settings, KnownKernelSettings)
            else KnownKernelSettings.checked({})
        )
        note = files.enter_context(resume_or_start(request.destination, _identity(request, layout, survey)))
        kernel, verdict = note.kernel, note.verdict
        before = note.planes, note.rows
        if kernel is None or verdict is None:
            if given:
                kernel = check_kernel(request.piece.kernel)
                verdict = known_kernel(survey.part, kernel).verdict
            else:
                found = yield from map_states(iter_deblur(survey.part, **request.arguments), _of_search)
                kernel, verdict = found.kernel, found.verdict
            note.keep(kernel, verdict, 0, 0)

        colours = 3 if layout.axes[-1] == "S" else 1
        side = request.tile or side_for((kernel.shape[0], kernel.shape[1]), colours)
        shape = layout.sides("YX")
        rows, columns = cut((shape[0], shape[1]), kernel[None, None], side)
        noise = max(survey.noise, LEAST_NOISE if given else KERNEL_NOISE)
        kept = verdict.word is Word.KEPT
        step = Step(kernel[None, None], noise, survey.intensity, settings, leave=kept)
        solves = Solves(request.piece.device)
        native = dtype.newbyteorder("=")
        write = files.enter_context(
            open_writer(request.destination, layout.shape, native, lazy, layout.axes, note.part)
        )
        total = len(indices) * len(rows) * len(columns)
        done = before[0] * len(rows) * len(columns)
        for plane, index in list(enumerate(indices))[before[0] :]:
            stored = before[1] if plane == before[0] else 0
            top = row_to_go_on_from(rows, stored)
            first, done = rows[top].kept.start, done + top * len(columns)
            for ready in restored_by_tiles(_Plane(lazy.data, index), rows[top:], columns, step, solves):
                if ready is not None and first + len(ready) > stored:
                    fresh = as_type(ready[max(0, stored - first) :], dtype)
                    note.keep(kernel, verdict, plane, write(index, max(first, stored), fresh))
                first += 0 if ready is None else len(ready)
                done += 1
                yield _progress(sum(SHARES) + (1 - sum(SHARES)) * done / total, f"tile {done} of {total}", kernel)
            note.keep(kernel, verdict, plane + 1, 0)
    notes = [f"The run went through to its end, in {total} tiles.", *solves.notes]
    if any(before):
        notes.append(f"It went on where a run that was killed had come to: plane {before[0] + 1}, row {before[1]}.")
    status = Status(StatusCode.DONE, " ".join(notes))
    provenance = _provenance(request, layout, survey, str(solves.device), started, time.perf_counter() - clock, columns)
    logger.info("%s: %s (%.1f s)", layout.sentence, verdict.reason, provenance.seconds)
    return LargeResult(request.destination, kernel, verdict, status, provenance, (len(rows), len(columns)))


def _identity(request: _Request, layout: Layout, survey: Survey) -> dict[str, Any]:
    """All that the output depends on."""
    piece = request.piece
    return {
        "version": __version__,
        "input": [survey.sha256, layout.axes, list(layout.shape), survey.dtype.str],
        "method": [piece.method.name, piece.settings.model_dump(mode="json"), piece.seed, piece.time_limit_s],
        "kernel": [piece.kernel_size, None if piece.kernel is None else array_hash(piece.kernel)],
        "tile": request.tile,
        "device": str(piece.device),
    }


def _layout(lazy: Lazy, axes: str | Sequence[str] | None) -> Layout:
    if np.dtype(lazy.data.dtype).kind not in "uif":
        raise InputError(f"The image has data type {lazy.data.dtype}; integers or floats are needed.")
    layout = make_layout(lazy.data.shape, axes if axes is not None else lazy.axes)
    if not layout.axes.endswith(("YX", "YXS")):
        raise InputError(
            f"The image has the axes {layout.axes}; its last ones must be YX, or YXS (colour). Reorder it first."
        )
    return layout


class _Plane:
    """A plane of a lazy stack: slices of it are read when they are asked for."""

    def __init__(self, data: Any, index: tuple[int, ...]) -> None:
        self.data, self.index = data, index
        self.shape = tuple(data.shape[len(index) :])

    def __getitem__(self, where: Any) -> np.ndarray:
        inside = where if isinstance(where, tuple) else (where,)
        read = np.asarray(self.data[(*self.index, *inside)])
        return read.astype(read.dtype.newbyteorder("="), copy=False)


def _progress(fraction: float, stage: str, kernel: np.ndarray | None = None) -> Progress:
    return Progress(round(TOTAL * fraction), TOTAL, stage, kernel=kernel)


def _of_search(progress: Progress) -> Progress:
    return _progress(SHARES[0] + SHARES[1] * progress.fraction, progress.stage, progress.kernel)


def _provenance(
    request: _Request,
    layout: Layout,
    survey: Survey,
    device: str,
    started: datetime,
    seconds: float,
    columns: list[Span],
) -> Provenance:
    piece = request.piece
    return provenance_of(
        piece.method.name,
        piece.settings.model_dump(mode="json"),
        {
            "axes": layout.axes,
            "tile_px": columns[0].read.stop,
            "kernel_size": "auto" if piece.kernel_size is None else list(piece.kernel_size),
            "kernel_given": piece.kernel is not None,
            "time_limit_s": piece.time_limit_s,
        },
        seed=piece.seed,
        device=device,
        input_sha256=survey.sha256,
        input_shape=layout.shape,
        started=started,
        seconds=seconds,
    )
