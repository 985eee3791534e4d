"""Convert lengths that files and layers name by a unit to micrometres."""

from __future__ import annotations

from collections.abc import Mapping

MICROMETRES = {
    "picometer": 1e-6,
    "angstrom": 1e-4,
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "decimeter": 1e5,
    "meter": 1e6,
    "inch": 25400.0,
}
SYMBOLS = {
    "picometer": "pm", "angstrom": "Å", "nanometer": "nm", "micrometer": "µm", "millimeter": "mm", "centimeter": "cm",
    "decimeter": "dm", "meter": "m", "inch": "in",
}  # fmt: skip
OTHER_SYMBOLS = {
    "um": "micrometer", "μm": "micrometer", "\\u00b5m": "micrometer", "micron": "micrometer", "a": "angstrom",
    "ångström": "angstrom", "\"": "inch", "inches": "inch",
}  # fmt: skip
UNNAMED = ("", "pixel", "pixels", "px")  # of layers and files that have sizes, but do not say in what


def unit_name(symbol: object) -> str | None:
    """Return the name of a unit of length, as in OME-Zarr ("micrometer"), from any usual spelling; None for others."""
    word = str(symbol).strip().lower()
    for spelling in (word, word.removesuffix("s"), word.replace("metre", "meter").removesuffix("s")):
        if spelling in MICROMETRES:
            return spelling
        if spelling in OTHER_SYMBOLS:
            return OTHER_SYMBOLS[spelling]
    named = {own.lower(): name for name, own in SYMBOLS.items()}
    return named.get(word)


def voxel_size_um(sizes: Mapping[str, float], units: Mapping[str, str]) -> tuple[float, float, float] | None:
    """Return the sides of a voxel along z, y and x in um; None where one is not known.

    Parameters
    ----------
    sizes : mapping of str to float
        By letter of the axis.
    units : mapping of str to str
        Any usual name or symbol; a size without a unit counts as um, one in a unit of something else is not known.
    """
    lengths = []
    for axis in "ZYX":
        unit = str(units.get(axis, ""))
        factor = 1.0 if unit.lower() in UNNAMED else MICROMETRES.get(unit_name(unit) or "")
        if axis not in sizes or factor is None:
            return None
        lengths.append(abs(float(sizes[axis])) * factor)
    z, y, x = lengths
    return (z, y, x) if min(lengths) > 0 and max(lengths) < float("inf") else None


def lengths_um(sizes: Mapping[str, float], units: Mapping[str, str]) -> dict[str, float]:
    """Return the sizes that have a unit of length, in um, by letter of the axis."""
    known = {axis: MICROMETRES.get(unit_name(str(units.get(axis, ""))) or "") for axis in sizes}
    return {axis: abs(float(n)) * factor for axis, n in sizes.items() if (factor := known[axis]) is not None}
