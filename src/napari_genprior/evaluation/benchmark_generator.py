"""Measure the speed-up of the fast schedules of algorithms 1 and 2 over the published ones, on one core.

The images are digits of MNIST's test set under camera shake with 1% noise. Seconds are processor seconds of one thread,
which other programs on the machine hardly change. The *sequential* schedule is the published one: one restart after
the other, all steps. The *batched* one runs all restarts side by side, and stops within 1% of the target objective.
"""

from __future__ import annotations

import time
from collections.abc import Generator
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
from ..training import kernel_simulators
from ..zoo.initializers import find_initializer
from ..zoo.store import Generator as Prior
from ..zoo.store import load_prior
from .benchmark_report import Report, Row

PAIR = ("digits-28", "motion-28")
NOISE = 0.01
SEED = 2**20 + 7  # of the kernels; training uses small seeds
TOLERANCE = 1.01  # a run has reached a target objective within this factor
TIMED_STEPS = 20  # timed where the time of a whole schedule is extrapolated
MNIST = {"steps": 1500, "decay_steps": 250.0}  # Asim 2018, section 4: algorithm 1's schedule for digits
TARGETS = {"batched": 75, "sequential": 700, "relaxed": 30}  # speed-up factors


@dataclass
class Run:
    """The processor seconds and lowest objective over the restarts at each step, all seconds, and the solution."""

    seconds: list[float] = field(default_factory=list)
    objective: list[float] = field(default_factory=list)
    whole: float = 0.0
    solution: Solution | None = None

    def until(self, level: float) -> float | None:
        """Return the seconds until the objective was at most ``level``, or None."""
        pairs = zip(self.seconds, self.objective, strict=True)
        return next((seconds for seconds, value in pairs if value <= level), None)


@dataclass(frozen=True)
class TestImage:
    """A test image: sharp and blurred, each ``[1, C, Y, X]`` in [0, 1]."""

    sharp: Tensor
    blurred: Tensor


def lines(folder: Path, count: int = 3, pair: tuple[str, str] = PAIR) -> Report:
    """Run the benchmark: yield the measurements line by line, and return its rows.

    Parameters
    ----------
    folder : Path
        Folder that holds ``mnist/mnist.npz``.
    count : int
        Number of images.
    pair : (str, str)
        Image and kernel prior: names, or paths of cards.
    """
    priors = (load_prior(pair[0]), load_prior(pair[1]))
    images = cases(folder, count, priors)
    initializer = "with" if find_initializer(priors[0].card, priors[1].card) else "WITHOUT"
    yield f"{count} images, {NOISE:.0%} noise, one core, processor seconds an image; {initializer} an initializer"
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        first = yield from _algorithm_1(images, priors)
        second = yield from _algorithm_2(images, priors)
        return [first, second]
    finally:
        torch.set_num_threads(threads)


def cases(folder: Path, count: int, priors: tuple[Prior, Prior]) -> list[TestImage]:
    """Blur the first images of the test set by kernels that no training has used."""
    try:
        with np.load(folder / "mnist" / "mnist.npz", allow_pickle=False) as content:
            selected = content["x_test"][:count]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{folder} does not hold mnist/mnist.npz with an array x_test ({error}).") from error
    if selected.shape[1:] != priors[0].card.size:
        raise InputError(
            f"The images have {selected.shape[1:]} px; {priors[0].card.name} has images of {priors[0].card.shape}."
        )
    sharp = torch.from_numpy(selected).float()[:, None] / 255
    kernels = np.stack(list(islice(kernel_simulators.draw_kernels("shake", priors[1].card.size[0], SEED), len(sharp))))
    noise = NOISE * torch.randn(sharp.shape, generator=cpu_generator(SEED))
    blurred = (convolve(sharp, torch.from_numpy(kernels)[:, None]) + noise).clamp(0, 1)
    return [TestImage(x[None], y[None]) for x, y in zip(sharp, blurred, strict=True)]


def search(
    image: TestImage,
    priors: tuple[Prior, Prior],
    method: str,
    level: float = -np.inf,
    limit: float = np.inf,
    **settings: int | float | str,
) -> Run:
    """Run a method to its end, until its objective is at most ``level``, or for ``limit`` processor seconds."""
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
    """Compute the objective of algorithm 2, total variation included (see :func:`~..methods.generator.relaxed`)."""
    free, in_range, kernel = solution.image, solution.extra_images["generator estimate"], solution.kernel
    return float(
        summed_squared_error(convolve(free, kernel), blurred)
        + s.generator_data_weight * summed_squared_error(convolve(in_range, kernel), blurred)
        + s.range_weight * squared_error(free, in_range)
        + s.total_variation * free.numel() * total_variation(free, isotropic=False)
    )


