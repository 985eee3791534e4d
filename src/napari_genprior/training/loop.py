"""The training loop: a generator. To drive it is to train; to close it, or to kill it, costs what came after the last
checkpoint; the same call goes on from there, with the same data in the same order.

Nothing random carries over from step to step: order, augmentation and noise are drawn from (seed, step) alone, so
a checkpoint needs no random states. With ``steps`` given (not ``minutes``) an interrupted training ends, bit for bit,
where an uninterrupted one does, on the same CPU with as many threads.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.arrays import resolve_device
from ..core.errors import InputError
from ..core.image_io import check_place, write_image
from ..optim.checkpoint_io import read_state
from ..settings import TrainingSettings
from ..zoo.card import Card
from ..zoo.export import checked_card, write_prior
from . import checkpoint, data, learners
from .tasks import GeneratorTask, Task

FREE = ("minutes", "checkpoint_seconds", "device", "patience", "half", "keep_encoder")  # may differ when a run resumes


@dataclass(frozen=True)
class TrainingProgress:
    """After ``step`` updates: ``fraction`` of the training, losses of the last batch, the last held-out loss."""

    step: int
    epoch: float
    fraction: float
    losses: dict[str, float]
    held_out: float | None
    seconds: float
    seconds_left: float


@dataclass(frozen=True)
class Trained:
    """What came out: the card (``figures`` in ``card.metrics``) and where it lies; ``reason`` says why it ended."""

    card: Card
    path: Path
    steps: int
    seconds: float
    reason: str


@dataclass
class _State:
    step: int = 0
    seconds: float = 0.0
    held_out: float | None = None
    best: float | None = None
    since_best: int = 0
    run: dict[str, Any] = field(default_factory=dict)  # settings and data it belongs to


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
        See :func:`data.split`.
    settings : TrainingSettings
    name : str
        Lower-case letters, digits, ``.`` and ``-``.
    folder : Path
        Beside the model, ``name.png`` shows samples; ``name.checkpoint`` is there while it trains.
    license_weights, license_data, recipe : str
        For the card. The recipe is by default the settings.
    overwrite : bool
        Replace a finished model of that name.

    Yields
    ------
    TrainingProgress
        After every update. Closing the generator writes a checkpoint.

    Raises
    ------
    InputError
        Settings and data that do not fit, a finished model of that name, or an unfinished one of other settings.
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
    """Any training, see :func:`train` for the parameters."""
    settings = task.settings
    about: dict[str, Any] = {
        **task.about, "name": name, "distribution": "normal", "output_range": (0.0, 1.0),
        "license_weights": license_weights, "license_data": license_data,
    }  # fmt: skip
    checked_card(**about, recipe="to be made", metrics={}, sha256="0" * 64)
    if (folder / f"{name}.json").exists() and not overwrite:
        raise InputError(f"There is a model {name} in {folder} already; choose another name, or overwrite it.")
    place = folder / f"{name}.checkpoint"
    check_place(place)
    device = resolve_device(settings.device)
    learner = task.learner(device)
    state, best = _resumed(place, learner, task)
    held_out = task.held_out(device)
    if state.step == 0:
        task.prepare(learner)
    reason = "the principal components are exact"
    if task.learns:
        reason = yield from _updates(learner, task, held_out, state, best, place)
    net: Any = learner.averaged
    if best:
        net.load_state_dict(best)
    net, about["arguments"] = task.stored(net, device)
    write_image(folder / f"{name}.png", task.sheet(net, held_out))
    recipe = recipe or settings.model_dump_json(exclude_defaults=True)
    card = write_prior(
        net, folder, half=settings.half, **about, metrics=task.measure(net, held_out),
        recipe=f"{recipe}: {state.step} updates of {settings.batch} images in {state.seconds / 60:.1f} min "
        f"on {device.type}, {torch.get_num_threads()} thread(s); {reason}",
    )  # fmt: skip
    place.unlink(missing_ok=True)
    return Trained(card, folder / f"{name}.json", state.step, state.seconds, reason)


def _updates(
    learner: learners.Learner,
    task: Task,
    held_out: Any,
    state: _State,
    best: dict[str, Tensor],
    place: Path,
) -> Generator[TrainingProgress, None, str]:
    """Train until the steps are made, the time is up or patience ends; ``state`` and ``best`` are kept up to date."""
    settings = task.settings
    per_epoch = max(1, task.count // settings.batch)
    started = time.monotonic() - state.seconds
    written = time.monotonic()
    order, epoch = torch.empty(0), -1
    learner.net.train()
    try:
        while (fraction := _fraction(settings, state)) < 1:
            if settings.patience and state.since_best >= settings.patience:
                return f"no better held-out loss in {settings.patience} looks"
            if state.step // per_epoch != epoch:
                epoch = state.step // per_epoch
                order = torch.randperm(task.count, generator=_drawn_from(settings.seed, epoch, 0))
            first = state.step % per_epoch * settings.batch
            random = _drawn_from(settings.seed, state.step, 1)
            chosen = task.batch(order[first : first + settings.batch], random, learner.device)
            learner.set_rate(fraction)
            losses = learner.step(chosen, random)
            if not all(bool(torch.isfinite(value)) for value in losses.values()):
                place.unlink(missing_ok=True)  # it may be beyond help too
                raise InputError(f"The training diverged at step {state.step}; choose a smaller learning rate.")
            learner.follow_average(state.step)
            state.step += 1
            if state.step % settings.validate_every == 0:
                _judge(learner, held_out, state, best)
            state.seconds = time.monotonic() - started
            if time.monotonic() - written >= settings.checkpoint_seconds:
                _checkpoint(learner, task, held_out, state, best, place)
                written = time.monotonic()
            yield _progress(settings, state, state.step / per_epoch, losses)
    except GeneratorExit:
        _checkpoint(learner, task, held_out, state, best, place)
        raise
    _judge(learner, held_out, state, best)
    return f"all {settings.steps} steps were made" if settings.steps else "the time was up"


def _fraction(settings: TrainingSettings, state: _State) -> float:
    return state.step / settings.steps if settings.steps else state.seconds / (60 * settings.minutes)


def _progress(settings: TrainingSettings, state: _State, epoch: float, losses: dict[str, Tensor]) -> TrainingProgress:
    fraction = min(1.0, _fraction(settings, state))
    left = state.seconds * (1 - fraction) / fraction if fraction else float("inf")
    values = {name: float(value.detach()) for name, value in losses.items()}
    return TrainingProgress(state.step, epoch, fraction, values, state.held_out, state.seconds, left)


def _drawn_from(seed: int, number: int, purpose: int) -> torch.Generator:
    """A generator that depends on these three numbers alone, unrelated to that of their neighbours."""
    mixed = np.random.SeedSequence([seed, number, purpose]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(mixed >> np.uint64(1)))


def _judge(learner: learners.Learner, held_out: Any, state: _State, best: dict[str, Tensor]) -> None:
    state.held_out = learner.judge(held_out)
    if state.held_out is None:
        return
    if state.best is None or state.held_out < state.best:
        state.best, state.since_best = state.held_out, 0
        best.update({key: value.detach().clone() for key, value in learner.averaged.state_dict().items()})
    else:
        state.since_best += 1


def _resumed(place: Path, learner: learners.Learner, task: Task) -> tuple[_State, dict[str, Tensor]]:
    """Where an earlier, interrupted call stood, or a fresh start."""
    chosen = task.settings.model_dump(mode="json", exclude=set(FREE))
    run: dict[str, Any] = {"settings": chosen, "data": task.fingerprint()}
    found = read_state(place)
    if found is None:
        return _State(run=run), {}
    if found["run"] != run:
        before, now = found["run"]["settings"], chosen
        differ = [
            f"{key} {before.get(key)!r} (now {value!r})" for key, value in now.items() if before.get(key) != value
        ]
        raise InputError(
            f"{place} is an unfinished training with {', '.join(differ) or 'other data'}; "
            "repeat its command to finish it, delete it, or choose another name."
        )
    return _State(**found), checkpoint.load(place, learner)


def _checkpoint(
    learner: learners.Learner, task: Task, held_out: Any, state: _State, best: dict[str, Tensor], place: Path
) -> None:
    checkpoint.save(place, learner, best, json.loads(json.dumps(vars(state))))
    sheet = task.sheet(learner.averaged, held_out)
    write_image(place.with_name(place.name.removesuffix(".checkpoint") + ".png"), sheet)
