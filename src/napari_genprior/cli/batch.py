"""Define ``genprior batch``: deblur many files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click

from .arguments import REQUEST_OPTIONS, current_names, request_arguments, with_options
from .base import PATH, genprior, report_error, run_with_progress
from .wording import in_options

OUTCOMES = {"improved": "improved", "doubtful": "doubtful", "no improvement": "returned unchanged"}
N_NAMED = 3  # failed files that the last line names


@genprior.command()
@click.argument("sources", metavar="DIR_OR_GLOB...", nargs=-1, required=True)
@click.option("-o", "--output", required=True, type=PATH, help="Folder for results and manifest.")
@click.option("--resume", is_flag=True, help="Resume the batch in that folder; changed files are processed again.")
@click.option(
    "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Number of processes on this machine."
)
@click.option("--cluster", metavar="ADDRESS", help="Dask scheduler (tcp://host:8786) whose workers process the files.")
@with_options(REQUEST_OPTIONS)
@click.option("--quiet", is_flag=True, help="Show no progress bar.")
@click.pass_context
def batch(context: click.Context, **_options: Any) -> None:
    """Deblur many files, given as folders, globs or names; an interrupted batch resumes with --resume.

    Results keep the name and type of their file; manifest.jsonl beside them records the finished files. A file that
    cannot be used does not stop the batch; the exit code is then 2.
    """
    given = current_names(context)
    sources, output, quiet = given.pop("sources"), given.pop("output"), given.pop("quiet")
    schedule = {name: given.pop(name) for name in ("resume", "jobs", "cluster") if name in given}
    arguments = request_arguments(given)
    from ..batch_jobs.run import iter_batch

    progress = iter_batch(sources, output, **schedule, **arguments)
    try:
        before = next(progress)
        click.echo(f"{output}: {before.stage}")
        entries = run_with_progress(progress, "batch", quiet)
    except (KeyboardInterrupt, click.Abort):
        report_error(f"interrupted; finished files are in {output}, and --resume continues the batch.", 130)
        raise click.exceptions.Exit(130) from None
    finally:
        progress.close()
    failed = [entry for entry in entries if not entry.done]
    labels = Counter(entry.label for entry in entries)
    counts = ", ".join(f"{labels[label]} {words}" for label, words in OUTCOMES.items())
    counts += f", {len(failed)} failed" if failed else ""
    click.echo(f"{output}: {len(entries)} files: {counts} (manifest.jsonl)")
    if failed:
        named = "; ".join(f"{Path(entry.input).name}: {in_options(entry.reason)}" for entry in failed[:N_NAMED])
        more = f"; and {len(failed) - N_NAMED} more" if len(failed) > N_NAMED else ""
        code = 1 if any(entry.fault for entry in failed) else 2
        report_error(f"{len(failed)} of {len(entries)} files failed: {named}{more}", code)
        raise click.exceptions.Exit(code)
