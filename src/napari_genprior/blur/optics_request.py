"""What a user says of a microscope whose point spread function is to be computed for an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ..core.errors import InputError, short_repr
from ..core.optics_metadata import IMMERSIONS, medium_index
from .microscope import Kind


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
                several = tuple(_number(name, each) for each in (value if np.ndim(value) else (value,)))
                if not several:
                    raise InputError(f"{name} of optics must be a number, or one for each channel; got none.")
                object.__setattr__(self, name, several[0] if len(several) == 1 else several)
        for name in ("na", "sample_index", "depth_um", "pinhole_au", "sheet_um"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _number(name, value))
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


def _number(name: str, value: Any) -> float:
    """Return a number; InputError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise InputError(f"{name} of optics must be a number; got {short_repr(value)}.")
    return float(value)
