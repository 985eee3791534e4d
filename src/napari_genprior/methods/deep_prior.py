"""What the recipes with untrained networks share: the search at one scale, starts that are fitted, several runs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..blur.support import center, remove_specks, resize
from ..core.iteration import map_states
from ..core.result import SPREAD, Status, StatusCode
from ..estimation.multi_start import find_size
from ..operators.bilinear import Convolution
from ..operators.data_fidelity import squared_error
from ..operators.noise import KERNEL_NOISE, noise_std
from ..optim.gradient_loop import LoopState, minimise
from ..priors.base import Prior, trainable
from ..priors.objective import Objective, Term
from ..priors.untrained import CODE
from ..settings import UntrainedSettings
from .base import Problem, Recipe, Snapshot, Solution
from .checkpoint import Checkpoint
from .final_deconvolution import final_image

CLIP, LEAST_MASS = 0.05, 0.1  # of a kernel's maximum and mass: what less is noise to a final solve
FIT_CHECKED_EVERY = 10  # steps
SEARCH_SHARE = 0.9  # of a time budget; the rest is for the final solve

Search = Generator[Snapshot, None, None]
Outcome = tuple[Solution, float]  # what a run finds, and its last loss


@dataclass(frozen=True)
class Part:
    """What a search is of a run: ``before`` of the ``total`` steps were made by others, and time ends for all at once.

    ``shape`` is that of the images shown, ``end`` a time of the monotonic clock.
    """

    name: str
    before: int
    total: int
    report_every: int
    shape: tuple[int, int]
    end: float
    checkpoint: Checkpoint | None = None

    @property
    def late(self) -> bool:
        return time.monotonic() > self.end


class DeepSearch:
    """Image and kernel, each from a prior, searched for at one scale.

    Parameters
    ----------
    blurred : Tensor [1, C, Y, X]
    image : callable
        Makes the image's prior, given the size of all of the scene that the data sees.
    kernel : Prior
    support : (kh, kw)
        Size of the kernel.
    terms : mapping of str to Term
    random : torch.Generator
    part : Part
    """

    def __init__(
        self,
        blurred: Tensor,
        image: Callable[[tuple[int, int]], Prior],
        kernel: Prior,
        support: tuple[int, int],
        terms: Mapping[str, Term],
        random: torch.Generator,
        part: Part,
    ) -> None:
        channels, height, width = blurred.shape[1:]
        self.size = (height + support[0] - 1, width + support[1] - 1)
        self.operator = Convolution(support, (channels, *self.size), boundary="valid")
        self.objective = Objective(self.operator, blurred, image(self.size), kernel, terms, random)
        self.part = part
        self.loss = math.inf
        self.diverged = False

    def scene(self) -> Tensor:
        """All of the scene, as it stands."""
        return self.objective.estimate().image

    def kernel(self) -> Tensor:
        return self.objective.estimate().kernel

    def fit_image(self, target: Tensor, rate: float, steps: int, tolerance: float = 0.0) -> Search:
        """Fit the image's network, its input fixed, to all of the scene, or to what lies under the data."""
        whole = target.shape[-2:] == self.size
        prior, block = self.objective.image, self.objective.image_block
        weights = [tensor for name, tensor in block.items() if name != CODE]

        def decode() -> Tensor:
            return prior.decode(block) if whole else self.operator.under_data(prior.decode(block))

        return self._fit(decode, weights, target, rate, steps, tolerance)

    def fit_kernel(self, target: Tensor, rate: float, steps: int, tolerance: float) -> Search:
        """Fit the kernel's network; ``tolerance`` is a fraction of the target's maximum."""
        prior, block = self.objective.kernel, self.objective.kernel_block
        return self._fit(
            lambda: prior.decode(block), trainable(block), target, rate, steps, tolerance * float(target.max())
        )

    def _fit(
        self,
        decode: Callable[[], Tensor],
        free: list[Tensor],
        target: Tensor,
        rate: float,
        steps: int,
        tolerance: float,
    ) -> Search:
        """Adam on the squared error, until its root is within ``tolerance``."""
        search = self._minimised(
            lambda step: {"total": squared_error(decode(), target)},
            torch.optim.Adam(free, lr=rate),
            steps=steps,
            report_every=FIT_CHECKED_EVERY,
        )
        with closing(search):
            for state in search:
                if state.losses["total"][0] <= tolerance**2 or self.part.late:
                    return
                yield self._snapshot(0, f"{self.part.name}, start")

    def run(
        self,
        rates: Sequence[tuple[list[Tensor], float]],
        steps: int,
        milestones: Sequence[float] = (),
        decay: float = 1.0,
    ) -> Search:
        """Minimise by Adam, until time is over.

        Parameters
        ----------
        rates : sequence of (tensors, float)
            What is searched for, and its learning rate.
        milestones : sequence of float
            After these fractions of the steps all rates are multiplied by ``decay``.
        """
        search = self._minimised(
            self.objective,
            torch.optim.Adam([{"params": tensors, "lr": rate} for tensors, rate in rates if tensors]),
            steps=steps,
            report_every=self.part.report_every,
            milestones={round(fraction * steps) for fraction in milestones},
            decay=decay,
        )
        with closing(search):
            while True:
                try:
                    state = next(search)
                except StopIteration as end:
                    self.diverged = end.value.code == StatusCode.DIVERGED
                    return
                self.loss = float(state.losses["total"][0])
                losses = {name: torch.from_numpy(value) for name, value in state.losses.items()}
                yield self._snapshot(state.step, self.part.name, losses)
                if self.part.late:
                    return

    def _minimised(
        self,
        objective: Callable[[int], dict[str, Tensor]],
        optimiser: torch.optim.Optimizer,
        *,
        steps: int,
        **options: Any,
    ) -> Generator[LoopState, None, Status]:
        """The one loop, from the checkpoint on."""
        kept, whole = self.part.checkpoint, self.objective
        if kept is None:
            return (yield from minimise(objective, optimiser, steps=steps, **options))
        first = kept.enter(whole, optimiser)
        if first is None:
            return Status(StatusCode.DONE, "It was over before.")

        def save(step: int) -> None:
            kept.save(step, whole, optimiser, last=step == steps)

        return (yield from minimise(objective, optimiser, steps=steps, first=first, before=save, **options))

    def _snapshot(self, step: int, name: str, losses: dict[str, Tensor] | None = None) -> Snapshot:
        now = self.objective.estimate()
        image = resampled(self.operator.under_data(now.image), self.part.shape)
        return Snapshot(self.part.before + step, self.part.total, name, image, now.kernel, losses or {})

    def outcome(self, problem: Problem, final_solve: bool) -> Outcome:
        """The result: the network's image, or with a final solve for the kernel found that one, and both."""
        s, shape = problem.settings, problem.blurred.shape[-2:]
        assert isinstance(s, UntrainedSettings)
        kernel, found = self.kernel(), self.operator.under_data(self.scene())
        if found.shape[-2:] != shape:  # time was over at a coarser scale
            kernel = resize(kernel, shape[0] / found.shape[-2])
        image, extras = resampled(found, (shape[0], shape[1])), {}
        if final_solve and problem.kernel is None and not self.diverged:
            extras["network image"] = image
            kernel = center(remove_specks(kernel, CLIP, LEAST_MASS))
            noise = max(float(noise_std(problem.blurred).mean()), KERNEL_NOISE)
            image = final_image(problem.blurred, kernel, noise, s)
        return Solution(image, kernel, diverged=self.diverged, extras=extras), self.loss


