"""Run a training as a Python generator that yields its progress.

Closing the generator writes a checkpoint; killing the process loses the steps since the last one. The same call
resumes from the checkpoint, with the same data in the same order.

Data order, augmentation and noise depend on (seed, step) alone, so a checkpoint holds no random states. With
``steps`` given (not ``minutes``) an interrupted and an uninterrupted training give bit-identical weights on the same
CPU with the same number of threads.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.arrays import resolve_device
from ..core.errors import InputError
from ..core.image_io import check_place, write_image
from ..core.paths import exists
from ..settings import TrainingSettings
from ..zoo.card import Card, CardFields
from ..zoo.export import checked_card, write_prior
from . import checkpoint, data, learners
from .checkpoint import State
from .tasks import GeneratorTask, Task


@dataclass(frozen=True)
class TrainingProgress:
    """Progress of a training after ``step`` updates.

    Attributes
    ----------
    step : int
    epoch : float
    fraction : float
        Of the whole training, 0 to 1.
    losses : dict of str to float
        Of the last batch.
    held_out : float or None
        The last validation loss.
    seconds, seconds_left : float
    """

    step: int
    epoch: float
    fraction: float
    losses: dict[str, float]
    held_out: float | None
    seconds: float
    seconds_left: float


@dataclass(frozen=True)
class Trained:
    """The result of a training: the model's card (with ``card.metrics``), its path, and the reason why it ended."""

    card: Card
    path: Path
    steps: int
    seconds: float
    reason: str


def train(
    images: data.Images,
    settings: TrainingSettings,
    name: str,
    folder: Path,
    *,
    license_weights: str = "not stated; ask who trained it",
    license_data: str = "not stated",
    recipe: str = "",
    overwrite: bool = False,
) -> Generator[TrainingProgress, None, Trained]:
    """Train a generator and store it as ``folder/name.safetensors`` and ``.json``.

    Parameters
    ----------
    images : Images
        Training data, see :func:`data.split`.
    settings : TrainingSettings
    name : str
        Name of the model: lower-case letters, digits, ``.`` and ``-``.
    folder : Path
        Folder of the model. ``name.png`` beside it shows samples; ``name.checkpoint`` exists during the training.
    license_weights, license_data, recipe : str
        Text for the card. By default the recipe is the settings.
    overwrite : bool
        Replace a finished model of that name.

    Yields
    ------
    TrainingProgress
        After every update. Closing the generator writes a checkpoint.

    Raises
    ------
    InputError
        Settings and data do not fit together, there is a finished model of that name, an unfinished one with other
        settings, or the training diverged.
    """
    return run(
        GeneratorTask(images, settings), name, folder, license_weights=license_weights, license_data=license_data,
        recipe=recipe, overwrite=overwrite,
    )  # fmt: skip


def run(
    task: Task,
    name: str,
    folder: Path,
    *,
    license_weights: str,
    license_data: str,
    recipe: str,
    overwrite: bool,
) -> Generator[TrainingProgress, None, Trained]:
    """Run the training of any task; see :func:`train` for the parameters and what is yielded."""
    settings = task.settings
    about: CardFields = {
        **task.about, "name": name, "distribution": "normal", "output_range": (0.0, 1.0), "metrics": {},
        "license_weights": license_weights, "license_data": license_data, "recipe": "pending",
    }  # fmt: skip
    checked_card("0" * 64, **about)
    if exists(folder / f"{name}.json") and not overwrite:
        raise InputError(f"There is a model {name} in {folder} already; choose another name, or give --overwrite.")
    path = folder / f"{name}.checkpoint"
    check_place(path)
    device = resolve_device(settings.device)
    learner = task.learner(device)
    state, best = checkpoint.resume_or_start(path, learner, task)
    held_out = task.held_out(device)
    if state.step == 0:
        task.prepare(learner)
    reason = "the principal components are exact"
    if task.learns:
        reason = yield from _updates(learner, task, held_out, state, best, path)
    net: Any = learner.averaged
    if best:
        net.load_state_dict(best)
    net, about["arguments"] = task.stored(net, device)
    write_image(folder / f"{name}.png", task.sample_sheet(net, held_out))
    about["metrics"] = task.measure(net, held_out)
    about["recipe"] = (
        f"{recipe or settings.model_dump_json(exclude_defaults=True)}: {state.step} updates of {settings.batch} images "
        f"in {state.seconds / 60:.1f} min on {device.type}, {torch.get_num_threads()} thread(s); {reason}"
    )
    card = write_prior(net, folder, half=settings.float16, **about)
    path.unlink(missing_ok=True)
    return Trained(card, folder / f"{name}.json", state.step, state.seconds, reason)


