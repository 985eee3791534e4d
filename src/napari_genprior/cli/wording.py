"""Say in the words of the command line what messages say in those of Python."""

from __future__ import annotations

import re
from functools import cache

OPTIONS = {
    "axes": "--axes", "kernel": "--kernel", "kernel_size": "--kernel-size", "kernel_per": "--kernel-per",
    "mode": "--mode", "tiles": "--tiles", "tile_size": "--tile-size", "voxel_size_um": "--voxel-size",
    "image_prior": "--image-prior", "kernel_prior": "--kernel-prior", "restarts": "--restarts", "steps": "--steps",
    "seed": "--seed", "device": "--device", "time_limit_s": "--time-limit", "series": "--series", "out": "-o",
    "method": "--method", "checkpoint": "--checkpoint", "settings": "--settings", "jobs": "--jobs", "dtype": "--dtype",
    "mask": "--mask",
}  # fmt: skip
OPTICS = {
    "wavelength_nm": "--wavelength", "excitation_nm": "--excitation", "sample_index": "--sample-index",
    "depth_um": "--depth", "pinhole_au": "--pinhole", "sheet_um": "--sheet",
}  # fmt: skip  # not beside values, as settings have such names too
VALUE = r"'[^']*'|\"[^\"]*\"|\([^()]*\)|\[[^\[\]]*\]|[\w.+-]*[\w+-]|"
ASSIGNED = re.compile(rf"(?<![\w.`/-])([a-z][a-z_]*)=({VALUE})")
NAMED = re.compile(
    rf"(?<![\w./'\"-])({'|'.join(name for name in (*OPTIONS, *OPTICS) if '_' in name)})(?![\w/.]*['\"=/])"
)
PYTHON_HINT = re.compile(r" \((?:use )?(?:numpy|np)\.\w+\)")
NOTHING = re.compile(r", or None for no limit")


def in_options(message: str) -> str:
    """Replace arguments of Python (``axes='TYX'``) by the options that give them (``--axes TYX``)."""
    message = NOTHING.sub("", PYTHON_HINT.sub("", message))
    message = ASSIGNED.sub(lambda found: _option(found[1], found[2]), message)
    return NAMED.sub(lambda found: (OPTIONS | OPTICS)[found[1]], message)


@cache
def _settings() -> frozenset[str]:
    """List the names of all settings of methods."""
    from .. import settings

    models = (getattr(settings, name) for name in settings.__all__)
    return frozenset(field for model in models for field in model.model_fields)


def _option(name: str, value: str) -> str:
    """Return the option for an argument; settings of a method are values of ``--setting``."""
    text = value.strip("'\"")
    if name not in OPTIONS and name not in _settings():
        return f"{name}={value}"  # no argument: part of another program's message
    if name not in OPTIONS:
        return f"--setting {name}={text}" if text else f"--setting {name}=VALUE"
    if text.startswith(("(", "[")):
        separator = "," if name == "voxel_size_um" else "x"
        text = separator.join(part.strip() for part in text[1:-1].split(",") if part.strip())
    return f"{OPTIONS[name]} {text}".rstrip()
