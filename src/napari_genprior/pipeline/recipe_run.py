"""Run one recipe on one piece: working units inside, the verdict made there, native units at the two ends."""

from __future__ import annotations

import time
from collections.abc import Generator as Yields
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from ..core.arrays import kernel_to_tensor, to_kernel, to_tensor
from ..core.result import (
    GENERATOR_ESTIMATE,
    RESTART_STD,
    Candidate,
    DeblurResult,
    Progress,
    Status,
    StatusCode,
    Verdict,
)
from ..methods import Problem, Snapshot, Solution
from ..methods.checkpoint import Checkpoint
from ..methods.final_deconvolution import match_flux
from ..operators.observed import Observed
from ..quality.verdict import RunContext, judge
from ..settings import ClassicalSettings
from ..zoo.store import Generator
from .observe import ObservedPiece, known_noise, observe_piece, observe_pieces
from .plan import Plan

DONE = Status(StatusCode.DONE, "Completed.")
DIVERGED = Status(StatusCode.DIVERGED, "The losses became NaN or infinite; the last finite state is returned.")


@dataclass(frozen=True)
class Restored:
    """What a recipe made of a piece: native units, plain numpy.

    Parameters
    ----------
    image : float32 array
        The estimate, whatever the verdict.
    kernel : float32 array [(kz,) kh, kw]
    snapshots : list of Progress
        With losses alone: a preview per step of a large image would fill the memory.
    counts : dict of str to int
        Pixels that were left out, by what is wrong with them.
    """

    image: np.ndarray
    kernel: np.ndarray
    verdict: Verdict
    status: Status
    snapshots: list[Progress]
    selected: int = 0
    extra_images: dict[str, np.ndarray] = field(default_factory=dict)
    candidates: tuple[Candidate, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)


def run_recipe(
    plan: Plan,
    parts: Sequence[np.ndarray],
    kernel: np.ndarray | None = None,
    checkpoint: Checkpoint | None = None,
    mask: np.ndarray | None = None,
) -> Yields[Progress, None, Restored]:
    """Run the plan's method on a piece.

    Parameters
    ----------
    plan : Plan
        Its method, settings, kernel size, priors, seed, device and time limit count.
    parts : sequence of array
        The piece ``[(Z,) Y, X]`` or ``[Y, X, 3 or 4]``, then more images that the same kernel blurred.
    kernel : float32 array, optional
        The kernel, where it is known.
    mask : bool array [(Z,) Y, X], optional
        True at pixels of the piece that say nothing.

    Yields
    ------
    Progress
    """
    clock, piece = time.perf_counter(), observe_piece(parts[0], plan.settings, plan.device, mask)
    problem = _problem(plan, piece, parts[1:], kernel, checkpoint)
    recipe = (plan.method.recipe_3d if plan.is_volume else plan.method.recipe)(problem)  # type: ignore[misc]  # checked
    snapshots: list[Progress] = []
    while True:
        try:
            snapshot = next(recipe)
        except StopIteration as end:
            solution: Solution = end.value
            if checkpoint is not None:
                checkpoint.delete()
            break
        progress = _to_progress(snapshot, piece)
        snapshots.append(replace(progress, image=None, kernel=None))
        yield progress
        late = plan.time_limit_s is not None and time.perf_counter() - clock > plan.time_limit_s
        if late and not _keeps_time_limit(plan) and snapshot.image is not None and snapshot.kernel is not None:
            recipe.close()
            early = Solution(snapshot.image, snapshot.kernel)
            status = _out_of_time(plan, state_of(progress))
            return _restored(plan, piece, early, status, snapshots)
    if solution.diverged:
        status = DIVERGED
    else:
        status = _out_of_time(plan, "the best estimate so far is returned.") if solution.stopped else DONE
    return _restored(plan, piece, solution, status, snapshots)


def _keeps_time_limit(plan: Plan) -> bool:
    """Return whether the recipe itself ends in time: not in volumes, nor in the range of a kernel prior."""
    in_range = plan.method.settings is ClassicalSettings and "kernel_prior" in plan.priors
    return plan.method.keeps_time_limit and not plan.is_volume and not in_range


def _out_of_time(plan: Plan, returned: str) -> Status:
    return Status(StatusCode.STOPPED, f"The time limit of {plan.time_limit_s:g} s was reached; {returned}")


def state_of(last: Progress) -> str:
    """Say which state of a stopped run is returned."""
    return f"the state at step {last.step} of {last.total} ({last.stage}) is returned."


def assess_result(plan: Plan, result: DeblurResult) -> Verdict:
    """Assess the estimate of a single image again, as its run did."""
    cpu = torch.device("cpu")
    piece = observe_piece(plan.image, plan.settings, cpu, plan.mask)
    intensity = piece.intensity
    extra_images = {
        name: torch.from_numpy(extra / intensity.scale)[None, None]
        if name == RESTART_STD
        else to_tensor(extra, intensity, cpu)
        for name, extra in result.extra_images.items()
        if name in (RESTART_STD, GENERATOR_ESTIMATE)
    }
    candidates = [(kernel_to_tensor(kernel, cpu), cost) for kernel, cost in result.candidates]
    image = to_tensor(result.found, intensity, cpu)
    image = torch.where(piece.observed.masked & ~torch.isfinite(image), piece.observed.values, image)
    kernel, stopped = kernel_to_tensor(result.kernel, cpu), _keeps_time_limit(plan)
    solution = Solution(image, kernel, stopped=stopped, candidates=candidates, extra_images=extra_images)
    return _assess(plan, piece.observed, intensity.clamp(image), solution, result.status, [])


