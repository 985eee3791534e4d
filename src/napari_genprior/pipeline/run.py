"""The front door: checked input -> plan -> recipe -> result with verdict and provenance."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator as Yields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from ..core.arrays import out_of_memory, to_image, to_tensor
from ..core.errors import LONGEST, DeviceError, InputError
from ..core.image_io import check_place
from ..core.iteration import run_to_end
from ..core.provenance import array_hash
from ..core.result import DeblurResult, Progress, Status, StatusCode
from ..core.version import __version__
from ..methods import Problem, Solution
from ..methods.checkpoint import Checkpoint
from ..methods.final_deconvolution import match_flux
from ..zoo.store import Generator
from .finalize import normalize_kernel, result_of, to_extra_image, to_progress
from .plan import Plan, intensity_scale, plan


def iter_deblur(
    image: Any, method: str = "auto", *, checkpoint: str | Path | None = None, **arguments: Any
) -> Yields[Progress, None, DeblurResult]:
    """As :func:`deblur`, handing out snapshots on the way; the generator's return value is the result.

    Arguments are checked at the call, before the first snapshot. Closing the generator stops the run.

    Yields
    ------
    Progress
    """
    return run(plan(image, method, **arguments), checkpoint)


def deblur(image: Any, method: str = "auto", **arguments: Any) -> DeblurResult:
    """Make a blurred image sharp; its blur kernel is found too, unless it is given.

    Parameters
    ----------
    image : array [Y, X] or [Y, X, 3 or 4]
        Blurred image: any integer or float type, any range; RGB channels share one kernel, alpha is kept.
    method : str
        One of ``napari_genprior.methods.registry.METHODS``; "auto" picks.
    kernel : array [kh, kw], optional
        The kernel, where it is known: >= 0; it is normalised to sum 1.
    kernel_size : "auto", int or (int, int)
        Side, or height and width, of the unknown kernel in pixels; raised to odd numbers.
    image_prior, kernel_prior : str, optional
        Names of pretrained priors, for the methods that use them.
    restarts, steps : int, optional
        For the methods that have them.
    seed : int
        Equal seeds give equal results on one machine with one number of threads.
    device : str
        "auto", "cpu", "cuda", "cuda:1", "mps".
    time_limit_s : float, optional
        Seconds after which the best so far is the result; > 0. A step that is under way is not broken off.
    settings : Settings or mapping, optional
        The method's own settings, see :mod:`napari_genprior.settings`.
    checkpoint : path, optional
        Of methods with untrained networks: a file that is written every minute and deleted at the end. If the run is
        killed, the same call goes on from there and ends in the same result.

    Returns
    -------
    DeblurResult

    Raises
    ------
    InputError
        Image, kernel or arguments cannot be used; the message says what is allowed.
    DeviceError
        No such device.
    FileError
        The checkpoint cannot be written, or is that of another run.
    """
    return run_to_end(iter_deblur(image, method, **arguments))


def known_kernel(image: Any, kernel: Any, **arguments: Any) -> DeblurResult:
    """Make an image sharp whose blur kernel is known: ``deblur(image, "known-kernel", kernel=kernel)``."""
    return deblur(image, "known-kernel", kernel=kernel, **arguments)


def run(plan: Plan, checkpoint: str | Path | None = None) -> Yields[Progress, None, DeblurResult]:
    """Run a plan: yields snapshots, returns the result. Raises DeviceError where memory runs out."""
    kept = None if checkpoint is None else _checkpoint(plan, Path(checkpoint))
    return _watched(plan, kept)


def _checkpoint(plan: Plan, path: Path) -> Checkpoint:
    if not plan.method.untrained:
        raise InputError(
            f"Method {plan.method.name!r} is over too soon for checkpoints; those with networks take them."
        )
    check_place(path)
    parts = [plan.method.name, plan.settings.model_dump_json(), plan.kernel_size, plan.seed, array_hash(plan.image)]
    parts += [prior.card.sha256 for prior in plan.priors.values()]
    parts += ["" if plan.kernel is None else array_hash(plan.kernel), __version__]
    return Checkpoint(path, hashlib.sha256(repr(parts).encode()).hexdigest())


def _watched(plan: Plan, kept: Checkpoint | None) -> Yields[Progress, None, DeblurResult]:
    try:
        return (yield from _run(plan, kept))
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        reason = " ".join(str(error).split())[:LONGEST]
    # outside of the handler: its error would keep every tensor of the run alive
    height, width = plan.image.shape[:2]
    raise DeviceError(
        f"The memory of {plan.device} does not hold a run of {plan.method.name} on {height}x{width} px ({reason}); "
        "use a smaller part, deblur_large (tiles), fewer restarts or another device."
    )


def _run(plan: Plan, kept: Checkpoint | None) -> Yields[Progress, None, DeblurResult]:
    started, clock = datetime.now(UTC), time.perf_counter()
    device = plan.device
    blurred = to_tensor(plan.image, plan.intensity, device)
    kernel = None if plan.kernel is None else torch.from_numpy(plan.kernel)[None, None].to(device)
    priors = {field: Generator(prior.card, prior.net.to(device)) for field, prior in plan.priors.items()}
    more = [to_tensor(each, intensity_scale(each, plan.settings), device) for each in plan.beside]
    problem = Problem(
        blurred,
        plan.settings,
        kernel,
        plan.kernel_size,
        plan.seed,
        time_limit_s=plan.time_limit_s,
        beside=torch.cat(more) if more else None,
        checkpoint=kept,
        **priors,
    )
    recipe = plan.method.recipe(problem)
    snapshots: list[Progress] = []
    while True:
        try:
            progress = to_progress(next(recipe), plan)
        except StopIteration as end:
            solution: Solution = end.value
            if kept is not None:
                kept.delete()
            break
        # only figures are kept: a preview per step of a large image would fill the memory
        snapshots.append(Progress(progress.step, progress.total, progress.stage, losses=progress.losses))
        yield progress
        seconds = time.perf_counter() - clock
        late = plan.time_limit_s is not None and seconds > plan.time_limit_s and not plan.method.keeps_budget
        if late and progress.image is not None and progress.kernel is not None:
            recipe.close()
            status = Status(StatusCode.STOPPED, f"The {plan.time_limit_s:g} s were over; {_so_far(progress)}")
            return result_of(plan, progress.image, progress.kernel, snapshots, status, started, seconds)
    status = Status(StatusCode.DONE, "The run went through to its end.")
    if solution.diverged:
        status = Status(StatusCode.DIVERGED, "The losses became NaN or infinite; the last good state was kept.")
    restored = solution.image
    if plan.method.finds_kernel:  # a projection keeps its own grey values
        restored = match_flux(blurred, restored, plan.intensity)
    image = to_image(restored, plan.intensity, plan.image)
    seconds = time.perf_counter() - clock
    candidates = tuple(
        (normalize_kernel(kernel[0, 0].cpu().numpy()), against) for kernel, against in solution.candidates
    )
    layers = {name: to_extra_image(name, extra, plan, solution.image) for name, extra in solution.extras.items()}
    kernel_found = solution.kernel[0, 0].cpu().numpy()
    return result_of(
        plan, image, kernel_found, snapshots, status, started, seconds, solution.chosen, layers, candidates
    )


def partial_result(plan: Plan, last: Progress, seconds: float) -> DeblurResult | None:
    """The result of a run that was stopped at snapshot ``last``; None where that holds no image and kernel yet."""
    if last.image is None or last.kernel is None:
        return None
    status = Status(StatusCode.STOPPED, f"Stopped; {_so_far(last)}")
    return result_of(plan, last.image, last.kernel, [last], status, datetime.now(UTC), seconds)


def _so_far(last: Progress) -> str:
    return f"the state at step {last.step} of {last.total} ({last.stage}) was kept."
