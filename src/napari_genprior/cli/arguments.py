"""Options of ``genprior deblur`` and ``batch``, and the arguments of :func:`~napari_genprior.deblur` that they give."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from ..core.errors import InputError
from .base import PATH
from .optics_options import OLD_DEPTHS, OPTICS_OPTIONS, PSF_OPTION, take_psf

# Named here, as the registry imports torch, which a help text need not wait for; a test compares both.
METHOD_NAMES = (
    "auto", "classical", "known-kernel", "selfdeblur", "selfdeblur-multiscale", "untrained", "evidence", "generator",
    "relaxed", "patches", "project",
)  # fmt: skip
OLD_VALUES = {"one": "stack", "planes": "2d", "volume": "3d"}  # of options that have another name now


def _kernel_size(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Any:
    """Read ``--kernel-size``."""
    if text is None or text == "auto":
        return text
    try:
        sides = [int(side) for side in text.lower().split("x")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2):
        raise click.BadParameter(f"got {text!r}; allowed are auto, a number of pixels, or HEIGHTxWIDTH.")
    return sides[0] if len(sides) == 1 else tuple(sides)


def _tiles(_context: click.Context, _parameter: click.Parameter, text: str | None) -> tuple[int, int] | None:
    """Read ``--tiles``."""
    if text is None:
        return None
    try:
        rows, columns = (int(side) for side in text.lower().split("x"))
    except ValueError as error:
        raise click.BadParameter(f"got {text!r}; allowed is ROWSxCOLUMNS, such as 3x3.") from error
    return rows, columns


def _tile_size(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Any:
    """Read ``--tile-size``."""
    if text is None or text == "auto":
        return text
    if not text.isdecimal():
        raise click.BadParameter(f"got {text!r}; allowed are auto and a number of pixels.")
    return int(text)


def voxel_size(_context: click.Context, _parameter: click.Parameter, text: str | None) -> tuple[float, ...] | None:
    """Read ``--voxel-size``."""
    if text is None:
        return None
    try:
        z, y, x = (float(side) for side in text.split(","))
    except ValueError as error:
        raise click.BadParameter(f"got {text!r}; allowed is Z,Y,X in um, such as 0.3,0.1,0.1.") from error
    return z, y, x


# fmt: off
REQUEST_OPTIONS = (
    click.option("--method", type=click.Choice(METHOD_NAMES),
                 help="Deblurring method; the documentation compares them under 'Which method when'.  [default: auto]"),
    click.option("--axes", metavar="LETTERS",
                 help="Meaning of the axes of a stack or volume, a letter each, such as TCYX.  "
                      "[default: as the file says]"),
    click.option("--kernel", type=PATH, metavar="FILE",
                 help="Deconvolve with the kernel in this file, or with the stack or grid of kernels in it."),
    PSF_OPTION,
    click.option("--kernel-size", callback=_kernel_size, metavar="SIZE",
                 help="Size of the unknown kernel: auto, a number of pixels, or HEIGHTxWIDTH.  [default: auto]"),
    click.option("--kernel-per", type=click.Choice(["stack", "channel", "frame", "plane"]),
                 help="Estimate one kernel for the whole stack, or one for each channel, frame or plane.  "
                      "[default: stack]"),
    click.option("--mode", type=click.Choice(["auto", "2d", "3d"]),
                 help="Restore planes (2d) or volumes (3d); auto restores volumes where the kernel has three axes or "
                      "--voxel-size is given, whatever voxel size the file states.  [default: auto]"),
    click.option("--tiles", callback=_tiles, metavar="ROWSxCOLUMNS",
                 help="Estimate a kernel for each tile of such a grid, where the blur varies over the image."),
    click.option("--tile-size", callback=_tile_size, metavar="PIXELS",
                 help="Memory only: restore a large image in tiles of this size, or of one chosen by memory (auto).  "
                      "[default: auto for images of more than 4096 pixels a side]"),
    click.option("--voxel-size", "voxel_size_um", callback=voxel_size, metavar="Z,Y,X",
                 help="Size of a voxel in um; given as an option, it chooses --mode 3d.  "
                      "[default: as the file says, otherwise a cube; neither chooses volumes]"),
    click.option("--mask", type=PATH, metavar="FILE",
                 help="Leave out the pixels where the image in this file is not 0, such as dust or a label. Hot and "
                      "dead pixels, stuck lines, bars, burned-in text, margins and NaN are found without it."),
    click.option("--dtype", type=click.Choice(["input", "float32"]),
                 help="Data type of the output: the input's, whose range cuts values off, which is told; or float32.  "
                      "[default: input]"),
    click.option("--series", type=click.IntRange(0), metavar="N",
                 help="Read this image of a file with several, from 0.  [default: the largest]"),
    click.option("--image-prior", metavar="NAME",
                 help="Use this pretrained image prior; 'genprior models' lists them."),
    click.option("--kernel-prior", metavar="NAME",
                 help="Use this pretrained kernel prior; 'genprior models' lists them."),
    click.option("--restarts", type=click.IntRange(1), help="Number of random restarts, for methods that have them."),
    click.option("--steps", type=click.IntRange(1), help="Number of optimization steps, for methods that have them."),
    click.option("--seed", type=click.IntRange(0),
                 help="Seed of the random numbers; equal seeds give equal results.  [default: 0]"),
    click.option("--device", metavar="NAME", help="Compute on auto, cpu, cuda, cuda:N or mps.  [default: auto]"),
    click.option("--time-limit", "time_limit_s", type=float, metavar="SECONDS",
                 help="Return the best estimate so far after this time."),
    *OPTICS_OPTIONS,
    click.option("--settings", "settings_file", type=PATH, metavar="FILE",
                 help="Read the method's own settings, or all arguments that a widget saved, from this JSON file; "
                      "options take precedence over it."),
    click.option("--setting", "values", multiple=True, metavar="NAME=VALUE",
                 help="Change one of the method's own settings; may be repeated."),
    click.option("--set", "old_values", multiple=True, hidden=True),
    click.option("--kernels", "old_kernel_per", type=click.Choice(["one", "channel", "frame", "plane"]), hidden=True),
    click.option("--budget", "old_time_limit_s", type=float, hidden=True),
)
DEBLUR_OPTIONS = (
    click.argument("source", metavar="[IN]", required=False, type=PATH),
    click.option("-o", "--output", required=True, type=PATH, metavar="FILE",
                 help="Write the restored image here, in the input's type; an existing file is overwritten."),
    *REQUEST_OPTIONS,
    click.option("--estimate-out", type=PATH, metavar="FILE",
                 help="Write the estimate here, even where the verdict rejects it and the output is the input."),
    click.option("--kernel-out", type=PATH, metavar="FILE",
                 help="Write the kernel here, or the stack or grid of kernels (float TIFF, Zarr or NPY)."),
    click.option("--report", type=PATH, metavar="FILE",
                 help="Write the verdict, its features, settings and versions here (JSON)."),
    click.option("--rerun", type=PATH, metavar="REPORT",
                 help="Repeat the run of this report, to equal pixels on the same machine; IN may be left out."),
    click.option("--checkpoint", type=PATH, metavar="FILE",
                 help="Save the progress of methods with untrained networks here; after a kill, the same command "
                      "resumes from it."),
    click.option("--quiet", is_flag=True, help="Show no progress bar."),
    click.option("--found", "old_estimate_out", type=PATH, hidden=True),
    click.option("--from", "old_rerun", type=PATH, hidden=True),
)
# fmt: on


def with_options(options: tuple[Callable, ...]) -> Callable:
    """Return a decorator that gives a command these options."""

    def decorate(command: Callable) -> Callable:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def current_names(context: click.Context) -> dict[str, Any]:
    """Return the options of a command that were given, those with deprecated names under their present ones."""
    given = {name: value for name, value in context.params.items() if value not in (None, ())}
    options = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    if given.get("depth_um") in OLD_DEPTHS:
        given["old_mode"], options["old_mode"] = given.pop("depth_um"), "--depth"
    for old in [name for name in given if name.startswith("old_")]:
        name, value = old.removeprefix("old_"), given.pop(old)
        if name in given and not isinstance(value, tuple):
            raise InputError(
                f"{options[old]} is the deprecated name of {options[name]}, and both were given; "
                f"give {options[name]} only."
            )
        if name != "values":  # --set is merely short for --setting
            message = f"{options[old]} is deprecated; use {options[name]}."
            click.echo(f"genprior: DeprecationWarning: {message}", err=True)
        earlier = given.get(name, ())
        given[name] = (*earlier, *value) if isinstance(value, tuple) else OLD_VALUES.get(value, value)
    return given


def request_arguments(given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of :func:`~napari_genprior.deblur`: of a settings file, over it those of the options.

    Parameters
    ----------
    given : dict
        Values of :data:`REQUEST_OPTIONS`, by the names of their parameters.

    Raises
    ------
    FileError, InputError
        The settings file cannot be read, or is for another method; a setting is not NAME=VALUE.
    """
    from ..pipeline import request_export

    options = dict(given)
    settings_file, values = options.pop("settings_file", None), options.pop("values", ())
    options |= take_psf(options)
    request = request_export.load(settings_file) if settings_file else {}
    named = {source["method"] for source in (request, options) if "method" in source}
    if len(named) > 1:
        raise InputError(f"{settings_file} is for method {request['method']!r}, not {options['method']!r}.")
    arguments = request | options
    if values:
        arguments["settings"] = (arguments.get("settings") or {}) | dict(map(_setting, values))
    return arguments


def _setting(text: str) -> tuple[str, Any]:
    """Read ``--setting``."""
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise InputError(f"--setting needs NAME=VALUE; got {text!r}.")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value  # a word needs no quotes
