"""Define ``genprior train`` and ``genprior models``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..settings import TrainingSettings
from .base import PATH, genprior, options_from, report_error
from .command_text import command_text


@genprior.command()
@click.option("-o", "--output", "name", required=True, help="Name of the new prior.")
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
@click.option(
    "--licence-weights", default="not stated; ask who trained it", show_default=True,
    help="Licence of the weights, for the card.",
)  # fmt: skip
@click.option(
    "--licence-data", default="not stated", show_default=True, help="Licence of the training data, for the card."
)
@click.option("--out-folder", type=PATH, help="Output folder.  [default: the user's models]")
@click.option("--overwrite", is_flag=True, help="Replace a finished prior of that name.")
@click.option("--quiet", is_flag=True, help="Show no progress bar.")
@click.pass_context
def train(context: click.Context, **given: Any) -> None:
    """Train a prior on your images or on simulated kernels, or an initializer for a pair of priors.

    Repeat an interrupted command to resume it.
    """
    settings = TrainingSettings.checked({name: given.pop(name) for name in TrainingSettings.model_fields})
    from .train_command import train_from

    try:
        recipe = command_text(context, without=("licence", "quiet", "out_folder", "overwrite"))
        train_from(settings, recipe=recipe, **given)
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
