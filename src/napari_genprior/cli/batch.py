"""``genprior batch``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .arguments import chosen, request_options
from .base import follow, genprior, report_error
from .stack import stack_options

SHOWN = 3  # failed files that the last line names


@genprior.command()
@click.argument("sources", metavar="DIR_OR_GLOB...", nargs=-1, required=True)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder for results and manifest.")
@click.option("--resume", is_flag=True, help="Go on with the batch in that folder; changed files are done again.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes on this machine.")
@click.option("--cluster", metavar="ADDRESS", help="Dask scheduler (tcp://host:8786) whose workers do the work.")
@request_options
@stack_options
@click.option("--quiet", is_flag=True, help="No progress bar.")
def batch(
    sources: tuple[str, ...],
    output: Path,
    resume: bool,
    jobs: int,
    cluster: str | None,
    kernel_file: Path | None,
    settings_file: Path | None,
    values: tuple[str, ...],
    quiet: bool,
    **given: Any,
) -> None:
    """Deblur many files: folders, globs, names. Killed at any moment, --resume goes on.

    Results keep name and type of their file; what was done is written to manifest.jsonl beside them. A file that cannot
    be used stops nothing; then the exit code is 2.
    """
    arguments = {name: value for name, value in given.items() if value is not None}
    arguments = chosen(arguments, settings_file, values)
    if kernel_file:
        from ..core.image_io import read_image

        arguments["kernel"] = read_image(kernel_file)
    from ..batch.run import iter_batch

    progress = iter_batch(sources, output, resume=resume, jobs=jobs, cluster=cluster, **arguments)
    try:
        before = next(progress)
        click.echo(f"{output}: {before.stage}")
        entries = follow(progress, "batch", quiet)
    except (KeyboardInterrupt, click.Abort):
        report_error(f"interrupted; what was finished is in {output}, and --resume goes on.", 130)
        raise click.exceptions.Exit(130) from None
    finally:
        progress.close()
    done = [entry for entry in entries if entry.done]
    doubtful = sum(not entry.improved for entry in done)
    click.echo(f"{output}: {len(done)} of {len(entries)} done, {doubtful} of them NOT improved (manifest.jsonl)")
    if failed := [entry for entry in entries if not entry.done]:
        named = "; ".join(f"{Path(entry.input).name}: {entry.reason}" for entry in failed[:SHOWN])
        more = f"; and {len(failed) - SHOWN} more" if len(failed) > SHOWN else ""
        code = 1 if any(entry.fault for entry in failed) else 2
        report_error(f"{len(failed)} of {len(entries)} files failed: {named}{more}", code)
        raise click.exceptions.Exit(code)
