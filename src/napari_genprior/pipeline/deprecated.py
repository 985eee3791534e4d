"""Names of the first edition, kept for one release: each is a keyword argument of :func:`.deblur` now."""

from __future__ import annotations

import warnings
from typing import Any

from ..core.iteration import run_to_end
from .front_door import deblur, iter_deblur

RENAMED = {"budget_s": "time_limit_s", "voxel_um": "voxel_size_um", "tile": "tile_size", "kernels": "kernel_per"}
MODES = {"planes": "2d", "volume": "3d"}


def _new_names(arguments: dict[str, Any]) -> dict[str, Any]:
    arguments = {RENAMED.get(name, name): value for name, value in arguments.items()}
    if "depth" in arguments:
        arguments["mode"] = MODES.get(arguments["depth"], arguments["depth"])
        del arguments["depth"]
    if arguments.get("kernel_per") == "one":
        arguments["kernel_per"] = "stack"
    if arguments.get("method") == "blind":
        arguments["method"] = "auto"
    return arguments


def _warn(old: str, new: str) -> None:
    warnings.warn(f"{old} is deprecated; use {new}.", DeprecationWarning, stacklevel=3)


def deblur_stack(data, axes=None, **arguments):
    """Deblur a stack. Deprecated: use ``deblur(data, axes=..., kernel_per=...)``."""
    _warn("deblur_stack", "deblur(data, axes=..., kernel_per=...)")
    return deblur(data, axes=axes, **{"mode": "2d", **_new_names(arguments)})


def iter_deblur_stack(data, axes=None, **arguments):
    """Deblur a stack step by step. Deprecated: use ``iter_deblur``."""
    _warn("iter_deblur_stack", "iter_deblur(data, axes=..., kernel_per=...)")
    return iter_deblur(data, axes=axes, **{"mode": "2d", **_new_names(arguments)})


def deblur_large(source, destination, **arguments):
    """Deblur a large image from file to file. Deprecated: use ``deblur(source, out=destination, tile_size="auto")``."""
    _warn("deblur_large", "deblur(source, out=destination, tile_size='auto')")
    return deblur(source, out=destination, **{"tile_size": "auto", **_new_names(arguments)})


def iter_deblur_large(source, destination, **arguments):
    """Deblur a large image step by step. Deprecated: use ``iter_deblur``."""
    _warn("iter_deblur_large", "iter_deblur(source, out=destination, tile_size='auto')")
    return iter_deblur(source, out=destination, **{"tile_size": "auto", **_new_names(arguments)})


def deblur_varying(image, tiles=(3, 3), **arguments):
    """Deblur an image with spatially varying blur. Deprecated: use ``deblur(image, tiles=...)``."""
    _warn("deblur_varying", "deblur(image, tiles=...)")
    return deblur(image, tiles=tiles, **_new_names(arguments))


def iter_deblur_varying(image, tiles=(3, 3), **arguments):
    """Deblur an image with spatially varying blur step by step. Deprecated: use ``iter_deblur``."""
    _warn("iter_deblur_varying", "iter_deblur(image, tiles=...)")
    return iter_deblur(image, tiles=tiles, **_new_names(arguments))


def deblur_volume(volume, kernel=None, **arguments):
    """Deblur a volume. Deprecated: use ``deblur(volume, mode="3d")``."""
    _warn("deblur_volume", "deblur(volume, mode='3d')")
    return run_to_end(iter_deblur(volume, kernel=kernel, mode="3d", **_new_names(arguments)))


def iter_deblur_volume(volume, kernel=None, **arguments):
    """Deblur a volume step by step. Deprecated: use ``iter_deblur``."""
    _warn("iter_deblur_volume", "iter_deblur(volume, mode='3d')")
    return iter_deblur(volume, kernel=kernel, mode="3d", **_new_names(arguments))
