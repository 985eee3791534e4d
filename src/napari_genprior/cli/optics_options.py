"""Options that describe a microscope: of ``genprior kernel optics``, and beside ``--psf optics``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..core.errors import InputError
from ..core.optics_metadata import IMMERSIONS, KINDS, medium_index

if TYPE_CHECKING:
    from ..blur.optics_request import Optics

FIELDS = (
    "kind", "na", "wavelength_nm", "excitation_nm", "immersion", "sample_index", "depth_um", "pinhole_au", "sheet_um",
)  # fmt: skip
OLD_DEPTHS = ("planes", "volume")  # of the deprecated --depth, which was what --mode is now


def _wavelengths(_context: click.Context, _parameter: click.Parameter, text: str | None) -> tuple[float, ...] | None:
    """Read ``--wavelength`` and ``--excitation``."""
    if text is None:
        return None
    try:
        return tuple(float(each) for each in text.split(","))
    except ValueError as error:
        raise click.BadParameter(f"got {text!r}; allowed are nm, one for each channel, such as 520,600.") from error


def _immersion(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | float | None:
    """Read ``--immersion``."""
    if text is None or medium_index(text) is not None:
        return text
    try:
        return float(text)
    except ValueError as error:
        raise click.BadParameter(
            f"got {text!r}; allowed are {', '.join(IMMERSIONS)}, and a refractive index."
        ) from error


def _depth(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | float | None:
    """Read ``--depth``."""
    if text is None or text in OLD_DEPTHS:
        return text
    try:
        return float(text)
    except ValueError as error:
        raise click.BadParameter(f"got {text!r}; allowed is a number of um.") from error


# fmt: off
OPTICS_OPTIONS = (
    click.option("--modality", "kind", type=click.Choice(tuple(KINDS.values())),
                 help="Kind of the microscope.  [default: as the file says, otherwise widefield]"),
    click.option("--na", type=float, metavar="NUMBER",
                 help="Numerical aperture of the objective.  [default: as the file says]"),
    click.option("--wavelength", "wavelength_nm", callback=_wavelengths, metavar="NM[,NM...]",
                 help="Emission; of several channels one for each, or one for all.  [default: as the file says]"),
    click.option("--excitation", "excitation_nm", callback=_wavelengths, metavar="NM[,NM...]",
                 help="Excitation, likewise.  [default: as the file says, otherwise 0.92 times the emission, "
                      "two-photon twice as much]"),
    click.option("--immersion", callback=_immersion, metavar="MEDIUM",
                 help=f"Immersion: {', '.join(IMMERSIONS)}, or a refractive index.  [default: as the file says, "
                      "otherwise by aperture]"),
    click.option("--sample-index", type=float, metavar="NUMBER",
                 help="Refractive index of the sample.  [default: the immersion's, in air that of water]"),
    click.option("--depth", "depth_um", callback=_depth, metavar="UM",
                 help="Depth below the coverslip in um, for which the PSF is right.  [default: 0]"),
    click.option("--pinhole", "pinhole_au", type=float, metavar="AU",
                 help="Diameter of the pinholes in Airy units.  [default: as the file says, otherwise 1]"),
    click.option("--sheet", "sheet_um", type=float, metavar="UM",
                 help="Thickness of the light sheet in um, full width at half maximum.  [default: 4]"),
)
PSF_OPTION = click.option(
    "--psf", type=click.Choice(["optics"]),
    help="Compute the PSF of each channel from what the file says of the microscope, and from the options --modality "
         "to --sheet, and restore volumes with it.",
)
# fmt: on


def take_optics(given: dict[str, Any]) -> Optics:
    """Remove the options that describe a microscope from those that were given, and return what they describe."""
    from ..blur.optics_request import Optics

    return Optics(**{name: given.pop(name) for name in FIELDS if name in given})


def take_psf(given: dict[str, Any]) -> dict[str, Any]:
    """Remove ``--psf`` and the options that belong to it; return the argument ``kernel`` that they give."""
    if given.pop("psf", None) is None:
        used = [name for name in FIELDS if name in given]
        if used:
            raise InputError(
                "A numerical aperture, wavelengths and the like describe the PSF of --psf optics; give that too, or "
                "leave them out."
            )
        return {}
    if "kernel" in given:
        raise InputError("--psf optics computes the kernel, and --kernel gives another one; leave one of them out.")
    return {"kernel": take_optics(given)}
