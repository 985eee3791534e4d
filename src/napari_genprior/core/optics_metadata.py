"""Read from metadata what determines the point spread function: objective, wavelengths, kind of microscope."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from .units import MICROMETRES, unit_name

KINDS = {
    "WideField": "widefield", "LaserScanningConfocalMicroscopy": "confocal", "SpinningDiskConfocal": "spinning-disk",
    "MultiPhotonMicroscopy": "two-photon", "SPIM": "light-sheet",
}  # fmt: skip
IMMERSIONS = {"air": 1.0, "water": 1.333, "silicone": 1.406, "glycerol": 1.45, "oil": 1.515}  # refractive indices
OTHER_MEDIA = {"waterdipping": "water", "dry": "air", "glycerin": "glycerol", "silicon": "silicone"}
# names of other programs in the text of ImageJ files, in lower case without spaces and underscores
IMAGEJ_KEYS = {
    "na": "na", "numericalaperture": "na", "lensna": "na", "objectivena": "na", "objectivenumericalaperture": "na",
    "refractiveindex": "immersion_index", "immersionrefractiveindex": "immersion_index", "immersion": "immersion",
    "immersionmedium": "immersion", "emissionwavelength": "emission_nm", "excitationwavelength": "excitation_nm",
    "pinholeairy": "pinhole_au", "pinholeau": "pinhole_au", "acquisitionmode": "kind",
}  # fmt: skip
PER_CHANNEL, MOST_CHANNELS = ("kind", "emission_nm", "excitation_nm"), 1000
WAVELENGTHS_NM, APERTURES, INDICES, PINHOLES = (200.0, 4000.0), (0.02, 1.99), (1.0, 2.0), (0.05, 50.0)


@dataclass(frozen=True)
class ChannelOptics:
    """What a file says of the light of a channel; None: nothing.

    Attributes
    ----------
    kind : str or None
        "widefield", "confocal", "spinning-disk", "two-photon" or "light-sheet".
    emission_nm, excitation_nm : float or None
        Wavelengths.
    """

    kind: str | None = None
    emission_nm: float | None = None
    excitation_nm: float | None = None


@dataclass(frozen=True)
class OpticsMetadata:
    """What a file says of the microscope; None: nothing.

    Attributes
    ----------
    na : float or None
        Numerical aperture.
    immersion_index : float or None
        Refractive index of the immersion, stated, or that of the medium stated.
    pinhole_au : float or None
        Diameter of the pinhole in Airy units. One in um says nothing without the magnification up to it.
    channels : tuple of ChannelOptics
        In the order of axis C.
    """

    na: float | None = None
    immersion_index: float | None = None
    pinhole_au: float | None = None
    channels: tuple[ChannelOptics, ...] = ()


def optics_of_ome(text: str, number: int = 0) -> OpticsMetadata:
    """Read the optics of an image from OME-XML; raises errors of several types where it is unreadable."""
    root = ET.fromstring(text)
    images = _named(root, "Image")
    if not images:
        return OpticsMetadata()
    image = images[min(number, len(images) - 1)]
    pixels, settings = _first(image, "Pixels"), _first(image, "ObjectiveSettings")
    objective = _objective(root, image, settings.get("ID"))
    stated = _within(settings.get("RefractiveIndex"), INDICES)
    media = (settings.get("Medium"), objective.get("Immersion"))
    by_name = [index for index in map(medium_index, media) if index is not None]
    return OpticsMetadata(
        na=_within(objective.get("LensNA"), APERTURES),
        immersion_index=stated or next(iter(by_name), None),
        channels=tuple(
            ChannelOptics(
                KINDS.get(channel.get("AcquisitionMode", "")),
                _nanometres(channel, "EmissionWavelength"),
                _nanometres(channel, "ExcitationWavelength"),
            )
            for channel in _named(pixels, "Channel")
        ),
    )


def optics_of_imagej(info: str) -> OpticsMetadata:
    """Read the optics from the text of an ImageJ file, where its lines are plain: ``name = value`` or ``name: value``.

    The name may follow those of groups, and the number of a channel may follow it
    ("Image|Channel|EmissionWavelength #2 = 600"); a line without a number serves all channels. Lines that
    contradict each other say nothing.
    """
    found: dict[str, dict[int, set[str]]] = {}
    for line in info.splitlines():
        name, _, value = line.partition("=" if "=" in line else ":")
        word, _, number = name.rpartition("|")[2].lower().replace(" ", "").replace("_", "").partition("#")
        if word in IMAGEJ_KEYS and value.strip() and (number or "1").isdecimal():
            texts = found.setdefault(IMAGEJ_KEYS[word], {}).setdefault(int(number or "1"), set())
            texts.add(value.strip().removesuffix("nm").strip())

    def of_all(key: str) -> str | None:
        texts = set().union(*found.get(key, {}).values())
        return next(iter(texts)) if len(texts) == 1 else None

    def of_channel(key: str, channel: int) -> str:
        texts = found.get(key, {}).get(channel, set())
        return next(iter(texts)) if len(texts) == 1 else ""

    count = max((number for key in PER_CHANNEL for number in found.get(key, {})), default=0)
    return OpticsMetadata(
        _within(of_all("na"), APERTURES),
        _within(of_all("immersion_index"), INDICES) or medium_index(of_all("immersion")),
        _within(of_all("pinhole_au"), PINHOLES),
        tuple(
            ChannelOptics(
                KINDS.get(of_channel("kind", n)),
                _within(of_channel("emission_nm", n), WAVELENGTHS_NM),
                _within(of_channel("excitation_nm", n), WAVELENGTHS_NM),
            )
            for n in range(1, min(count, MOST_CHANNELS) + 1)
        ),
    )


def optics_of_omero(channels: Iterable[Mapping[str, Any]]) -> OpticsMetadata:
    """Read wavelengths from the channels of an OME-Zarr image, as OMERO writes them."""
    return OpticsMetadata(
        channels=tuple(
            ChannelOptics(
                None,
                _within(each.get("emissionWave"), WAVELENGTHS_NM),
                _within(each.get("excitationWave"), WAVELENGTHS_NM),
            )
            for each in channels
        )
    )


def medium_index(name: str | None) -> float | None:
    """Return the refractive index of a medium for immersion, by its name in any case; None for others."""
    word = (name or "").strip().lower()
    return IMMERSIONS.get(OTHER_MEDIA.get(word, word))


def _objective(root: ET.Element, image: ET.Element, identity: str | None) -> ET.Element:
    """Find the objective that an image names; else the only one of its instrument, or of all."""
    reference = _first(image, "InstrumentRef").get("ID")
    instruments = [each for each in _named(root, "Instrument") if reference in (None, each.get("ID"))]
    objectives = [each for instrument in instruments for each in _named(instrument, "Objective")]
    chosen = [each for each in objectives if each.get("ID") == identity] if identity else objectives
    return chosen[0] if len(chosen) == 1 else ET.Element("Objective")


def _named(parent: ET.Element, name: str) -> list[ET.Element]:
    return [each for each in parent if each.tag.rpartition("}")[2] == name]


def _first(parent: ET.Element, name: str) -> ET.Element:
    return next(iter(_named(parent, name)), ET.Element(name))


def _nanometres(channel: ET.Element, name: str) -> float | None:
    """Read a wavelength, which has a unit of its own."""
    unit = MICROMETRES.get(unit_name(channel.get(f"{name}Unit", "nm")) or "")
    try:
        length = float(channel.get(name, ""))
    except ValueError:
        return None
    return None if unit is None else _within(round(1000 * unit * length, 6), WAVELENGTHS_NM)


def _within(value: Any, bounds: tuple[float, float]) -> float | None:
    """Return a number within bounds; None for anything else, as files hold zeros and text for what is not known."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if isfinite(number) and bounds[0] <= number <= bounds[1] else None
