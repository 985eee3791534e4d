"""Compute the point spread functions of a stack from optics that a user, its file, or neither states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ..core.errors import InputError, short_repr
from ..core.optics_metadata import IMMERSIONS, OpticsMetadata, medium_index
from .microscope import EXCITATION_RATIO, KINDS, Kind, Microscope, focus, microscope_psf_3d
from .optics_support import choose_shape
from .support import pad_to

LARGEST_DRY_NA, LARGEST_WATER_NA = 0.95, 1.2  # of objectives whose immersion is not stated
DRY_INDEX = 1.2  # a lower index is that of a gas, in which no sample is
WITH_EXCITATION, WITH_PINHOLE = ("confocal", "spinning-disk", "two-photon"), ("confocal", "spinning-disk")
MAX_ASPECT_RATIO = 1.05  # longer over shorter side, up to which a pixel counts as square


@dataclass(frozen=True)
class Optics:
    """Describe a microscope, to be given as ``kernel=``: its point spread function is computed for the stack at hand.

    What is left at None is taken from the file of the stack; where that says nothing, a usual value is assumed, but for
    the aperture and the emission. ``status`` of the result says of each value where it comes from.

    Attributes
    ----------
    kind : {"widefield", "confocal", "spinning-disk", "two-photon", "light-sheet"}, optional
        Assumed: widefield.
    na : float, optional
        Numerical aperture.
    wavelength_nm : float or sequence of float, optional
        Wavelength of the emission; of several channels one for each, or one for all.
    excitation_nm : float or sequence of float, optional
        Likewise, of the excitation. Assumed: 0.92 times the emission, two-photon twice as much.
    immersion : {"oil", "water", "air", "glycerol", "silicone"} or float, optional
        Or its refractive index. Assumed by aperture: air up to 0.95, water up to 1.2, oil above.
    sample_index : float, optional
        Refractive index of the sample. Assumed: that of the immersion, of air objectives water.
    depth_um : float, optional
        Depth below the coverslip for which the PSF is right, um. Assumed: 0.
    pinhole_au : float, optional
        Diameter of the pinholes in Airy units. Assumed: 1.
    sheet_um : float, optional
        Thickness of a light sheet (full width at half maximum), um. Assumed: 4.

    Examples
    --------
    >>> import napari_genprior as gp
    >>> optics = gp.blur.Optics(na=1.4, immersion="oil", wavelength_nm=(520, 600))

    ``gp.deblur(stack, kernel=optics, voxel_size_um=(0.2, 0.065, 0.065), axes="CZYX")`` restores each channel with its
    PSF; of a file that states all of it, ``gp.deblur("cells.ome.tif", kernel=gp.blur.Optics())`` does.
    """

    kind: Kind | None = None
    na: float | None = None
    wavelength_nm: float | Sequence[float] | None = None
    excitation_nm: float | Sequence[float] | None = None
    immersion: str | float | None = None
    sample_index: float | None = None
    depth_um: float | None = None
    pinhole_au: float | None = None
    sheet_um: float | None = None

    def __post_init__(self) -> None:
        for name in ("wavelength_nm", "excitation_nm"):
            value = getattr(self, name)
            if value is not None:
                several = tuple(np.atleast_1d(np.asarray(value, dtype=float)).tolist())
                object.__setattr__(self, name, several[0] if len(several) == 1 else several)
        if isinstance(self.immersion, str) and medium_index(self.immersion) is None:
            raise InputError(
                f"There is no immersion {short_repr(self.immersion)}; there are {', '.join(IMMERSIONS)}, or a "
                "refractive index from 1 to 2."
            )

    @property
    def given(self) -> dict[str, Any]:
        """The values that are not None, by name: plain values."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {n: list(v) if isinstance(v, tuple) else v for n, v in values.items() if v is not None}


