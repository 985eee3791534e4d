"""Define ``genprior demo`` and ``genprior doctor``."""

from __future__ import annotations

from pathlib import Path

import click

from .base import PATH, genprior, run_with_progress


@genprior.command()
@click.option(
    "-o",
    "--output",
    type=PATH,
    default=Path("demo"),
    show_default=True,
    help="Output folder.",
)
@click.option("--quiet", is_flag=True, help="Show no progress bar.")
def demo(output: Path, quiet: bool) -> None:
    """Deblur a photograph with real motion blur of unknown kernel, which ships with the package."""
    from ._demo import write_demo

    for line in write_demo(output, lambda progress, sentence: run_with_progress(progress, sentence, quiet)):
        click.echo(line)


@genprior.command()
@click.option(
    "--report",
    "report_file",
    type=PATH,
    help="Write a bug report (JSON): versions, devices, models, the end of the log; without user names and folders.",
)
def doctor(report_file: Path | None) -> None:
    """Check this installation and list its parts."""
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
    click.echo("No faults were found." if not faults else f"{len(faults)} fault(s) found.")
    if faults:
        raise click.exceptions.Exit(1)
