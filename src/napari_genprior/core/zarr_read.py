"""Open Zarr arrays, OME-Zarr images, and the collections of images that microscopes are converted to."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .axes import ALIASES
from .errors import LONGEST, FileError, InputError
from .metadata import Channel, Metadata
from .optics_metadata import OpticsMetadata, optics_of_ome, optics_of_omero
from .paths import is_file
from .series import choose_series
from .source import Guarded, Lazy
from .units import unit_name

OUR_OWN = ("ome", "multiscales", "omero", "_ARRAY_DIMENSIONS")  # attributes that are made anew or copied by name
OME_XML = "OME/METADATA.ome.xml"  # of a collection that bioformats2raw made
MAX_LISTED = 500  # images of a plate that are counted


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


def open_zarr(path: Path, series: int | None = None) -> Lazy:
    """Open a Zarr array, or the full resolution of an OME-Zarr image.

    Raises
    ------
    FileError
        It is damaged, or the package zarr is not installed.
    InputError
        A group without an image, or with several that fit.
    """
    zarr = need_zarr(f"Reading {path}")
    try:
        node = zarr.open(path, mode="r")
        if isinstance(node, zarr.Array):
            choose_series(path, [1], [""], [0], series)
            return _plain_array(path, node)
        image = _image_of(path, node, series)
        return _plain_array(path, image) if isinstance(image, zarr.Array) else _open_image(path, image)
    except (FileError, InputError):
        raise
    except Exception as error:
        raise FileError(f"{path} cannot be read as Zarr; it may be damaged ({str(error)[:LONGEST]}).") from error


def _ome(node: Any) -> Mapping[str, Any]:
    """Return the OME attributes of a group, of any version."""
    attributes = dict(node.attrs)
    return attributes.get("ome", attributes)


def _image_of(path: Path, group: Any, series: int | None) -> Any:
    """Find the image in a group: itself, or one of those that it lists."""
    ome = _ome(group)
    if "multiscales" in ome:
        choose_series(path, [1], [""], [0], series)
        return group
    images = _listed_images(group, ome)
    if images:
        sizes = [_plane_shape(group, name) for name in images] if len(images) <= MAX_LISTED else [(1, 1)] * len(images)
        labels = [f"{name} ({height}x{width} px)" for name, (height, width) in zip(images, sizes, strict=True)]
        areas = [height * width for height, width in sizes]
        return group[images[choose_series(path, areas, labels, range(len(images)), series)]]
    arrays = sorted(group.arrays())
    if len(arrays) == 1:
        return arrays[0][1]
    names = ", ".join(name for name, _ in arrays) or ", ".join(name for name, _ in group.groups()) or "it is empty"
    raise InputError(f"{path} is a Zarr group without OME metadata ({names}); give one array or image: {path}/NAME.")


def _listed_images(group: Any, ome: Mapping[str, Any]) -> list[str]:
    """List the images of a collection: of a plate, a well, or a conversion by bioformats2raw."""
    if "plate" in ome:
        wells = [str(well["path"]) for well in ome["plate"]["wells"]]
        return [f"{well}/{image['path']}" for well in wells for image in _ome(group[well])["well"]["images"]]
    if "well" in ome:
        return [str(image["path"]) for image in ome["well"]["images"]]
    try:
        listed = _ome(group["OME"]).get("series", []) if "OME" in group else []
    except KeyError:
        listed = []
    found = [name for name, each in group.groups() if "multiscales" in _ome(each)]
    return [str(name) for name in listed] or sorted(found, key=lambda name: (not name.isdecimal(), name.zfill(9)))


def _plane_shape(group: Any, name: str) -> tuple[int, int]:
    level = _ome(group[name])["multiscales"][0]["datasets"][0]["path"]
    return tuple(group[name][level].shape[-2:])


def _plain_array(path: Path, array: Any) -> Lazy:
    """Open an array, with the axes that its dimension names say."""
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    axes = None
    if names and all(names):
        letters = [_letter(name) for name in names]
        axes = "".join(letters) if len(set(letters)) == len(letters) == array.ndim and all(letters) else None
    return Lazy(Guarded(array, str(path)), axes)


def _letter(name: Any) -> str:
    """Return the letter of an axis name, "" where it has no meaning."""
    word = str(name).strip()
    letter = ALIASES.get(word.lower(), word.upper())
    return letter if letter in tuple("TCZYXS") else ""


def _open_image(path: Path, group: Any) -> Lazy:
    """Open the full resolution of an OME-Zarr image."""
    ome = _ome(group)
    scales = ome["multiscales"][0]
    level = scales["datasets"][0]
    data = group[level["path"]]
    names = scales.get("axes", list("tczyx")[-data.ndim :])
    named = [axis if isinstance(axis, dict) else {"name": axis} for axis in names]
    axes = "".join(_letter(axis["name"]) or str(axis["name"])[:1].upper() for axis in named)
    size = np.ones(data.ndim)
    for change in [*level.get("coordinateTransformations", []), *scales.get("coordinateTransformations", [])]:
        if change.get("type") == "scale":
            size = size * np.asarray(change["scale"], dtype=np.float64)
    pixel_size = {axis: abs(float(n)) for axis, n in zip(axes, size, strict=True) if n and np.isfinite(n)}
    units = {
        axis: unit_name(each["unit"]) or str(each["unit"])
        for axis, each in zip(axes, named, strict=True)
        if each.get("unit") and axis in pixel_size
    }
    version = str(ome.get("version", scales.get("version", "0.4")))
    return Lazy(
        Guarded(data, str(path)),
        axes,
        pixel_size,
        units,
        version,
        metadata=replace(_metadata(group, ome, scales, level), optics=_optics(path, group, ome)),
    )


def _optics(path: Path, group: Any, ome: Mapping[str, Any]) -> OpticsMetadata:
    """Read the optics from the OME-XML of a conversion by bioformats2raw, else from the channels of OMERO."""
    name = Path(str(group.path or path.name)).name  # of the image in the collection: its number
    with suppress(Exception):  # metadata of other programs hold anything
        for folder in (path, path.parent):
            if is_file(folder / OME_XML):
                return optics_of_ome((folder / OME_XML).read_text(encoding="utf-8"), int(name))
    with suppress(Exception):
        return optics_of_omero(ome["omero"]["channels"])
    return OpticsMetadata()


def _metadata(group: Any, ome: Mapping[str, Any], scales: Mapping[str, Any], level: Mapping[str, Any]) -> Metadata:
    """Read channels, display settings, name, places and the attributes of other programs."""
    omero = ome.get("omero") if isinstance(ome.get("omero"), Mapping) else None
    channels: tuple[Channel, ...] = ()
    if omero and isinstance(omero.get("channels"), list):
        channels = tuple(
            Channel(str(each.get("label", "")), each.get("color"))
            for each in omero["channels"]
            if isinstance(each, dict)
        )
    moved = [
        change
        for change in [*level.get("coordinateTransformations", []), *scales.get("coordinateTransformations", [])]
        if change.get("type") == "translation" and "translation" in change
    ]
    known = {
        "omero": omero,
        "name": scales.get("name"),
        "translation": moved[0]["translation"] if moved else None,
        "other": {name: value for name, value in group.attrs.items() if name not in OUR_OWN},
    }
    return Metadata(zarr={name: value for name, value in known.items() if value}, channels=channels)
