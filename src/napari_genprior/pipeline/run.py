"""Run a plan: kernels -> restored pieces -> verdict -> result.

One run serves images, stacks, volumes, large files and spatially varying blur: they differ in their :mod:`.pieces`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator as Yields
from datetime import UTC, datetime
from pathlib import Path

from ..core.arrays import out_of_memory
from ..core.errors import LONGEST, DeviceError, InputError, short_repr
from ..core.image_io import check_place
from ..core.iteration import map_states
from ..core.provenance import array_hash
from ..core.result import DeblurResult, Index, Progress
from ..core.version import __version__
from ..methods.checkpoint import Checkpoint
from .finalize import Clock, build_result
from .large import LargePieces
from .output_checks import check_creatable
from .pieces import Pieces
from .plan import Plan
from .recipe_run import Restored, run_recipe
from .request_checks import is_path
from .single import SinglePiece
from .spatially_varying import VaryingPieces
from .stack import StackPieces


def run(plan: Plan, checkpoint: str | Path | None = None) -> Yields[Progress, None, DeblurResult]:
    """Run a plan: yields snapshots, returns the result. Raises DeviceError where memory runs out."""
    if checkpoint is not None and not is_path(checkpoint):
        raise InputError(f"checkpoint must be a path; got {short_repr(checkpoint)}.")
    stored = None if checkpoint is None else _checkpoint(plan, Path(checkpoint))
    return _run_guarded(plan, stored)


def estimate_first_kernel(plan: Plan) -> Yields[Progress, None, Restored]:
    """Estimate the kernel of the first group of pieces, and restore nothing but where it is estimated."""
    with _pieces_of(plan) as pieces:
        yield from pieces.survey()
        estimate = yield from _estimate(pieces, pieces.batches[0][0], None)
        if estimate is None:
            raise InputError("The image is constant; there is nothing to restore.")
        return estimate


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
                    if estimate is not None:
                        pieces.estimations.append(estimate.status)
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


def _estimate(pieces: Pieces, group: Index, checkpoint: Checkpoint | None) -> Yields[Progress, None, Restored | None]:
    """Estimate the kernel of a group in its parts, and of a single image the image with it; None if all is constant."""
    parts = yield from pieces.parts(group)
    if not parts:
        return None
    plan = pieces.plan_of(group)
    kernel = plan.kernels if plan.single else None
    recipe = run_recipe(plan, parts, kernel, checkpoint, pieces.part_mask(group))
    return (yield from map_states(recipe, lambda progress: pieces.while_estimating(group, progress)))


def _checkpoint(plan: Plan, path: Path) -> Checkpoint:
    if not plan.method.untrained or not plan.single:
        raise InputError(
            f"Method {plan.method.name!r} does not support checkpoints; single images with untrained networks do."
        )
    check_creatable(path)
    check_place(path)
    parts = [plan.method.name, plan.settings.model_dump_json(), plan.kernel_size, plan.seed, array_hash(plan.image)]
    parts += [prior.card.sha256 for prior in plan.priors.values()]
    parts += ["" if plan.kernels is None else array_hash(plan.kernels), __version__]
    return Checkpoint(path, hashlib.sha256(repr(parts).encode()).hexdigest())
