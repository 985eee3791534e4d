"""Read the OME metadata of one image, and write them anew for its result."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from .metadata import Channel
from .units import SYMBOLS, unit_name

SECONDS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "min": 60.0, "h": 3600.0}
TYPES = {
    "uint8": "uint8", "uint16": "uint16", "uint32": "uint32", "int8": "int8", "int16": "int16", "int32": "int32",
    "float32": "float", "float64": "double",
}  # fmt: skip
REFERENCED = ("Image", "Plate", "Screen", "ROI", "Dataset")  # elements that may name other images


@dataclass(frozen=True)
class OmeImage:
    """The metadata of an image; each part is empty where it is missing or unreadable."""

    pixel_size: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    channels: tuple[Channel, ...] = ()
    time_step_s: float | None = None
    xml: str | None = None


def read_ome(text: str, number: int) -> OmeImage:
    """Read the metadata of an image; raises errors of several types where they are unreadable."""
    root = ET.fromstring(text)
    images = [each for each in root if _name(each) == "Image"]
    if not images:
        return OmeImage()
    image = images[min(number, len(images) - 1)]
    for element in [each for each in root if _name(each) in REFERENCED and each is not image]:
        root.remove(element)
    pixels = _child(image, "Pixels")
    sizes, units = {}, {}
    for axis in "ZYX":
        size = _number(pixels.get(f"PhysicalSize{axis}"))
        unit = unit_name(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        if size and unit:
            sizes[axis], units[axis] = abs(size), unit
    step = (_number(pixels.get("TimeIncrement")) or 0.0) * SECONDS.get(pixels.get("TimeIncrementUnit", "s"), 0.0)
    channels = tuple(
        Channel(each.get("Name", ""), _colour(each.get("Color"))) for each in pixels if _name(each) == "Channel"
    )
    return OmeImage(sizes, units, channels, step or None, ET.tostring(root, encoding="unicode"))


def rewrite_ome(
    text: str,
    shape: tuple[int, ...],
    axes: str,
    dtype: np.dtype,
    pixel_size: Mapping[str, float],
    units: Mapping[str, str],
) -> str | None:
    """Return the metadata of an image for an array of other type, whose planes are the pages of one TIFF file.

    Returns None where they cannot be those of such an array.
    """
    root = ET.fromstring(text)
    namespace = root.tag[1:].partition("}")[0] if root.tag.startswith("{") else ""
    ET.register_namespace("", namespace)
    ET.register_namespace("xsi", "http://www.w3.org/2001/XMLSchema-instance")
    pixels = _child(_child(root, "Image"), "Pixels")
    side = dict(zip(axes, shape, strict=True))
    lead = [axis for axis in axes if axis in "TCZ"]
    if dtype.name not in TYPES or not set(axes) <= set("TCZYXS"):
        return None
    order = [*reversed(lead), *(axis for axis in "ZCT" if axis not in lead)]
    samples = side.get("S", 1)
    channels = [each for each in pixels if _name(each) == "Channel"]
    if len(channels) not in (0, side.get("C", 1)):
        return None
    pixels.attrib |= {
        "DimensionOrder": "XY" + "".join(order), "Type": TYPES[dtype.name], "BigEndian": "false",
        "SizeX": str(side["X"]), "SizeY": str(side["Y"]), "SizeZ": str(side.get("Z", 1)),
        "SizeT": str(side.get("T", 1)), "SizeC": str(side.get("C", 1) * samples), "Interleaved": "true",
    }  # fmt: skip
    pixels.attrib.pop("SignificantBits", None)
    for axis in "ZYX":
        for name in (f"PhysicalSize{axis}", f"PhysicalSize{axis}Unit"):
            pixels.attrib.pop(name, None)
        if axis in pixel_size and axis in units:
            pixels.set(f"PhysicalSize{axis}", repr(float(pixel_size[axis])))
            pixels.set(f"PhysicalSize{axis}Unit", SYMBOLS[units[axis]])
    _replace_data(pixels, channels, namespace, samples)
    return '<?xml version="1.0" encoding="UTF-8"?>' + ET.tostring(root, encoding="unicode")


def _replace_data(pixels: ET.Element, channels: list[ET.Element], namespace: str, samples: int) -> None:
    """Let the pixels be those of the file itself, in the order of its pages."""
    prefix = f"{{{namespace}}}" if namespace else ""
    for element in [each for each in pixels if _name(each) in ("TiffData", "BinData", "MetadataOnly")]:
        pixels.remove(element)
    for channel in channels:
        channel.set("SamplesPerPixel", str(samples))
        for path in [each for each in channel if _name(each) == "LightPath"]:
            channel.remove(path)
    pixels.insert(len(channels), ET.Element(f"{prefix}TiffData"))


def _name(element: ET.Element) -> str:
    """Return the name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def _child(element: ET.Element, name: str) -> ET.Element:
    return next(each for each in element if _name(each) == name)


def _number(text: str | None) -> float | None:
    """Read a number; None for text that is none."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def _colour(text: str | None) -> str | None:
    """Return red, green and blue of a colour that OME stores as one signed number (RGBA)."""
    value = _number(text)
    return None if value is None else f"{(int(value) >> 8) & 0xFFFFFF:06X}"
