"""Point spread functions of fluorescence microscopes: widefield, confocal, spinning disk, two-photon, light sheet.

:mod:`.optics_diffraction` computes the objective (vectorial diffraction, index mismatch by depth), and
:mod:`.optics_modalities` what the kind of the microscope makes of it. Here it becomes kernels: centred on the plane of
best focus, integrated over pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import prod
from typing import Literal, get_args

import numpy as np

from ..core.errors import InputError
from .optics_diffraction import radial_profiles
from .optics_modalities import combined_profiles, objective_of
from .optics_pixels import nodes_per_pixel, pixel_means, radii_needed
from .optics_support import LARGEST_SIDE_PX, LARGEST_VOXELS, choose_shape

Kind = Literal["widefield", "confocal", "spinning-disk", "two-photon", "light-sheet"]
KINDS: tuple[Kind, ...] = get_args(Kind)

SAMPLES_PER_RESOLUTION = 24  # least number of radii per lambda / NA
FOCUS_STEPS = 8  # positions per depth of field among which the best focus is searched
MOST_FOCUS_STEPS = 4001
EXCITATION_RATIO = 0.92  # wavelength of the excitation over that of the emission (a usual Stokes shift)


@dataclass(frozen=True)
class Microscope:
    """Parameters of a fluorescence microscope that determine its point spread function; checked when it is made.

    Attributes
    ----------
    kind : {"widefield", "confocal", "spinning-disk", "two-photon", "light-sheet"}
    na : float
        Numerical aperture, below the immersion's refractive index.
    wavelength_nm : float
        Wavelength of the emission, 200 to 2000 nm.
    pixel_size_nm : float
        Pixel size in the sample, 1 to 20000 nm.
    immersion_index, sample_index : float
        Refractive indices, 1 to 2. The objective is corrected for its immersion; where the index of the sample
        differs, a point below the coverslip is imaged with spherical aberration.
    depth_um : float
        Depth of the point below the coverslip, 0 to 1000 um.
    defocus_um : float
        Distance of the focal plane from the plane of best focus, positive deeper in the sample, -1000 to 1000 um.
    pinhole_au : float
        Diameter of the pinholes (confocal, spinning disk) in Airy units (1.22 wavelength / na), 0.05 to 50.
    excitation_nm : float or None
        Wavelength of the excitation, 200 to 4000 nm; None: 0.92 times that of the emission, two-photon twice as much.
        Widefield and light-sheet microscopes do not depend on it.
    sheet_um : float
        Thickness of the light sheet (full width at half maximum), 0.1 to 1000 um.
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
    excitation_nm: float | None = None
    sheet_um: float = 4.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"There is no microscope of kind {self.kind!r}; there are {', '.join(KINDS)}.")
        for field in fields(self):
            if field.name in BOUNDS and not (field.name == "excitation_nm" and self.excitation_nm is None):
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
        """Depth of field ``lambda n / NA^2``, in um."""
        return self.wavelength_nm / 1000 * self.immersion_index / self.na**2

    @property
    def excitation(self) -> float:
        """Wavelength of the excitation in nm, given or assumed."""
        if self.excitation_nm is not None:
            return self.excitation_nm
        return (2 if self.kind == "two-photon" else 1) * EXCITATION_RATIO * self.wavelength_nm

    @property
    def resolution_um(self) -> float:
        """Wavelength over aperture, of the shorter wavelength that counts; two photons halve it."""
        shortest = self.wavelength_nm
        if self.kind == "two-photon":
            shortest = self.excitation / 2
        elif self.kind in ("confocal", "spinning-disk"):
            shortest = min(shortest, self.excitation)
        return shortest / 1000 / self.na


BOUNDS = {
    "na": (0.02, 1.99), "wavelength_nm": (200, 2000), "pixel_size_nm": (1, 20_000), "immersion_index": (1, 2),
    "sample_index": (1, 2), "depth_um": (0, 1000), "defocus_um": (-1000, 1000), "pinhole_au": (0.05, 50),
    "excitation_nm": (200, 4000), "sheet_um": (0.1, 1000),
}  # fmt: skip


def microscope_psf(kind: Kind = "widefield", *, size: int = 33, **parameters: float) -> np.ndarray:
    """Compute the point spread function of a microscope in one plane.

    Parameters
    ----------
    kind : {"widefield", "confocal", "spinning-disk", "two-photon", "light-sheet"}
    size : int
        Side of the kernel in pixels, even or odd.
    **parameters
        Fields of :class:`Microscope`.

    Returns
    -------
    float32 array [size, size]
        >= 0, sum 1, its peak on the array's centre. Light outside the array is cut off.

    Raises
    ------
    InputError
        A parameter is unknown or out of range.

    Examples
    --------
    >>> import napari_genprior as gp
    >>> gp.blur.microscope_psf("confocal", size=15, na=1.2, immersion_index=1.33, pixel_size_nm=80).shape
    (15, 15)
    """
    return _normalized(_microscope(kind, parameters), (1, size, size), 0.0)[0]


