"""Run ``genprior train``: read or simulate the data, train behind a progress bar, print the metrics."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import click
import numpy as np
from tqdm import tqdm

from ..core.errors import InputError
from ..settings import TrainingSettings
from ..training import architectures, data, image_files, kernel_simulators, psf_3d
from ..training.denoiser_data import read_sharp_images
from ..training.denoisers import DenoiserTask
from ..training.initializers import InitializerTask
from ..training.kernel_initializers import initializer_task
from ..training.loop import Trained, TrainingProgress, run
from ..training.tasks import GeneratorTask, Task
from ..zoo.store import load_prior, user_folder

LINE_EVERY_S = 60.0  # of the progress where there is no terminal
Training = Generator[TrainingProgress, None, Trained]
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
    """Run the command; see its help for the options. Returns None for generators of volumes."""
    if not pair and (source is None) == (simulator is None):
        raise InputError("Give one of --data (a folder, npz or npy file) and --simulate (a kernel simulator).")
    folder = _output_folder(out_folder)
    if simulator == psf_3d.SIMULATED and not pair:
        _train_volumes(
            settings, name, folder, kernels, licence_weights=licence_weights, recipe=recipe, overwrite=overwrite,
            quiet=quiet,
        )  # fmt: skip
        return None
    reading = {"key": key, "tiles": tiles}
    task: Task
    if pair:
        task = _initializer_task(pair, settings, source, simulator, kernels, quiet, **reading)
    elif source is not None:
        fixed = architectures.FIXED.get(settings.arch)
        n_channels, size = fixed or (int(channels), settings.size)
        task = GeneratorTask(_read(source, settings, kind, channels=n_channels, size=size, **reading), settings)
    else:
        assert simulator is not None
        task = GeneratorTask(_simulated(simulator, kernels, settings, settings.size, quiet), settings)
    if source is None:
        licence_data = task.pair.image.card.license_data if isinstance(task, InitializerTask) else NO_DATA
    running = run(
        task, name, folder, license_weights=licence_weights, license_data=licence_data, recipe=recipe,
        overwrite=overwrite,
    )  # fmt: skip
    return _finish(running, name, quiet)


def train_denoiser(
    settings: TrainingSettings,
    photos: Path,
    nuclei: Path | None,
    *,
    name: str,
    licence_weights: str,
    licence_data: str,
    out_folder: Path | None,
    overwrite: bool,
    quiet: bool,
    recipe: str,
) -> Trained:
    """Run ``genprior train denoiser``; see its help for the options."""
    task = DenoiserTask(read_sharp_images(photos, nuclei, settings.seed), settings)
    running = run(
        task, name, _output_folder(out_folder), license_weights=licence_weights, license_data=licence_data,
        recipe=recipe, overwrite=overwrite,
    )  # fmt: skip
    return _finish(running, name, quiet)


def _output_folder(chosen: Path | None) -> Path:
    folder = chosen or user_folder()
    if chosen is None:
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _finish(running: Training, name: str, quiet: bool) -> Trained:
    """Run a training to its end and print the metrics."""
    trained = _run_with_progress(running, name, quiet)
    metrics = ", ".join(f"{metric} {value:g}" for metric, value in trained.card.metrics.items())
    click.echo(f"{trained.path}: {metrics}; {trained.steps} steps, {trained.seconds / 60:.1f} min: {trained.reason}.")
    return trained


def _initializer_task(
    pair: tuple[str, str],
    settings: TrainingSettings,
    source: Path | None,
    simulator: str | None,
    count: int,
    quiet: bool,
    **reading: Any,
) -> InitializerTask:
    image, kernel = (load_prior(prior) for prior in pair)
    size = {"channels": image.card.channels, "size": min(image.card.size)}
    images = _read(source, settings, "image", **size, **reading) if source else None
    kernels = _simulated(simulator, count, settings, kernel.card.size[0], quiet) if simulator else None
    return initializer_task(image)(image, kernel, settings, images, kernels)


def _read(source: Path, settings: TrainingSettings, kind: data.Kind, **reading: Any) -> data.Images:
    array = image_files.read_images(source, **reading)
    about = f"{len(array)} {kind}s of {source.name}"
    return data.split(array, kind, about, held_out=settings.validation_fraction, seed=settings.seed)


def _simulated(simulator: str, count: int, settings: TrainingSettings, size: int, quiet: bool) -> data.Images:
    drawn = islice(
        kernel_simulators.draw_kernels(
            simulator, size or kernel_simulators.DEFAULT_SIZE_PX.get(simulator, 28), settings.seed
        ),
        count,
    )
    array = np.stack(list(tqdm(drawn, total=count, desc=f"simulating {simulator} kernels", disable=quiet)))[:, None]
    about = f"{count} simulated kernels: {kernel_simulators.SIMULATED[simulator][1]}; seed {settings.seed}"
    return data.split(array, "kernel", about, held_out=settings.validation_fraction, seed=settings.seed, turn=True)


def _train_volumes(
    settings: TrainingSettings, name: str, folder: Path, count: int, *, quiet: bool, **card_text: Any
) -> None:
    planes, rows, _ = psf_3d.SHAPE
    side = settings.size or rows
    if settings.arch != "linear":
        raise InputError(f"Generators of volumes must be linear; give --arch linear instead of {settings.arch}.")
    drawn = islice(psf_3d.draw_volumes((planes, side, side), settings.seed), count)
    array = np.stack(list(tqdm(drawn, total=count, desc="simulating volumes", disable=quiet)))
    card = psf_3d.train_volumes(
        array, settings, name, folder,
        license_weights=card_text.pop("licence_weights"), license_data=NO_DATA, **card_text,
    )  # fmt: skip
    click.echo(f"{folder / name}.json: " + ", ".join(f"{key} {value:g}" for key, value in card.metrics.items()) + ".")


def _run_with_progress(running: Training, name: str, quiet: bool) -> Trained:
    """Run a training behind a progress bar, or with a line a minute where standard error is no terminal.

    Ctrl-C or a termination signal ends it after the current update, with a checkpoint; a second one ends it at once.
    """
    form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
    terminal = sys.stderr.isatty()
    written = time.monotonic()
    bar = tqdm(total=1.0, desc=name, disable=quiet or not terminal, bar_format=form)
    with bar, _interruptible() as interrupted:
        try:
            while not interrupted:
                try:
                    progress = next(running)
                except StopIteration as end:
                    return end.value
                shown = {key: f"{value:.4g}" for key, value in progress.losses.items()}
                if progress.held_out is not None:
                    shown["validation"] = f"{progress.held_out:.5g}"
                if terminal:
                    bar.set_postfix({"step": progress.step, **shown}, refresh=False)
                    bar.update(progress.fraction - bar.n)
                elif not quiet and time.monotonic() - written >= LINE_EVERY_S:
                    written = time.monotonic()
                    values = ", ".join(f"{key} {value}" for key, value in shown.items())
                    click.echo(f"{name}: step {progress.step}, {progress.seconds:.0f} s, {values}", err=True)
            raise KeyboardInterrupt
        finally:
            running.close()  # writes a checkpoint


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Collect the first Ctrl-C or termination signal in a list, so that no update is interrupted half-way."""
    received: list[int] = []

    def receive(number: int, _frame: object) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