@dataclass(frozen=True)
class StackOptics:
    """The microscope of each channel of a stack, and where its values come from.

    Attributes
    ----------
    microscopes : tuple of Microscope
        One, or one for each channel.
    sentence : str
        Each value with its source: given, file or assumed.
    """

    microscopes: tuple[Microscope, ...]
    sentence: str

    def psfs(
        self, step_um: float, image_shape: tuple[int, int, int], shape: tuple[int, int, int] | None = None
    ) -> tuple[np.ndarray, str]:
        """Compute the PSF of each channel, as large as a stack of this shape needs, or of the given sides.

        Returns
        -------
        float32 array [channels, z, y, x]
            Each >= 0 and of sum 1; smaller ones are padded.
        str
            A sentence on the size.
        """
        if shape is not None:
            given = [microscope_psf_3d(shape=shape, step_z_nm=1000 * step_um, **vars(m)) for m in self.microscopes]
            return np.stack(given), f"The PSF has the given {'x'.join(map(str, shape))} voxels."
        supports = [choose_shape(m, step_um, image_shape, focus(m)) for m in self.microscopes]
        volumes = [
            microscope_psf_3d(shape=support.shape, step_z_nm=1000 * step_um, **vars(m))
            for m, support in zip(self.microscopes, supports, strict=True)
        ]
        sides = [max(each.shape[axis] for each in supports) for axis in range(3)]
        least = min(supports, key=lambda support: support.inside)
        told = replace(least, shape=(sides[0], sides[1], sides[2]))
        return np.stack([pad_to(each, sides) for each in volumes]), told.sentence


def complete(
    optics: Optics, file: OpticsMetadata, channels: int, voxel_um: tuple[float, float, float], voxel_source: str
) -> StackOptics:
    """Complete what is known of a microscope for a stack.

    Parameters
    ----------
    optics : Optics
        As given; it takes precedence.
    file : OpticsMetadata
        What the file of the stack says.
    channels : int
        Number of channels of the stack.
    voxel_um : (float, float, float)
        Sides of a voxel along z, y, x.
    voxel_source : str
        Where they come from, for the sentence.

    Raises
    ------
    InputError
        The aperture or an emission is not known, there are more or fewer wavelengths than channels, a value is out of
        range, or pixels are not square.
    """
    if max(voxel_um[1:]) > MAX_ASPECT_RATIO * min(voxel_um[1:]):
        raise InputError(
            f"A PSF from optics needs square pixels; got {voxel_um[1]:g} x {voxel_um[2]:g} um. Give a kernel instead."
        )
    kinds, kind_source = _kinds(optics, file, channels)
    na, na_source = _first((optics.na, "given"), (file.na, "file"))
    emission, emission_source = _wavelengths(optics.wavelength_nm, "emission_nm", file, channels)
    excitation, excitation_source = _wavelengths(optics.excitation_nm, "excitation_nm", file, channels)
    if None in emission and None not in excitation:
        photons = [2 if kind == "two-photon" else 1 for kind in kinds]
        emission = tuple(round(ex / n / EXCITATION_RATIO, 1) for ex, n in zip(excitation, photons, strict=True))
        emission_source = f"assumed from the excitation, {excitation_source}"
    _refuse_unknown(na, emission)
    assert na is not None
    own = medium_index(optics.immersion) if isinstance(optics.immersion, str) else optics.immersion
    index, index_source = _first((own, "given"), (file.immersion_index, "file"), (_usual_immersion(na), "assumed"))
    sample, sample_source = _first(
        (optics.sample_index, "given"), (index if index > DRY_INDEX else IMMERSIONS["water"], "assumed")
    )
    depth, depth_source = _first((optics.depth_um, "given"), (0.0, "assumed"))
    pinhole, pinhole_source = _first((optics.pinhole_au, "given"), (file.pinhole_au, "file"), (1.0, "assumed"))
    sheet, sheet_source = _first((optics.sheet_um, "given"), (Microscope.sheet_um, "assumed"))
    microscopes = tuple(
        Microscope(
            kind=kind, na=na, wavelength_nm=em, pixel_size_nm=1000 * (voxel_um[1] * voxel_um[2]) ** 0.5,
            immersion_index=index, sample_index=sample, depth_um=depth, pinhole_au=pinhole, excitation_nm=ex,
            sheet_um=sheet,
        )
        for kind, em, ex in zip(kinds, emission, excitation, strict=True)
    )  # fmt: skip
    if all(m == microscopes[0] for m in microscopes):
        microscopes = microscopes[:1]
    parts = [
        f"{_listed(kinds)} ({kind_source})", f"NA {na:g} ({na_source})",
        f"emission {_listed(emission)} nm ({emission_source})",
    ]  # fmt: skip
    if set(kinds) & set(WITH_EXCITATION):
        parts.append(f"excitation {_listed([m.excitation for m in microscopes])} nm ({excitation_source})")
    parts += [f"immersion {index:g} ({index_source})", f"sample {sample:g} ({sample_source})"]
    parts.append(f"depth {depth:g} um ({depth_source})")
    parts += [f"pinhole {pinhole:g} AU ({pinhole_source})"] if set(kinds) & set(WITH_PINHOLE) else []
    parts += [f"sheet {sheet:g} um ({sheet_source})"] if "light-sheet" in kinds else []
    parts.append(f"voxel {' x '.join(f'{side:.4g}' for side in voxel_um)} um ({voxel_source})")
    whose = f", one for all {channels} channels" if channels > 1 and len(microscopes) == 1 else ""
    return StackOptics(microscopes, f"PSF from optics{whose}: {', '.join(parts)}.")


