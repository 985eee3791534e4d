"""How much sooner the fast schedules of algorithms 1 and 2 get where the published ones get, on one core.

Digits of MNIST's test set, camera shake, 1% noise. Seconds are processor seconds of one thread, so that what else the
machine does hardly disturbs them. *The sequential schedule* is the published one as published: one restart after the
other, every step. *Batched* is the same with all restarts side by side, stopped when it is within 1% of the objective
that both are to reach.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..core.arrays import cpu_generator
from ..core.errors import InputError
from ..methods import Problem, Solution
from ..methods.registry import METHODS
from ..operators.convolution import convolve
from ..operators.data_fidelity import squared_error, summed_squared_error
from ..priors.penalties import total_variation
from ..settings import RelaxedSettings
from ..training import data
from ..zoo.initializers import find_initializer
from ..zoo.store import Generator, load_prior

PAIR = ("digits-28", "motion-28")
NOISE = 0.01
SEED = 2**20 + 7  # of the kernels; training draws with small ones
WITHIN = 1.01  # times the objective to reach
TIMED_STEPS = 20  # of a schedule that is extrapolated
MNIST = {"steps": 1500, "decay_steps": 250.0}  # Asim 2018, section 4: algorithm 1's schedule for digits
TARGETS = {"batched": 75, "sequential": 700, "relaxed": 30}  # times


@dataclass
class Run:
    """Processor seconds and the least objective over the restarts on the way, all seconds, and what came out."""

    seconds: list[float] = field(default_factory=list)
    objective: list[float] = field(default_factory=list)
    whole: float = 0.0
    solution: Solution | None = None

    def until(self, level: float) -> float | None:
        """Seconds until the objective was at most ``level``; None: never."""
        pairs = zip(self.seconds, self.objective, strict=True)
        return next((seconds for seconds, value in pairs if value <= level), None)


@dataclass(frozen=True)
class Image:
    """A test case: sharp and blurred, each ``[1, C, Y, X]`` in [0, 1]."""

    sharp: Tensor
    blurred: Tensor


def lines(folder: Path, count: int = 3, pair: tuple[str, str] = PAIR) -> Iterator[str]:
    """The figures, line by line as they come.

    Parameters
    ----------
    folder : Path
        Holds ``mnist/mnist.npz``.
    count : int
        Images.
    pair : (str, str)
        Names, or paths of cards, of the image and the kernel prior.
    """
    priors = (load_prior(pair[0]), load_prior(pair[1]))
    images = cases(folder, count, priors)
    starts = "with" if find_initializer(priors[0].card, priors[1].card) else "WITHOUT"
    yield f"{count} images, {NOISE:.0%} noise, one core, processor seconds an image; {starts} a start network"
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        yield from _algorithm_1(images, priors)
        yield from _algorithm_2(images, priors)
    finally:
        torch.set_num_threads(threads)


def cases(folder: Path, count: int, priors: tuple[Generator, Generator]) -> list[Image]:
    """The first images of the test set, blurred by kernels that nothing was trained on."""
    try:
        with np.load(folder / "mnist" / "mnist.npz", allow_pickle=False) as content:
            chosen = content["x_test"][:count]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{folder} does not hold mnist/mnist.npz with an array x_test ({error}).") from error
    if chosen.shape[1:] != priors[0].card.size:
        raise InputError(f"The images are {chosen.shape[1:]} px; {priors[0].card.name} has {priors[0].card.shape}.")
    sharp = torch.from_numpy(chosen).float()[:, None] / 255
    drawn = np.stack(list(islice(data.draw_kernels("shake", priors[1].card.size[0], SEED), len(sharp))))
    noise = NOISE * torch.randn(sharp.shape, generator=cpu_generator(SEED))
    blurred = (convolve(sharp, torch.from_numpy(drawn)[:, None]) + noise).clamp(0, 1)
    return [Image(x[None], y[None]) for x, y in zip(sharp, blurred, strict=True)]


def search(
    image: Image,
    priors: tuple[Generator, Generator],
    method: str,
    level: float = -np.inf,
    limit: float = np.inf,
    **settings: int | float | str,
) -> Run:
    """Run a recipe to its end, or until its objective is at most ``level``, or for ``limit`` seconds."""
    entry = METHODS[method]
    problem = Problem(
        image.blurred, entry.settings.checked(settings), image_prior=priors[0], kernel_prior=priors[1]
    )  # fmt: skip
    run, start = Run(), time.process_time()
    recipe = entry.recipe(problem)
    while True:
        try:
            snapshot = next(recipe)
        except StopIteration as end:
            run.solution = end.value
            break
        if "total" in snapshot.losses:
            run.seconds.append(time.process_time() - start)
            run.objective.append(float(snapshot.losses["total"].min()))
            if run.objective[-1] <= level or run.seconds[-1] > limit:
                recipe.close()
                break
    run.whole = time.process_time() - start
    return run


def relaxed_objective(solution: Solution, blurred: Tensor, s: RelaxedSettings) -> float:
    """What algorithm 2 minimises, total variation and all (see :func:`~..methods.generator.relaxed`)."""
    free, in_range, kernel = solution.image, solution.extras["generator image"], solution.kernel
    return float(
        summed_squared_error(convolve(free, kernel), blurred)
        + s.generator_data_weight * summed_squared_error(convolve(in_range, kernel), blurred)
        + s.range_weight * squared_error(free, in_range)
        + s.total_variation * free.numel() * total_variation(free, isotropic=False)
    )


def _algorithm_1(images: list[Image], priors: tuple[Generator, Generator]) -> Iterator[str]:
    yield "algorithm 1: the objective to reach is that of the whole published run"
    rows = []
    for number, image in enumerate(images):
        published = search(image, priors, "generator", schedule="paper", **MNIST)
        fast = search(image, priors, "generator", schedule="fast")
        final = min(published.objective)
        batched, sooner = published.until(WITHIN * final), fast.until(WITHIN * final)
        rows.append((published.whole, batched, sooner, fast.whole, _psnr(published, image), _psnr(fast, image)))
        yield (
            f"  image {number}: published {final:.4f} in {published.whole:.1f} s, within 1% after {batched:.2f} s, "
            f"{rows[-1][4]:.2f} dB; fast {min(fast.objective):.4f} in {fast.whole:.3f} s, "
            f"{'NEVER within 1% of it' if sooner is None else f'there after {sooner:.3f} s'}, {rows[-1][5]:.2f} dB"
        )
    step = _seconds_per_step(images[0], priors, "generator", restarts=1)
    restarts = METHODS["generator"].settings.checked({}).restarts  # type: ignore[attr-defined]
    sequential = step * restarts * MNIST["steps"]
    whole, _, _, fast_whole, published_db, fast_db = (_mean(column) for column in zip(*rows, strict=True))
    there = [row for row in rows if row[2] is not None]
    yield f"  sequential schedule, {restarts} restarts of {MNIST['steps']} steps: {sequential:.1f} s (extrapolated)"
    yield f"  batched, whole: {whole:.1f} s, {published_db:.2f} dB"
    yield f"  fast, to its own end: {fast_whole:.3f} s, {fast_db:.2f} dB; within 1%: {len(there)} of {len(rows)}"
    if there:
        batched, sooner = (_mean(row[column] for row in there) for column in (1, 2))
        yield f"  like for like: {batched:.2f} s and {sooner:.3f} s, {_judged(batched / sooner, TARGETS['batched'])}"
        yield f"  against the sequential schedule: {_judged(sequential / sooner, TARGETS['sequential'])}"


def _algorithm_2(images: list[Image], priors: tuple[Generator, Generator]) -> Iterator[str]:
    yield "algorithm 2: the objective to reach is the fast one's; the published run stops when the target is met"
    settings = RelaxedSettings.checked({})
    rows, bound = [], False
    for number, image in enumerate(images):
        fast = search(image, priors, "relaxed", schedule="fast")
        assert fast.solution is not None
        final = relaxed_objective(fast.solution, image.blurred, settings)
        limit = TARGETS["relaxed"] * fast.whole
        published = search(image, priors, "relaxed", WITHIN * final, 1.02 * limit, schedule="paper")
        short = published.until(WITHIN * final) is None
        bound |= short
        rows.append((published.whole, fast.whole, _psnr(fast, image)))
        where = f"{'still at' if short else 'there:'} {min(published.objective):.4f} after {published.whole:.1f} s"
        yield f"  image {number}: fast {final:.4f} in {fast.whole:.2f} s, {rows[-1][2]:.2f} dB; published {where}"
    batched, fast_whole, psnr = (_mean(column) for column in zip(*rows, strict=True))
    step = _seconds_per_step(images[0], priors, "relaxed", restarts=settings.restarts)
    more = "more than " if bound else ""
    yield f"  batched, whole: {step * settings.steps:.0f} s (extrapolated, {settings.steps} steps)"
    yield f"  fast: {fast_whole:.2f} s, {psnr:.2f} dB"
    judged = _judged(batched / fast_whole, TARGETS["relaxed"])
    yield f"  like for like: {more}{batched:.1f} s and {fast_whole:.2f} s, {more}{judged}"


def _seconds_per_step(image: Image, priors: tuple[Generator, Generator], method: str, restarts: int) -> float:
    run = search(image, priors, method, schedule="paper", steps=TIMED_STEPS, restarts=restarts)
    return run.whole / TIMED_STEPS


def _judged(times: float, target: float) -> str:
    return f"{times:.0f}x (target {target:.0f}x: {'met' if times >= target else 'MISSED'})"


def _psnr(run: Run, image: Image) -> float:
    assert run.solution is not None
    error = (run.solution.image.clamp(0, 1) - image.sharp).square().mean()
    return float(-10 * error.log10())


def _mean(values) -> float:
    return float(np.mean([np.nan if value is None else value for value in values]))
