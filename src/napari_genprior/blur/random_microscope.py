"""Draw random plausible microscopes, optionally consistent with known parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..core.errors import InputError
from .microscope import Microscope, focus, intensity

OBJECTIVES = ((1.0, 0.3, 0.95), (1.333, 0.8, 1.2), (1.515, 1.0, 1.45))  # index, least and largest aperture
STEP_RANGE = (0.5, 1.5)  # distance of planes, in axial Nyquist steps
DRAWS, TRIES = 60, 5  # microscopes of which the closest to the known parameters is taken; repeated until its PSF fits


def random_microscope(
    rng: np.random.Generator,
    size: int = 33,
    *,
    inside: float = 0.8,
    known: Mapping[str, Any] | None = None,
    ratio: float | None = None,
) -> Microscope:
    """Draw a plausible microscope whose PSF fits into ``size`` pixels.

    Air, water or oil objectives with NA 0.3 to 1.45; emission 450 to 700 nm; pixels of 50 to 400 nm, 0.6 to 1.8 times
    the Nyquist size lambda / (4 NA); samples of index 1.33 to 1.52, up to 10 um deep; defocus within 3 (confocal: 1)
    depths of field, none in a third of the draws.

    Parameters
    ----------
    rng : numpy Generator
    size : int
        Side of the kernel in pixels, at least 5.
    inside : float
        Least fraction of the light (of that within three times the size) inside the kernel; microscopes are drawn
        until it is reached.
    known : mapping, optional
        Known fields of :class:`Microscope`; the others are drawn so that they are plausible with these.
    ratio : float, optional
        Distance of planes over pixel size, where it is known: the drawn microscope has about this ratio, for a
        distance as :func:`random_step_nm` draws it.

    Returns
    -------
    Microscope
        ``microscope_psf(size=size, **vars(...))`` makes the kernel.

    Raises
    ------
    InputError
        ``size`` is less than 5.
    """
    if size < 5:
        raise InputError(f"The PSF of a microscope needs a kernel of 5 px or more; got {size}.")
    while not known and ratio is None:
        drawn = _draw(rng)
        if _light_inside(drawn, size) >= inside:
            return drawn
    # the known parameters may allow no microscope whose PSF fits: then the best of a few is taken
    tried = []
    for _ in range(TRIES):
        drawn = _draw_near(rng, known or {}, ratio)
        tried.append((_light_inside(drawn, size), drawn))
        if tried[-1][0] >= inside:
            break
    return max(tried, key=lambda each: each[0])[1]


def random_step_nm(rng: np.random.Generator, microscope: Microscope) -> float:
    """Draw a plausible distance of planes in nm: 0.5 to 1.5 times the axial Nyquist step."""
    return float(np.clip(nyquist_step_nm(microscope) * rng.uniform(*STEP_RANGE), 50, 5000))


def nyquist_step_nm(microscope: Microscope) -> float:
    """Compute the axial Nyquist step of a widefield microscope in nm, ``lambda / (2 n (1 - cos alpha))``."""
    cosine = np.sqrt(1 - (microscope.na / microscope.immersion_index) ** 2)
    return float(microscope.wavelength_nm / (2 * microscope.immersion_index * (1 - cosine)))


def _draw(rng: np.random.Generator) -> Microscope:
    """Draw a microscope from the ranges that :func:`random_microscope` states."""
    index, low, high = OBJECTIVES[rng.choice(3, p=(0.4, 0.2, 0.4))]
    na, wavelength = rng.uniform(low, high), rng.uniform(450, 700)
    confocal = rng.random() < 0.4
    microscope = Microscope(
        "confocal" if confocal else "widefield",
        na=na,
        wavelength_nm=wavelength,
        pixel_size_nm=float(np.clip(wavelength / (4 * na) * rng.uniform(0.6, 1.8), 50, 400)),
        immersion_index=index,
        sample_index=rng.uniform(1.33, 1.52),
        depth_um=10 * rng.random() ** 2,
        pinhole_au=rng.uniform(0.6, 2),
    )
    reach = 0 if rng.random() < 1 / 3 else rng.uniform(-1, 1) * (1 if confocal else 3)
    return replace(microscope, defocus_um=reach * microscope.depth_of_field_um)


def _draw_near(rng: np.random.Generator, known: Mapping[str, Any], ratio: float | None) -> Microscope:
    """Draw :data:`DRAWS` microscopes and set the known parameters in the one closest to them."""
    step = rng.uniform(*STEP_RANGE)
    drawn = []
    for _ in range(DRAWS):
        one = _draw(rng)
        distance = sum(
            float(getattr(one, name) != value) if isinstance(value, str) else abs(np.log(getattr(one, name) / value))
            for name, value in known.items()
        )
        one = with_known(one, known)
        if ratio is not None:
            distance += abs(np.log(ratio * one.pixel_size_nm / (step * nyquist_step_nm(one))))
        drawn.append((distance, one))
    return min(drawn, key=lambda each: each[0])[1]


def with_known(microscope: Microscope, known: Mapping[str, Any]) -> Microscope:
    """Set the known fields of a microscope; of aperture and immersion index, an unknown one is adapted to the other."""
    values = {**vars(microscope), **known}
    if values["na"] >= values["immersion_index"]:
        if "na" in known and "immersion_index" not in known:
            values["immersion_index"] = next((i for i, _, _ in OBJECTIVES if i > values["na"]), 2.0)
        elif "na" not in known:
            values["na"] = 0.95 * values["immersion_index"]
    return Microscope(**values)


def _light_inside(m: Microscope, size: int) -> float:
    """Compute the fraction of light in the kernel's largest circle, of that in a circle three times as wide.

    It is taken from a radial profile in half-pixel steps, for a point-like pinhole: a hundred times faster than the
    kernel itself.
    """
    z = np.array([focus(m) + m.defocus_um])
    wavelengths = [m.wavelength_nm] if m.kind == "widefield" else [m.wavelength_nm, m.excitation]
    rows = [intensity(m, wavelength, 6 * size + 1, m.pixel_size_nm / 2000, z)[0] for wavelength in wavelengths]
    radius = np.arange(3 * size + 1)
    light = np.prod([row[3 * size :] for row in rows], axis=0) * radius
    return float(light[radius <= size].sum() / light.sum())
