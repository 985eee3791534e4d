"""What the samples of a TIFF file mean: convert them to grey or RGB(A) as they show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .colour import cmyk_to_rgb, tiff_lab_to_rgb, ycbcr_to_rgb
from .errors import InputError
from .source import Bands
from .transparency import unpremultiply

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, INKS, YCBCR = 0, 1, 2, 3, 5, 6
CIELAB, ICCLAB, LINEAR_RAW = 8, 9, 34892
SENSOR_MOSAIC = 32803
JPEG = (6, 7, 33007, 34892)  # compressions whose YCbCr is decoded to RGB
BASE_SAMPLES = {RGB: 3, INKS: 4, YCBCR: 3, CIELAB: 3, ICCLAB: 3, LINEAR_RAW: 3}
PREMULTIPLIED, ALPHA = 1, 2


@dataclass(frozen=True)
class Samples:
    """The meaning of the samples of a pixel.

    Parameters
    ----------
    photometric : int
        As in TIFF.
    bits : int
        Of a sample.
    base : int
        Number of samples of the colour; those beyond are ``extra``.
    extra : tuple of int
        As in TIFF: 0 unspecified, 1 alpha that the colours were multiplied with, 2 alpha.
    colour_map : array or None
        uint16 [3, number of colours].
    profile : bytes or None
        ICC profile of inks.
    """

    photometric: int
    bits: int
    base: int
    extra: tuple[int, ...] = ()
    colour_map: np.ndarray | None = None
    profile: bytes | None = None

    @property
    def has_alpha(self) -> bool:
        """Whether there is one sample beyond the colour, and it is alpha."""
        return len(self.extra) == 1 and self.extra[0] in (PREMULTIPLIED, ALPHA)

    @property
    def as_stored(self) -> bool:
        """Whether samples show as they are stored."""
        return self.photometric in (BLACK_IS_ZERO, RGB) and self.bits >= 8 and self.extra != (PREMULTIPLIED,)

    @property
    def bands(self) -> Bands | None:
        """How bands that are neither grey nor colour are stored; None for grey and colour."""
        if self.photometric == BLACK_IS_ZERO and self.base == 1 and self.extra and not self.has_alpha:
            return Bands("minisblack", self.extra)
        return Bands("rgb", self.extra) if self.photometric == RGB and self.extra and not self.has_alpha else None

    @property
    def converted(self) -> bool:
        """Whether colours are others than stored, so that their profile does not hold for them."""
        return self.photometric in (INKS, CIELAB, ICCLAB, YCBCR)

    def result_of(self, shape: tuple[int, ...], dtype: np.dtype, axes: str) -> tuple[tuple[int, ...], np.dtype, str]:
        """Return shape, type and axes that :meth:`apply` makes of others."""
        tiny = self.apply(np.zeros((1, 1, shape[-1]) if axes.endswith("S") else (1, 1), dtype))
        space = shape[:-1] if axes.endswith("S") else shape
        return (*space, *tiny.shape[2:]), tiny.dtype, axes.removesuffix("S") + ("S" if tiny.ndim == 3 else "")

    def apply(self, stored: np.ndarray) -> np.ndarray:
        """Convert samples ``[...]`` or ``[..., S]`` to how they show."""
        samples, bits = stored, self.bits
        if self.photometric == PALETTE:
            return self._look_up(samples)
        if samples.dtype == bool:
            samples, bits = samples.astype(np.uint8) * np.uint8(255), 8
        elif bits < 8 and samples.dtype == np.uint8:
            samples, bits = samples * np.uint8(255 // (2**bits - 1)), 8
        colour = samples[..., : self.base] if self.extra else samples
        shown = self._shown(colour, bits)
        if shown is not colour and self.extra:
            shown = np.concatenate([shown, samples[..., self.base :].astype(shown.dtype)], -1)
        elif self.extra:
            shown = samples
        return unpremultiply(shown) if self.extra == (PREMULTIPLIED,) else shown

    def _look_up(self, indices: np.ndarray) -> np.ndarray:
        """Replace the indices of a palette by its colours, in 8 bits; greys alone stay grey."""
        assert self.colour_map is not None
        colours = (self.colour_map >> 8 if self.colour_map.max() > 255 else self.colour_map).astype(np.uint8)
        rgb = colours.T[np.minimum(indices.astype(np.intp), colours.shape[1] - 1)]
        return rgb[..., 0] if (colours == colours[0]).all() else rgb

    def _shown(self, colour: np.ndarray, bits: int) -> np.ndarray:
        """Convert the colour samples alone."""
        if self.photometric == WHITE_IS_ZERO:
            return (2**bits - 1 - colour.astype(np.int64)).astype(colour.dtype)
        if self.photometric == INKS:
            return cmyk_to_rgb(colour, self.profile)
        if self.photometric in (CIELAB, ICCLAB):
            return tiff_lab_to_rgb(colour, self.photometric == ICCLAB)
        return ycbcr_to_rgb(colour) if self.photometric == YCBCR else colour


def samples_of(page: Any, lookup_table: bool) -> Samples:
    """Read the meaning of the samples of a page.

    Parameters
    ----------
    page : tifffile.TiffPage
    lookup_table : bool
        The colour map is how grey values are to be shown, as ImageJ means it.

    Raises
    ------
    InputError
        Colours that cannot be converted.
    """
    photometric, count, bits = int(page.photometric), int(page.samplesperpixel), int(page.bitspersample)
    dtype, colour_map = np.dtype(page.dtype), page.colormap
    if photometric == YCBCR and int(page.compression) in JPEG:
        photometric = RGB
    if photometric == PALETTE and (lookup_table or colour_map is None or dtype.kind != "u" or count > 1):
        photometric = BLACK_IS_ZERO
    known = {WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, INKS, YCBCR, CIELAB, ICCLAB, LINEAR_RAW}
    measured = photometric in (INKS, CIELAB, ICCLAB, YCBCR, WHITE_IS_ZERO)
    if photometric not in known or (measured and dtype.kind not in "ub") or count < BASE_SAMPLES.get(photometric, 1):
        name = getattr(page.photometric, "name", str(page.photometric))
        hint = "develop it to RGB first" if photometric == SENSOR_MOSAIC else "save it as grey or RGB first"
        raise InputError(f"The file has colours of kind {name} ({count} of {dtype}), which are not read; {hint}.")
    base = BASE_SAMPLES.get(photometric, 1)
    photometric = RGB if photometric == LINEAR_RAW else photometric
    extra = tuple(int(kind) for kind in page.extrasamples)
    extra = (extra + (0,) * count)[: count - base]
    if photometric == INKS and extra and extra not in ((PREMULTIPLIED,), (ALPHA,)):
        raise InputError(f"The file has {count} inks; inks other than cyan, magenta, yellow and black are not read.")
    profile = page.iccprofile if photometric == INKS else None
    return Samples(photometric, bits, base, extra, colour_map if photometric == PALETTE else None, profile)
