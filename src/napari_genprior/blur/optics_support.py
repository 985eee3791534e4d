"""Choose how many planes, rows and columns the point spread function of a stack needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .optics_modalities import combined_profiles

if TYPE_CHECKING:
    from .microscope import Microscope

INSIDE = 0.995  # of the light that a stack receives of a point
INSIDE_PLANES = 0.998  # of it in the planes that are kept, before rows and columns are chosen
RADII_PER_RESOLUTION = 12  # for sums of light
TAIL = 40  # in wavelengths over apertures: beyond the cone of rays, a plane has less than 0.3% of its light
LARGEST_SIDE_PX = 4095
LARGEST_VOXELS = 200_000_000
MOST_VOXELS = 32_000_000  # of a volume with the margins that a kernel needs: some 5 GB in a deconvolution
MOST_GROWTH = 4  # of a larger volume, by its margins


@dataclass(frozen=True)
class Support:
    """The sides of a point spread function.

    Attributes
    ----------
    shape : (int, int, int)
        Planes, rows, columns; odd.
    inside : float
        Share of the light that is inside, of that which all planes of a stack receive of a point.
    cut : bool
        Whether the stack or the memory allows no more.
    """

    shape: tuple[int, int, int]
    inside: float
    cut: bool

    @property
    def sentence(self) -> str:
        """What was chosen, human-readable."""
        sides = "x".join(map(str, self.shape))
        if not self.cut:
            return f"The PSF has {sides} voxels, with {100 * self.inside:.1f}% of the light that the stack receives."
        return (
            f"The PSF was cut to {sides} voxels (at most twice the sides of the stack, and what fits into the memory); "
            f"they hold {100 * self.inside:.0f}% of the light that all planes receive, and the rest is a wide haze."
        )


def choose_shape(m: Microscope, step_um: float, image_shape: tuple[int, int, int], best_um: float) -> Support:
    """Choose the sides of a point spread function so that almost all light that a stack receives is inside.

    A stack of n planes sees a point up to n - 1 planes out of focus. There the cone of a widefield microscope has the
    radius ``|z| tan(alpha)``, and each plane has as much light as any other; the optical sections of the other
    microscopes are thin, and need fewer planes.

    Parameters
    ----------
    m : Microscope
    step_um : float
        Distance of planes.
    image_shape : (int, int, int)
        Planes, rows and columns of the stack.
    best_um : float
        Position of best focus (:func:`.microscope.focus`).

    Returns
    -------
    Support
        With 99.5% of the light inside, or the largest that is allowed: sides of ``2 n - 1``, and a volume with margins
        of at most 32 million voxels or four times the stack.
    """
    planes, sides = image_shape[0], image_shape[1:]
    step = m.resolution_um / RADII_PER_RESOLUTION
    steepness = np.tan(np.arcsin(m.na / m.immersion_index))
    reach = min(
        1.1 * (planes - 1) * step_um * steepness + TAIL * m.wavelength_nm / 1000 / m.na,
        np.sqrt(2) * max(sides) * m.pixel_size_nm / 1000,
    )
    count = int(np.ceil(reach / step)) + 2
    offsets = np.arange(-(planes - 1), planes) * step_um
    profiles = combined_profiles(m, step, count, best_um + m.defocus_um + offsets, best_um)
    rings = profiles * (2 * np.pi * step**2 * np.arange(count))  # light between neighbouring radii
    total = 2 * planes - 1 if m.kind == "widefield" else rings.sum()
    by_offset = np.cumsum(_folded(rings.sum(1)))
    most = planes - 1
    above = most if m.kind == "widefield" else int(np.searchsorted(by_offset, INSIDE_PLANES * by_offset[-1]))
    above = min(above, most)
    ring = rings[most - above : most + above + 1].sum(0)
    limits = [_limit(side, image_shape, 2 * above + 1) for side in sides]
    half, inside = _half_side(ring, step, m.pixel_size_nm / 1000, max(limits) // 2, INSIDE * total)
    height, width = (min(2 * half + 1, limit) for limit in limits)
    return Support((2 * above + 1, height, width), min(1.0, float(inside / total)), bool(inside < INSIDE * total))


def _folded(values: np.ndarray) -> np.ndarray:
    """Add the values at equal distances from the middle."""
    middle = len(values) // 2
    folded = values[middle:] + values[middle::-1]
    folded[0] /= 2
    return folded


def _limit(side: int, image_shape: tuple[int, int, int], planes: int) -> int:
    """Return the largest odd side across: twice that of the stack less one, and within the memory."""
    depth, height, width = image_shape
    voxels = max(MOST_VOXELS, MOST_GROWTH * depth * height * width)
    across = np.sqrt(voxels / (depth + planes - 1) * side**2 / (height * width))  # of the volume with margins
    return max(1, min(2 * side - 1, LARGEST_SIDE_PX, (int(across) - side) // 2 * 2 + 1))


def _half_side(ring: np.ndarray, step: float, pixel_um: float, most: int, wanted: float) -> tuple[int, float]:
    """Return half the side of the smallest square with the light that is wanted, or the largest, and its light."""
    radius = step * np.arange(len(ring))

    def light(half: int) -> float:
        s = (half + 0.5) * pixel_um
        outside = np.where(radius > s, 4 / np.pi * np.arccos(np.minimum(1, s / np.maximum(radius, s))), 0)
        return float((ring * np.clip(1 - outside, 0, 1)).sum())

    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if light(middle) >= wanted else (middle + 1, high)
    return low, light(low)
