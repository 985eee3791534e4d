"""The command line: ``genprior simulate | deblur | train | models | demo | bench | doctor``.

Exit codes: 0 done, 2 unusable input or arguments (one line on standard error), 1 a fault of ours, 130 interrupted.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from . import __version__
from .errors import FileError, GenPriorError, InputError
from .settings import BlurSettings, NoiseSettings, Settings, TrainingSettings

# The public option names; the settings carry their unit in the name, the options do not.
OPTION_NAMES = {"kind": "--blur", "angle_deg": "--angle", "sigma_px": "--sigma", "radius_px": "--radius"}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        # click hands back the code of an Exit, and None where a command ran through
        return genprior.main(args=arguments, prog_name="genprior", standalone_mode=False) or 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 2
    except click.ClickException as error:
        return _complain(error.format_message(), 2)
    except GenPriorError as error:
        return _complain(str(error), 2)
    except (KeyboardInterrupt, click.Abort):
        return _complain("interrupted; nothing was written.", 130)
    except Exception as error:
        logging.getLogger(__name__).debug("details", exc_info=True)
        return _complain(f"this is a fault of ours: {type(error).__name__}: {error} (run with --debug for details).", 1)


def _complain(message: str, code: int) -> int:
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


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="genprior")
@click.option("--debug", is_flag=True, help="Log what is done, and tracebacks.")
def genprior(debug: bool) -> None:
    """Blind deblurring: the sharp picture and the unknown blur, found together."""
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="%(name)s: %(message)s")
    for chatty in ("PIL", "tifffile"):
        logging.getLogger(chatty).setLevel(logging.ERROR)


def _not_onto_input(source: Path, *outputs: Path | None) -> None:
    for output in outputs:
        if output is not None and output.resolve() == source.resolve():
            raise InputError(
                f"The output {output} is the input itself; inputs are never overwritten. Give another name."
            )


@genprior.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Blurred picture to write.")
@options_from(BlurSettings)
@click.option(
    "--kernel", "kernel_file", type=click.Path(path_type=Path), help="Blur with the kernel in this file instead."
)
@options_from(NoiseSettings)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--kernel-out", type=click.Path(path_type=Path), help="Write the kernel here (float TIFF).")
def simulate(
    source: Path, output: Path, kernel_file: Path | None, seed: int, kernel_out: Path | None, **values: Any
) -> None:
    """Blur a sharp picture and add noise."""
    _not_onto_input(source, output, kernel_out)
    blur_settings = BlurSettings.checked({name: values.pop(name) for name in BlurSettings.model_fields})
    from .io import as_type, check_writable, read_image, write_image

    image = read_image(source)
    check_writable(output, image.dtype)
    if kernel_out:
        check_writable(kernel_out, "float32")
    from .simulation import make_kernel
    from .simulation import simulate as blur_it

    kernel = read_image(kernel_file) if kernel_file else make_kernel(blur_settings, seed)
    made = blur_it(image, kernel, seed=seed, **values)
    write_image(output, as_type(made.blurred, image.dtype))
    if kernel_out:
        write_image(kernel_out, made.kernel)
    shape = "x".join(map(str, made.kernel.shape))
    click.echo(
        f"{output}: blurred with a {shape} kernel, noise {values['noise']:g}, {made.clipped:.1%} of the values clipped."
    )


def _kernel_size(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Any:
    if text is None or text == "auto":
        return text
    try:
        sides = [int(side) for side in text.lower().split("x")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2):
        raise click.BadParameter(f"got {text!r}; allowed are auto, a number of pixels, or HEIGHTxWIDTH.")
    return sides[0] if len(sides) == 1 else tuple(sides)


def _repeat(report_file: Path) -> dict[str, Any]:
    """The arguments of an earlier run, from its report."""
    try:
        report = json.loads(report_file.read_text(encoding="utf-8"))
        provenance = report["provenance"]
        size = provenance["arguments"]["kernel_size"]
        return {
            "source": Path(report["files"]["input"]),
            "kernel_file": Path(report["files"]["kernel"]) if report["files"]["kernel"] else None,
            "method": provenance["method"],
            "settings": provenance["settings"],
            "kernel_size": size if size == "auto" else tuple(size),
            "seed": provenance["seed"],
            "device": provenance["device"],
            "threads": provenance["threads"],
            "input_sha256": provenance["input_sha256"],
            "kernel_sha256": provenance["arguments"]["kernel_sha256"],
        }
    except OSError as error:
        raise FileError(f"The report {report_file} cannot be read: {error.strerror or error}.") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{report_file} is not a report of genprior deblur ({type(error).__name__}: {error})."
        ) from error


@genprior.command()
@click.argument("source", metavar="[IN]", required=False, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Restored picture to write, in the input's type.",
)
@click.option("--method", help="auto, classical, known-kernel, selfdeblur.  [default: auto]")
@click.option("--kernel", "kernel_file", type=click.Path(path_type=Path), help="The kernel, where it is known.")
@click.option(
    "--kernel-size", callback=_kernel_size, help="auto, a number of pixels, or HEIGHTxWIDTH.  [default: auto]"
)
@click.option("--image-prior", help="Name of a pretrained image prior.")
@click.option("--kernel-prior", help="Name of a pretrained kernel prior.")
@click.option("--restarts", type=click.IntRange(1), help="Random restarts, for methods that have them.")
@click.option("--steps", type=click.IntRange(1), help="Steps, for methods that have them.")
@click.option("--seed", type=click.IntRange(0), help="Equal seeds give equal results.  [default: 0]")
@click.option("--device", help="auto, cpu, cuda, cuda:N, mps.  [default: auto]")
@click.option(
    "--settings", "settings_file", type=click.Path(path_type=Path), help="JSON file with the method's own settings."
)
@click.option("--report", type=click.Path(path_type=Path), help="Write figures, settings and versions here (JSON).")
@click.option("--kernel-out", type=click.Path(path_type=Path), help="Write the kernel here (float TIFF).")
@click.option(
    "--from", "report_file", type=click.Path(path_type=Path), help="Repeat the run of this report; IN may be left out."
)
@click.option("--quiet", is_flag=True, help="No progress bar.")
def deblur(
    source: Path | None,
    output: Path,
    kernel_file: Path | None,
    settings_file: Path | None,
    report: Path | None,
    kernel_out: Path | None,
    report_file: Path | None,
    quiet: bool,
    **given: Any,
) -> None:
    """Make a blurred picture sharp; the blur is found too, unless --kernel names it."""
    arguments = {name: value for name, value in given.items() if value is not None}
    earlier: dict[str, Any] = {}
    if report_file:
        if arguments or kernel_file or settings_file:
            raise InputError(
                "--from repeats a run as it was; only IN, -o, --report, --kernel-out and --quiet may stand beside it."
            )
        earlier = _repeat(report_file)
        source = source or earlier["source"]
        kernel_file = earlier["kernel_file"]
        arguments = {name: earlier[name] for name in ("method", "settings", "kernel_size", "seed", "device")}
    if source is None:
        raise click.UsageError("Missing argument IN (the blurred picture), or --from with a report.")
    if settings_file:
        arguments["settings"] = _read_settings(settings_file)
    _not_onto_input(source, output, report, kernel_out)
    from .io import as_type, check_place, check_writable, read_image, write_image, write_json

    image = read_image(source)
    check_writable(output, image.dtype)
    if kernel_out:
        check_writable(kernel_out, "float32")
    if report:
        check_place(report)
    import torch

    from . import deblurring

    if earlier:
        torch.set_num_threads(earlier["threads"])
    kernel = read_image(kernel_file) if kernel_file else None
    plan = deblurring.plan(image, kernel=kernel, **arguments)
    if earlier:
        _same_input(deblurring, plan, earlier, source)
    result = follow(deblurring.run(plan), plan.sentence, quiet)
    write_image(output, as_type(result.image, image.dtype))
    if kernel_out:
        write_image(kernel_out, result.kernel)
    if report:
        files = {"input": str(source), "kernel": str(kernel_file) if kernel_file else None, "output": str(output)}
        write_json(report, {**result.report(), "files": files})
    click.echo(f"{output}: {verdict_line(result)}")


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"The settings {path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise InputError(f"The settings {path} are not JSON ({error}).") from error
    if not isinstance(settings, dict):
        raise InputError(f"The settings {path} must be a JSON object of names and values.")
    return settings


def _same_input(deblurring: Any, plan: Any, earlier: dict[str, Any], source: Path) -> None:
    if deblurring.array_hash(plan.image) != earlier["input_sha256"]:
        raise InputError(
            f"{source} is not the picture of that run (SHA-256 differs); a run repeats only on its own input."
        )
    kernel_hash = None if plan.kernel is None else deblurring.array_hash(plan.kernel)
    if kernel_hash != earlier["kernel_sha256"]:
        raise InputError("The kernel file is not the kernel of that run (SHA-256 differs).")


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


def verdict_line(result: Any) -> str:
    return f"{'improved' if result.verdict.improved else 'NOT improved'}: {result.verdict.reason}"


@genprior.command()
@click.option("-o", "--output", "name", required=True, help="Name of the new prior.")
@click.option("--data", "source", type=click.Path(path_type=Path), help="Folder of pictures, npz or npy file.")
@click.option(
    "--simulate",
    "simulator",
    help="Kernels: shake, blur-a, blur-b, motion-linear, gaussian, defocus, microscope or microscope-3d.",
)
@click.option("--kind", type=click.Choice(["image", "kernel"]), default="image", show_default=True)
@click.option("--key", default="", help="Array of an npz file.  [default: x, train or x_train]")
@click.option("--tiles", is_flag=True, help="Cut a folder's pictures into tiles instead of scaling them.")
@click.option("--channels", type=click.Choice(["0", "1", "3"]), default="0", help="Of the pictures; 0: as they are.")
@click.option("--kernels", type=click.IntRange(8), default=20_000, show_default=True, help="How many to simulate.")
@options_from(TrainingSettings)
@click.option("--licence-weights", default="not stated; ask who trained it", show_default=True)
@click.option("--licence-data", default="not stated", show_default=True)
@click.option("--out-folder", type=click.Path(path_type=Path), help="Folder to write to.  [default: the user's models]")
@click.option("--overwrite", is_flag=True, help="Replace a finished prior of that name.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@click.pass_context
def train(context: click.Context, **given: Any) -> None:
    """Train a prior on your pictures, or on simulated kernels. Repeat an interrupted command to go on."""
    settings = TrainingSettings.checked({name: given.pop(name) for name in TrainingSettings.model_fields})
    from .training.command import train_from

    try:
        train_from(settings, recipe=_as_typed(context), **given)
    except (KeyboardInterrupt, click.Abort):
        _complain("interrupted; the same command goes on from the last checkpoint.", 130)
        raise click.exceptions.Exit(130) from None


def _as_typed(context: click.Context) -> str:
    """The command with the options that were given, for the model card."""
    given = [
        f"{parameter.opts[-1]} {context.params[parameter.name]}"
        for parameter in context.command.params
        if parameter.name
        and context.get_parameter_source(parameter.name) == click.core.ParameterSource.COMMANDLINE
        and not parameter.name.startswith(("licence", "quiet", "out_folder", "overwrite"))
    ]
    return " ".join(["genprior train", *given])


@genprior.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List the pretrained priors, or import one."""
    if context.invoked_subcommand is not None:
        return
    from .zoo.store import list_priors

    rows = [("name", "kind", "arch", "size", "latent", "figures", "licence")]
    for card in list_priors():
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
    from .zoo.importer import import_prior

    card = import_prior(source, name, **given)
    click.echo(f"{card.name}: {card.kind}, {card.arch}, {card.shape}, latent {card.latent}.")


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
    from .demo import write_demo

    for line in write_demo(output, lambda progress, sentence: follow(progress, sentence, quiet)):
        click.echo(line)