def microscope_psf_3d(
    kind: Kind = "widefield",
    *,
    shape: tuple[int, int, int] | Literal["auto"] = (17, 33, 33),
    step_z_nm: float = 300.0,
    image_shape: tuple[int, int, int] | None = None,
    **parameters: float,
) -> np.ndarray:
    """Compute the point spread function of a microscope in three dimensions.

    Parameters
    ----------
    kind : {"widefield", "confocal", "spinning-disk", "two-photon", "light-sheet"}
    shape : (int, int, int) or "auto"
        Planes, rows, columns. "auto": as many as a stack of ``image_shape`` needs, so that 99.5% of the light that it
        receives of a point is inside, and at most twice its sides (:func:`~.optics_support.choose_shape`).
    step_z_nm : float
        Distance of neighbouring planes, by which the focus moves, 1 to 100000 nm.
    image_shape : (int, int, int), optional
        Planes, rows and columns of the stack, for ``shape="auto"``.
    **parameters
        Fields of :class:`Microscope`.

    Returns
    -------
    float32 array [z, y, x]
        >= 0, sum 1; with ``defocus_um`` 0 the middle plane is that of best focus. The focus moves deeper into the
        sample from plane to plane.

    Raises
    ------
    InputError
        A parameter is unknown or out of range.

    Examples
    --------
    >>> import napari_genprior as gp
    >>> optics = {"na": 1.2, "immersion_index": 1.33, "pixel_size_nm": 100}
    >>> gp.blur.microscope_psf_3d(shape="auto", image_shape=(5, 16, 16), step_z_nm=300, **optics).shape
    (9, 31, 31)
    """
    if not 1 <= step_z_nm <= 1e5:
        raise InputError(f"step_z_nm must be from 1 to 100000; got {step_z_nm}.")
    m = _microscope(kind, parameters)
    if isinstance(shape, str):
        if shape != "auto" or image_shape is None:
            raise InputError(f'shape must be three sides, or "auto" together with image_shape; got {shape!r}.')
        shape = choose_shape(m, step_z_nm / 1000, image_shape, focus(m)).shape
    return _normalized(m, shape, step_z_nm)


def _microscope(kind: Kind, parameters: dict[str, float]) -> Microscope:
    known = [field.name for field in fields(Microscope)]
    unknown = [name for name in parameters if name not in known]
    if unknown:
        raise InputError(f"A microscope has no {', '.join(unknown)}; it has {', '.join(known)}.")
    return Microscope(**{**parameters, "kind": kind})  # type: ignore[arg-type]


def _normalized(m: Microscope, shape: tuple[int, int, int], step_z_nm: float) -> np.ndarray:
    planes, rows, columns = shape
    if min(shape) < 1 or max(shape) > LARGEST_SIDE_PX or prod(shape) > LARGEST_VOXELS:
        most = f"{LARGEST_SIDE_PX} pixels a side, and at most {LARGEST_VOXELS // 10**6} million in all"
        raise InputError(f"A kernel needs 1 to {most}; got {shape}.")
    offsets = (np.arange(planes) - (planes - 1) / 2) * step_z_nm / 1000
    best, size = focus(m), max(rows, columns)
    step = min(m.resolution_um / SAMPLES_PER_RESOLUTION, m.pixel_size_nm / 1000)
    pixel = m.pixel_size_nm / 1000
    z = best + m.defocus_um + offsets
    profiles = combined_profiles(m, step, radii_needed(size, pixel, step), z, best)
    light = pixel_means(profiles, step, size, pixel, nodes_per_pixel(pixel, m.resolution_um))
    top, left = (size - rows) // 2, (size - columns) // 2
    light = light[:, top : top + rows, left : left + columns].clip(min=0)
    return (light / light.sum()).astype(np.float32)


def intensity(m: Microscope, wavelength_nm: float, count: int, step_um: float, z: np.ndarray) -> np.ndarray:
    """Compute the middle row of each plane of the objective's point spread function, ``[z, count]``."""
    radius = np.arange(count // 2 + 1) * step_um
    half = radial_profiles(objective_of(m), wavelength_nm / 1000, radius, np.asarray(z))
    return np.concatenate([half[:, :0:-1][:, : count // 2], half], axis=1)[:, :count]


def focus(m: Microscope) -> float:
    """Find the nominal position of best focus, um below the coverslip; an index mismatch moves it from the depth."""
    wavelength = m.excitation if m.kind == "two-photon" else m.wavelength_nm
    sine = min(m.na, 0.98 * m.sample_index)  # of the outermost ray that is not reflected totally, times the index
    axial = m.depth_um * m.immersion_index / m.sample_index
    outer = m.depth_um * np.sqrt((m.immersion_index**2 - sine**2) / (m.sample_index**2 - sine**2))
    reach = 2 * m.depth_of_field_um
    low, high = min(axial, outer) - reach, max(axial, outer) + reach
    count = int(min(MOST_FOCUS_STEPS, np.ceil((high - low) / m.depth_of_field_um * FOCUS_STEPS))) | 1
    planes = np.linspace(low, high, count)
    peak = radial_profiles(objective_of(m), wavelength / 1000, np.zeros(1), planes)[:, 0]
    best = int(peak.argmax())
    if not 0 < best < count - 1:
        return float(planes[best])
    before, at, after = peak[best - 1 : best + 2]
    curvature = before - 2 * at + after
    return float(planes[best] + (planes[1] - planes[0]) * (0.5 * (before - after) / curvature if curvature else 0.0))
