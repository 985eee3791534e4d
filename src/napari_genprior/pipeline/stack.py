"""The front door of stacks: axes and a request -> :class:`.StackPlan` -> pieces on the way -> :class:`.StackResult`."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Generator as Yields
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from ..blur.support import center_subpixel, pad_to
from ..core.axes import Layout
from ..core.iteration import map_states, run_to_end
from ..core.provenance import array_hash, provenance_of
from ..core.result import DeblurResult, Provenance, Status, StatusCode, Verdict, Word
from ..operators.detail import detail
from ..settings import KnownKernelSettings, Settings
from .kernel_search import estimate_shared_kernel
from .planes import judged, restored, smooth_over_time
from .stack_plan import StackPlan, plan_stack
from .stack_result import StackProgress, StackResult

logger = logging.getLogger(__name__)

SEARCH = 20  # known-kernel steps that a search takes as long as, for the progress bar
Index = tuple[int, ...]


def deblur_stack(data: Any, axes: str | Sequence[str] | None = None, **arguments: Any) -> StackResult:
    """Make a stack sharp: planes or volumes that may share blur kernels, which are found unless they are given.

    The kernel of a group of pieces is searched where there is most detail, in up to four planes together (methods
    "auto" and "classical" without a kernel prior; else, and of volumes, in one); then each piece is solved for it.

    Parameters
    ----------
    data : array
        Any integer or float type; may be lazy (dask, zarr): then a piece is read at a time.
    axes : str or sequence of str, optional
        What the axes mean, a letter each: T (time), C (channel), Z (depth), Y, X, S (colour), such as "TCYX".
    kernels : {"one", "channel", "frame", "plane"}
        One kernel for all, for each channel, for each frame, or for each plane (volume).
    depth : {"planes", "volume"}
        Whether Z is more planes, or space.
    kernel : array, optional
        Where it is known: ``[kh, kw]`` (volumes ``[kz, kh, kw]``) for all, or one for each group,
        ``[groups..., kh, kw]``.
    out : array-like, optional
        Takes the result instead of a new float32 array: of the stack's shape, assignable, such as a zarr array.
    **arguments
        Of :func:`~napari_genprior.deblur`; ``time_limit_s`` goes for each search. Of volumes, those of
        :func:`~.volumes.deblur_volume`.

    Returns
    -------
    StackResult

    Raises
    ------
    InputError
        Axes that are wrong or ambiguous (the message lists the readings), or what ``deblur`` refuses.
    DeviceError
        No such device.

    Examples
    --------
    >>> import napari_genprior as gp
    >>> result = gp.deblur_stack(movie, "TCYX", kernels="channel")
    >>> result.kernels.shape  # [C, kh, kw]
    """
    return run_to_end(iter_deblur_stack(data, axes, **arguments))


def iter_deblur_stack(
    data: Any, axes: str | Sequence[str] | None = None, *, out: Any = None, **arguments: Any
) -> Yields[StackProgress, None, StackResult]:
    """As :func:`deblur_stack`, handing out pieces as they are done; the generator's return value is the result.

    Arguments are checked at the call. Closing the generator stops the run; the pieces handed out remain valid.

    Yields
    ------
    StackProgress
    """
    return run_stack(plan_stack(data, axes, **arguments), out)


def run_stack(plan: StackPlan, out: Any = None) -> Yields[StackProgress, None, StackResult]:
    """Run a plan: yields pieces and snapshots, returns the result."""
    started, clock = datetime.now(UTC), time.perf_counter()
    layout = plan.layout
    image = np.empty(layout.shape, np.float32) if out is None else out
    groups, count = list(np.ndindex(layout.groups)), int(np.prod(layout.pieces))
    total = count + (0 if plan.given is not None else SEARCH * len(groups))
    digest = hashlib.sha256(f"{np.dtype(plan.data.dtype).str}{layout.shape}".encode())
    solved = 0
    kernels: dict[Index, np.ndarray] = {}
    verdicts: dict[Index, Verdict] = {}
    blank: list[Index] = []
    done = 0
    # kernels of frames are smoothed over time: those are all searched before the first is used
    found: dict[Index, Verdict | None]
    for together in [groups] if layout.kernels == "frame" and plan.given is None else [[group] for group in groups]:
        found = {}
        for group in together:
            if plan.given is not None:
                kernels[group] = plan.given[group]
                continue

            def of_search(p: StackProgress, done: int = done, group: Index = group) -> StackProgress:
                return replace(p, step=done + round(SEARCH * p.fraction), total=total, group=group)

            kernel, found[group] = yield from map_states(
                estimate_shared_kernel(plan, list(layout.members(group))), of_search
            )
            kernels[group] = center_subpixel(kernel)
            done += SEARCH
        if plan.given is None and layout.kernels == "frame":
            kernels = dict(zip(together, smooth_over_time([kernels[group] for group in together]), strict=True))
        for group in together:
            explained: dict[Index, bool] = {}
            for index in layout.members(group):
                piece = layout.take(plan.data, index)
                digest.update(np.ascontiguousarray(piece).data)
                done, solved = done + 1, solved + 1
                if detail(piece) < 0:
                    blank.append(index)
                    result = piece.astype(np.float32)
                elif group in found and _kept(found[group]):
                    result, explained[index] = piece.astype(np.float32), False
                else:
                    if group not in found and not explained:  # of a given kernel, the first piece is judged
                        result, verdict = _first(plan, piece, kernels[group])
                        found[group], explained[index] = verdict, verdict.improved
                    else:
                        result, explained[index] = _solve(plan, piece, kernels[group])
                layout.put(image, index, result)
                stage = f"{_word(layout)} {solved} of {count}"
                yield StackProgress(done, total, stage, result, kernels[group], index=index, group=group)
            verdicts[group] = _of_group(explained, found.get(group))
    provenance = _provenance(plan, digest.hexdigest(), started, time.perf_counter() - clock)
    status = Status(StatusCode.DONE, "The run went through to its end.")
    logger.info("%s (%.1f s)", plan.sentence, provenance.seconds)
    return StackResult(image, _together(kernels, layout.groups), verdicts, layout, status, provenance, tuple(blank))


def _first(plan: StackPlan, piece: np.ndarray, kernel: np.ndarray) -> tuple[np.ndarray, Verdict]:
    """A piece for a given kernel, with a verdict."""
    if plan.layout.depth == "planes":
        return judged(piece, kernel, _settings(plan), plan.piece.device)
    result = _volume(plan, piece, kernel)
    return result.image, result.verdict


def _solve(plan: StackPlan, piece: np.ndarray, kernel: np.ndarray) -> tuple[np.ndarray, bool]:
    """A piece for a kernel, and whether that explains it."""
    if plan.layout.depth == "planes":
        return restored(piece, kernel, plan.given is not None, _settings(plan), plan.piece.device)
    result = _volume(plan, piece, kernel)
    return result.image, result.verdict.improved


def _volume(plan: StackPlan, piece: np.ndarray, kernel: np.ndarray) -> DeblurResult:
    from .volumes import iter_deblur_volume

    return run_to_end(iter_deblur_volume(piece, kernel, **{**plan.arguments, "method": "known-kernel"}))


def _kept(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.word is Word.KEPT


def _settings(plan: StackPlan) -> KnownKernelSettings:
    settings = plan.piece.settings
    return settings if isinstance(settings, KnownKernelSettings) else KnownKernelSettings.checked({})


def _word(layout: Layout) -> str:
    return "volume" if layout.depth == "volume" else "plane"


def _of_group(explained: dict[Index, bool], verdict: Verdict | None) -> Verdict:
    """The verdict of the search, or of a given kernel's first piece; and how many pieces the kernel explains."""
    if verdict is None or not explained:
        return Verdict(False, "All images of this group are constant.", {})
    figures = {**verdict.figures, "pieces": len(explained), "explained": sum(explained.values())}
    return replace(verdict, figures=figures)


