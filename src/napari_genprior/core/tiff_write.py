"""Write TIFF files as the input was: plain, ImageJ's, or OME-TIFF, with its metadata."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from .metadata import Metadata, tags_of_exif
from .ome import TYPES, rewrite_ome
from .source import SPACE_AXES, Lazy
from .units import SYMBOLS
from .version import SOFTWARE

OME_AXES = set("TCZYXS")
IMAGEJ_TYPES = ("uint8", "uint16", "float32")
IMAGEJ_BYTES = 2**32 - 2**20  # such files have 32-bit offsets
IMAGEJ_SYMBOLS = {"micrometer": "micron", "angstrom": "angstrom"}
IMAGEJ_TEXTS = {"Info", "Labels"}  # which may hold any letter; others are ASCII
SOFTWARE_TAG = 305
ALPHA = 2  # of ExtraSamples, not premultiplied


@dataclass(frozen=True)
class TiffPlan:
    """How an array becomes a TIFF file.

    Parameters
    ----------
    shape, axes
        Of what is stored: grey with alpha has an axis S that the image has not.
    file, image : dict
        Arguments of ``tifffile.TiffWriter`` and of its ``write``.
    """

    shape: tuple[int, ...]
    axes: str
    file: dict[str, Any]
    image: dict[str, Any]


def plan_tiff(shape: tuple[int, ...], dtype: np.dtype, like: Lazy, axes: str) -> TiffPlan:
    """Choose the kind of TIFF file for an array with the metadata of ``like``."""
    if like.bands is not None and axes.endswith("CYX"):  # samples again; stored as planes, so that rows are contiguous
        image = _common(like.metadata, shape, axes) | {
            "photometric": like.bands.photometric,
            "extrasamples": like.bands.extra,
            "planarconfig": "separate",
            "metadata": {"axes": axes.replace("C", "S")},
        }
        return TiffPlan(shape, axes, {"bigtiff": True, "ome": False}, image)
    alpha = like.alpha is not None and "S" not in axes and like.alpha.shape == shape
    if alpha:
        shape, axes = (*shape, 2), axes + "S"
    image = _common(like.metadata, shape, axes) | {"photometric": "minisblack" if alpha else _photometric(axes)}
    if alpha or (axes.endswith("S") and shape[-1] == 4):
        image["extrasamples"] = (ALPHA,)
    if _fits_imagej(shape, dtype, like, axes, alpha):
        return TiffPlan(shape, axes, {"imagej": True}, image | _imagej(like, axes))
    text = None
    if like.metadata.ome_xml is not None and not alpha:
        text = _rewritten(like, shape, axes, dtype)
    if text is not None:
        image |= {"description": text.encode(), "metadata": None}
        return TiffPlan(shape, axes, {"bigtiff": True, "ome": False}, image)
    if np.dtype(dtype).name not in TYPES:  # OME knows no float16 and no 64-bit integers
        return TiffPlan(shape, axes, {"bigtiff": True, "ome": False}, image | {"metadata": {"axes": axes}})
    return TiffPlan(shape, axes, {"bigtiff": True, "ome": True}, image | {"metadata": _ome(like, shape, axes)})


def write_plain(path: Path, image: np.ndarray, description: dict[str, Any] | None, like: Lazy) -> None:
    """Write an array as TIFF without axes; a ``description`` is stored as JSON."""
    import tifffile

    colour = image.ndim == 3 and image.shape[-1] in (3, 4)
    axes = "YXS" if colour else "YX"
    options: dict[str, Any] = (
        _common(like.metadata, image.shape, axes) if image.ndim == len(axes) else {"software": SOFTWARE}
    )
    options["photometric"] = _photometric(axes if colour else "YX")
    if like.alpha is not None and like.alpha.shape == image.shape:
        image = np.stack([image, like.alpha.astype(image.dtype)], -1)
        options["extrasamples"] = (ALPHA,)
        options["planarconfig"] = "contig"
    elif colour and image.shape[-1] == 4:
        options["extrasamples"] = (ALPHA,)
    text = like.metadata.description if description is None else json.dumps(description)
    # without its shape, an array of more than three axes would be read as a flat list of planes
    shaped: dict[str, Any] | None = {} if text is None and image.ndim > 3 + colour else None
    tifffile.imwrite(path, image, description=text, metadata=shaped, **options)


def _photometric(axes: str) -> str:
    return "rgb" if axes.endswith("S") else "minisblack"


def _common(metadata: Metadata, shape: tuple[int, ...], axes: str) -> dict[str, Any]:
    """Return what every kind of TIFF holds: profile, resolution, tags."""
    known: dict[str, Any] = {"software": SOFTWARE}
    if metadata.icc_profile is not None and (metadata.icc_profile[16:20] == b"GRAY") != axes.endswith("S"):
        known["iccprofile"] = metadata.icc_profile
    if metadata.dpi is not None:
        known |= {"resolution": metadata.dpi, "resolutionunit": "INCH"}
    tags = list(metadata.tiff_tags or tags_of_exif(metadata.exif))
    tags = [tag for tag in tags if tag[0] != SOFTWARE_TAG]
    if tags:
        known["extratags"] = tags
    return known


def _fits_imagej(shape: tuple[int, ...], dtype: np.dtype, like: Lazy, axes: str, alpha: bool) -> bool:
    """Tell whether the input is ImageJ's and the result can be: its axes are in the order of TZCYXS."""
    known = like.metadata.imagej is not None and not alpha and dtype.name in IMAGEJ_TYPES
    ordered = "".join(axis for axis in "TZCYXS" if axis in axes) == axes
    coloured = "S" not in axes or (dtype == np.uint8 and shape[-1] == 3)
    return known and ordered and coloured and prod(shape) * dtype.itemsize < IMAGEJ_BYTES


