"""Open large image files lazily (TIFF and (OME-)Zarr), to read a piece at a time. Imports no torch.

Zarr and compressed TIFF files need the optional packages of ``pip install "napari-genprior[zarr]"``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .errors import LONGEST, FileError, GenPriorError, InputError
from .paths import exists, is_file

TIFFS = (".tif", ".tiff")
OME_VERSION = "0.5"  # default of written files
SPACE_AXES = "ZYX"
EAGER_BYTES = 2**26  # smaller TIFF files are read at once: that needs no optional package


@dataclass(frozen=True)
class Lazy:
    """An opened image or stack whose data are read when they are indexed.

    Parameters
    ----------
    data : array-like
        Read when it is indexed.
    axes : str or None
        A letter per axis, as in OME; None: unknown.
    pixel_size : dict of str to float
        By letter of the axis, in ``units``; without axes whose size is unknown.
    units : dict of str to str
        Names as in OME-Zarr ("micrometer").
    ome_version : str
        Version of the OME-Zarr metadata.
    """

    data: Any
    axes: str | None = None
    pixel_size: dict[str, float] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    ome_version: str = OME_VERSION


@contextmanager
def open_lazy(source: Any) -> Iterator[Lazy]:
    """Open a path lazily, or wrap an array (numpy, dask, zarr).

    Raises
    ------
    FileError
        The file is missing or unreadable, or an optional package is not installed.
    InputError
        The file type is not supported.
    """
    if not isinstance(source, str | Path):
        yield Lazy(source if hasattr(source, "shape") and hasattr(source, "dtype") else np.asarray(source))
        return
    path = Path(source)
    if not exists(path):
        raise FileError(f"There is no file {path}.")
    if is_zarr(path):
        yield _open_zarr(path)
    elif path.suffix.lower() in TIFFS:
        import tifffile

        try:
            tiff = tifffile.TiffFile(path)
        except Exception as error:
            raise FileError(f"{path} cannot be read; it may be damaged or truncated ({error}).") from error
        with tiff:
            yield _read_tiff_header(path, tiff)
    else:
        from .image_io import read_image

        yield Lazy(read_image(path))


def read_pixel_size(path: str | Path) -> Lazy:
    """Read the pixel size from the metadata of a file, without data; none where the metadata are unreadable."""
    if Path(path).suffix.lower() not in TIFFS:
        return Lazy(None)
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            pixel_size, units = _known_pixel_size(tiff)
    except Exception:
        return Lazy(None)
    return Lazy(None, None, pixel_size, units)


def is_zarr(path: str | Path) -> bool:
    """Tell whether a path is a Zarr folder, or has its suffix."""
    return Path(path).suffix.lower() == ".zarr" or any(
        is_file(Path(path) / name) for name in ("zarr.json", ".zarray", ".zgroup")
    )


def need_zarr(what: str) -> Any:
    """Import the package zarr; raises FileError with instructions where it is not installed."""
    try:
        import zarr
    except ImportError as error:
        raise FileError(f'{what} needs the package zarr: pip install "napari-genprior[zarr]".') from error
    return zarr


def _open_zarr(path: Path) -> Lazy:
    """Open a Zarr array, or the full resolution of an OME-Zarr group."""
    zarr = need_zarr(f"Reading {path}")
    try:
        node = zarr.open(path, mode="r")
        if isinstance(node, zarr.Array):
            return Lazy(node)
        attributes = dict(node.attrs)
        ome = attributes.get("ome", attributes)
        if "multiscales" not in ome:
            names = ", ".join(name for name, _ in node.arrays()) or "no arrays"
            raise InputError(
                f"{path} is a Zarr group without OME metadata ({names}); give the array itself: {path}/NAME."
            )
        scales = ome["multiscales"][0]
        level = scales["datasets"][0]
        data = node[level["path"]]
        names = scales.get("axes", list("tczyx")[-data.ndim :])
        named = [axis if isinstance(axis, dict) else {"name": axis} for axis in names]
        axes = "".join(axis["name"].upper() for axis in named)
        size = np.ones(data.ndim)
        for change in [*level.get("coordinateTransformations", []), *scales.get("coordinateTransformations", [])]:
            if change.get("type") == "scale":
                size = size * np.asarray(change["scale"])
        units = {letter: axis["unit"] for letter, axis in zip(axes, named, strict=True) if "unit" in axis}
        pixel_size = {letter: float(n) for letter, n in zip(axes, size, strict=True)}
        return Lazy(data, axes, pixel_size, units, str(ome.get("version", scales.get("version", "0.4"))))
    except (FileError, InputError):
        raise
    except Exception as error:
        raise FileError(f"{path} cannot be read as Zarr; it may be damaged ({error}).") from error


@dataclass(frozen=True)
class _Mapped:
    """An uncompressed TIFF, mapped anew for each slice, so that data that were read do not stay in memory."""

    path: Path
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, index: Any) -> np.ndarray:
        """Read a slice; raises FileError where the file is shorter than it declares."""
        try:
            return np.array(np.memmap(self.path, self.dtype, "r", self.offset, self.shape)[index])
        except (OSError, ValueError) as error:
            raise FileError(f"{self.path} cannot be read; it may be damaged or truncated ({error}).") from error

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[...].astype(dtype or self.dtype, copy=False)


def _read_tiff_header(path: Path, tiff: Any) -> Lazy:
    """Open a TIFF file; raises FileError where it is damaged."""
    try:
        return _open_tiff(path, tiff)
    except (GenPriorError, MemoryError):
        raise
    except Exception as error:  # tifffile raises errors of many types
        raise FileError(f"{path} cannot be read; it may be damaged or truncated ({str(error)[:LONGEST]}).") from error


def _open_tiff(path: Path, tiff: Any) -> Lazy:
    """Open the full resolution of the first series of a TIFF file."""
    series = tiff.series[0].levels[0]
    axes, data = series.axes, None  # type: str, Any
    if series.nbytes <= EAGER_BYTES:
        from .image_io import read_image

        data = read_image(path)
        axes = "YXS" if axes == "SYX" else axes  # of a colour image in planes, as read_image returns it
    elif series.dataoffset is not None and tiff.pages[0].compression == 1:
        dtype = np.dtype(series.dtype).newbyteorder(tiff.byteorder)
        data = _Mapped(path, series.dataoffset, series.shape, dtype)
    else:
        data = need_zarr(f"Reading {path}, a TIFF in tiles or compressed, piece by piece").open(
            series.aszarr(), mode="r"
        )
    return Lazy(data, axes, *_known_pixel_size(tiff))


def _known_pixel_size(tiff: Any) -> tuple[dict[str, float], dict[str, str]]:
    """Read the pixel sizes that are usable, and their units; none where the metadata are unreadable."""
    try:
        pixel_size, units = _tiff_pixel_size(tiff)
    except Exception:
        return {}, {}
    return {axis: size for axis, size in pixel_size.items() if 0 < size < float("inf")}, units


def _tiff_pixel_size(tiff: Any) -> tuple[dict[str, float], dict[str, str]]:
    """Read pixel sizes and their units from OME or ImageJ metadata."""
    if tiff.is_ome:
        import tifffile

        image = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]
        pixels = (image[0] if isinstance(image, list) else image)["Pixels"]
        sizes = {axis: pixels.get(f"PhysicalSize{axis}") for axis in SPACE_AXES}
        names = {"µm": "micrometer", "nm": "nanometer", "mm": "millimeter", "m": "meter"}
        units = {axis: pixels.get(f"PhysicalSize{axis}Unit", "µm") for axis in SPACE_AXES}
        known = [axis for axis in SPACE_AXES if sizes[axis]]
        return {a: float(sizes[a]) for a in known}, {a: names[units[a]] for a in known if units[a] in names}
    if tiff.is_imagej:
        meta, unit = tiff.imagej_metadata or {}, (tiff.imagej_metadata or {}).get("unit", "")
        tags = tiff.pages[0].tags
        pixel_size = {}
        for axis, tag in (("Y", "YResolution"), ("X", "XResolution")):
            if tag in tags and tags[tag].value[0]:
                pixel_size[axis] = tags[tag].value[1] / tags[tag].value[0]
        if "spacing" in meta:
            pixel_size["Z"] = float(meta["spacing"])
        name = {"micron": "micrometer", "um": "micrometer", "µm": "micrometer", "\\u00B5m": "micrometer"}.get(
            unit, {"nm": "nanometer", "mm": "millimeter"}.get(unit)
        )
        return (pixel_size, dict.fromkeys(pixel_size, name)) if name else ({}, {})
    return {}, {}
