"""Options of ``genprior deblur`` and ``batch``, and what is made of them: kernel sizes, settings files, reports."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..core.errors import FileError, InputError


def kernel_size(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Any:
    if text is None or text == "auto":
        return text
    try:
        sides = [int(side) for side in text.lower().split("x")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2):
        raise click.BadParameter(f"got {text!r}; allowed are auto, a number of pixels, or HEIGHTxWIDTH.")
    return sides[0] if len(sides) == 1 else tuple(sides)


_WISH = (
    click.option("--method", help="One of those the README lists.  [default: auto]"),
    click.option("--kernel", "kernel_file", type=click.Path(path_type=Path), help="The kernel, where it is known."),
    click.option(
        "--kernel-size", callback=kernel_size, help="auto, a number of pixels, or HEIGHTxWIDTH.  [default: auto]"
    ),
    click.option("--image-prior", help="Name of a pretrained image prior."),
    click.option("--kernel-prior", help="Name of a pretrained kernel prior."),
    click.option("--restarts", type=click.IntRange(1), help="Random restarts, for methods that have them."),
    click.option("--steps", type=click.IntRange(1), help="Steps, for methods that have them."),
    click.option("--seed", type=click.IntRange(0), help="Equal seeds give equal results.  [default: 0]"),
    click.option("--device", help="auto, cpu, cuda, cuda:N, mps.  [default: auto]"),
    click.option("--budget", "time_limit_s", type=float, help="Seconds after which the best so far is taken."),
    click.option(
        "--settings",
        "settings_file",
        type=click.Path(path_type=Path),
        help="JSON file: the method's own settings, or all that a widget saved; options go before it.",
    ),
    click.option("--set", "values", multiple=True, metavar="NAME=VALUE", help="One of the method's own settings."),
)


def request_options(command: Callable) -> Callable:
    """Give a command the options that say what is to be done with an image; see :func:`chosen`."""
    for option in reversed(_WISH):
        command = option(command)
    return command


def repeat(report_file: Path) -> dict[str, Any]:
    """The arguments of an earlier run, from its report."""
    try:
        report = json.loads(report_file.read_text(encoding="utf-8"))
        provenance = report["provenance"]
        size = provenance["arguments"]["kernel_size"]
        if "tile_px" in provenance["arguments"] or "tiles" in provenance["arguments"]:
            raise InputError(f"{report_file} is of a run in tiles; to repeat it, give its options again.")
        return {
            "source": Path(report["files"]["input"]),
            "kernel_file": Path(report["files"]["kernel"]) if report["files"]["kernel"] else None,
            "method": provenance["method"],
            "settings": provenance["settings"],
            "kernel_size": None if size == "auto" else tuple(size),  # volumes take none
            "seed": provenance["seed"],
            "device": provenance["device"],
            "time_limit_s": provenance["arguments"].get("time_limit_s"),
            "threads": provenance["threads"],
            "input_sha256": provenance["input_sha256"],
            "kernel_sha256": provenance["arguments"]["kernel_sha256"],
            "stack": {name: provenance["arguments"].get(name) for name in ("axes", "kernels", "depth", "voxel_um")},
        }
    except OSError as error:
        raise FileError(f"The report {report_file} cannot be read: {error.strerror or error}.") from error
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"{report_file} is not a report of genprior deblur ({type(error).__name__}: {error})."
        ) from error


def same_input(plan: Any, earlier: dict[str, Any], source: Path) -> None:
    """Refuse to repeat a run on another image or kernel."""
    from ..core.provenance import array_hash

    if array_hash(plan.image) != earlier["input_sha256"]:
        raise InputError(
            f"{source} is not the image of that run (SHA-256 differs); a run repeats only on its own input."
        )
    kernel_hash = None if plan.kernel is None else array_hash(plan.kernel)
    if kernel_hash != earlier["kernel_sha256"]:
        raise InputError("The kernel file is not the kernel of that run (SHA-256 differs).")


def chosen(options: dict[str, Any], settings_file: Path | None, values: tuple[str, ...]) -> dict[str, Any]:
    """Arguments of ``planning.plan``: of a settings file, over it the options, over its settings ``NAME=VALUE``."""
    from ..pipeline import request_export as requests

    request = requests.load(settings_file) if settings_file else {}
    named = {source["method"] for source in (request, options) if "method" in source}
    if len(named) > 1:
        raise InputError(f"{settings_file} is for method {request['method']!r}, not {options['method']!r}.")
    arguments = request | options
    if values:
        arguments["settings"] = arguments.get("settings", {}) | dict(map(_setting, values))
    return arguments


def _setting(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise InputError(f"--set wants NAME=VALUE; got {text!r}.")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value  # a word needs no quotes