def _algorithm_1(images: list[TestImage], priors: tuple[Prior, Prior]) -> Generator[str, None, Row]:
    yield "algorithm 1: the target objective is the final one of the published schedule"
    rows = []
    for number, image in enumerate(images):
        published = search(image, priors, "generator", schedule="paper", **MNIST)
        fast = search(image, priors, "generator", schedule="fast")
        final = min(published.objective)
        batched, sooner = published.until(TOLERANCE * final), fast.until(TOLERANCE * final)
        rows.append((published.whole, batched, sooner, fast.whole, _psnr(published, image), _psnr(fast, image)))
        yield (
            f"  image {number}: published {final:.4f} in {published.whole:.1f} s, within 1% after {batched:.2f} s, "
            f"{rows[-1][4]:.2f} dB; fast {min(fast.objective):.4f} in {fast.whole:.3f} s, "
            f"{'NEVER within 1% of it' if sooner is None else f'within 1% of it after {sooner:.3f} s'}, "
            f"{rows[-1][5]:.2f} dB"
        )
    step = _seconds_per_step(images[0], priors, "generator", restarts=1)
    restarts = METHODS["generator"].settings.checked({}).restarts  # type: ignore[attr-defined]
    sequential = step * restarts * MNIST["steps"]
    whole, _, _, fast_whole, published_db, fast_db = (_mean(column) for column in zip(*rows, strict=True))
    reached = [row for row in rows if row[2] is not None]
    yield f"  sequential schedule, {restarts} restarts of {MNIST['steps']} steps: {sequential:.1f} s (extrapolated)"
    yield f"  batched, all steps: {whole:.1f} s, {published_db:.2f} dB"
    yield f"  fast, all steps: {fast_whole:.3f} s, {fast_db:.2f} dB; within 1%: {len(reached)} of {len(rows)}"
    metrics = {"PSNR, dB": fast_db, "PSNR of schedule=paper, dB": published_db, "CPU s an image": fast_whole}
    if reached:
        batched, sooner = (_mean(row[column] for row in reached) for column in (1, 2))
        yield (
            f"  to within 1%, batched: {batched:.2f} s and {sooner:.3f} s, "
            f"{_speed_up(batched / sooner, TARGETS['batched'])}"
        )
        yield f"  sequential schedule to fast: {_speed_up(sequential / sooner, TARGETS['sequential'])}"
        metrics |= {"speed-up, batched": batched / sooner, "speed-up, one by one": sequential / sooner}
    keys = ("published_s", "published_within_s", "fast_within_s", "fast_s", "published_psnr", "fast_psnr")
    return Row("MNIST, test set", "generator", metrics, images=[dict(zip(keys, row, strict=True)) for row in rows])


def _algorithm_2(images: list[TestImage], priors: tuple[Prior, Prior]) -> Generator[str, None, Row]:
    yield "algorithm 2: the target objective is that of the fast schedule; published runs stop at the target speed-up"
    settings = RelaxedSettings.checked({})
    rows, bound = [], False
    for number, image in enumerate(images):
        fast = search(image, priors, "relaxed", schedule="fast")
        assert fast.solution is not None
        final = relaxed_objective(fast.solution, image.blurred, settings)
        limit = TARGETS["relaxed"] * fast.whole
        published = search(image, priors, "relaxed", TOLERANCE * final, 1.02 * limit, schedule="paper")
        short = published.until(TOLERANCE * final) is None
        bound |= short
        rows.append((published.whole, fast.whole, _psnr(fast, image)))
        status = f"{'still at' if short else 'reached'} {min(published.objective):.4f} after {published.whole:.1f} s"
        yield f"  image {number}: fast {final:.4f} in {fast.whole:.2f} s, {rows[-1][2]:.2f} dB; published {status}"
    batched, fast_whole, psnr = (_mean(column) for column in zip(*rows, strict=True))
    step = _seconds_per_step(images[0], priors, "relaxed", restarts=settings.restarts)
    more = "more than " if bound else ""
    yield f"  batched, all steps: {step * settings.steps:.0f} s (extrapolated, {settings.steps} steps)"
    yield f"  fast: {fast_whole:.2f} s, {psnr:.2f} dB"
    speed_up = _speed_up(batched / fast_whole, TARGETS["relaxed"])
    yield f"  to within 1%, batched: {more}{batched:.1f} s and {fast_whole:.2f} s, {more}{speed_up}"
    metrics = {"PSNR, dB": psnr, "speed-up, at least": batched / fast_whole, "CPU s an image": fast_whole}
    keys = ("published_s", "fast_s", "fast_psnr")
    return Row("MNIST, test set", "relaxed", metrics, images=[dict(zip(keys, row, strict=True)) for row in rows])


def _seconds_per_step(image: TestImage, priors: tuple[Prior, Prior], method: str, restarts: int) -> float:
    run = search(image, priors, method, schedule="paper", steps=TIMED_STEPS, restarts=restarts)
    return run.whole / TIMED_STEPS


def _speed_up(factor: float, target: float) -> str:
    return f"{factor:.0f}x (target {target:.0f}x: {'met' if factor >= target else 'MISSED'})"


def _psnr(run: Run, image: TestImage) -> float:
    assert run.solution is not None
    error = (run.solution.image.clamp(0, 1) - image.sharp).square().mean()
    return float(-10 * error.log10())


def _mean(values) -> float:
    return float(np.mean([np.nan if value is None else value for value in values]))