def _imagej(like: Lazy, axes: str) -> dict[str, Any]:
    """Return ImageJ's own metadata, with the pixel size of ``like``."""
    known = like.metadata.imagej or {}
    metadata: dict[str, Any] = {n: value if n in IMAGEJ_TEXTS else _ascii(value) for n, value in known.items()}
    metadata["axes"] = axes
    options: dict[str, Any] = {"metadata": metadata}
    sizes, units = like.pixel_size, like.units
    if "X" in sizes and "Y" in sizes:
        options |= {"resolution": (1 / sizes["X"], 1 / sizes["Y"]), "resolutionunit": "NONE"}
        metadata["unit"] = _imagej_unit(units.get("X", ""))
        if units.get("Y") != units.get("X") or "yunit" in metadata:
            metadata["yunit"] = _imagej_unit(units.get("Y", ""))
    if "Z" in sizes:
        metadata["spacing"] = sizes["Z"]
        if units.get("Z") != units.get("X") or "zunit" in metadata:
            metadata["zunit"] = _imagej_unit(units.get("Z", ""))
    if like.metadata.colour_map is not None and not axes.endswith("S"):
        options["colormap"] = like.metadata.colour_map
        options.pop("photometric", None)
    return options


def _ascii(value: Any) -> Any:
    """Write letters beyond ASCII as ImageJ does."""
    if not isinstance(value, str):
        return value
    return "".join(letter if letter.isascii() else f"\\u{ord(letter):04X}" for letter in value)


def _imagej_unit(name: str) -> str:
    return IMAGEJ_SYMBOLS.get(name, SYMBOLS.get(name, name))


def _rewritten(like: Lazy, shape: tuple[int, ...], axes: str, dtype: np.dtype) -> str | None:
    """Return the OME metadata of the input for the result; None where they do not fit it."""
    try:
        return rewrite_ome(like.metadata.ome_xml or "", shape, axes, dtype, like.pixel_size, like.units)
    except Exception:  # what other programs wrote
        return None


def _ome(like: Lazy, shape: tuple[int, ...], axes: str) -> dict[str, Any]:
    """Return OME metadata as tifffile takes them."""
    metadata: dict[str, Any] = {"axes": axes}
    for axis, size in like.pixel_size.items():
        symbol = SYMBOLS.get(like.units.get(axis, ""))
        if axis in SPACE_AXES and symbol:
            metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": symbol}
    channels, count = like.metadata.channels, shape[axes.index("C")] if "C" in axes else 1
    if len(channels) == count:
        named: dict[str, Any] = {}
        if any(each.name for each in channels):
            named["Name"] = [each.name for each in channels]
        if all(each.colour and len(each.colour) == 6 for each in channels):
            named["Color"] = [_signed(each.colour or "") for each in channels]
        metadata |= {"Channel": named} if named else {}
    if like.metadata.time_step_s and "T" in axes:
        metadata |= {"TimeIncrement": like.metadata.time_step_s, "TimeIncrementUnit": "s"}
    name = (like.metadata.zarr or {}).get("name")
    return metadata | ({"Name": str(name)} if name else {})


def _signed(colour: str) -> int:
    """Return a colour as the signed number in which OME stores red, green, blue and alpha."""
    value = int(colour, 16) << 8 | 0xFF
    return value - 2**32 if value >= 2**31 else value
