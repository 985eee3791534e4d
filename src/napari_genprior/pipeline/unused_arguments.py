"""Refuse arguments that would have no effect beside the others: silence would look as if they had one."""

from __future__ import annotations

from typing import Any

from ..core.errors import InputError
from ..methods.registry import Method
from ..settings import Settings, VolumeSettings

# of methods and volumes alike; with a given kernel they have no effect
UNKNOWN_KERNEL_SETTINGS = ("kernel_prior", "n_candidates", "microscope", "na", "wavelength_nm", "immersion_index")


def refuse_unused_of_kernel(
    method: Method,
    settings: Settings,
    has_kernel: bool,
    kernel_size: tuple[int, int] | None,
    kernel_prior: str | None,
) -> None:
    """Refuse what only an unknown kernel needs where one is given, and what the method's kernels do not have.

    Parameters
    ----------
    kernel_size, kernel_prior
        As the caller gave them; None: not given.
    """
    if has_kernel:
        _refuse_beside_kernel(method, settings, kernel_size, kernel_prior)
    if kernel_size is None:
        return
    size, prior = "x".join(map(str, kernel_size)), getattr(settings, "kernel_prior", None)
    if isinstance(settings, VolumeSettings):
        raise InputError(f"Volumes take no kernel size, as candidates have sizes of their own; got {size} px.")
    if not method.finds_kernel:
        raise InputError(f"Method {method.name!r} estimates no kernel, so a size has no effect; got {size} px.")
    if prior:
        raise InputError(
            f"The kernel prior {prior} has kernels of one size; got a kernel size of {size} px. Leave it at 'auto', or "
            "choose a kernel prior of another size."
        )


def _refuse_beside_kernel(
    method: Method, settings: Settings, kernel_size: tuple[int, int] | None, kernel_prior: str | None
) -> None:
    """Refuse what has no effect beside a given kernel."""
    if not method.takes_kernel:
        raise InputError(
            f"Method {method.name!r} does not use a given kernel; leave it out, or choose the method 'known-kernel'."
        )
    if kernel_size is not None:
        raise InputError("A kernel is given, so a kernel size has no effect; give one of them.")
    fields = type(settings).model_fields
    changed = [n for n in UNKNOWN_KERNEL_SETTINGS if n in fields and getattr(settings, n) != fields[n].get_default()]
    if kernel_prior is not None or changed:
        name = "kernel_prior" if kernel_prior is not None else changed[0]
        title = str(fields[name].title).lower()
        raise InputError(f"A kernel is given, so the setting {name!r} ({title}) has no effect; leave one of them out.")


def refuse_unused_of_mode(
    mode: str,
    settings: Settings,
    tiles: Any,
    tile_size: Any,
    voxel_size_um: Any,
    steps: int | None,
    optics: bool = False,
) -> None:
    """Refuse what planes, volumes or tiles do not use; None: not given. With ``optics``, the kernel is computed."""
    if tiles is not None and tile_size is not None:
        raise InputError(
            "Tiles with a kernel each, and a tile size for large images with one kernel, exclude each other; "
            "give one of them."
        )
    if mode == "3d" and tile_size is not None:
        raise InputError("Volumes are not restored in tiles; leave out the tile size.")
    if mode == "2d" and voxel_size_um is not None and not optics:
        raise InputError("A voxel size is for volumes, and here planes are restored; leave it out, or choose mode 3d.")
    if steps is not None and isinstance(settings, VolumeSettings) and settings.solver == "wiener":
        raise InputError("The Wiener filter is one step, so a number of steps has no effect; leave it out.")
