"""What ``genprior train`` does: data from its options, the loop behind a bar, a line of figures."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import click
import numpy as np
from tqdm import tqdm

from ..core.errors import InputError
from ..settings import TrainingSettings
from ..training import data, learners
from ..training import psf_3d as volumes
from ..training.initializers import ProposalTask
from ..training.kernel_initializers import start_task
from ..training.loop import Trained, run
from ..training.tasks import GeneratorTask, Task
from ..zoo.store import load_prior, user_folder

NO_DATA = "none needed: the kernels are simulated by this package"


def train_from(
    settings: TrainingSettings,
    *,
    name: str,
    source: Path | None,
    simulator: str | None,
    pair: tuple[str, str] | None,
    kind: data.Kind,
    key: str,
    tiles: bool,
    channels: str,
    kernels: int,
    licence_weights: str,
    licence_data: str,
    out_folder: Path | None,
    overwrite: bool,
    quiet: bool,
    recipe: str,
) -> Trained | None:
    """Run the command; see its help for the options."""
    if not pair and (source is None) == (simulator is None):
        raise InputError("Give --data (a folder, npz or npy file) or --simulate (a kind of kernels), one of them.")
    folder = out_folder or user_folder()
    if out_folder is None:
        folder.mkdir(parents=True, exist_ok=True)
    if simulator == volumes.SIMULATED and not pair:
        _volumes(
            settings, name, folder, kernels, licence_weights=licence_weights, recipe=recipe, overwrite=overwrite,
            quiet=quiet,
        )  # fmt: skip
        return None
    how = {"key": key, "tiles": tiles}
    task: Task
    if pair:
        task = _start(pair, settings, source, simulator, kernels, quiet, **how)
    elif source is not None:
        fixed = learners.FIXED.get(settings.arch)
        channels_, size = fixed or (int(channels), settings.size)
        task = GeneratorTask(_read(source, settings, kind, channels=channels_, size=size, **how), settings)
    else:
        assert simulator is not None
        task = GeneratorTask(_simulated(simulator, kernels, settings, settings.size, quiet), settings)
    if source is None:
        licence_data = task.pair.image.card.license_data if isinstance(task, ProposalTask) else NO_DATA
    running = run(
        task, name, folder, license_weights=licence_weights, license_data=licence_data, recipe=recipe,
        overwrite=overwrite,
    )  # fmt: skip
    trained = _behind_a_bar(running, name, quiet)
    figures = ", ".join(f"{figure} {value:g}" for figure, value in trained.card.metrics.items())
    click.echo(f"{trained.path}: {figures}; {trained.steps} steps, {trained.seconds / 60:.1f} min: {trained.reason}.")
    return trained


def _start(
    pair: tuple[str, str],
    settings: TrainingSettings,
    source: Path | None,
    simulator: str | None,
    count: int,
    quiet: bool,
    **how: Any,
) -> ProposalTask:
    image, kernel = (load_prior(prior) for prior in pair)
    size = {"channels": image.card.channels, "size": min(image.card.size)}
    images = _read(source, settings, "image", **size, **how) if source else None
    kernels = _simulated(simulator, count, settings, kernel.card.size[0], quiet) if simulator else None
    return start_task(image)(image, kernel, settings, images, kernels)


def _read(source: Path, settings: TrainingSettings, kind: data.Kind, **how: Any) -> data.Images:
    array = data.read_images(source, **how)
    about = f"{len(array)} {kind}s of {source.name}"
    return data.split(array, kind, about, held_out=settings.held_out, seed=settings.seed)


def _simulated(simulator: str, count: int, settings: TrainingSettings, size: int, quiet: bool) -> data.Images:
    drawn = islice(data.draw_kernels(simulator, size or data.USUAL_SIZE.get(simulator, 28), settings.seed), count)
    array = np.stack(list(tqdm(drawn, total=count, desc=f"drawing {simulator} kernels", disable=quiet)))[:, None]
    about = f"{count} simulated kernels: {data.SIMULATED[simulator][1]}; seed {settings.seed}"
    return data.split(array, "kernel", about, held_out=settings.held_out, seed=settings.seed, turn=True)


def _volumes(settings: TrainingSettings, name: str, folder: Path, count: int, *, quiet: bool, **how: Any) -> None:
    planes, rows, _ = volumes.SHAPE
    side = settings.size or rows
    if settings.arch != "linear":
        raise InputError(f"Generators of volumes are linear; give --arch linear instead of {settings.arch}.")
    drawn = islice(volumes.draw_volumes((planes, side, side), settings.seed), count)
    array = np.stack(list(tqdm(drawn, total=count, desc="drawing volumes", disable=quiet)))
    card = volumes.train_volumes(
        array, settings, name, folder, license_weights=how.pop("licence_weights"), license_data=NO_DATA, **how
    )
    click.echo(f"{folder / name}.json: " + ", ".join(f"{key} {value:g}" for key, value in card.metrics.items()) + ".")


def _behind_a_bar(running, name: str, quiet: bool) -> Trained:
    """Drain the loop; an interruption closes it, which writes a checkpoint."""
    form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
    with tqdm(total=1.0, desc=name, disable=quiet, bar_format=form) as bar:
        try:
            while True:
                try:
                    progress = next(running)
                except StopIteration as end:
                    return end.value
                shown = {key: f"{value:.4g}" for key, value in progress.losses.items()}
                if progress.held_out is not None:
                    shown["held out"] = f"{progress.held_out:.5g}"
                bar.set_postfix({"step": progress.step, **shown}, refresh=False)
                bar.update(progress.fraction - bar.n)
        finally:
            running.close()
