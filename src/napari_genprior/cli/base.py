"""What the commands share: the root command, options made from settings, one-line complaints, the progress bar."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from ..core import log_file as logs
from ..core.errors import InputError
from ..core.version import __version__
from ..settings import Settings

# The public option names; the settings carry their unit in the name, the options do not.
OPTION_NAMES = {"kind": "--blur", "angle_deg": "--angle", "sigma_px": "--sigma", "radius_px": "--radius"}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="genprior")
@click.option("--debug", is_flag=True, help="Log what is done, and tracebacks.")
def genprior(debug: bool) -> None:
    """Blind deblurring: the sharp image and the unknown blur, found together."""
    level = logging.DEBUG if debug else logging.WARNING
    logging.basicConfig(level=level, format="%(name)s: %(message)s")
    for handler in logging.getLogger().handlers:  # the package itself logs more, into its file
        handler.setLevel(max(level, handler.level))
    logs.keep()
    for chatty in ("PIL", "tifffile"):
        logging.getLogger(chatty).setLevel(logging.ERROR)


def report_error(message: str, code: int) -> int:
    click.echo(f"genprior: {' '.join(message.split())}", err=True)
    return code


def options_from(model: type[Settings]) -> Callable:
    """Give a command one option for each field of a settings model."""

    def decorate(command: Callable) -> Callable:
        for name, field in reversed(model.model_fields.items()):
            option = OPTION_NAMES.get(name, "--" + name.replace("_", "-"))
            extra = field.json_schema_extra
            unit = f" [{extra['unit']}]" if isinstance(extra, dict) and "unit" in extra else ""
            if field.annotation is bool:
                declaration, kind = f"{option}/--no-{option[2:]}", None
            else:
                choices = getattr(field.annotation, "__args__", None)
                declaration = option
                kind = click.Choice(choices) if choices else field.annotation
            command = click.option(
                declaration,
                name,
                type=kind,
                default=field.default,
                show_default=True,
                help=f"{field.description}{unit}",
            )(command)
        return command

    return decorate


def check_output_paths(source: Path, *outputs: Path | None, others: Iterable[Path | None] = ()) -> None:
    """Refuse outputs that are the input, one of the ``others`` that are read, or each other, by whatever name."""
    seen: list[Path] = []
    for output in filter(None, outputs):
        for read in filter(None, (source, *others)):
            if _same_file(output, read):
                what = "the input itself" if read is source else f"{read}, which is read"
                raise InputError(f"The output {output} is {what}; inputs are never overwritten. Give another name.")
        if any(_same_file(output, other) for other in seen):
            raise InputError(f"Two outputs would be written to {output}; give each its own name.")
        seen.append(output)


def _same_file(first: Path, second: Path) -> bool:
    if first.exists() and second.exists():
        return first.samefile(second)  # links of both kinds, and names in other case
    return first.resolve() == second.resolve()


def follow(progress: Any, sentence: str, quiet: bool) -> Any:
    """Drain a run behind a progress bar and return its result."""
    from tqdm import tqdm

    with tqdm(
        total=1.0,
        desc=sentence,
        disable=quiet,
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
    ) as bar:
        while True:
            try:
                snapshot = next(progress)
            except StopIteration as end:
                bar.update(1.0 - bar.n)
                return end.value
            bar.set_postfix_str(snapshot.stage, refresh=False)
            bar.update(snapshot.fraction - bar.n)


def write_report(path: Path, result: Any, source: Path, kernel_file: Path | None, output: Path) -> None:
    """Figures, settings and versions of a result, and the files they are of, as ``--from`` wants them."""
    from ..core.image_io import write_json

    files = {"input": str(source), "kernel": str(kernel_file) if kernel_file else None, "output": str(output)}
    write_json(path, {**result.report(), "files": files})


def verdict_line(result: Any) -> str:
    return result.verdict.sentence
