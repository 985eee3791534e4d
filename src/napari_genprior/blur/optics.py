"""Point spread functions of fluorescence microscopes, widefield and confocal, with the package ``psfmodels``.

The physics is that of ``psfmodels``: vectorial diffraction through immersion, coverslip (170 um) and sample [1]_.
Here it becomes kernels: centred on the plane of best focus, integrated over pixels, with a confocal pinhole.

References
----------
.. [1] F. Aguet et al., "Super-resolution orientation estimation and localization of fluorescent dipoles using 3-D
   steerable filters", Optics Express 17(8), 2009.
.. [2] T. Wilson (ed.), "Confocal Microscopy", Academic Press, 1990, chapter 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
from scipy.signal import fftconvolve

from ..errors import InputError

Kind = Literal["widefield", "confocal"]

FINE = 12  # samples per lambda / NA at least, of the grid that is integrated over pixels
FEWEST_PER_PIXEL = 3
FOCUS_STEPS = 201  # planes among which the best focus is looked for
EXCITATION = 0.92  # wavelength of the exciting light over that of the emitted (a usual Stokes shift)
LARGEST_SIDE = 257  # px
OBJECTIVES = ((1.0, 0.3, 0.95), (1.333, 0.8, 1.2), (1.515, 1.0, 1.45))  # index, least and largest aperture
STEPS = (0.5, 1.5)  # distances of planes, in axial Nyquist steps
DRAWS, TRIES = 60, 5  # microscopes among which the nearest to a known one is taken; how often, until its blur fits


@dataclass(frozen=True)
class Microscope:
    """What a point spread function depends on; checked when it is made.

    Attributes
    ----------
    kind : {"widefield", "confocal"}
    na : float
        Numerical aperture, below the immersion's refractive index.
    wavelength_nm : float
        Of the emitted light, 200 to 2000 nm. A confocal microscope excites at 0.92 of it.
    pixel_size_nm : float
        In the sample, 1 to 20000 nm.
    immersion_index, sample_index : float
        Refractive indices, 1 to 2. The objective is made for its immersion; where the sample differs, a point at
        some depth is seen with spherical aberration.
    depth_um : float
        Of the point below the coverslip, 0 to 1000 um.
    defocus_um : float
        How far above (deeper in the sample than) the plane of best focus the microscope is focused.
    pinhole_au : float
        Diameter of the confocal pinhole in Airy units (1.22 wavelength / na), 0.05 to 50.
    """

    kind: Kind = "widefield"
    na: float = 0.8
    wavelength_nm: float = 520.0
    pixel_size_nm: float = 160.0
    immersion_index: float = 1.0
    sample_index: float = 1.33
    depth_um: float = 0.0
    defocus_um: float = 0.0
    pinhole_au: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in ("widefield", "confocal"):
            raise InputError(f"There is no microscope of kind {self.kind!r}; there are widefield and confocal.")
        for field in fields(self):
            if field.name in BOUNDS:
                low, high = BOUNDS[field.name]
                value = getattr(self, field.name)
                if not (isinstance(value, int | float | np.number) and low <= value <= high):
                    raise InputError(f"A microscope needs {field.name} from {low:g} to {high:g}; got {value!r}.")
        if self.na >= self.immersion_index:
            raise InputError(
                f"A numerical aperture must be below the refractive index of the immersion; got {self.na:g} and "
                f"{self.immersion_index:g}. Usual indices: air 1.0, water 1.33, oil 1.515."
            )

    @property
    def depth_of_field_um(self) -> float:
        """Wavelength times index over squared aperture, ``lambda n / NA^2``, in um."""
        return self.wavelength_nm / 1000 * self.immersion_index / self.na**2


BOUNDS = {
    "na": (0.02, 1.99), "wavelength_nm": (200, 2000), "pixel_size_nm": (1, 20_000), "immersion_index": (1, 2),
    "sample_index": (1, 2), "depth_um": (0, 1000), "defocus_um": (-1000, 1000), "pinhole_au": (0.05, 50),
}  # fmt: skip


def microscope_psf(kind: Kind = "widefield", *, size: int = 33, **parameters: float) -> np.ndarray:
    """Blur of a point in one plane.

    Parameters
    ----------
    kind : {"widefield", "confocal"}
    size : int
        Side of the kernel in pixels, even or odd.
    **parameters
        Those of :class:`Microscope`.

    Returns
    -------
    float32 array [size, size]
        >= 0, sum 1, its peak on the array's centre. What falls outside is cut off.

    Raises
    ------
    InputError
        Parameters that no microscope has, or ``psfmodels`` is not installed.

    Notes
    -----
    Widefield: the emission's h_em. Confocal: the exciting light's h_ex times what passes the pinhole,
    ``h = h_ex (h_em * pinhole)`` [2]_.
    """
    return _volume(_microscope(kind, parameters), (1, size, size), 0.0)[0]


def microscope_psf_3d(
    kind: Kind = "widefield",
    *,
    shape: tuple[int, int, int] = (17, 33, 33),
    step_z_nm: float = 300.0,
    **parameters: float,
) -> np.ndarray:
    """Blur of a point in space; parameters as in :func:`microscope_psf`.

    Parameters
    ----------
    shape : (int, int, int)
        Planes, rows, columns; rows and columns are equal.
    step_z_nm : float
        Between planes, as the focus moves.

    Returns
    -------
    float32 array [z, y, x]
        >= 0, sum 1; with ``defocus_um`` 0 the middle plane is that of best focus.
    """
    if not 1 <= step_z_nm <= 1e5:
        raise InputError(f"step_z_nm must be from 1 to 100000; got {step_z_nm}.")
    return _volume(_microscope(kind, parameters), shape, step_z_nm)


def random_microscope(
    rng: np.random.Generator,
    size: int = 33,
    *,
    inside: float = 0.8,
    known: Mapping[str, Any] | None = None,
    ratio: float | None = None,
) -> Microscope:
    """Draw a plausible microscope whose blur fits into ``size`` pixels.

    Air, water or oil objectives with NA 0.3 to 1.45; emission 450 to 700 nm; pixels of 50 to 400 nm, 0.6 to 1.8 times
    the Nyquist size lambda / (4 NA); samples of index 1.33 to 1.52, up to 10 um deep; defocus within 3 (confocal: 1)
    depths of field, none in a third of the draws.

    Parameters
    ----------
    rng : numpy Generator
    size : int
    inside : float
        Drawn again until this part of the light (of that within three times the size) falls inside.
    known : mapping, optional
        Fields of :class:`Microscope` that are given; the rest is drawn as goes with them.
    ratio : float, optional
        Distance of planes over pixel size, where it is known: then it is about that of :func:`random_step_nm`.

    Returns
    -------
    Microscope
        ``microscope_psf(size=size, **vars(...))`` makes the kernel.
    """
    if size < 5:
        raise InputError(f"A microscope's blur needs a kernel of 5 px or more; got {size}.")
    while not known and ratio is None:
        drawn = _draw(rng)
        if _inside(drawn, size) >= inside:
            return drawn
    # what is known may leave no microscope whose blur fits: then the best of a few
    tried = []
    for _ in range(TRIES):
        drawn = _draw_near(rng, known or {}, ratio)
        tried.append((_inside(drawn, size), drawn))
        if tried[-1][0] >= inside:
            break
    return max(tried, key=lambda each: each[0])[1]


def random_step_nm(rng: np.random.Generator, microscope: Microscope) -> float:
    """A plausible distance of planes: 0.5 to 1.5 times the axial Nyquist step."""
    return float(np.clip(nyquist_step_nm(microscope) * rng.uniform(*STEPS), 50, 5000))


def nyquist_step_nm(microscope: Microscope) -> float:
    """The axial Nyquist step of a widefield microscope, ``lambda / (2 n (1 - cos alpha))``."""
    cosine = np.sqrt(1 - (microscope.na / microscope.immersion_index) ** 2)
    return float(microscope.wavelength_nm / (2 * microscope.immersion_index * (1 - cosine)))


def _draw(rng: np.random.Generator) -> Microscope:
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
    """The one of :data:`DRAWS` that is nearest to what is known, then with just that."""
    step = rng.uniform(*STEPS)
    drawn = []
    for _ in range(DRAWS):
        one = _draw(rng)
        away = sum(
            float(getattr(one, name) != value) if isinstance(value, str) else abs(np.log(getattr(one, name) / value))
            for name, value in known.items()
        )
        one = with_known(one, known)
        if ratio is not None:
            away += abs(np.log(ratio * one.pixel_size_nm / (step * nyquist_step_nm(one))))
        drawn.append((away, one))
    return min(drawn, key=lambda each: each[0])[1]


def with_known(microscope: Microscope, known: Mapping[str, Any]) -> Microscope:
    """A microscope with fields put to what is known of it; of aperture and immersion the unknown one makes way."""
    values = {**vars(microscope), **known}
    if values["na"] >= values["immersion_index"]:
        if "na" in known and "immersion_index" not in known:
            values["immersion_index"] = next((i for i, _, _ in OBJECTIVES if i > values["na"]), 2.0)
        elif "na" not in known:
            values["na"] = 0.95 * values["immersion_index"]
    return Microscope(**values)


def _inside(m: Microscope, size: int) -> float:
    """Part of the light within the largest circle of the kernel, of that within one three times as wide.

    From a profile at half-pixel steps, the pinhole taken for a point: a hundred times quicker than the kernel.
    """
    z = np.array([_focus(m) + m.defocus_um])
    wavelengths = [m.wavelength_nm] if m.kind == "widefield" else [m.wavelength_nm, EXCITATION * m.wavelength_nm]
    rows = [_intensity(m, wavelength, 6 * size + 1, m.pixel_size_nm / 2000, z)[0] for wavelength in wavelengths]
    radius = np.arange(3 * size + 1)
    light = np.prod([row[3 * size :] for row in rows], axis=0) * radius
    return float(light[radius <= size].sum() / light.sum())


def _microscope(kind: Kind, parameters: dict[str, float]) -> Microscope:
    known = [field.name for field in fields(Microscope)]
    unknown = [name for name in parameters if name not in known]
    if unknown:
        raise InputError(f"A microscope has no {', '.join(unknown)}; it has {', '.join(known)}.")
    return Microscope(**{**parameters, "kind": kind})  # type: ignore[arg-type]


def _volume(microscope: Microscope, shape: tuple[int, int, int], step_z_nm: float) -> np.ndarray:
    planes, rows, columns = shape
    if rows != columns or min(shape) < 1 or max(shape) > LARGEST_SIDE:
        raise InputError(f"The kernel must be square, with 1 to {LARGEST_SIDE} pixels a side; got {shape}.")
    offsets = (np.arange(planes) - (planes - 1) / 2) * step_z_nm / 1000
    volume = _planes(microscope, rows, offsets)
    return (volume / volume.sum()).astype(np.float32)


def _planes(microscope: Microscope, size: int, offsets_um: np.ndarray) -> np.ndarray:
    """Light per pixel ``[z, size, size]`` in planes at ``offsets_um`` from the chosen defocus."""
    m = microscope
    per_pixel = max(FEWEST_PER_PIXEL, int(np.ceil(FINE * m.pixel_size_nm * m.na / m.wavelength_nm)))
    step = m.pixel_size_nm / 1000 / per_pixel
    z = _focus(m) + m.defocus_um + offsets_um
    light = _fine(m, m.wavelength_nm, size * per_pixel, step, z)
    if m.kind == "confocal":
        radius = m.pinhole_au * 0.61 * m.wavelength_nm / 1000 / m.na
        exciting = _fine(m, EXCITATION * m.wavelength_nm, size * per_pixel, step, z)
        light = exciting * fftconvolve(light, _disk(radius / step)[None], mode="same", axes=(1, 2)).clip(min=0)
    return light.reshape(len(z), size, per_pixel, size, per_pixel).mean(axis=(2, 4))


def _fine(m: Microscope, wavelength_nm: float, side: int, step_um: float, z: np.ndarray) -> np.ndarray:
    """Intensity ``[z, side, side]`` on a grid around the axis: a radial profile, laid round.

    The models are round, so that one row of ``psfmodels`` says all, for even and odd sides alike.
    """
    reach = int(np.ceil(side / np.sqrt(2))) + 1
    rows = _intensity(m, wavelength_nm, 2 * reach + 1, step_um, z)
    axis = np.arange(side) - (side - 1) / 2
    radius = np.hypot(axis[:, None], axis[None])
    return np.stack([np.interp(radius, np.arange(reach + 1), row[reach:]) for row in rows])


def _intensity(m: Microscope, wavelength_nm: float, count: int, step_um: float, z: np.ndarray) -> np.ndarray:
    """The middle row of each plane, ``[z, count]``."""
    try:
        from psfmodels import make_psf
    except ImportError as error:
        raise InputError(
            "Microscope kernels need the package psfmodels: pip install psfmodels (or napari-genprior[train])."
        ) from error
    found = make_psf(
        list(z), count, dxy=step_um, pz=m.depth_um, NA=m.na, wvl=wavelength_nm / 1000, ns=m.sample_index,
        ni=m.immersion_index, ni0=m.immersion_index, oversample_factor=1, normalize=False,
    )  # fmt: skip
    return found[:, count // 2].clip(min=0)


def _focus(m: Microscope) -> float:
    """The plane (um above the coverslip) in which a point at ``depth_um`` is brightest; the mismatch shifts it."""
    reach = 2 * m.depth_of_field_um + 0.5 * m.depth_um
    planes = m.depth_um + np.linspace(-reach, reach, FOCUS_STEPS)
    peak = _intensity(m, m.wavelength_nm, 1, m.pixel_size_nm / 1000, planes)[:, 0]
    best = int(peak.argmax())
    if not 0 < best < FOCUS_STEPS - 1:
        return float(planes[best])
    before, at, after = peak[best - 1 : best + 2]
    bend = before - 2 * at + after
    return float(planes[best] + (planes[1] - planes[0]) * (0.5 * (before - after) / bend if bend else 0.0))


def _disk(radius: float) -> np.ndarray:
    """A disk of ``radius`` samples, its edge smoothed over one; sum 1."""
    reach = int(np.ceil(radius))
    axis = np.arange(-reach, reach + 1)
    disk = np.clip(radius + 0.5 - np.hypot(axis[:, None], axis[None]), 0, 1)
    return disk / disk.sum()
