"""Check what a run is asked for: all arguments that do not depend on the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, get_args

import numpy as np
import torch

from ..blur.given_kernel import GivenKernel
from ..blur.optics_request import Optics
from ..core.arrays import resolve_device
from ..core.axes import ALIASES, KernelPer
from ..core.conversion import FileType, check_file_type
from ..core.errors import InputError, short_repr
from ..methods.registry import METHODS, Method
from ..settings import Settings, VolumeSettings
from .kernel_files import parse_kernel
from .masks import read_mask
from .request_checks import (
    check_axes,
    check_kernel_per,
    check_seed,
    check_series,
    check_tile_size,
    check_tiles,
    check_time_limit,
    check_voxel_size,
)
from .request_checks import is_path as is_path
from .request_checks import read_array as read_array
from .unused_arguments import refuse_unused_of_kernel, refuse_unused_of_mode

KernelSize = int | tuple[int, int] | Literal["auto"] | None
Mode = Literal["auto", "2d", "3d"]
TileSize = int | Literal["auto"] | None


class RequestArguments(TypedDict, total=False):
    """The keyword arguments of :func:`parse_request`, for functions that hand them on."""

    axes: str | Sequence[str] | None
    kernel: Any
    kernel_size: KernelSize
    kernel_per: KernelPer
    mode: Mode
    tiles: tuple[int, int] | None
    tile_size: TileSize
    voxel_size_um: Sequence[float] | None
    mask: Any
    image_prior: str | None
    kernel_prior: str | None
    restarts: int | None
    steps: int | None
    seed: int
    device: str
    time_limit_s: float | None
    series: int | None
    dtype: FileType
    settings: Settings | Mapping[str, Any] | None


@dataclass(frozen=True)
class Request:
    """Checked arguments of :func:`.front_door.deblur`, but for the image.

    Parameters
    ----------
    given_kernel : GivenKernel or None
        As given: the number of kernels is checked once the axes are known.
    optics : Optics or None
        Given instead of a kernel, which is computed once the image is known.
    tiles : (int, int) or None
        Rows and columns of kernels, where the blur varies over the image.
    tile_size : int or None
        Pixels that a tile of a large image adds to its overlaps; None: chosen by memory.
    tiled : bool
        Restore plane by plane in tiles, in bounded memory.
    mask : bool array or None
        True at pixels that say nothing; of a plan, of the shape of the data without colours.
    dtype : {"input", "float32"}
        Data type of a file that the result is written to.
    series : int or None
        Which image of a file is read; None: the largest.
    """

    method: Method
    settings: Settings
    given_kernel: GivenKernel | None
    optics: Optics | None
    kernel_size: tuple[int, int] | None
    kernel_per: KernelPer
    mode: Literal["2d", "3d"]
    axes: str | Sequence[str] | None
    tiles: tuple[int, int] | None
    tile_size: int | None
    tiled: bool
    voxel_size_um: tuple[float, float, float] | None
    mask: np.ndarray | None
    dtype: FileType
    seed: int
    device: torch.device
    time_limit_s: float | None
    series: int | None

    @property
    def kernel(self) -> np.ndarray | None:
        """The values of the given kernel or kernels, as given."""
        return None if self.given_kernel is None else self.given_kernel.values


def parse_request(
    method: str = "auto",
    *,
    axes: str | Sequence[str] | None = None,
    kernel: Any = None,
    kernel_size: KernelSize = "auto",
    kernel_per: KernelPer = "stack",
    mode: Mode = "auto",
    tiles: tuple[int, int] | None = None,
    tile_size: TileSize = None,
    voxel_size_um: Sequence[float] | None = None,
    mask: Any = None,
    image_prior: str | None = None,
    kernel_prior: str | None = None,
    restarts: int | None = None,
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    time_limit_s: float | None = None,
    series: int | None = None,
    dtype: FileType = "input",
    settings: Settings | Mapping[str, Any] | None = None,
) -> Request:
    """Check the arguments of :func:`.front_door.deblur` that do not depend on the image; raises what that raises."""
    given_kernel, axes, kernel_per = parse_kernel(kernel), check_axes(axes), check_kernel_per(kernel_per)
    given = None if given_kernel is None else given_kernel.values
    optics = kernel if isinstance(kernel, Optics) else None
    has_kernel = given is not None or optics is not None
    if optics is not None:
        mode = _mode_of_optics(mode, tiles)
    dimensions = _dimensions(mode, given, kernel_per, tiles, voxel_size_um, settings, axes)
    chosen = find_method(_resolved_name(method, has_kernel, dimensions))
    if chosen.needs_kernel and not has_kernel:
        raise InputError(f"Method {chosen.name!r} needs a kernel; pass kernel=, or choose a blind method: 'auto'.")
    options = {"image_prior": image_prior, "kernel_prior": kernel_prior, "restarts": restarts, "steps": steps}
    model = VolumeSettings if dimensions == "3d" else chosen.settings
    checked = _check_settings(chosen, model, settings, options)
    size, grid = check_kernel_size(kernel_size), check_tiles(tiles, given)
    refuse_unused_of_kernel(chosen, checked, has_kernel, size, kernel_prior)
    refuse_unused_of_mode(dimensions, checked, grid, tile_size, voxel_size_um, steps, optics is not None)
    if grid and "image_prior" in model.model_fields:
        raise InputError(
            f"{chosen.name!r} needs an image of the size of its image prior, and tiles are smaller; "
            "choose a method without one, such as 'auto'."
        )
    return Request(
        method=chosen,
        settings=checked,
        given_kernel=given_kernel,
        optics=optics,
        kernel_size=size,
        kernel_per=kernel_per,
        mode=dimensions,
        axes=axes,
        tiles=grid,
        tile_size=check_tile_size(tile_size),
        tiled=tile_size is not None,
        voxel_size_um=check_voxel_size(voxel_size_um),
        mask=read_mask(mask),
        dtype=check_file_type(dtype),
        seed=check_seed(seed),
        device=resolve_device(device),
        time_limit_s=check_time_limit(time_limit_s),
        series=check_series(series),
    )


def find_method(name: str) -> Method:
    """Look a method up by name; InputError names those there are."""
    if not isinstance(name, str) or name not in METHODS:
        raise InputError(f"Unknown method {short_repr(name)}; there are: {', '.join(METHODS)}.")
    return METHODS[name]


def check_kernel_size(size: KernelSize) -> tuple[int, int] | None:
    """Return height and width in pixels, each raised to the next odd number; None for "auto"."""
    if size is None or (isinstance(size, str) and size == "auto"):
        return None
    sides = size if isinstance(size, tuple | list) else (size, size)
    if len(sides) != 2 or not all(isinstance(s, int | np.integer) and not isinstance(s, bool) for s in sides):
        raise InputError(f"kernel_size must be 'auto', an integer, or (height, width); got {short_repr(size)}.")
    if min(sides) < 1:
        raise InputError(f"kernel_size must be at least 1 pixel; got {short_repr(size)}.")
    return int(sides[0]) | 1, int(sides[1]) | 1


def _dimensions(
    mode: Mode, kernel: np.ndarray | None, kernel_per: str, tiles: Any, voxel_size_um: Any, settings: Any, axes: Any
) -> Literal["2d", "3d"]:
    """Decide between planes and volumes: by ``mode``, else by what only volumes have."""
    if not isinstance(mode, str) or mode not in get_args(Mode):
        raise InputError(f"mode must be one of {', '.join(get_args(Mode))}; got {short_repr(mode)}.")
    if mode != "auto":
        if mode == "3d" and tiles is not None:
            raise InputError("tiles= is for planes; a volume has one kernel. Leave out tiles, or mode='3d'.")
        return mode
    if tiles is not None:
        return "2d"
    may_have_depth = axes is None or "Z" in [ALIASES.get(str(axis).lower(), str(axis).upper()) for axis in axes]
    sides = {"stack": 3, "channel": 4}.get(kernel_per)  # of one kernel of volumes, or one for each channel
    volume_kernel = kernel is not None and kernel.ndim == sides and may_have_depth
    volume = isinstance(settings, VolumeSettings) or voxel_size_um is not None or volume_kernel
    return "3d" if volume else "2d"


def _mode_of_optics(mode: Mode, tiles: Any) -> Mode:
    """Return the mode for a PSF from optics: that of volumes where none is named."""
    if tiles is not None:
        raise InputError("A PSF from optics is the same in the whole image; leave tiles out.")
    return "3d" if mode == "auto" else mode


def _resolved_name(method: str, has_kernel: bool, dimensions: str) -> str:
    """Return the method that "auto" stands for where a kernel is given."""
    name = "known-kernel" if has_kernel and isinstance(method, str) and method == "auto" else method
    if dimensions == "3d":
        allowed = [each.name for each in METHODS.values() if each.recipe_3d is not None]
        if not isinstance(name, str) or name not in allowed:
            raise InputError(f"Unknown method {short_repr(method)} for volumes; there are: {', '.join(allowed)}.")
        if name != "known-kernel" and has_kernel:
            raise InputError(f"Method {method!r} takes no kernel in volumes; leave method at 'auto'.")
    return name


def _check_settings(
    method: Method, model: type[Settings], settings: Settings | Mapping[str, Any] | None, options: dict[str, Any]
) -> Settings:
    """Build the settings of a method, the separate options among them."""
    if settings is not None and not isinstance(settings, Settings | Mapping):
        raise InputError(f"settings must be names and values (a mapping); got {short_repr(settings)}.")
    if isinstance(settings, Settings) and not isinstance(settings, model):
        raise InputError(f"Method {method.name!r} takes {model.__name__}, not {type(settings).__name__}.")
    values = settings.model_dump() if isinstance(settings, Settings) else dict(settings or {})
    of_volumes = [name for name in values if name in VolumeSettings.model_fields and name not in model.model_fields]
    if of_volumes and model is not VolumeSettings:
        raise InputError(f"{of_volumes[0]} is a setting of volumes: give mode='3d', or leave it out.")
    for name, value in options.items():
        if value is None:
            continue
        if name not in model.model_fields:
            takes = ", ".join(n for n in options if n in model.model_fields) or "none of these"
            raise InputError(f"Method {method.name!r} takes no {name}; of {', '.join(options)} it takes: {takes}.")
        values[name] = value
    return model.checked(values)
