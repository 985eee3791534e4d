"""Parts that all commands share: the root command, options from settings, one-line errors, the progress bar."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from ..core import log_file as logs
from ..core.errors import InputError, short_repr
from ..core.paths import same_file
from ..core.version import __version__
from ..settings import Settings

# The public option names; the settings carry their unit in the name, the options do not.
OPTION_NAMES = {"kind": "--blur", "angle_deg": "--angle", "sigma_px": "--sigma", "radius_px": "--radius"}


class _FilePath(click.Path):
    """A path, which need not exist; names that no file system takes are errors of usage."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a path; raises click.BadParameter."""
        try:
            return super().convert(value, param, ctx)
        except (OSError, ValueError) as error:
            self.fail(f"{short_repr(value)} cannot be a file name: {error}.", param, ctx)


PATH = _FilePath(path_type=Path)


class Command(click.Command):
    """A command whose messages on unknown options suggest no hidden ones (deprecated names)."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; raises click.NoSuchOption where an option is unknown."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            hidden = {name for option in self.params if getattr(option, "hidden", False) for name in option.opts}
            shown = [name for name in error.possibilities or () if name not in hidden]
            raise click.NoSuchOption(error.option_name, error.message, shown, ctx) from None


class Group(click.Group):
    """A group of such commands."""

    command_class = Command
    group_class = type


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="genprior")
@click.option("--debug", is_flag=True, help="Log all steps, and the tracebacks of errors.")
def genprior(debug: bool) -> None:
    """Deblur images whose blur is unknown: image and kernel are estimated together."""
    level = logging.DEBUG if debug else logging.WARNING
    logging.basicConfig(level=level, format="%(name)s: %(message)s")
    for handler in logging.getLogger().handlers:  # the log file of the package gets more
        handler.setLevel(max(level, handler.level))
    logs.enable()
    for chatty in ("PIL", "tifffile"):
        logging.getLogger(chatty).setLevel(logging.ERROR)


def report_error(message: str, code: int) -> int:
    """Write a message as one line on standard error, and return the exit code."""
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
    """Refuse outputs that are the input, another file that is read, or each other, under any name."""
    checked: list[Path] = []
    for output in filter(None, outputs):
        for read in filter(None, (source, *others)):
            if same_file(output, read):
                what = "the input itself" if read is source else f"{read}, which is read"
                raise InputError(f"The output {output} is {what}; inputs are never overwritten. Give another name.")
        if any(same_file(output, other) for other in checked):
            raise InputError(f"Two outputs would be written to {output}; give each its own name.")
        checked.append(output)


def run_with_progress(progress: Any, sentence: str, quiet: bool) -> Any:
    """Run a generator of snapshots to its end, show a progress bar, and return the generator's result."""
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


def write_report(
    path: Path, result: Any, source: Path, kernel_file: Path | None, output: Path, mask_file: Path | None = None
) -> None:
    """Write the report of a result and the absolute paths of its files, from which ``--rerun`` repeats the run."""
    from ..core.image_io import write_json

    files = {"input": source, "kernel": kernel_file, "mask": mask_file, "output": output}
    absolute = {name: str(file.absolute()) if file else None for name, file in files.items()}
    write_json(path, {**result.report(), "files": absolute})
