"""Names of the first edition, kept for one release: each is a keyword argument of :func:`.deblur` now."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from ..core.errors import InputError, short_repr
from .front_door import deblur, iter_deblur
from .kernel_files import parse_kernel

RENAMED = {
    "budget_s": "time_limit_s", "voxel_um": "voxel_size_um", "tile": "tile_size", "kernels": "kernel_per",
    "depth": "mode",
}  # fmt: skip
OLD_VALUES = {  # new name -> old value -> new value
    "mode": {"planes": "2d", "volume": "3d"}, "kernel_per": {"one": "stack"}, "method": {"blind": "auto"},
}  # fmt: skip


def new_names(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Translate names and values of the first edition.

    Raises
    ------
    InputError
        An argument is given by its old and its new name, or ``kernels`` holds arrays.
    """
    for old, new in RENAMED.items():
        if old in arguments and new in arguments:
            raise InputError(f"{old} is the deprecated name of {new}, and both were given; give {new} only.")
    if not isinstance(arguments.get("kernels", ""), str):
        raise InputError(
            "kernels= is the deprecated name of kernel_per= and takes a word, such as 'channel'; got "
            f"{short_repr(arguments['kernels'])}. Known kernels: kernel= takes arrays."
        )
    renamed = {RENAMED.get(name, name): value for name, value in arguments.items()}
    for name, values in OLD_VALUES.items():
        if isinstance(renamed.get(name), str):
            renamed[name] = values.get(renamed[name], renamed[name])
    return renamed


def _with_grid(tiles: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with ``tiles``: where a grid of kernels is given, its rows and columns."""
    given = parse_kernel(arguments.get("kernel"))
    grid = given.values.shape[:2] if given is not None and given.values.ndim == 4 else tiles
    return new_names(arguments) | {"tiles": grid}


def _warn(old: str, new: str) -> None:
    warnings.warn(f"{old} is deprecated; use {new}.", DeprecationWarning, stacklevel=3)


def deblur_stack(data, axes=None, **arguments):
    """Deblur a stack. Deprecated: use ``deblur(data, axes=..., kernel_per=...)``."""
    _warn("deblur_stack", "deblur(data, axes=..., kernel_per=...)")
    return deblur(data, axes=axes, **{"mode": "2d", **new_names(arguments)})


def iter_deblur_stack(data, axes=None, **arguments):
    """Deblur a stack step by step. Deprecated: use ``iter_deblur``."""
    _warn("iter_deblur_stack", "iter_deblur(data, axes=..., kernel_per=...)")
    return iter_deblur(data, axes=axes, **{"mode": "2d", **new_names(arguments)})


def deblur_large(source, destination, **arguments):
    """Deblur a large image from file to file. Deprecated: use ``deblur(source, out=destination, tile_size="auto")``."""
    _warn("deblur_large", "deblur(source, out=destination, tile_size='auto')")
    return deblur(source, out=destination, **{"tile_size": "auto", **new_names(arguments)})


def iter_deblur_large(source, destination, **arguments):
    """Deblur a large image step by step. Deprecated: use ``iter_deblur``."""
    _warn("iter_deblur_large", "iter_deblur(source, out=destination, tile_size='auto')")
    return iter_deblur(source, out=destination, **{"tile_size": "auto", **new_names(arguments)})


def deblur_varying(image, tiles=(3, 3), **arguments):
    """Deblur an image with spatially varying blur. Deprecated: use ``deblur(image, tiles=...)``."""
    _warn("deblur_varying", "deblur(image, tiles=...)")
    return deblur(image, **_with_grid(tiles, arguments))


def iter_deblur_varying(image, tiles=(3, 3), **arguments):
    """Deblur an image with spatially varying blur step by step. Deprecated: use ``iter_deblur``."""
    _warn("iter_deblur_varying", "iter_deblur(image, tiles=...)")
    return iter_deblur(image, **_with_grid(tiles, arguments))


def deblur_volume(volume, kernel=None, **arguments):
    """Deblur a volume. Deprecated: use ``deblur(volume, mode="3d")``."""
    _warn("deblur_volume", "deblur(volume, mode='3d')")
    return deblur(volume, kernel=kernel, **{"mode": "3d", **new_names(arguments)})


def iter_deblur_volume(volume, kernel=None, **arguments):
    """Deblur a volume step by step. Deprecated: use ``iter_deblur``."""
    _warn("iter_deblur_volume", "iter_deblur(volume, mode='3d')")
    return iter_deblur(volume, kernel=kernel, **{"mode": "3d", **new_names(arguments)})
