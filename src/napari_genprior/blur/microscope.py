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

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from scipy.signal import fftconvolve

from ..core.errors import InputError

Kind = Literal["widefield", "confocal"]

SAMPLES_PER_RESOLUTION = 12  # least number of samples per lambda / NA, of the grid that is integrated over pixels
LEAST_SAMPLES_PER_PIXEL = 3
FOCUS_PLANES = 201  # planes among which the best focus is searched
EXCITATION_RATIO = 0.92  # wavelength of the excitation over that of the emission (a usual Stokes shift)
LARGEST_SIDE_PX = 257


@dataclass(frozen=True)
class Microscope:
    """Parameters of a fluorescence microscope that determine its point spread function; checked when it is made.

    Attributes
    ----------
    kind : {"widefield", "confocal"}
    na : float
        Numerical aperture, below the immersion's refractive index.
    wavelength_nm : float
        Wavelength of the emission, 200 to 2000 nm. A confocal microscope excites at 0.92 times that.
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
        """Depth of field ``lambda n / NA^2``, in um."""
        return self.wavelength_nm / 1000 * self.immersion_index / self.na**2


BOUNDS = {
    "na": (0.02, 1.99), "wavelength_nm": (200, 2000), "pixel_size_nm": (1, 20_000), "immersion_index": (1, 2),
    "sample_index": (1, 2), "depth_um": (0, 1000), "defocus_um": (-1000, 1000), "pinhole_au": (0.05, 50),
}  # fmt: skip


def microscope_psf(kind: Kind = "widefield", *, size: int = 33, **parameters: float) -> np.ndarray:
    """Compute the point spread function of a microscope in one plane.

    Parameters
    ----------
    kind : {"widefield", "confocal"}
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
        A parameter is unknown or out of range, or ``psfmodels`` is not installed.

    Notes
    -----
    Widefield: the PSF h_em of the emission. Confocal: the PSF h_ex of the excitation times the emission that passes
    the pinhole, ``h = h_ex (h_em * pinhole)`` (Wilson, see the module).
    """
    return _volume(_microscope(kind, parameters), (1, size, size), 0.0)[0]


def microscope_psf_3d(
    kind: Kind = "widefield",
    *,
    shape: tuple[int, int, int] = (17, 33, 33),
    step_z_nm: float = 300.0,
    **parameters: float,
) -> np.ndarray:
    """Compute the point spread function of a microscope in three dimensions.

    Parameters
    ----------
    kind : {"widefield", "confocal"}
    shape : (int, int, int)
        Planes, rows, columns; rows and columns are equal.
    step_z_nm : float
        Distance of neighbouring planes, by which the focus moves, 1 to 100000 nm.
    **parameters
        Fields of :class:`Microscope`.

    Returns
    -------
    float32 array [z, y, x]
        >= 0, sum 1; with ``defocus_um`` 0 the middle plane is that of best focus.

    Raises
    ------
    InputError
        A parameter is unknown or out of range, or ``psfmodels`` is not installed.
    """
    if not 1 <= step_z_nm <= 1e5:
        raise InputError(f"step_z_nm must be from 1 to 100000; got {step_z_nm}.")
    return _volume(_microscope(kind, parameters), shape, step_z_nm)


def _microscope(kind: Kind, parameters: dict[str, float]) -> Microscope:
    known = [field.name for field in fields(Microscope)]
    unknown = [name for name in parameters if name not in known]
    if unknown:
        raise InputError(f"A microscope has no {', '.join(unknown)}; it has {', '.join(known)}.")
    return Microscope(**{**parameters, "kind": kind})  # type: ignore[arg-type]


def _volume(microscope: Microscope, shape: tuple[int, int, int], step_z_nm: float) -> np.ndarray:
    planes, rows, columns = shape
    if rows != columns or min(shape) < 1 or max(shape) > LARGEST_SIDE_PX:
        raise InputError(f"The kernel must be square, with 1 to {LARGEST_SIDE_PX} pixels a side; got {shape}.")
    offsets = (np.arange(planes) - (planes - 1) / 2) * step_z_nm / 1000
    volume = _planes(microscope, rows, offsets)
    return (volume / volume.sum()).astype(np.float32)


def _planes(microscope: Microscope, size: int, offsets_um: np.ndarray) -> np.ndarray:
    """Compute the light per pixel ``[z, size, size]`` in planes at ``offsets_um`` from the chosen defocus."""
    m = microscope
    samples = SAMPLES_PER_RESOLUTION * m.pixel_size_nm * m.na / m.wavelength_nm
    per_pixel = max(LEAST_SAMPLES_PER_PIXEL, int(np.ceil(samples)))
    step = m.pixel_size_nm / 1000 / per_pixel
    z = focus(m) + m.defocus_um + offsets_um
    light = _radial_intensity(m, m.wavelength_nm, size * per_pixel, step, z)
    if m.kind == "confocal":
        radius = m.pinhole_au * 0.61 * m.wavelength_nm / 1000 / m.na
        excitation = _radial_intensity(m, EXCITATION_RATIO * m.wavelength_nm, size * per_pixel, step, z)
        light = excitation * fftconvolve(light, _disk(radius / step)[None], mode="same", axes=(1, 2)).clip(min=0)
    return light.reshape(len(z), size, per_pixel, size, per_pixel).mean(axis=(2, 4))


def _radial_intensity(m: Microscope, wavelength_nm: float, side: int, step_um: float, z: np.ndarray) -> np.ndarray:
    """Interpolate the intensity ``[z, side, side]`` on a grid about the optical axis from radial profiles.

    The models are rotationally symmetric: one row from ``psfmodels`` suffices, for even and odd sides alike.
    """
    reach = int(np.ceil(side / np.sqrt(2))) + 1
    rows = intensity(m, wavelength_nm, 2 * reach + 1, step_um, z)
    axis = np.arange(side) - (side - 1) / 2
    radius = np.hypot(axis[:, None], axis[None])
    return np.stack([np.interp(radius, np.arange(reach + 1), row[reach:]) for row in rows])


def intensity(m: Microscope, wavelength_nm: float, count: int, step_um: float, z: np.ndarray) -> np.ndarray:
    """Compute the middle row of each plane of a point spread function, ``[z, count]``."""
    try:
        from psfmodels import make_psf
    except ImportError as error:
        raise InputError(
            "Microscope kernels need the package psfmodels: pip install psfmodels (or napari-genprior[train])."
        ) from error
    planes = make_psf(
        list(z), count, dxy=step_um, pz=m.depth_um, NA=m.na, wvl=wavelength_nm / 1000, ns=m.sample_index,
        ni=m.immersion_index, ni0=m.immersion_index, oversample_factor=1, normalize=False,
    )  # fmt: skip
    return planes[:, count // 2].clip(min=0)


def focus(m: Microscope) -> float:
    """Find the plane of best focus (um above the coverslip); an index mismatch shifts it away from ``depth_um``."""
    reach = 2 * m.depth_of_field_um + 0.5 * m.depth_um
    planes = m.depth_um + np.linspace(-reach, reach, FOCUS_PLANES)
    peak = intensity(m, m.wavelength_nm, 1, m.pixel_size_nm / 1000, planes)[:, 0]
    best = int(peak.argmax())
    if not 0 < best < FOCUS_PLANES - 1:
        return float(planes[best])
    before, at, after = peak[best - 1 : best + 2]
    curvature = before - 2 * at + after
    return float(planes[best] + (planes[1] - planes[0]) * (0.5 * (before - after) / curvature if curvature else 0.0))


def _disk(radius: float) -> np.ndarray:
    """Make a disk of ``radius`` samples with a soft edge of one sample; sum 1."""
    reach = int(np.ceil(radius))
    axis = np.arange(-reach, reach + 1)
    disk = np.clip(radius + 0.5 - np.hypot(axis[:, None], axis[None]), 0, 1)
    return disk / disk.sum()
