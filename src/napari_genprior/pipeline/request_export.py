"""What a run is asked for, to keep and to repeat: as a JSON file, as a script, as a command.

A request is the keyword arguments of :func:`.planning.plan` that are plain values; a kernel is a file beside it.
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

FIELDS = (
    "method", "kernel_size", "image_prior", "kernel_prior", "restarts", "steps", "seed", "device", "time_limit_s",
    "settings",
)  # fmt: skip
DEFAULTS = {"method": "auto", "kernel_size": "auto", "seed": 0, "device": "auto", "time_limit_s": None}
OPTIONS = {"time_limit_s": "budget"}  # whose option on the command line has another name


def save(path: Path, arguments: Mapping[str, Any]) -> None:
    """Write a request; what is no plain value (the kernel) is left out. Raises FileError."""
    write_json(path, {name: value for name, value in arguments.items() if name in FIELDS})


def load(path: Path) -> dict[str, Any]:
    """Read a request, or a method's own settings alone (an object without "method"): then only "settings" comes back.

    Raises
    ------
    FileError
        The file cannot be read.
    InputError
        It holds something else.
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
    unknown = [name for name in read if name not in FIELDS]
    if unknown:
        known = ", ".join(FIELDS)
        raise InputError(f"The settings {path} have an unknown entry {short_repr(unknown[0])}; known are: {known}.")
    return read


def short(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A request without what is at its default anyway."""
    request = {name: arguments[name] for name in FIELDS if name in arguments}
    fields = METHODS[request.get("method", DEFAULTS["method"])].settings.model_fields
    settings = {n: v for n, v in request.pop("settings", {}).items() if v != fields[n].get_default()}
    request = {name: value for name, value in request.items() if name not in DEFAULTS or value != DEFAULTS[name]}
    return request | ({"settings": settings} if settings else {})


def as_script(
    arguments: Mapping[str, Any], source: str, kernel: str | None, wider: Mapping[str, Any] | None = None
) -> str:
    """Python that does a run again.

    Parameters
    ----------
    source, kernel : str
        Files.
    wider : mapping, optional
        Of a run over a stack: axes, kernels, depth, voxel_um; of one whose blur changes over the image: tiles.
    """
    wider = wider or {}
    stack = "kernels" in wider
    read, write, deblur = "read_image", "write_image", "deblur_varying" if "tiles" in wider else "deblur"
    lines = [
        "import napari_genprior as gp",
        "from napari_genprior.core.image_io import as_type, read_image, write_image",
        "",
    ]
    if stack:
        read, write, deblur = "tifffile.imread", "tifffile.imwrite", "deblur_stack"
        lines = [
            "import tifffile",
            "",
            "import napari_genprior as gp",
            "from napari_genprior.core.image_io import as_type",
            "",
        ]
    given = [f"{name}={value!r}" for name, value in {**short(arguments), **wider}.items()]
    lines.append(f"image = {read}({source!r})")
    if kernel:
        lines.append(f"kernel = {read}({kernel!r})")
        given.append("kernel=kernel")
    lines.append(f"result = gp.{deblur}({', '.join(['image', *given])})")
    lines.append(f"print(result.{'sentence' if stack else 'verdict.sentence'})")
    told = ""
    if axes := wider.get("axes"):
        told = f", photometric={'rgb' if axes[-1] == 'S' else 'minisblack'!r}, metadata={ {'axes': axes} }"
    lines.append(f"{write}({_output(source)!r}, as_type(result.image, image.dtype){told})")
    return "\n".join(lines) + "\n"


def as_command(
    arguments: Mapping[str, Any], source: str, kernel: str | None, wider: Mapping[str, Any] | None = None
) -> str:
    """The command that does a run again; parameters as of :func:`as_script`."""
    words = ["genprior", "deblur", source, "-o", _output(source)]
    request = {**short(arguments), **(wider or {})}
    request.pop("voxel_um", None)  # the file says it
    settings = request.pop("settings", {})
    for name, value in request.items():
        size = isinstance(value, tuple | list)
        words += [f"--{OPTIONS.get(name, name.replace('_', '-'))}", "x".join(map(str, value)) if size else str(value)]
    if kernel:
        words += ["--kernel", kernel]
    for name, value in settings.items():
        words += ["--set", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    return shlex.join(words)


def _output(source: str) -> str:
    path = Path(source)
    return str(path.with_name(f"{path.stem}-deblurred{path.suffix}"))
