"""Large image files, a piece at a time: TIFF and (OME-)Zarr opened, not read. Imports no torch.

Zarr needs the optional packages of ``pip install "napari-genprior[zarr]"``, and so do TIFF files that are compressed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .errors import FileError, InputError

TIFFS = (".tif", ".tiff")
OME_VERSION = "0.5"  # what is written where the input says no other
SPACES = "ZYX"


@dataclass(frozen=True)
class Lazy:
    """An image or stack that was opened, not read.

    Parameters
    ----------
    data : array-like
        Slices of it are read when they are asked for.
    axes : str or None
        A letter per axis, as in OME; None: not known.
    pixel_size : dict of str to float
        By letter of the axis, in ``units``; what is missing is not known.
    units : dict of str to str
        Names as in OME-Zarr ("micrometer").
    ome_version : str
        Of OME-Zarr metadata.
    """

    data: Any
    axes: str | None = None
    pixel_size: dict[str, float] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    ome_version: str = OME_VERSION


@contextmanager
def open_lazy(source: Any) -> Iterator[Lazy]:
    """Open a path, or take an array (numpy, dask, zarr) as it is.

    Raises
    ------
    FileError
        Missing, unreadable, or an optional package is.
    InputError
        A file type that cannot be read lazily.
    """
    if not isinstance(source, str | Path):
        yield Lazy(source if hasattr(source, "shape") and hasattr(source, "dtype") else np.asarray(source))
        return
    path = Path(source)
    if not path.exists():
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
            yield _open_tiff(path, tiff)
    else:
        from .image_io import read_image

        yield Lazy(read_image(path))


def scale_of(path: str | Path) -> Lazy:
    """What a file tells of its pixels' size, without data; whoever reads its image says where it is damaged."""
    if Path(path).suffix.lower() not in TIFFS:
        return Lazy(None)
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            pixel_size, units = _tiff_pixel_size(tiff)
    except Exception:
        return Lazy(None)
    known = {axis: size for axis, size in pixel_size.items() if 0 < size < float("inf")}
    return Lazy(None, None, known, units)


def is_zarr(path: str | Path) -> bool:
    """Whether a path is, or is to be, a Zarr folder."""
    return Path(path).suffix.lower() == ".zarr" or any(
        (Path(path) / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup")
    )


def need_zarr(what: str) -> Any:
    """The zarr package, or a FileError that says how to get it."""
    try:
        import zarr
    except ImportError as error:
        raise FileError(f'{what} needs the package zarr: pip install "napari-genprior[zarr]".') from error
    return zarr


def _open_zarr(path: Path) -> Lazy:
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
    """An uncompressed TIFF, mapped anew for each slice: what was read does not stay in memory."""

    path: Path
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, index: Any) -> np.ndarray:
        return np.array(np.memmap(self.path, self.dtype, "r", self.offset, self.shape)[index])


def _open_tiff(path: Path, tiff: Any) -> Lazy:
    series = tiff.series[0].levels[0]
    data: Any
    if series.dataoffset is not None and tiff.pages[0].compression == 1:
        dtype = np.dtype(series.dtype).newbyteorder(tiff.byteorder)
        data = _Mapped(path, series.dataoffset, series.shape, dtype)
    else:
        data = need_zarr(f"Reading {path}, a TIFF in tiles or compressed, piece by piece").open(
            series.aszarr(), mode="r"
        )
    pixel_size, units = _tiff_pixel_size(tiff)
    return Lazy(data, series.axes, pixel_size, units)


def _tiff_pixel_size(tiff: Any) -> tuple[dict[str, float], dict[str, str]]:
    """Pixel sizes and their units, from OME or ImageJ metadata."""
    if tiff.is_ome:
        import tifffile

        image = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]
        pixels = (image[0] if isinstance(image, list) else image)["Pixels"]
        found = {axis: pixels.get(f"PhysicalSize{axis}") for axis in SPACES}
        names = {"µm": "micrometer", "nm": "nanometer", "mm": "millimeter", "m": "meter"}
        units = {axis: pixels.get(f"PhysicalSize{axis}Unit", "µm") for axis in SPACES}
        known = [axis for axis in SPACES if found[axis]]
        return {a: float(found[a]) for a in known}, {a: names[units[a]] for a in known if units[a] in names}
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
