"""Complete the optics of a stack, from its user, its file, or usual values, and compute its point spread functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..core.optics_metadata import IMMERSIONS, OpticsMetadata, medium_index
from .microscope import EXCITATION_RATIO, KINDS, Kind, Microscope, focus, microscope_psf_3d
from .optics_request import Optics
from .optics_support import choose_shape
from .support import pad_to

LARGEST_DRY_NA, LARGEST_WATER_NA = 0.95, 1.2  # of objectives whose immersion is not stated
DRY_INDEX = 1.2  # a lower index is that of a gas, in which no sample is
WITH_EXCITATION, WITH_PINHOLE = ("confocal", "spinning-disk", "two-photon"), ("confocal", "spinning-disk")
WORDS = {
    "kind": "{}", "na": "NA {}", "wavelength_nm": "emission {} nm", "excitation_nm": "excitation {} nm",
    "immersion_index": "immersion {}", "sample_index": "sample {}", "depth_um": "depth {} um",
    "pinhole_au": "pinhole {} AU", "sheet_um": "sheet {} um", "voxel": "voxel {} um",
}  # fmt: skip
MAX_ASPECT_RATIO = 1.05  # longer over shorter side, up to which a pixel counts as square


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
    excitation, excitation_source = _wavelengths(optics.excitation_nm, "excitation_nm", file, channels)
    emission, emission_source = _wavelengths(optics.wavelength_nm, "emission_nm", file, channels)
    if None in emission and None not in excitation:
        photons = [2 if kind == "two-photon" else 1 for kind in kinds]
        emission = tuple(round(ex / n / EXCITATION_RATIO, 1) for ex, n in zip(excitation, photons, strict=True))
        emission_source = f"assumed from the excitation, {excitation_source}"
    known = _known(optics, file)
    _refuse_unknown(known["na"][0], emission)
    shared = {name: value for name, (value, _) in known.items()}
    pixel_size_nm = 1000 * (voxel_um[1] * voxel_um[2]) ** 0.5
    every = tuple(
        Microscope(kind=kind, wavelength_nm=em, excitation_nm=ex, pixel_size_nm=pixel_size_nm, **shared)
        for kind, em, ex in zip(kinds, emission, excitation, strict=True)
    )
    microscopes = every[:1] if all(m == every[0] for m in every) else every
    lists = {
        "kind": (_listed(kinds), kind_source), "wavelength_nm": (_listed(emission), emission_source),
        "excitation_nm": (_listed([m.excitation for m in microscopes]), excitation_source),
        "voxel": (" x ".join(f"{side:.4g}" for side in voxel_um), voxel_source),
    }  # fmt: skip
    whose = f", one for all {channels} channels" if channels > 1 and len(microscopes) == 1 else ""
    return StackOptics(microscopes, f"PSF from optics{whose}: {_told(known | lists, kinds)}.")


def _known(optics: Optics, file: OpticsMetadata) -> dict[str, tuple[Any, str]]:
    """Return the values that all channels share, by their names in :class:`Microscope`, with their sources."""
    na = _first((optics.na, "given"), (file.na, "file"))
    own = medium_index(optics.immersion) if isinstance(optics.immersion, str) else optics.immersion
    index = _first((own, "given"), (file.immersion_index, "file"), (_usual_immersion(na[0] or 0.0), "assumed"))
    usual_sample = index[0] if index[0] > DRY_INDEX else IMMERSIONS["water"]
    return {
        "na": na,
        "immersion_index": index,
        "sample_index": _first((optics.sample_index, "given"), (usual_sample, "assumed")),
        "depth_um": _first((optics.depth_um, "given"), (0.0, "assumed")),
        "pinhole_au": _first((optics.pinhole_au, "given"), (file.pinhole_au, "file"), (1.0, "assumed")),
        "sheet_um": _first((optics.sheet_um, "given"), (Microscope.sheet_um, "assumed")),
    }


def _told(values: dict[str, tuple[Any, str]], kinds: Sequence[Kind]) -> str:
    """List the values that count for these kinds of microscopes, each with its source."""
    counts = {
        "excitation_nm": set(kinds) & set(WITH_EXCITATION), "pinhole_au": set(kinds) & set(WITH_PINHOLE),
        "sheet_um": "light-sheet" in kinds,
    }  # fmt: skip
    return ", ".join(
        words.format(_listed([values[name][0]])) + f" ({values[name][1]})"
        for name, words in WORDS.items()
        if counts.get(name, True)
    )


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
        raise InputError(
            f"A PSF from optics needs {' and '.join(missing)}, which is neither given nor stated by a file; give it."
        )


def _usual_immersion(na: float) -> float:
    """Return the refractive index of the immersion that objectives of this aperture usually have."""
    if na <= LARGEST_DRY_NA:
        return IMMERSIONS["air"]
    return IMMERSIONS["water" if na <= LARGEST_WATER_NA else "oil"]


def _listed(values: Sequence[Any]) -> str:
    """List values, equal ones once."""
    texts = [f"{value:g}" if isinstance(value, int | float) else str(value) for value in values]
    return texts[0] if len(set(texts)) == 1 else ", ".join(texts)