def stopped_piece(plan: Plan, piece: np.ndarray, last: Progress, status: Status) -> Restored:
    """Assess what a run that was stopped had reached at its last snapshot with an image and a kernel."""
    assert last.image is not None
    assert last.kernel is not None
    cpu = torch.device("cpu")
    observed = observe_piece(piece, plan.settings, cpu, plan.mask)
    image = to_tensor(last.image, observed.intensity, cpu)
    image = torch.where(torch.isfinite(image), image, observed.observed.values)
    solution = Solution(image, kernel_to_tensor(last.kernel, cpu))
    return _restored(plan, observed, solution, status, [replace(last, image=None, kernel=None)])


def _problem(
    plan: Plan,
    piece: ObservedPiece,
    others: Sequence[np.ndarray],
    kernel: np.ndarray | None,
    checkpoint: Checkpoint | None,
) -> Problem:
    device = plan.device
    priors = {name: Generator(prior.card, prior.net.to(device)) for name, prior in plan.priors.items()}
    return Problem(
        blurred=piece.observed.values,
        pixels=piece.observed,
        settings=plan.settings,
        kernel=None if kernel is None else kernel_to_tensor(kernel, device),
        kernel_size=plan.kernel_size,
        seed=plan.seed,
        time_limit_s=plan.time_limit_s,
        image_prior=priors.get("image_prior"),
        kernel_prior=priors.get("kernel_prior"),
        companions=observe_pieces(others, plan.settings, device),
        checkpoint=checkpoint,
        voxel_weights=plan.voxel_weights,
        psf_constraints=plan.psf_constraints,
        known_noise=known_noise(plan.settings, piece.intensity),
    )


def _restored(
    plan: Plan,
    piece: ObservedPiece,
    solution: Solution,
    status: Status,
    snapshots: list[Progress],
) -> Restored:
    """Match the flux, assess in working units, then convert once."""
    image, intensity = solution.image, piece.intensity
    observed, cut = piece.observed.to(image.device), _is_cut(status, solution)
    if plan.method.finds_kernel and not plan.is_volume and not cut:  # a projection keeps its own grey values
        image = match_flux(observed, image, intensity.lowest)
    verdict = _assess(plan, observed, intensity.clamp(image), solution, status, snapshots)
    if plan.is_volume:
        known = known_noise(plan.settings, intensity).gain
        gain = verdict.features["gain"] if known is None else known
        light = {"background": intensity.offset, "counts_per_photon": gain * intensity.scale}
        rounded = {name: float(f"{value:.5g}") for name, value in light.items()}
        verdict = replace(verdict, features={**verdict.features, **rounded})
    return Restored(
        image=piece.to_image(image),
        kernel=to_kernel(solution.kernel),
        verdict=verdict,
        status=status,
        snapshots=snapshots,
        selected=solution.selected,
        extra_images={
            name: piece.to_std(extra, solution.image) if name == RESTART_STD else piece.to_image(extra)
            for name, extra in solution.extra_images.items()
        },
        candidates=tuple((to_kernel(kernel), cost) for kernel, cost in solution.candidates),
        counts=piece.survey.counts,
    )


def _assess(
    plan: Plan,
    blurred: Observed,
    image: torch.Tensor,
    solution: Solution,
    status: Status,
    snapshots: list[Progress],
) -> Verdict:
    generated, prior = solution.extra_images.get(GENERATOR_ESTIMATE), plan.priors.get("image_prior")
    if generated is None and prior is not None and not plan.method.uses_patches:
        generated = image  # strictly in the generator's range
    std = solution.extra_images.get(RESTART_STD)
    ranked = sorted(solution.candidates, key=lambda candidate: candidate[1])
    context = RunContext(
        candidates=[kernel.cpu() for kernel, _ in ranked],
        costs=[cost for _, cost in ranked],
        generated=None if generated is None else generated.cpu(),
        spread=None if std is None else float(std[0].square().mean(0).sqrt().median()),
        misfit=float(snapshots[-1].losses["misfit"][0]) if snapshots and "misfit" in snapshots[-1].losses else None,
    )
    if prior is not None:
        context = replace(context, range_error=prior.card.range_error)
    given = plan.kernels is not None or plan.method.needs_kernel or not plan.method.finds_kernel
    # who gave a kernel, or stopped the run, wants to see the estimate
    may_reject = not given and not _is_cut(status, solution)
    kernel = kernel_to_tensor(to_kernel(solution.kernel), torch.device("cpu"))
    return judge(blurred.to(torch.device("cpu")), image.cpu(), kernel, status, given, context, may_reject)


def _is_cut(status: Status, solution: Solution) -> bool:
    """Return whether the run was stopped at a snapshot: an image that the recipe did not finish."""
    return status.code is StatusCode.STOPPED and not solution.stopped


def _to_progress(snapshot: Snapshot, piece: ObservedPiece) -> Progress:
    image = None if snapshot.image is None else piece.to_image(snapshot.image)
    kernel = None if snapshot.kernel is None else to_kernel(snapshot.kernel)
    losses = {name: np.asarray(torch.as_tensor(value).detach().cpu()) for name, value in snapshot.losses.items()}
    return Progress(snapshot.step, snapshot.total, snapshot.stage, image, kernel, losses)
