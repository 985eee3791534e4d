"""``genprior train`` and ``genprior models``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..settings import TrainingSettings
from .base import genprior, options_from, report_error


@genprior.command()
@click.option("-o", "--output", "name", required=True, help="Name of the new prior.")
@click.option("--data", "source", type=click.Path(path_type=Path), help="Folder of images, npz or npy file.")
@click.option(
    "--simulate",
    "simulator",
    help="Kernels: shake, blur-a, blur-b, motion-linear, gaussian, defocus, microscope or microscope-3d.",
)
@click.option(
    "--start",
    "pair",
    nargs=2,
    metavar="IMAGE_PRIOR KERNEL_PRIOR",
    help="Train a start instead, which finds this pair's latents in a blurred image; --data are sharp images, "
    "--simulate kernels, whichever is not given is drawn from its prior.",
)
@click.option("--kind", type=click.Choice(["image", "kernel"]), default="image", show_default=True)
@click.option("--key", default="", help="Array of an npz file.  [default: x, train or x_train]")
@click.option("--tiles", is_flag=True, help="Cut a folder's images into tiles instead of scaling them.")
@click.option("--channels", type=click.Choice(["0", "1", "3"]), default="0", help="Of the images; 0: as they are.")
@click.option("--kernels", type=click.IntRange(8), default=20_000, show_default=True, help="How many to simulate.")
@options_from(TrainingSettings)
@click.option("--licence-weights", default="not stated; ask who trained it", show_default=True)
@click.option("--licence-data", default="not stated", show_default=True)
@click.option("--out-folder", type=click.Path(path_type=Path), help="Folder to write to.  [default: the user's models]")
@click.option("--overwrite", is_flag=True, help="Replace a finished prior of that name.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@click.pass_context
def train(context: click.Context, **given: Any) -> None:
    """Train a prior on your images, or on simulated kernels; or a start for a pair of priors.

    Repeat an interrupted command to go on.
    """
    settings = TrainingSettings.checked({name: given.pop(name) for name in TrainingSettings.model_fields})
    from .train_command import train_from

    try:
        train_from(settings, recipe=_as_typed(context), **given)
    except (KeyboardInterrupt, click.Abort):
        report_error("interrupted; the same command goes on from the last checkpoint.", 130)
        raise click.exceptions.Exit(130) from None


def _as_typed(context: click.Context) -> str:
    """The command with the options that were given, for the model card."""
    given = [
        f"{parameter.opts[-1]} {_words(context.params[parameter.name])}"
        for parameter in context.command.params
        if parameter.name
        and context.get_parameter_source(parameter.name) == click.core.ParameterSource.COMMANDLINE
        and not parameter.name.startswith(("licence", "quiet", "out_folder", "overwrite"))
    ]
    return " ".join(["genprior train", *given])


def _words(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


@genprior.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List the pretrained priors and the starts of pairs of them, or import a prior."""
    if context.invoked_subcommand is not None:
        return
    from ..zoo.store import list_models

    rows = [("name", "kind", "arch", "size", "latent", "figures", "licence")]
    for card in list_models():
        figures = ", ".join(f"{name} {value:g}" for name, value in card.metrics.items())
        rows.append((card.name, card.kind, card.arch, card.shape, str(card.latent), figures, card.license_weights))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@models.command("import")
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path))
@click.option("-o", "--output", "name", help="Name of the new prior.  [default: the file's]")
@click.option("--licence-weights", default="not stated; ask its authors", show_default=True)
@click.option("--licence-data", default="not stated", show_default=True)
@click.option("--out-folder", type=click.Path(path_type=Path), help="Folder to write to.  [default: the user's models]")
def import_(source: Path, name: str | None, **given: Any) -> None:
    """Import the authors' Keras blur decoder (.h5), or a PG-GAN's PyTorch state dict (.pt, .pth)."""
    from ..zoo.weight_import import import_prior

    card = import_prior(source, name, **given)
    click.echo(f"{card.name}: {card.kind}, {card.arch}, {card.shape}, latent {card.latent}.")
