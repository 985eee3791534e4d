"""From what a recipe found to what a user gets: own units, verdict, provenance."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime

import numpy as np
import torch

from ..core.arrays import to_image, to_tensor
from ..core.provenance import array_hash, provenance_of
from ..core.result import (
    GENERATED,
    REJECTED,
    SPREAD,
    DeblurResult,
    History,
    Progress,
    Status,
    StatusCode,
    Verdict,
    Word,
)
from ..methods import Snapshot
from ..quality.verdict import RunContext, judge, range_error
from .plan import Plan, network_hashes

logger = logging.getLogger(__name__)


def to_progress(snapshot: Snapshot, plan: Plan) -> Progress:
    image = None if snapshot.image is None else to_image(snapshot.image, plan.intensity, plan.image)
    kernel = None if snapshot.kernel is None else normalize_kernel(snapshot.kernel[0, 0].detach().cpu().numpy())
    losses = {name: np.asarray(torch.as_tensor(value).detach().cpu()) for name, value in snapshot.losses.items()}
    return Progress(snapshot.step, snapshot.total, snapshot.stage, image, kernel, losses)


def to_extra_image(name: str, extra: torch.Tensor, plan: Plan, image: torch.Tensor) -> np.ndarray:
    if name != SPREAD:
        return to_image(extra, plan.intensity, plan.image)
    # a standard deviation has the scale of the input, but not its offset; one value for all channels
    spread = extra[0].detach().cpu().numpy() * plan.intensity.slope(image[0].detach().cpu().numpy())
    return np.sqrt(np.square(spread).mean(0)).astype(np.float32)


def normalize_kernel(kernel: np.ndarray) -> np.ndarray:
    kernel = np.clip(kernel.astype(np.float64), 0, None)
    return (kernel / kernel.sum()).astype(np.float32)


def result_of(
    plan: Plan,
    image: np.ndarray,
    kernel: np.ndarray,
    snapshots: list[Progress],
    status: Status,
    started: datetime,
    seconds: float,
    chosen: int = 0,
    layers: dict[str, np.ndarray] | None = None,
    candidates: tuple[tuple[np.ndarray, float], ...] = (),
) -> DeblurResult:
    kernel, layers = normalize_kernel(kernel), layers or {}
    verdict = verdict_on(plan, image, kernel, status, layers, candidates)
    if verdict.word is Word.KEPT:
        layers, image = layers | {REJECTED: image}, plan.image.astype(np.float32)
    provenance = provenance_of(
        plan.method.name,
        plan.settings.model_dump(mode="json"),
        {
            "kernel_size": "auto" if plan.kernel_size is None else list(plan.kernel_size),
            "kernel_sha256": None if plan.kernel is None else array_hash(plan.kernel),
            "time_limit_s": plan.time_limit_s,
            **{f"{field}_sha256": prior.card.sha256 for field, prior in plan.priors.items()},
            "networks": network_hashes(plan),
        },
        seed=plan.seed,
        device=plan.device,
        input_sha256=array_hash(plan.image),
        input_shape=plan.image.shape,
        started=started,
        seconds=seconds,
    )
    logger.info("%s: %s (%.1f s)", plan.sentence, verdict.reason, seconds)
    return DeblurResult(image, kernel, verdict, History.of(snapshots), status, provenance, chosen, layers, candidates)


def verdict_on(
    plan: Plan,
    image: np.ndarray,
    kernel: np.ndarray,
    status: Status,
    layers: dict[str, np.ndarray],
    candidates: tuple[tuple[np.ndarray, float], ...],
) -> Verdict:
    """Judge what a plan's run found; parameters as in :class:`.result.DeblurResult`."""
    generated, prior = layers.get(GENERATED), plan.priors.get("image_prior")
    if generated is None and prior is not None and not plan.method.covers:
        generated = image  # strictly in the generator's range
    clues = RunContext(
        candidates=[
            torch.from_numpy(kernel)[None, None] for kernel, _ in sorted(candidates, key=lambda candidate: candidate[1])
        ],
        generated=None if generated is None else _in_working_units(plan, generated),
        spread=None if SPREAD not in layers else float(np.median(layers[SPREAD])) / plan.intensity.scale,
    )
    if prior is not None:
        clues = replace(clues, range_error=range_error(prior.card))
    given = plan.kernel is not None or not plan.method.finds_kernel
    return judge(
        _in_working_units(plan, plan.image),
        _in_working_units(plan, image),
        torch.from_numpy(kernel)[None, None],
        status,
        given,
        clues,
        # who gave a kernel, or stopped the run, wants to see what came of it
        may_keep=not given and status.code is not StatusCode.STOPPED,
    )


def _in_working_units(plan: Plan, image: np.ndarray) -> torch.Tensor:
    return to_tensor(image, plan.intensity, torch.device("cpu"))
