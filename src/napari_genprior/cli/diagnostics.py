"""``genprior demo`` and ``genprior doctor``."""

from __future__ import annotations

from pathlib import Path

import click

from .base import follow, genprior


@genprior.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="Folder to write to.",
)
@click.option("--quiet", is_flag=True, help="No progress bar.")
def demo(output: Path, quiet: bool) -> None:
    """Deblur a real photograph of unknown blur that ships with the package."""
    from ._demo import write_demo

    for line in write_demo(output, lambda progress, sentence: follow(progress, sentence, quiet)):
        click.echo(line)


@genprior.command()
@click.option(
    "--report",
    "report_file",
    type=click.Path(path_type=Path),
    help="Write what a bug report needs (JSON): versions, devices, models, the end of the log; no names, no folders.",
)
def doctor(report_file: Path | None) -> None:
    """Say what this installation consists of, and what is wrong with it."""
    from ..core.image_io import check_place, write_json
    from ._doctor import examine, report

    if report_file:
        check_place(report_file)
        write_json(report_file, report())
        click.echo(f"{report_file}: read it before you send it.")
        return
    lines, faults = examine()
    for line in lines:
        click.echo(line)
    for fault in faults:
        click.echo(f"WRONG: {fault}")
    click.echo("Nothing wrong was found." if not faults else f"{len(faults)} fault(s) found.")
    if faults:
        raise click.exceptions.Exit(1)