def _updates(
    learner: learners.Learner,
    task: Task,
    held_out: Any,
    state: State,
    best: dict[str, Tensor],
    path: Path,
) -> Generator[TrainingProgress, None, str]:
    """Train until the last step, the time limit or the end of the patience; return the reason why it ended.

    ``state`` and ``best`` (the best weights so far) are updated in place.
    """
    settings = task.settings
    per_epoch = max(1, task.count // settings.batch)
    started = time.monotonic() - state.seconds
    written = time.monotonic()
    order, epoch = torch.empty(0), -1
    learner.net.train()
    try:
        while (fraction := _fraction(settings, state)) < 1:
            if settings.patience and state.since_best >= settings.patience:
                return f"no better held-out loss in {settings.patience} validations"
            if state.step // per_epoch != epoch:
                epoch = state.step // per_epoch
                order = torch.randperm(task.count, generator=_step_generator(settings.seed, epoch, 0))
            first = state.step % per_epoch * settings.batch
            random = _step_generator(settings.seed, state.step, 1)
            examples = task.batch(order[first : first + settings.batch], random, learner.device)
            learner.set_learning_rate(fraction)
            losses = learner.step(examples, random)
            if not all(bool(torch.isfinite(value)) for value in losses.values()):
                path.unlink(missing_ok=True)  # the checkpoint may hold diverging weights already
                raise InputError(f"The training diverged at step {state.step}; choose a smaller --learning-rate.")
            learner.update_ema(state.step)
            state.step += 1
            if state.step % settings.validate_every == 0:
                _validate(learner, held_out, state, best)
            state.seconds = time.monotonic() - started
            if time.monotonic() - written >= settings.checkpoint_seconds:
                checkpoint.write(path, learner, task, held_out, state, best)
                written = time.monotonic()
            yield _progress(settings, state, state.step / per_epoch, losses)
    except GeneratorExit:
        checkpoint.write(path, learner, task, held_out, state, best)
        raise
    _validate(learner, held_out, state, best)
    return f"all {settings.steps} steps completed" if settings.steps else "time limit reached"


def _fraction(settings: TrainingSettings, state: State) -> float:
    return state.step / settings.steps if settings.steps else state.seconds / (60 * settings.minutes)


def _progress(settings: TrainingSettings, state: State, epoch: float, losses: dict[str, Tensor]) -> TrainingProgress:
    fraction = min(1.0, _fraction(settings, state))
    left = state.seconds * (1 - fraction) / fraction if fraction else float("inf")
    values = {name: float(value.detach()) for name, value in losses.items()}
    return TrainingProgress(state.step, epoch, fraction, values, state.held_out, state.seconds, left)


def _step_generator(seed: int, number: int, purpose: int) -> torch.Generator:
    """Return a random generator that depends on these three numbers alone, independent of neighbouring numbers."""
    mixed = np.random.SeedSequence([seed, number, purpose]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(mixed >> np.uint64(1)))


def _validate(learner: learners.Learner, held_out: Any, state: State, best: dict[str, Tensor]) -> None:
    state.held_out = learner.validation_loss(held_out)
    if state.held_out is None:
        return
    if state.best is None or state.held_out < state.best:
        state.best, state.since_best = state.held_out, 0
        best.update({key: value.detach().clone() for key, value in learner.averaged.state_dict().items()})
    else:
        state.since_best += 1