def _together(kernels: dict[Index, np.ndarray], groups: Index) -> np.ndarray:
    """Kernels of different sizes in one array, centred on each other."""
    sides = tuple(max(k.shape[axis] for k in kernels.values()) for axis in range(next(iter(kernels.values())).ndim))
    return np.stack([pad_to(kernels[group], sides) for group in np.ndindex(groups)]).reshape(*groups, *sides)


def _provenance(plan: StackPlan, input_sha256: str, started: datetime, seconds: float) -> Provenance:
    made = plan.piece
    volume = plan.layout.depth == "volume"
    return provenance_of(
        plan.arguments.get("method", "auto") if volume else made.method.name,
        _plain(plan.arguments.get("settings")) if volume else made.settings.model_dump(mode="json"),
        {
            "axes": plan.layout.axes,
            "kernels": plan.layout.kernels,
            "depth": plan.layout.depth,
            "kernel_size": "auto" if made.kernel_size is None else list(made.kernel_size),
            "kernel_sha256": None if plan.given is None else array_hash(plan.given),
            "time_limit_s": made.time_limit_s,
            **({"voxel_um": plan.arguments.get("voxel_um")} if volume else {}),
        },
        seed=made.seed,
        device=made.device,
        input_sha256=input_sha256,
        input_shape=plan.layout.shape,
        started=started,
        seconds=seconds,
    )


def _plain(settings: Any) -> dict[str, Any]:
    return settings.model_dump(mode="json") if isinstance(settings, Settings) else dict(settings or {})
