"""Put a request and its image together, checked, before anything is computed: :func:`make_plan` -> :class:`Plan`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from ..core.axes import Layout
from ..core.checks import check_image, check_volume, check_volume_shape
from ..core.errors import InputError
from ..core.lazy_io import Lazy
from ..core.result import Index
from ..core.units import voxel_size_um
from ..estimation.psf_candidates import MicroscopeConstraints, parse_constraints
from ..operators.detail import REGION
from ..settings import VolumeSettings
from ..zoo.store import Generator
from .given_kernels import prepare_kernels
from .image_source import find_layout, find_source, is_large, read_whole
from .masks import fit_mask
from .optics_kernels import with_computed_psf
from .output_checks import check_out_array, check_output
from .plan_checks import check_fits, check_tiled, is_single
from .prior_choice import load_priors
from .request import Request, RequestArguments, is_path, parse_request


@dataclass(frozen=True)
class Plan(Request):
    """A checked request and its image: everything a run needs, nothing computed yet.

    Parameters
    ----------
    data : array-like
        The image, stack or volume; may be lazy (dask, zarr, a mapped file).
    layout : Layout
        What its axes mean.
    kernels : float32 array or None
        The kernels where they are given, ``[groups..., (kz,) kh, kw]``, or ``[rows, columns, kh, kw]`` with tiles.
    kernel_notes : tuple of str
        What was done to the given kernels, a sentence each.
    priors : dict
        "image_prior", "kernel_prior": the pretrained priors that the settings name.
    voxel_weights : (float, float, float)
        Weights of differences along z, y, x of a volume: shortest side of a voxel over each side.
    psf_constraints : MicroscopeConstraints or None
        What is known of the microscope, for an unknown kernel of a volume.
    out : path, array-like or None
        Where the image is to be written; a path is for large images and stacks.
    source : Lazy
        Where the data come from: pixel sizes and units of a file.
    """

    data: Any
    layout: Layout
    kernels: np.ndarray | None
    kernel_notes: tuple[str, ...]
    priors: dict[str, Generator]
    voxel_weights: tuple[float, float, float]
    psf_constraints: MicroscopeConstraints | None
    out: Any
    source: Lazy

    @property
    def single(self) -> bool:
        """Whether there is one piece, restored at once: an image or a volume."""
        return is_single(self.layout) and not self.in_tiles

    @property
    def in_tiles(self) -> bool:
        """Whether planes are restored tile by tile: large images, and blur that varies over the image."""
        return self.tiled or self.tiles is not None

    @property
    def file_dtype(self) -> np.dtype:
        """Data type of a file that the result is written to."""
        return _file_dtype(self.data, self)

    @property
    def is_volume(self) -> bool:
        """Whether a piece is a volume."""
        return self.mode == "3d"

    @property
    def image(self) -> np.ndarray:
        """The data of a single image or volume."""
        return np.asarray(self.data)

    def mask_of(self, index: Index) -> np.ndarray | None:
        """Return the mask ``[(Z,) Y, X]`` of a piece."""
        if self.mask is None:
            return None
        axes = self.layout.axes.replace("S", "")
        return replace(self.layout, axes=axes, shape=self.mask.shape).take(self.mask, index)

    @property
    def sentence(self) -> str:
        """What will happen, human-readable."""
        if self.tiles is not None:
            rows, columns = self.tiles
            height, width = (n // count for n, count in zip(self.layout.sides("YX"), self.tiles, strict=True))
            return f"{rows}x{columns} tiles of {height}x{width} px, a kernel each; {self._how}"
        if self.single:
            size = "x".join(map(str, self.layout.sides(self.layout.space)))
            return f"{size} {'voxels' if self.is_volume else 'px'}, {self._how}"
        return f"{self.layout.sentence}{', in tiles' if self.tiled else ''}; {self._how}"

    @property
    def _how(self) -> str:
        several = "" if self.kernels is None else "x".join(map(str, self.kernels.shape[-len(self.layout.space) :]))
        if several:
            kernel = f"given kernel of {several} px"
        elif self.kernel_size is not None:
            kernel = f"unknown kernel of {self.kernel_size[0]}x{self.kernel_size[1]} px"
        elif "kernel_prior" in self.priors and not self.is_volume:
            kernel = f"kernel as in {self.priors['kernel_prior'].card.name}"
        else:
            kernel = "unknown kernel" if self.is_volume else "unknown kernel, size estimated"
        limit = "" if self.time_limit_s is None else f", at most {self.time_limit_s:g} s"
        return f"{kernel}, {self.method.name} on {self.device}{limit}"


def make_plan(
    image: Any,
    method: str = "auto",
    *,
    out: Any = None,
    to_file: bool | None = None,
    **arguments: Unpack[RequestArguments],
) -> Plan:
    """Check all arguments of :func:`.front_door.deblur` and put them together; raises what that raises.

    ``out`` and ``to_file`` are those of :func:`plan_request`.
    """
    return plan_request(image, parse_request(method, **arguments), out, to_file)


def plan_request(image: Any, request: Request, out: Any = None, to_file: bool | None = None) -> Plan:
    """Put a checked request and its image together.

    Parameters
    ----------
    image : array-like or Lazy
        Of a file, what :func:`~napari_genprior.core.lazy_io.open_lazy` gives.
    out : path or array-like, optional
        See :func:`.front_door.deblur`.
    to_file : bool, optional
        The result ends in a file, whoever writes it: a large image is restored in tiles. By default where ``out`` is a
        path.
    """
    source = find_source(image, request)
    data = source.data
    request, optics_notes = with_computed_psf(request, data, source)
    layout = find_layout(data, request, source)
    mask = fit_mask(request.mask, data, layout, source.hidden)
    to_file = is_path(out) if to_file is None else to_file
    large = to_file and request.mode == "2d" and is_large(layout.sides("YX"))
    tiled = request.tiles is None and (request.tiled or large)
    if tiled or request.tiles is not None:
        check_tiled(request, layout, tiled)
    elif is_single(layout):
        whole = read_whole(data)
        data = (check_volume if request.mode == "3d" else check_image)(whole, allow_missing=True)
    if request.mode == "3d":
        check_volume_shape(layout.piece_shape)
    if request.method.single_only and not (is_single(layout) and not tiled):
        raise InputError(
            f"Method {request.method.name!r} is for single images; choose another one for stacks and tiles."
        )
    if out is not None and not is_path(out):
        check_out_array(out, layout, data, tiled or request.tiles is not None)
    if request.dtype != "input" and not to_file:
        raise InputError("Only a file has a data type to choose, as results in memory are float32; leave it out.")
    if is_path(out):
        check_output(Path(out), layout, _file_dtype(data, request))
    kernels, kernel_notes = prepare_kernels(request, layout, source, tiled)
    sides = request.voxel_size_um or (voxel_size_um(source.pixel_size, source.units) if request.mode == "3d" else None)
    shape = _estimation_shape(request, layout, tiled)
    check_fits(request, kernels, layout, shape, tiled)
    return Plan(
        **{**vars(request), "tiled": tiled, "voxel_size_um": sides, "mask": mask},
        data=data,
        layout=layout,
        kernels=kernels,
        kernel_notes=(*optics_notes, *kernel_notes),
        priors=load_priors(request, shape, needed=kernels is None),
        voxel_weights=_voxel_weights(sides),
        psf_constraints=_constraints(request, sides) if kernels is None else None,
        out=out,
        source=source,
    )


def _file_dtype(data: Any, request: Request) -> np.dtype:
    return np.dtype(np.float32) if request.dtype == "float32" else np.dtype(data.dtype).newbyteorder("=")


def _estimation_shape(request: Request, layout: Layout, tiled: bool) -> tuple[int, ...]:
    """Return the shape of the part in which an unknown kernel is estimated."""
    shape = layout.piece_shape
    if request.mode == "3d" or request.kernel is not None or (not layout.pieces and not tiled):
        return shape
    return (min(shape[0], REGION), min(shape[1], REGION), *shape[2:])


def _voxel_weights(sides: tuple[float, float, float] | None) -> tuple[float, float, float]:
    if sides is None:
        return 1.0, 1.0, 1.0
    z, y, x = (min(sides) / side for side in sides)
    return z, y, x


def _constraints(request: Request, sides: tuple[float, float, float] | None) -> MicroscopeConstraints | None:
    return parse_constraints(request.settings, sides) if isinstance(request.settings, VolumeSettings) else None


def output_path(plan: Plan) -> Path | None:
    """Return the file that the image is to be written to; None where it is an array."""
    return Path(plan.out) if is_path(plan.out) else None
