"""Define ``genprior study``: a command for each study of Asim et al."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ..evaluation.study_table import STUDIES, TRUTHS, Study
from .base import PATH, genprior, report_error


@genprior.group()
def study() -> None:
    """Reproduce the figures of Asim et al.: rows as CSV, a summary, a plot.

    Repeat an interrupted command to resume it; further values, methods or images are added to the rows that exist.
    """


def _data_options(entry: Study) -> list[Callable]:
    """Return the options that choose images, kernels and priors."""
    default_source = f"{entry.sample_from}; with other image priors the first one"
    return [
        click.option("-o", "--output", "folder", type=PATH, required=True, help="Output folder."),
        click.option("--data", type=PATH, help="Sharp images: a folder, npz or npy file."),
        click.option("--key", default="", help="Name of the array in an npz file.  [default: x, train or x_train]"),
        click.option(
            "--sample-from", default="", show_default=default_source if entry.sample_from else "the image prior",
            help="Prior from which images are sampled where --data is not given.",
        ),
        click.option(
            "--image-prior", "image_priors", multiple=True, default=entry.image_priors, show_default=True,
            help=f"Name or card (.json) of an image prior{'; may be repeated' if entry.varies == 'prior' else ''}.",
        ),
        click.option(
            "--kernel-prior", default=entry.kernel_prior, show_default=True,
            help="Name or card (.json) of a kernel prior.",
        ),
        click.option(
            "--blur", type=click.Choice(entry.blurs), default=entry.blurs[0], show_default=True,
            help="Simulator of the kernels.",
        ),
        click.option(
            "--truth", "truths", type=click.Choice(TRUTHS), multiple=True, default=entry.truths, show_default=True,
            help="Blur the given images, or the closest images in the generator's range; may be repeated.",
        ),
        click.option(
            "--count", type=click.IntRange(1), default=entry.count, show_default=True, help="Number of images."
        ),
    ]  # fmt: skip


def _search_options(entry: Study) -> list[Callable]:
    """Return the options of the methods."""
    return [
        click.option(
            "--method", "methods", multiple=True, default=("generator",), show_default=True,
            help="Name of a method with an image prior; may be repeated.",
        ),
        click.option(
            "--schedule", type=click.Choice(["fast", "paper"]), default=entry.schedule, show_default=True,
            help="Schedule of the search: this package's own, or the published one, where a method has both.",
        ),
        click.option(
            "--steps", type=click.IntRange(1), default=entry.steps, show_default=entry.steps or "the method's",
            help="Number of steps of a search; the published step size decays by a factor e in a sixth of them.",
        ),
        click.option(
            "--seed", type=click.IntRange(0), default=0, show_default=True,
            help="Seed of images, kernels, noise and searches.",
        ),
    ]  # fmt: skip


def _axis_options(entry: Study) -> list[Callable]:
    """Return the option of the x axis, and those of noise and restarts where they are not the x axis."""
    options = []
    if entry.varies != "prior":
        options.append(
            click.option(
                "--x", "values", type=int if entry.varies == "restarts" else float, multiple=True,
                default=entry.values, show_default=True, help=f"Value of the x axis, {entry.axis}; may be repeated.",
            )
        )  # fmt: skip
    if entry.varies != "noise":
        options.append(
            click.option(
                "--noise", type=click.FloatRange(0, 1), default=0.01, show_default=True,
                help="Noise standard deviation as a fraction of the range.",
            )
        )  # fmt: skip
    if entry.varies != "restarts":
        options.append(
            click.option(
                "--restarts", type=click.IntRange(1, 1000), help="Number of random restarts.  [default: the method's]"
            )
        )
    return options


def _add(entry: Study) -> None:
    """Add the command of a study."""

    def command(**given: Any) -> None:
        from ..evaluation.study_run import Request, lines

        if given["data"] is None and given["image_priors"] == entry.image_priors:
            given["sample_from"] = given["sample_from"] or entry.sample_from
        try:
            for line in lines(entry, Request(**{"values": (), "noise": 0.0, "restarts": None, **given})):
                click.echo(line)
        except (KeyboardInterrupt, click.Abort):
            report_error("interrupted; repeat the command to resume.", 130)
            raise click.exceptions.Exit(130) from None

    for option in reversed([*_data_options(entry), *_search_options(entry), *_axis_options(entry)]):
        command = option(command)
    study.command(entry.name, help=entry.about)(command)


for _entry in STUDIES.values():
    _add(_entry)
