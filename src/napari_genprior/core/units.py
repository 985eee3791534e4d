"""Convert lengths that files and layers name by a unit to micrometres."""

from __future__ import annotations

from collections.abc import Mapping

MICROMETRES = {
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "meter": 1e6,
    "angstrom": 1e-4,
}


def voxel_size_um(sizes: Mapping[str, float], units: Mapping[str, str]) -> tuple[float, float, float] | None:
    """Return the sides of a voxel along z, y and x in um; None where one is not known.

    Parameters
    ----------
    sizes : mapping of str to float
        By letter of the axis.
    units : mapping of str to str
        Names as in OME-Zarr ("micrometer"); a size without a unit of length counts as um.
    """
    if not set("ZYX") <= set(sizes):
        return None
    z, y, x = (float(sizes[axis]) * MICROMETRES.get(units.get(axis, ""), 1.0) for axis in "ZYX")
    return z, y, x


def lengths_um(sizes: Mapping[str, float], units: Mapping[str, str]) -> dict[str, float]:
    """Return the sizes that have a unit of length, in um, by letter of the axis."""
    return {axis: float(n) * MICROMETRES[units[axis]] for axis, n in sizes.items() if units.get(axis) in MICROMETRES}
