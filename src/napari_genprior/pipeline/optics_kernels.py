"""Compute the kernels of an image whose optics a user gives instead of a kernel."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..blur.given_kernel import GivenKernel
from ..blur.optics_request import Optics
from ..blur.optics_stack import StackOptics, complete
from ..core.errors import InputError
from ..core.layout import Layout
from ..core.lazy_io import Lazy
from ..core.optics_metadata import OpticsMetadata
from ..core.units import lengths_um, voxel_size_um
from .image_source import find_layout, find_source
from .request import Request, parse_request

Shape = tuple[int, int, int]

MOST_UM = 20.0  # sides of voxels


def with_computed_psf(request: Request, data: Any, source: Lazy) -> tuple[Request, tuple[str, ...]]:
    """Return a request with the PSFs of its optics as given kernels, and sentences on values, sources and size.

    A request without optics is returned as it is. Of several channels with different optics each gets a kernel.

    Raises
    ------
    InputError
        The pixel size is not known, kernels per frame or plane are asked for, or as
        :func:`~napari_genprior.blur.optics_stack.complete`.
    """
    if request.optics is None:
        return request, ()
    if request.kernel_per in ("frame", "plane"):
        raise InputError("A PSF from optics differs among channels only; leave kernel_per out.")
    if request.mode == "3d" and len(data.shape) < 3:
        raise InputError(
            f"The image has shape {tuple(data.shape)}, and is no volume [Z, Y, X]; mode='2d' computes the PSF in focus."
        )
    layout = find_layout(data, replace(request, kernel_per="stack"), source)
    found = stack_optics(request, layout, source)
    sides = layout.sides(layout.space)
    step = _voxel(request, source)[0][0]
    kernels, size = found.psfs(step, (1, *sides) if request.mode == "2d" else sides)  # type: ignore[arg-type]
    if request.mode == "2d":
        kernels = _within(kernels[:, 0], sides)
    per_channel = len(kernels) > 1 or request.kernel_per == "channel"
    given = GivenKernel(kernels if len(kernels) > 1 else kernels[0], exact=True)
    changed = replace(request, given_kernel=given, kernel_per="channel" if per_channel else "stack")
    return changed, (found.sentence, size)


def psf_of(
    optics: Optics, like: Lazy | None, voxel_size_um: tuple[float, float, float] | None, shape: Shape | None
) -> tuple[np.ndarray, Lazy, tuple[str, ...]]:
    """Compute the PSF of each channel of an image, or of a microscope alone.

    Parameters
    ----------
    like : Lazy, optional
        The image: voxel size, channels, and what else it says. Without it, voxel size and shape are needed.
    shape : (int, int, int), optional
        Planes, rows and columns; by default as many as the image needs.

    Returns
    -------
    float32 array [channels, z, y, x]
    Lazy
        The voxel size, to be written with them.
    tuple of str
        Sentences on values, their sources and size.

    Raises
    ------
    InputError
        Something is not known, as :func:`with_computed_psf` says.
    """
    if like is None and (voxel_size_um is None or shape is None):
        raise InputError("Without an image that the PSF is for, give its voxel size and the sides of the PSF.")
    request = parse_request(kernel=optics, voxel_size_um=voxel_size_um, mode="3d")
    if like is None:
        assert voxel_size_um is not None
        wavelengths = (optics.wavelength_nm, optics.excitation_nm)
        channels = max(len(each) if isinstance(each, tuple) else 1 for each in wavelengths)
        found, sides = complete(optics, OpticsMetadata(), channels, voxel_size_um, "given"), shape
        source = Lazy(None, None, dict(zip("ZYX", voxel_size_um, strict=True)), dict.fromkeys("ZYX", "micrometer"))
    else:
        source = find_source(like, request)
        layout = find_layout(source.data, request, source)
        found, sides = stack_optics(request, layout, source), layout.sides("ZYX")  # type: ignore[assignment]
    assert sides is not None
    kernels, size = found.psfs(_voxel(request, source)[0][0], sides, shape)
    return kernels, source.scale_only, (found.sentence, size)


def stack_optics(request: Request, layout: Layout, source: Lazy) -> StackOptics:
    """Return the microscope of each channel of an image."""
    assert request.optics is not None
    channels = layout.sides("C")[0] if "C" in layout.axes else 1
    voxel, where = _voxel(request, source)
    return complete(request.optics, source.metadata.optics, channels, voxel, where)


def _voxel(request: Request, source: Lazy) -> tuple[tuple[float, float, float], str]:
    """Return the sides of a voxel in um and where they come from; of planes, their distance has no meaning."""
    if request.voxel_size_um is not None:
        if max(request.voxel_size_um) > MOST_UM:
            raise InputError(
                f"A PSF from optics needs voxels of at most {MOST_UM:g} um a side; got {request.voxel_size_um}, "
                "the order is z, y, x."
            )
        return request.voxel_size_um, "given"
    sizes = dict(source.pixel_size)
    if request.mode == "2d" and "X" in lengths_um(sizes, source.units):
        sizes["Z"] = sizes["X"]
        source = replace(source, units={**source.units, "Z": source.units["X"]})
    voxel = voxel_size_um(sizes, source.units)
    if voxel is None:
        raise InputError(
            "A PSF from optics needs the voxel size, which the image does not say in full "
            f"({', '.join(f'{axis.lower()} {size:g}' for axis, size in source.pixel_size.items()) or 'nothing'}); "
            "give voxel_size_um."
        )
    return voxel, "file"


def _within(kernels: Any, sides: tuple[int, ...]) -> Any:
    """Crop kernels [channels, kh, kw] about their centres to an image; each of sum 1."""
    half = [min(k // 2, (n - 1) // 2) for k, n in zip(kernels.shape[1:], sides, strict=True)]
    middle = [k // 2 for k in kernels.shape[1:]]
    inside = kernels[(slice(None), *(slice(m - h, m + h + 1) for m, h in zip(middle, half, strict=True)))]
    return inside / inside.sum((1, 2), keepdims=True)
