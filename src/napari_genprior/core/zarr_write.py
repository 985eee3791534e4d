"""Create OME-Zarr images with the axes, pixel size and metadata of the input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .metadata import Channel
from .source import OME_VERSION, SPACE_AXES, Lazy

CHUNK_PX = 512  # sides of the chunks
AXIS_TYPES = {"T": "time", "C": "channel"}  # others are "space", or "channel" of samples
WHITE = "FFFFFF"
OLD_VERSIONS = ("0.1", "0.2", "0.3", "0.4")


def open_or_create(path: Path, shape: tuple[int, ...], dtype: np.dtype, like: Lazy, axes: str) -> Any:
    """Open the unfinished array at a path, or create one."""
    import zarr

    if path.exists():
        return zarr.open_group(path, mode="r+")["0"]
    old = like.ome_version in OLD_VERSIONS
    version = "0.4" if old else OME_VERSION
    known = like.metadata.zarr or {}
    multiscales = {"axes": _axes(like, axes), "datasets": [_level(like, axes)], "name": known.get("name", "deblurred")}
    omero = _omero(like, shape, axes, dtype)
    shown = {} if omero is None else {"omero": omero}
    if old:
        attributes: dict[str, Any] = {"multiscales": [{**multiscales, "version": version}], **shown}
    else:
        attributes = {"ome": {"version": version, "multiscales": [multiscales], **shown}}
    attributes = {**known.get("other", {}), **attributes}
    group = zarr.create_group(path, zarr_format=2 if old else 3, attributes=attributes)
    chunks = tuple(
        min(CHUNK_PX, n) if axis in "YX" else n if axis == "S" else 1 for axis, n in zip(axes, shape, strict=True)
    )
    names = None if old else [axis.lower() for axis in axes]
    return group.create_array("0", shape=shape, dtype=dtype, chunks=chunks, dimension_names=names)


def _axes(like: Lazy, axes: str) -> list[dict[str, str]]:
    """Describe the axes."""
    described = []
    for axis in axes:
        entry = {"name": axis.lower(), "type": AXIS_TYPES.get(axis, "space" if axis in SPACE_AXES else "channel")}
        unit = like.units.get(axis, "second" if axis == "T" and like.metadata.time_step_s else None)
        described.append(entry | ({"unit": unit} if unit else {}))
    return described


def _level(like: Lazy, axes: str) -> dict[str, Any]:
    """Describe the one level: sizes of pixels and where the image lies."""
    sizes = {"T": like.metadata.time_step_s} if like.metadata.time_step_s else {}
    scale = [like.pixel_size.get(axis) or sizes.get(axis) or 1.0 for axis in axes]
    changes: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
    translation = (like.metadata.zarr or {}).get("translation")
    if translation is not None and axes == like.axes:
        changes.append({"type": "translation", "translation": list(translation)})
    return {"path": "0", "coordinateTransformations": changes}


def _omero(like: Lazy, shape: tuple[int, ...], axes: str, dtype: np.dtype) -> dict[str, Any] | None:
    """Return names, colours and windows of the channels; None where none are known."""
    known = (like.metadata.zarr or {}).get("omero")
    count = shape[axes.index("C")] if "C" in axes else 1
    if known is not None and axes == like.axes:
        return dict(known)
    channels: tuple[Channel, ...] = like.metadata.channels
    if len(channels) != count:
        return None
    most = float(np.iinfo(dtype).max) if dtype.kind in "ui" else 1.0
    window = {"min": 0.0, "max": most, "start": 0.0, "end": most}
    return {
        "channels": [
            {"label": each.name, "color": each.colour or WHITE, "active": True, "window": window} for each in channels
        ]
    }