@genprior.command()
def doctor() -> None:
    """Say what this installation consists of, and what is wrong with it."""
    from .doctor import examine

    lines, faults = examine()
    for line in lines:
        click.echo(line)
    for fault in faults:
        click.echo(f"WRONG: {fault}")
    click.echo("Nothing wrong was found." if not faults else f"{len(faults)} fault(s) found.")
    if faults:
        raise click.exceptions.Exit(1)


@genprior.group()
def bench() -> None:
    """Measure quality and speed on public test sets (give the folder of the set)."""


@bench.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--run", "runs", multiple=True, help="blurry, given, auto, true-kernel; may be repeated.  [default: all]")
@click.option("--method", default="classical", show_default=True)
@click.option("--each", is_flag=True, help="A line per picture too.")
def levin(folder: Path, runs: tuple[str, ...], method: str, each: bool) -> None:
    """Levin et al. 2009: 32 photographs of real camera shake."""
    from .bench import levin as levin_bench

    for line in levin_bench.lines(folder, runs or levin_bench.RUNS, method, each):
        click.echo(line)


@bench.command("range")
@click.option("--data", "folder", type=click.Path(path_type=Path), help="Folder that holds asim_table5 and mnist.")
@click.option("--model", "models", multiple=True, help="Name or card (.json); may be repeated.  [default: all]")
@click.option(
    "--restarts", type=click.IntRange(0, 100), default=1, show_default=True, help="Random starts of a search."
)
def range_(folder: Path | None, models: tuple[str, ...], restarts: int) -> None:
    """How near each model comes to pictures and kernels it has not seen, and how fast it is."""
    from .bench import range as range_bench

    for line in range_bench.lines(folder, models, restarts):
        click.echo(line)


if __name__ == "__main__":
    sys.exit(main())
