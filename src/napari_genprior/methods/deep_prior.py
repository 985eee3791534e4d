"""Optimization of image and kernel at one scale, as the recipes with untrained networks share it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..blur.support import center, remove_specks, resize
from ..core.result import Status, StatusCode
from ..operators.bilinear import Convolution
from ..operators.data_fidelity import squared_error
from ..operators.noise import KERNEL_NOISE
from ..optim.gradient_loop import LoopState, minimise
from ..priors.base import Prior, trainable
from ..priors.objective import Objective, Term
from ..priors.untrained import CODE
from ..settings import UntrainedSettings
from .base import Problem, Snapshot, Solution
from .checkpoint import Checkpoint
from .ensemble import Outcome
from .final_deconvolution import final_image

CLIP, MIN_COMPONENT_MASS = 0.05, 0.1  # fractions of a kernel's maximum and mass, below which it is noise
FIT_CHECKED_EVERY = 10  # steps

Search = Generator[Snapshot, None, None]


@dataclass(frozen=True)
class RunSlice:
    """The part of a run that one search is.

    Attributes
    ----------
    name : str
        Stage name.
    before, total : int
        Steps of earlier searches, and of the whole run.
    report_every : int
        Steps between snapshots.
    shape : (int, int)
        Sides of the images in snapshots.
    end : float
        Time limit of the run on the monotonic clock, in seconds.
    checkpoint : Checkpoint or None
    """

    name: str
    before: int
    total: int
    report_every: int
    shape: tuple[int, int]
    end: float
    checkpoint: Checkpoint | None = None

    @property
    def out_of_time(self) -> bool:
        """Tell whether the time limit is reached."""
        return time.monotonic() > self.end


class DeepSearch:
    """Optimization of image and kernel, each from a prior, at one scale.

    Parameters
    ----------
    blurred : Tensor [1, C, Y, X]
    image : callable
        Builds the prior of the scene, which is larger than the data, from its size in pixels.
    kernel : Prior
    support : (kh, kw)
        Size of the kernel.
    terms : mapping of str to Term
    random : torch.Generator
    run_slice : RunSlice
    """

    def __init__(
        self,
        blurred: Tensor,
        image: Callable[[tuple[int, int]], Prior],
        kernel: Prior,
        support: tuple[int, int],
        terms: Mapping[str, Term],
        random: torch.Generator,
        run_slice: RunSlice,
    ) -> None:
        channels, height, width = blurred.shape[1:]
        self.size = (height + support[0] - 1, width + support[1] - 1)
        self.operator = Convolution(support, (channels, *self.size), boundary="valid")
        self.objective = Objective(self.operator, blurred, image(self.size), kernel, terms, random)
        self.slice = run_slice
        self.loss = math.inf
        self.done = 0  # steps of the search
        self.diverged = False

    def scene(self) -> Tensor:
        """Return the present estimate of the whole scene."""
        return self.objective.estimate().image

    def kernel(self) -> Tensor:
        """Return the present estimate of the kernel."""
        return self.objective.estimate().kernel

    def fit_image(self, target: Tensor, rate: float, steps: int, tolerance: float = 0.0) -> Search:
        """Fit the image's network, its input fixed, to an image of the whole scene, or of its part under the data."""
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
        """Minimize the squared error by Adam, until its root is within ``tolerance``."""
        search = self._minimize(
            lambda step: {"total": squared_error(decode(), target)},
            torch.optim.Adam(free, lr=rate),
            steps=steps,
            report_every=FIT_CHECKED_EVERY,
        )
        with closing(search):
            for state in search:
                if state.losses["total"][0] <= tolerance**2 or self.slice.out_of_time:
                    return
                yield self._snapshot(0, f"{self.slice.name}, initialization")

    def run(
        self,
        rates: Sequence[tuple[list[Tensor], float]],
        steps: int,
        milestones: Sequence[float] = (),
        decay: float = 1.0,
    ) -> Search:
        """Minimize the objective by Adam, until the time limit.

        Parameters
        ----------
        rates : sequence of (tensors, float)
            Variables and their learning rate.
        milestones : sequence of float
            After these fractions of the steps all rates are multiplied by ``decay``.
        """
        search = self._minimize(
            self.objective,
            torch.optim.Adam([{"params": tensors, "lr": rate} for tensors, rate in rates if tensors]),
            steps=steps,
            report_every=self.slice.report_every,
            milestones={round(fraction * steps) for fraction in milestones},
            decay=decay,
        )
        with closing(search):
            while True:
                try:
                    state = next(search)
                except StopIteration as end:
                    self.done, self.diverged = steps, end.value.code == StatusCode.DIVERGED
                    return
                self.done, self.loss = state.step, float(state.losses["total"][0])
                losses = {name: torch.from_numpy(value) for name, value in state.losses.items()}
                yield self._snapshot(state.step, self.slice.name, losses)
                if self.slice.out_of_time:
                    return

    def _minimize(
        self,
        objective: Callable[[int], dict[str, Tensor]],
        optimiser: torch.optim.Optimizer,
        *,
        steps: int,
        report_every: int,
        milestones: frozenset[int] | set[int] = frozenset(),
        decay: float = 1.0,
    ) -> Generator[LoopState, None, Status]:
        """Run the optimization loop, resumed from the checkpoint if there is one."""
        checkpoint, whole = self.slice.checkpoint, self.objective
        loop = partial(
            minimise, objective, optimiser, steps=steps, report_every=report_every, milestones=milestones, decay=decay
        )
        if checkpoint is None:
            return (yield from loop())
        first = checkpoint.enter(whole, optimiser)
        if first is None:
            return Status(StatusCode.DONE, "Completed before the checkpoint.")

        def save(step: int) -> None:
            checkpoint.save(step, whole, optimiser, last=step == steps)

        return (yield from loop(first=first, before=save))

    def _snapshot(self, step: int, name: str, losses: dict[str, Tensor] | None = None) -> Snapshot:
        estimate = self.objective.estimate()
        image = resampled(self.operator.under_data(estimate.image), self.slice.shape)
        return Snapshot(self.slice.before + step, self.slice.total, name, image, estimate.kernel, losses or {})

    def outcome(self, problem: Problem, final_deconvolution: bool) -> Outcome:
        """Return the solution and the last loss.

        The image is the network's. With a final deconvolution it is the one deconvolved with the estimated kernel, and
        the network's is among the extra images.
        """
        s, shape = problem.settings, problem.blurred.shape[-2:]
        assert isinstance(s, UntrainedSettings)
        kernel, estimate = self.kernel(), self.operator.under_data(self.scene())
        if estimate.shape[-2:] != shape:  # the time limit was reached at a coarser scale
            kernel = resize(kernel, shape[0] / estimate.shape[-2])
        image, extra_images = resampled(estimate, (shape[0], shape[1])), {}
        if final_deconvolution and problem.kernel is None and not self.diverged:
            extra_images["network image"] = image
            kernel = center(remove_specks(kernel, CLIP, MIN_COMPONENT_MASS))
            noise = max(problem.noise, KERNEL_NOISE)
            image = final_image(problem.blurred, kernel, noise, s)
        stopped = self.slice.before + self.done < self.slice.total  # by the time limit
        solution = Solution(image, kernel, diverged=self.diverged, stopped=stopped, extra_images=extra_images)
        return solution, self.loss


def resampled(image: Tensor, shape: tuple[int, int]) -> Tensor:
    """Resample an image ``[R, C, Y, X]`` to other sides in pixels."""
    if image.shape[-2:] == shape:
        return image
    return interpolate(image, size=shape, mode="bilinear", antialias=True)
