"""``genprior study``: a command for each of the papers' studies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..evaluation.study_table import STUDIES, TRUTHS, Study
from .base import genprior, report_error


@genprior.group()
def study() -> None:
    """Repeat the papers' studies: rows as CSV, a summary, a plot.

    Repeat an interrupted command to go on; more values, methods or images are added to what is there.
    """


def _add(entry: Study) -> None:
    varied = entry.varies
    usual = f"{entry.sample_from}, with other image priors the first" if entry.sample_from else "the image prior"
    options = [
        click.option("-o", "--output", "folder", type=click.Path(path_type=Path), required=True, help="Folder."),
        click.option("--data", type=click.Path(path_type=Path), help="Sharp images: a folder, npz or npy file."),
        click.option("--key", default="", help="Array of an npz file.  [default: x, train or x_train]"),
        click.option(
            "--sample-from", default="", show_default=usual,
            help="Without --data: the prior whose images at random latents are used.",
        ),
        click.option(
            "--image-prior", "image_priors", multiple=True, default=entry.image_priors, show_default=True,
            help="May be repeated." if varied == "prior" else "Name or card (.json).",
        ),
        click.option("--kernel-prior", default=entry.kernel_prior, show_default=True),
        click.option(
            "--method", "methods", multiple=True, default=("generator",), show_default=True, help="May be repeated."
        ),
        click.option("--blur", type=click.Choice(entry.blurs), default=entry.blurs[0], show_default=True),
        click.option(
            "--truth", "truths", type=click.Choice(TRUTHS), multiple=True, default=entry.truths, show_default=True,
            help="Blur the images given, or those of the generator's range closest to them; may be repeated.",
        ),
        click.option(
            "--schedule", type=click.Choice(["fast", "paper"]), default=entry.schedule, show_default=True,
            help="Of the search: this package's own, or as published; where a method has both.",
        ),
        click.option(
            "--steps", type=click.IntRange(1), default=entry.steps, show_default=entry.steps or "the method's",
            help="Of a search, where a method has them; the published step size falls by e in a sixth of them.",
        ),
        click.option("--count", type=click.IntRange(1), default=entry.count, show_default=True, help="Images."),
        click.option("--seed", type=click.IntRange(0), default=0, show_default=True),
    ]  # fmt: skip
    if varied != "prior":
        options.append(
            click.option(
                "--value", "values", type=int if varied == "restarts" else float, multiple=True, default=entry.values,
                show_default=True, help=f"Of the axis, {entry.axis}; may be repeated.",
            )
        )  # fmt: skip
    if varied != "noise":
        options.append(click.option("--noise", type=click.FloatRange(0, 1), default=0.01, show_default=True))
    if varied != "restarts":
        options.append(click.option("--restarts", type=click.IntRange(1, 1000), help="[default: the method's]"))

    def command(**given: Any) -> None:
        from ..evaluation.study_run import Request, lines

        if given["data"] is None and given["image_priors"] == entry.image_priors:
            given["sample_from"] = given["sample_from"] or entry.sample_from
        try:
            for line in lines(entry, Request(**{"values": (), "noise": 0.0, "restarts": None, **given})):
                click.echo(line)
        except (KeyboardInterrupt, click.Abort):
            report_error("interrupted; the same command goes on.", 130)
            raise click.exceptions.Exit(130) from None

    for option in reversed(options):
        command = option(command)
    study.command(entry.name, help=entry.about)(command)


for _entry in STUDIES.values():
    _add(_entry)
