"""Define ``genprior train`` and ``genprior models``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from ..settings import TrainingSettings
from .arguments import with_options
from .base import PATH, genprior, options_from, report_error
from .command_text import command_text

MODEL_OPTIONS = (
    click.option(
        "--licence-weights", default="not stated; ask who trained it", show_default=True,
        help="Licence of the weights, for the card.",
    ),
    click.option(
        "--licence-data", default="not stated", show_default=True, help="Licence of the training data, for the card."
    ),
    click.option("--out-folder", type=click.Path(path_type=Path), help="Output folder.  [default: the user's models]"),
    click.option("--overwrite", is_flag=True, help="Replace a finished prior of that name."),
    click.option("--quiet", is_flag=True, help="Show no progress."),
)  # fmt: skip
NOT_IN_RECIPE = ("licence", "quiet", "out_folder", "overwrite")  # beginnings of the names of options


@genprior.group(invoke_without_command=True)
@click.option("-o", "--output", "name", help="Name of the new prior; required.")
@click.option("--data", "source", type=PATH, help="Folder of images, npz or npy file.")
@click.option(
    "--simulate",
    "simulator",
    help="Train on simulated kernels: shake, blur-a, blur-b, motion-linear, gaussian, defocus, microscope or "
    "microscope-3d.",
)
@click.option(
    "--initializer",
    "--start",
    "pair",
    nargs=2,
    metavar="IMAGE_PRIOR KERNEL_PRIOR",
    help="Train an initializer instead, which estimates the latents of this pair of priors from a blurred image. "
    "--data gives sharp images and --simulate kernels; whichever is missing is sampled from its prior.",
)
@click.option(
    "--kind", type=click.Choice(["image", "kernel"]), default="image", show_default=True,
    help="Whether --data holds images or kernels.",
)  # fmt: skip
@click.option("--key", default="", help="Name of the array in an npz file.  [default: x, train or x_train]")
@click.option("--tiles", is_flag=True, help="Cut a folder's images into tiles instead of scaling them.")
@click.option(
    "--channels", type=click.Choice(["0", "1", "3"]), default="0",
    help="Number of channels of the images; 0: as in the data.",
)  # fmt: skip
@click.option(
    "--kernels", type=click.IntRange(8), default=20_000, show_default=True, help="Number of kernels to simulate."
)
@options_from(TrainingSettings)
@with_options(MODEL_OPTIONS)
@click.pass_context
def train(context: click.Context, name: str | None, **given: Any) -> None:
    """Train a prior on your images or on simulated kernels, an initializer for a pair of priors, or a denoiser.

    Repeat an interrupted command to resume it.
    """
    if context.invoked_subcommand is not None:
        return
    if name is None:
        raise click.MissingParameter(ctx=context, param=context.command.params[0])
    settings = TrainingSettings.checked({field: given.pop(field) for field in TrainingSettings.model_fields})
    from .train_command import train_from

    recipe = command_text(context, without=NOT_IN_RECIPE)
    with _resumable():
        train_from(settings, name=name, recipe=recipe, **given)


@train.command()
@click.option("-o", "--output", "name", required=True, help="Name of the new denoiser.")
@click.option(
    "--photos", type=click.Path(path_type=Path), required=True,
    help="Folder of colour photographs; the held-out ones of the set `photos` are not trained on.",
)  # fmt: skip
@click.option("--nuclei", type=click.Path(path_type=Path), help="An npz file of images of nuclei (nuclei_dsb2018).")
@click.option(
    "--steps", type=click.IntRange(1), default=110_000, show_default=True,
    help="Number of updates; the default takes nine hours of one thread with matrix units.",
)  # fmt: skip
@click.option("--batch", type=click.IntRange(1), default=16, show_default=True, help="Number of crops per update.")
@click.option("--width", type=click.IntRange(1, 512), default=64, show_default=True, help="Channels at half the size.")
@click.option("--learning-rate", type=float, default=1e-3, show_default=True, help="Initial learning rate of Adam.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the random numbers.")
@click.option("--device", default="auto", show_default=True, help="Compute device: auto, cpu, cuda, cuda:N or mps.")
@click.option(
    "--checkpoint-seconds", type=click.FloatRange(0), default=300.0, show_default=True, help="Time between checkpoints."
)
@with_options(MODEL_OPTIONS)
@click.pass_context
def denoiser(context: click.Context, photos: Path, nuclei: Path | None, **given: Any) -> None:
    """Train a denoiser of grey images: a learned prior for images of any size.

    It is trained on photographs at several scales, nuclei and simulated microscope scenes. Repeat an interrupted
    command to resume it.
    """
    names = ("steps", "batch", "width", "learning_rate", "seed", "device", "checkpoint_seconds")
    settings = TrainingSettings.checked({field: given.pop(field) for field in names} | {"patience": 0})
    from .train_command import train_denoiser

    with _resumable():
        train_denoiser(settings, photos, nuclei, recipe=command_text(context, without=NOT_IN_RECIPE), **given)


@contextmanager
def _resumable() -> Iterator[None]:
    """Report an interruption of a training, with exit code 130."""
    try:
        yield
    except (KeyboardInterrupt, click.Abort):
        report_error("interrupted; repeat the command to resume from the last checkpoint.", 130)
        raise click.exceptions.Exit(130) from None


@genprior.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List the pretrained priors and their initializers, or import a prior."""
    if context.invoked_subcommand is not None:
        return
    from ..zoo.store import list_models

    rows = [("name", "kind", "arch", "size", "latent", "metrics", "licence")]
    for card in list_models():
        metrics = ", ".join(f"{name} {value:g}" for name, value in card.metrics.items())
        rows.append((card.name, card.kind, card.arch, card.shape, str(card.latent), metrics, card.license_weights))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@models.command("import")
@click.argument("source", metavar="FILE", type=PATH)
@click.option("-o", "--output", "name", help="Name of the new prior.  [default: the file's]")
@click.option(
    "--licence-weights", default="not stated; ask its authors", show_default=True,
    help="Licence of the weights, for the card.",
)  # fmt: skip
@click.option(
    "--licence-data", default="not stated", show_default=True, help="Licence of the training data, for the card."
)
@click.option("--out-folder", type=PATH, help="Output folder.  [default: the user's models]")
def import_(source: Path, name: str | None, **given: Any) -> None:
    """Import the Keras blur decoder of Asim et al. (.h5), or the PyTorch state dict of a PG-GAN (.pt, .pth)."""
    from ..zoo.weight_import import import_prior

    card = import_prior(source, name, **given)
    click.echo(f"{card.name}: {card.kind}, {card.arch}, {card.shape}, latent {card.latent}.")
