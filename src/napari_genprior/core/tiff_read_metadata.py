"""Read pixel sizes and metadata of TIFF files: OME, ImageJ, Micro-Manager, resolution tags."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from math import isfinite
from typing import Any

from .metadata import Channel, Metadata
from .ome import OmeImage, read_ome
from .optics_metadata import optics_of_imagej, optics_of_ome
from .units import MICROMETRES, unit_name

COPIED_TAGS = {
    269: 2, 271: 2, 272: 2, 306: 2, 315: 2, 33432: 2,  # DocumentName, Make, Model, DateTime, Artist, Copyright
    700: 1, 33723: 7, 34377: 1,  # XMP, IPTC, Photoshop
    33550: 12, 33922: 12, 34264: 12, 34735: 3, 34736: 12, 34737: 2,  # the place on Earth (GeoTIFF)
}  # fmt: skip
CENTIMETRE, INCH = 3, 2  # of ResolutionUnit
LARGEST_PLAUSIBLE_UM = 10.0  # a coarser resolution tag is that of a print or screen
IMAGEJ_OWN = ("images", "channels", "slices", "frames", "ImageJ", "min", "max")  # made anew from the array

Scale = tuple[dict[str, float], dict[str, str]]


def pixel_size_of(tiff: Any, ome: OmeImage) -> Scale:
    """Return the known pixel sizes and their units, by letter of the axis."""
    for read in (lambda: (dict(ome.pixel_size), dict(ome.units)), lambda: _imagej(tiff), lambda: _micro_manager(tiff)):
        with suppress(Exception):  # metadata of other programs hold anything
            sizes, units = read()
            sizes = {axis: abs(float(size)) for axis, size in sizes.items()}
            sizes = {axis: size for axis, size in sizes.items() if 0 < size < float("inf")}
            if sizes:
                return sizes, {axis: unit for axis, unit in units.items() if axis in sizes}
    with suppress(Exception):
        return _resolution_tags(tiff)
    return {}, {}


def _imagej(tiff: Any) -> Scale:
    """Read what ImageJ stores: pixels per unit in the tags, the distance of planes, a unit for each axis."""
    if not tiff.is_imagej:
        return {}, {}
    meta = tiff.imagej_metadata or {}
    unit = str(meta.get("unit", ""))
    sizes, units = {}, {}
    per_unit = _per_unit(tiff.pages[0])
    for axis, size in (*zip("XY", per_unit, strict=True), ("Z", float(meta.get("spacing", 0)))):
        name = unit_name(meta.get(f"{axis.lower()}unit", unit))
        if size and isfinite(size) and name:
            sizes[axis], units[axis] = size, name
    return sizes, units


def _per_unit(page: Any) -> tuple[float, float]:
    """Return the sides of a pixel along x and y in units of the resolution tags; 0 where there is none."""
    sides = []
    for tag in ("XResolution", "YResolution"):
        number, per = page.tags[tag].value if tag in page.tags else (0, 1)
        sides.append(per / number if number else 0.0)
    return sides[0], sides[1]


def _micro_manager(tiff: Any) -> Scale:
    summary = (tiff.micromanager_metadata or {}).get("Summary", {}) if tiff.is_micromanager else {}
    side, step = float(summary.get("PixelSize_um", 0) or 0), float(summary.get("z-step_um", 0) or 0)
    return {"Y": side, "X": side, "Z": step}, dict.fromkeys("ZYX", "micrometer")


def _resolution_tags(tiff: Any) -> Scale:
    """Read resolution tags in cm or inch, where they are as fine as those of a microscope."""
    page = tiff.pages[0]
    unit = {CENTIMETRE: "centimeter", INCH: "inch"}.get(int(page.tags.valueof("ResolutionUnit", 2)), "")
    if not unit or tiff.is_imagej:
        return {}, {}
    sides = [side * MICROMETRES[unit] for side in _per_unit(page)]
    if not all(0 < side <= LARGEST_PLAUSIBLE_UM for side in sides):
        return {}, {}
    return {"Y": sides[1], "X": sides[0]}, {"Y": "micrometer", "X": "micrometer"}


def ome_of(tiff: Any, number: int) -> OmeImage:
    """Read the OME metadata of a series; nothing where there are none, or unreadable ones."""
    try:
        return read_ome(tiff.ome_metadata, number) if tiff.is_ome else OmeImage()
    except Exception:
        return OmeImage()


def metadata_of(tiff: Any, page: Any, ome: OmeImage, converted: bool) -> Metadata:
    """Read what a file says beside pixels and their size; what cannot be read is left out."""
    known: dict[str, Any] = {}
    with suppress(Exception):
        known["icc_profile"] = None if converted else page.iccprofile
    with suppress(Exception):
        known["tiff_tags"] = tuple(
            (code, kind, 0 if kind == 2 else _count(page.tags[code].value), page.tags[code].value, True)
            for code, kind in COPIED_TAGS.items()
            if code in page.tags
        )
    with suppress(Exception):
        known["dpi"] = _dpi(page, tiff.is_imagej)
    with suppress(Exception):
        if tiff.is_imagej:
            known["imagej"] = {n: v for n, v in tiff.imagej_metadata.items() if n not in IMAGEJ_OWN}
            known["colour_map"] = page.colormap
            known |= _of_imagej(tiff.imagej_metadata)
        elif not tiff.is_ome and not tiff.is_shaped:
            known["description"] = page.description or None
    known |= {"ome_xml": ome.xml, "channels": ome.channels} if ome.xml else {}
    with suppress(Exception):
        if ome.xml:
            known["optics"] = optics_of_ome(ome.xml)
        elif tiff.is_imagej:
            known["optics"] = optics_of_imagej(str(tiff.imagej_metadata.get("Info", "")))
    known |= {"time_step_s": ome.time_step_s} if ome.time_step_s else {}
    return Metadata(**known)


def _count(value: Any) -> int:
    return len(value) if hasattr(value, "__len__") else 1


def _dpi(page: Any, imagej: bool) -> tuple[float, float] | None:
    unit = int(page.tags.valueof("ResolutionUnit", 2))
    per_inch = {CENTIMETRE: 2.54, INCH: 1.0}.get(unit)
    sides = _per_unit(page)
    if per_inch is None or imagej or not all(sides):
        return None
    return per_inch / sides[0], per_inch / sides[1]


def _of_imagej(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Read the time step and the colours of the channels."""
    known: dict[str, Any] = {}
    step = float(meta.get("finterval", 0) or 0)
    if 0 < step < float("inf"):
        known["time_step_s"] = step
    tables = meta.get("LUTs", ())
    colours = ["".join(f"{int(n):02X}" for n in table[:, -1]) for table in tables]
    known["channels"] = tuple(Channel("", colour) for colour in colours)
    return known