def ensemble(problem: Problem, once: Callable[[Problem, float], Generator[Snapshot, None, Outcome]]) -> Recipe:
    """Runs with successive seeds; the one with the least loss is the result, with the spread of all images.

    ``once`` is given the time at which to end. But for the first, runs that time cuts off are left out.
    """
    assert isinstance(problem.settings, UntrainedSettings)
    runs = problem.settings.ensemble
    end = math.inf if problem.time_limit_s is None else time.monotonic() + SEARCH_SHARE * problem.time_limit_s
    found: list[Outcome] = []
    for number in range(runs):

        def counted(snapshot: Snapshot, number: int = number) -> Snapshot:
            if runs == 1:
                return snapshot
            step, total = number * snapshot.total + snapshot.step, runs * snapshot.total
            return replace(snapshot, step=step, total=total, stage=f"run {number + 1} of {runs}, {snapshot.stage}")

        kept = None if problem.checkpoint is None else problem.checkpoint.part(number)
        outcome = yield from map_states(
            once(replace(problem, seed=problem.seed + number, checkpoint=kept), end), counted
        )
        if not found or time.monotonic() <= end:
            found.append(outcome)
        if time.monotonic() > end:
            break
    best = min(range(len(found)), key=lambda i: (found[i][0].diverged, found[i][1]))
    solution = found[best][0]
    if len(found) == 1:
        return solution
    spread = torch.cat([one.image for one, _ in found]).std(0, keepdim=True)
    return replace(solution, chosen=best, extras=solution.extras | {SPREAD: spread})


def with_size(problem: Problem) -> Problem:
    """The problem with the size of its kernel: as given, or as a classical search finds it."""
    if problem.kernel is not None:
        return replace(problem, kernel_size=(problem.kernel.shape[-2], problem.kernel.shape[-1]))
    found = problem.kernel_size or find_size(problem.blurred, float(noise_std(problem.blurred).mean()))
    return replace(problem, kernel_size=found)


def resampled(image: Tensor, shape: tuple[int, int]) -> Tensor:
    """An image in another size."""
    if image.shape[-2:] == shape:
        return image
    return interpolate(image, size=shape, mode="bilinear", antialias=True)
