"""Store and repeat what a run was asked for: as a JSON file, as a script, as a command.

A request is the keyword arguments of :func:`.front_door.deblur` that are plain values; a kernel or mask is a file
beside it.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.errors import FileError, InputError, short_repr
from ..core.image_io import write_json
from ..methods.registry import METHODS
from ..settings import VolumeSettings
from .deprecated import new_names

FIELDS = (
    "method", "axes", "kernel_size", "kernel_per", "mode", "tiles", "tile_size", "voxel_size_um", "image_prior",
    "kernel_prior", "restarts", "steps", "seed", "device", "time_limit_s", "series", "settings",
)  # fmt: skip
DEFAULTS: dict[str, Any] = {
    "method": "auto", "axes": None, "kernel_size": "auto", "kernel_per": "stack", "mode": "auto", "tiles": None,
    "tile_size": None, "voxel_size_um": None, "seed": 0, "device": "auto", "time_limit_s": None,
    "series": None,
}  # fmt: skip
OPTIONS = {"time_limit_s": "time-limit", "voxel_size_um": "voxel-size"}  # whose option has another name


def save(path: Path, arguments: Mapping[str, Any]) -> None:
    """Write a request to a JSON file; kernel and mask are left out. Raises FileError."""
    write_json(path, {name: value for name, value in arguments.items() if name in FIELDS})


def load(path: Path) -> dict[str, Any]:
    """Read a request, or a method's own settings alone (an object without "method"; then only "settings" is returned).

    Raises
    ------
    FileError
        The file cannot be read.
    InputError
        It holds something else, or something of a wrong kind.
    """
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"The settings {path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"The settings {path} are not JSON ({error}).") from error
    if not isinstance(read, dict):
        raise InputError(f"The settings {path} must be a JSON object of names and values.")
    if "method" not in read:
        return {"settings": read}
    read = new_names(read)
    unknown = [name for name in read if name not in FIELDS]
    if unknown:
        known = ", ".join(FIELDS)
        raise InputError(f"The settings {path} have an unknown entry {short_repr(unknown[0])}; known are: {known}.")
    if not isinstance(read["method"], str) or read["method"] not in METHODS:
        known = ", ".join(METHODS)
        raise InputError(f"The settings {path} have the method {short_repr(read['method'])}; there are: {known}.")
    if not isinstance(read.get("settings"), dict | None):
        raise InputError(
            f"The settings {path} must have names and values as 'settings'; got {short_repr(read['settings'])}."
        )
    return read


def drop_defaults(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request without what has its default value."""
    request = {name: arguments[name] for name in FIELDS if name in arguments}
    model = VolumeSettings if request.get("mode") == "3d" else METHODS[request.get("method", "auto")].settings
    fields = model.model_fields
    settings = {n: v for n, v in request.pop("settings", {}).items() if v != fields[n].get_default()}
    request = {name: value for name, value in request.items() if name not in DEFAULTS or value != DEFAULTS[name]}
    return request | ({"settings": settings} if settings else {})


def as_script(arguments: Mapping[str, Any], source: str, kernel: str | None, mask: str | None = None) -> str:
    """Return Python code that repeats a run.

    Parameters
    ----------
    arguments : mapping
        Of :func:`.front_door.deblur`.
    source, kernel, mask : str
        Files.
    """
    given = [f"{name}={value!r}" for name, value in drop_defaults(arguments).items()]
    given += [f"{name}={file!r}" for name, file in (("kernel", kernel), ("mask", mask)) if file]
    arguments_text = ", ".join([repr(source), *given, f"out={_output(source)!r}"])
    return f"import napari_genprior as gp\n\nresult = gp.deblur({arguments_text})\nprint(result.sentence)\n"


def as_command(arguments: Mapping[str, Any], source: str, kernel: str | None, mask: str | None = None) -> str:
    """Return the command that repeats a run; parameters are those of :func:`as_script`."""
    words = ["genprior", "deblur", source, "-o", _output(source)]
    request = drop_defaults(arguments)
    settings = request.pop("settings", {})
    for name, value in request.items():
        separator = "," if name == "voxel_size_um" else "x"
        text = separator.join(f"{n:g}" for n in value) if isinstance(value, tuple | list) else str(value)
        words += [f"--{OPTIONS.get(name, name.replace('_', '-'))}", text]
    for name, file in (("kernel", kernel), ("mask", mask)):
        words += [f"--{name}", file] if file else []
    for name, value in settings.items():
        words += ["--setting", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    return shlex.join(words)


def _output(source: str) -> str:
    path = Path(source)
    return str(path.with_name(f"{path.stem}-deblurred{path.suffix}"))
