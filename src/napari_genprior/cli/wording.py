"""Say in the words of the command line what messages say in those of Python."""

from __future__ import annotations

import re

OPTIONS = {
    "axes": "--axes", "kernel": "--kernel", "kernel_size": "--kernel-size", "kernel_per": "--kernel-per",
    "mode": "--mode", "tiles": "--tiles", "tile_size": "--tile-size", "voxel_size_um": "--voxel-size",
    "image_prior": "--image-prior", "kernel_prior": "--kernel-prior", "restarts": "--restarts", "steps": "--steps",
    "seed": "--seed", "device": "--device", "time_limit_s": "--time-limit", "series": "--series", "out": "-o",
    "method": "--method", "checkpoint": "--checkpoint", "settings": "--settings", "jobs": "--jobs",
}  # fmt: skip
VALUE = r"'[^']*'|\"[^\"]*\"|\([^()]*\)|\[[^\[\]]*\]|[\w.+-]*[\w+-]|"
ASSIGNED = re.compile(rf"(?<![\w.`/-])([a-z][a-z_]*)=({VALUE})")
NAMED = re.compile(rf"(?<![\w./'\"-])({'|'.join(name for name in OPTIONS if '_' in name)})(?![\w/.]*['\"=/])")
PYTHON_HINT = re.compile(r" \((?:use )?(?:numpy|np)\.\w+\)")
NOTHING = re.compile(r", or None for no limit")


def in_options(message: str) -> str:
    """Replace arguments of Python (``axes='TYX'``) by the options that give them (``--axes TYX``)."""
    message = NOTHING.sub("", PYTHON_HINT.sub("", message))
    message = ASSIGNED.sub(lambda found: _option(found[1], found[2]), message)
    return NAMED.sub(lambda found: OPTIONS[found[1]], message)


def _option(name: str, value: str) -> str:
    """Return the option for an argument; settings of a method are values of ``--setting``."""
    text = value.strip("'\"")
    if name not in OPTIONS:
        return f"--setting {name}={text}" if text else f"--setting {name}=VALUE"
    if text.startswith(("(", "[")):
        separator = "," if name == "voxel_size_um" else "x"
        text = separator.join(part.strip() for part in text[1:-1].split(",") if part.strip())
    return f"{OPTIONS[name]} {text}".rstrip()
