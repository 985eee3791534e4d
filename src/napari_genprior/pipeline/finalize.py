"""Put together what users get: the result of a run that ended, or was stopped."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from ..core.conversion import Conversion
from ..core.provenance import array_hash, provenance_of
from ..core.result import (
    REJECTED_ESTIMATE,
    DeblurResult,
    History,
    Index,
    Progress,
    Provenance,
    Status,
    StatusCode,
    Verdict,
)
from ..core.tiled_io import write_image_file
from .pieces import Outcome
from .plan import Plan, output_path
from .prior_choice import network_hashes
from .recipe_run import state_of, stopped_piece
from .stack import gather

logger = logging.getLogger(__name__)


class Clock:
    """When a run started and how long it took."""

    def __init__(self, started: datetime, seconds: float | None = None) -> None:
        self.started, self.seconds, self._begun = started, seconds or 0.0, time.perf_counter()

    def stop(self) -> None:
        self.seconds = time.perf_counter() - self._begun


def build_result(plan: Plan, outcome: Outcome, clock: Clock, complete: bool = True) -> DeblurResult:
    """Put together what users get; a rejected estimate is replaced by the input, and kept beside it.

    A run that is not ``complete`` writes no file.
    """
    restored, image = outcome.restored, outcome.image
    extra = {} if restored is None else restored.extra_images
    if restored is not None and outcome.verdict.rejected:
        extra, image = extra | {REJECTED_ESTIMATE: image}, plan.image.astype(np.float32)
    logger.info("%s: %s (%.1f s)", plan.sentence, outcome.verdict.reason, clock.seconds)
    notes = plan.kernel_notes
    wanted = plan.out is not None and (complete or output_path(plan) is None)
    if wanted and image is not None and image is not plan.out:
        image, cut_off = _put_out(plan, image)
        notes = (cut_off, *notes)
    return DeblurResult(
        image=image,
        kernels=outcome.kernels,
        verdict=outcome.verdict,
        history=History.of([] if restored is None else restored.snapshots),
        status=outcome.status.with_notes(*notes),
        provenance=_provenance(plan, outcome, clock),
        selected=0 if restored is None else restored.selected,
        extra_images=extra,
        candidates=() if restored is None else restored.candidates,
        verdicts=outcome.verdicts or {},
        layout=plan.layout,
        constant_pieces=outcome.constant_pieces,
        path=output_path(plan),
    )


def _put_out(plan: Plan, image: np.ndarray) -> tuple[Any, str]:
    """Hand an image that was restored in memory to where the caller wants it; return what holds it, and a note."""
    path = output_path(plan)
    if path is not None:
        conversion = Conversion(plan.file_dtype)
        write_image_file(path, conversion(image), plan.source, plan.layout.axes)
        return image, conversion.sentence
    plan.out[...] = image
    return plan.out, ""


def _provenance(plan: Plan, outcome: Outcome, clock: Clock) -> Provenance:
    """Record all arguments that the result depends on."""
    arguments = {
        "axes": plan.layout.axes,
        "kernel_per": plan.kernel_per,
        "mode": plan.mode,
        "tiles": None if plan.tiles is None else list(plan.tiles),
        "voxel_size_um": None if plan.voxel_size_um is None else list(plan.voxel_size_um),
        "kernel_size": "auto" if plan.kernel_size is None else list(plan.kernel_size),
        "mask_sha256": None if plan.mask is None else array_hash(plan.mask),
        "kernel_sha256": None if plan.kernels is None else array_hash(plan.kernels),
        "kernel_notes": list(plan.kernel_notes),
        "optics": None if plan.optics is None else plan.optics.given,
        "time_limit_s": plan.time_limit_s,
        "dtype": plan.dtype,
        "series": plan.series,
        "tile_size": (plan.tile_size or "auto") if plan.tiled else None,
        **{f"{field}_sha256": prior.card.sha256 for field, prior in plan.priors.items()},
        "networks": network_hashes(plan.method, plan.settings, plan.priors, plan.kernels is not None),
        **(outcome.arguments or {}),
    }
    return provenance_of(
        plan.method.name,
        plan.settings.model_dump(mode="json"),
        arguments,
        seed=plan.seed,
        device=outcome.device or plan.device,
        input_sha256=outcome.input_sha256,
        input_shape=plan.layout.shape,
        started=clock.started,
        seconds=clock.seconds,
    )


def partial_result(
    plan: Plan,
    last: Progress,
    seconds: float,
    image: Any = None,
    kernels: Mapping[Index, np.ndarray] | None = None,
) -> DeblurResult | None:
    """Return the result of a run that was stopped at snapshot ``last``; None where there is nothing to return yet.

    Parameters
    ----------
    image : array, optional
        Of a stack: what was restored so far, the rest as it was.
    kernels : mapping, optional
        Of a stack: the kernels used so far, by group.
    """
    clock = Clock(started=datetime.now(UTC), seconds=seconds)
    if plan.single:
        if last.image is None or last.kernel is None:
            return None
        status = Status(StatusCode.STOPPED, f"Stopped; {state_of(last)}")
        restored = stopped_piece(plan, plan.image, last, status)
        outcome = Outcome(
            restored.image, restored.kernel, restored.verdict, array_hash(plan.image), status, restored=restored
        )
        return build_result(plan, outcome, clock, complete=False)
    if not kernels or image is None:
        return None
    status = Status(StatusCode.STOPPED, f"Stopped after {last.stage}; the remaining pieces are the input's.")
    verdict = Verdict(False, "The run was stopped before its end.")
    filled = {group: kernels.get(group, next(iter(kernels.values()))) for group in np.ndindex(plan.layout.groups)}
    outcome = Outcome(image, gather(filled, plan.layout.groups), verdict, "", status)
    return build_result(plan, outcome, clock, complete=False)