def _first(*candidates: tuple[Any, str]) -> tuple[Any, str]:
    """Return the first value that is known, with its source."""
    return next((each for each in candidates if each[0] is not None), (None, ""))


def _kinds(optics: Optics, file: OpticsMetadata, channels: int) -> tuple[tuple[Kind, ...], str]:
    """Return the kind of microscope of each channel."""
    if optics.kind is not None:
        if optics.kind not in KINDS:
            raise InputError(f"There is no microscope of kind {optics.kind!r}; there are {', '.join(KINDS)}.")
        return (optics.kind,) * channels, "given"
    stated = [channel.kind for channel in file.channels]
    if len(stated) == 1:
        stated *= channels
    if len(stated) != channels or None in stated:
        return (KINDS[0],) * channels, "assumed"
    return tuple(stated), "file"  # type: ignore[arg-type]


def _wavelengths(
    given: float | Sequence[float] | None, name: str, file: OpticsMetadata, channels: int
) -> tuple[tuple[Any, ...], str]:
    """Return a wavelength of each channel, None where it is not known."""
    if given is not None:
        several = (given,) if isinstance(given, float) else tuple(given)
        if len(several) not in (1, channels):
            raise InputError(
                f"Got {len(several)} wavelengths ({_listed(several)} nm) for {channels} "
                f"channel{'s' if channels > 1 else ''}; give one for each, in their order."
            )
        return several * (channels if len(several) == 1 else 1), "given"
    stated = [getattr(channel, name) for channel in file.channels]
    if len(stated) == 1:
        stated *= channels
    if len(stated) != channels or None in stated:
        return (None,) * channels, "assumed"
    return tuple(stated), "file"


def _refuse_unknown(na: float | None, emission: Sequence[float | None]) -> None:
    """Raise InputError where what cannot be assumed is neither given nor in the file."""
    missing = [] if na is not None else ["the numerical aperture (na)"]
    missing += [] if None not in emission else ["the emission of each channel (wavelength_nm)"]
    if missing:
        raise InputError(f"A PSF from optics needs {' and '.join(missing)}, which the file does not say; give it.")


def _usual_immersion(na: float) -> float:
    """Return the refractive index of the immersion that objectives of this aperture usually have."""
    if na <= LARGEST_DRY_NA:
        return IMMERSIONS["air"]
    return IMMERSIONS["water" if na <= LARGEST_WATER_NA else "oil"]


def _listed(values: Sequence[Any]) -> str:
    """List values, equal ones once."""
    texts = [f"{value:g}" if isinstance(value, int | float) else str(value) for value in values]
    return texts[0] if len(set(texts)) == 1 else ", ".join(texts)
