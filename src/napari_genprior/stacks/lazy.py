"""Large picture files, a piece at a time: TIFF and (OME-)Zarr opened lazily, and written row by row. Imports no torch.

Zarr needs the optional packages of ``pip install "napari-genprior[zarr]"``, and so do TIFF files that are compressed.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..errors import FileError, InputError
from ..io import check_place, written_whole

CHUNK = 512  # px, sides of the chunks that are written
TIFFS = (".tif", ".tiff")
OME_VERSION = "0.5"  # what is written where the input says no other
SPACES = "ZYX"
KINDS = {"T": "time", "C": "channel"}  # of axes, in OME-Zarr; others are space


@dataclass(frozen=True)
class Lazy:
    """A picture or stack that was opened, not read.

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


class Rows(Protocol):
    """Where rows are written to."""

    def __call__(self, index: tuple[int, ...], first: int, rows: np.ndarray) -> None:
        """Write ``rows`` [n, X(, S)] of the plane at ``index`` (all axes before Y), from row ``first`` on."""


@contextmanager
def opened(source: Any) -> Iterator[Lazy]:
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
        from ..io import read_image

        yield Lazy(read_image(path))


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


def check_destination(path: str | Path) -> Path:
    """Raise where a large picture cannot be written at ``path``: ask before a long run, not after.

    Raises
    ------
    InputError
        Neither .zarr nor TIFF.
    FileError
        The place cannot be written to, or holds something that is not to be replaced.
    """
    path = Path(path)
    if path.suffix.lower() == ".zarr":
        need_zarr(f"Writing {path}")
        if path.exists() and not (path.is_dir() and is_zarr(path) and _known_zarr(path)):
            raise FileError(f"{path} exists and is no Zarr folder; it is not replaced. Give another name.")
        check_place(path.with_name(f"{path.name}.part"))
    elif path.suffix.lower() in TIFFS:
        check_place(path)
    else:
        raise InputError(f"{path} has type {path.suffix or '(none)'!r}; large pictures are written as .zarr or .tif.")
    return path


def _known_zarr(path: Path) -> bool:
    return any((path / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup"))


@contextmanager
def written(path: str | Path, shape: tuple[int, ...], dtype: np.dtype, like: Lazy, axes: str) -> Iterator[Rows]:
    """Hand out a function that writes rows; the file is there only once all went well.

    Parameters
    ----------
    path : path
        ``.zarr`` is written as OME-Zarr, ``.tif`` and ``.tiff`` as BigTIFF (OME-TIFF, but for colour), uncompressed.
    shape, dtype
        Of the whole.
    like : Lazy
        Where pixel sizes, units and the version of OME-Zarr come from.
    axes : str
        A letter per axis of ``shape``, the last of them "YX" or "YXS".

    Raises
    ------
    InputError, FileError
        As :func:`check_destination`; the disk is full.
    """
    path = check_destination(path)
    if path.suffix.lower() == ".zarr":
        with _whole_folder(path) as beside:
            array = _create_zarr(beside, shape, dtype, like, axes)

            def write(index: tuple[int, ...], first: int, rows: np.ndarray) -> None:
                array[(*index, slice(first, first + len(rows)))] = rows

            yield write
        return
    with written_whole(path) as beside:
        offset, kept = _create_tiff(beside, shape, dtype, like, axes)

        def write(index: tuple[int, ...], first: int, rows: np.ndarray) -> None:
            mapped = np.memmap(beside, kept, "r+", offset, shape)  # anew each time: what was written does not pile up
            mapped[index][first : first + len(rows)] = rows
            mapped.flush()

        yield write


@contextmanager
def _whole_folder(path: Path) -> Iterator[Path]:
    """As :func:`..io.written_whole`, for a folder."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield beside
        if path.exists():  # two renames: a folder cannot be replaced in one
            old = path.with_name(f".{path.name}.{secrets.token_hex(4)}.old")
            path.rename(old)
            beside.rename(path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            beside.rename(path)
    except OSError as error:
        raise FileError(f"Cannot write {path}: {error.strerror or error}. Nothing was written there.") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _create_zarr(path: Path, shape: tuple[int, ...], dtype: np.dtype, like: Lazy, axes: str) -> Any:
    import zarr

    old = like.ome_version in ("0.1", "0.2", "0.3", "0.4")
    version = "0.4" if old else OME_VERSION
    described = []
    for axis in axes:
        entry = {"name": axis.lower(), "type": KINDS.get(axis, "space" if axis in SPACES else "channel")}
        described.append(entry | ({"unit": like.units[axis]} if axis in like.units else {}))
    scale = {"type": "scale", "scale": [like.pixel_size.get(axis, 1.0) for axis in axes]}
    multiscales: dict[str, Any] = {
        "axes": described,
        "datasets": [{"path": "0", "coordinateTransformations": [scale]}],
        "name": "deblurred",
    }
    if old:
        attributes: dict[str, Any] = {"multiscales": [{**multiscales, "version": version}]}
    else:
        attributes = {"ome": {"version": version, "multiscales": [multiscales]}}
    group = zarr.create_group(path, zarr_format=2 if old else 3, attributes=attributes)
    chunks = tuple(
        min(CHUNK, n) if axis in "YX" else n if axis == "S" else 1 for axis, n in zip(axes, shape, strict=True)
    )
    names = None if old else [axis.lower() for axis in axes]
    return group.create_array("0", shape=shape, dtype=dtype, chunks=chunks, dimension_names=names)


def _create_tiff(path: Path, shape: tuple[int, ...], dtype: np.dtype, like: Lazy, axes: str) -> tuple[int, np.dtype]:
    """An empty file; where its values begin, and their type."""
    import tifffile

    metadata: dict[str, Any] = {"axes": axes}
    for axis, size in like.pixel_size.items():
        symbol = {"micrometer": "µm", "nanometer": "nm", "millimeter": "mm", "meter": "m"}.get(like.units.get(axis, ""))
        if axis in SPACES and symbol:
            metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": symbol}
    with tifffile.TiffWriter(path, bigtiff=True, ome=True) as writer:
        writer.write(
            shape=shape, dtype=dtype, metadata=metadata, photometric="rgb" if axes[-1] == "S" else "minisblack"
        )
    with tifffile.TiffFile(path) as made:
        offset = made.series[0].dataoffset
        assert offset is not None  # uncompressed, in one piece
        return offset, np.dtype(dtype).newbyteorder(made.byteorder)
