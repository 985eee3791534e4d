"""Map the intensities of images to working units and back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

PEDESTAL = 0.5  # of the contrast: how far below the darkest value the working range begins
DIM = 0.5  # of the range of 8 bits: it shrinks with the maximum of an image below, without a jump between planes


@dataclass(frozen=True)
class Intensity:
    """The mapping of native intensities to working units, ``working = (native - offset) / scale``.

    Parameters
    ----------
    offset, scale : float
        In native units.
    low : float or None
        Native values of a restored image are not below; None: unbounded. There is no upper bound.
    coded : bool
        The scaled values are sRGB-encoded (IEC 61966-2-1); working units are proportional to light then.
    saturation : tuple of float
        Native value from which on each channel is clipped, infinite where none is; () where this was not asked.
    """

    offset: float
    scale: float
    low: float | None
    coded: bool = False
    saturation: tuple[float, ...] = ()

    @classmethod
    def of(cls, image: np.ndarray, absolute: bool = False, coded: bool = False) -> Intensity:
        """Determine the intensity range of an image without defects.

        8-bit images and floats in [0, 1] have their full range, unless their maximum is less than half of it. The
        range of all others ends at their maximum, and begins at 0 or, where a constant much larger than the contrast
        was added, somewhat below the minimum. With ``absolute``, for priors of absolute brightness, all floats in
        [0, 1] and all 8-bit images have that range.
        """
        return replace(cls.between(image.dtype, float(image.min()), float(image.max()), absolute), coded=coded)

    @classmethod
    def between(cls, dtype: np.dtype, smallest: float, largest: float, absolute: bool = False) -> Intensity:
        """Determine the intensity range as :meth:`of` does, from the extremes of an image."""
        low = None if smallest < 0 and dtype.kind != "u" else 0.0
        if dtype == np.uint8 and largest > 0:
            return cls(0.0, 255.0 if absolute else min(255.0, largest / DIM), low)
        if dtype.kind == "f" and smallest >= 0 and (0 if absolute else 0.5) < largest <= 1:
            return cls(0.0, 1.0, low)
        offset = min(smallest, max(0.0, smallest - PEDESTAL * (largest - smallest)))
        return cls(offset, largest - offset, low)

    def to_working(self, native: np.ndarray) -> np.ndarray:
        """Convert native intensities to working units, float32."""
        scaled = (np.asarray(native, dtype=np.float64) - self.offset) / self.scale
        return (_srgb_decode(scaled) if self.coded else scaled).astype(np.float32)

    def to_native(self, working: np.ndarray) -> np.ndarray:
        """Convert working units to native intensities, float32, not below the lower bound."""
        scaled = _srgb_encode(working) if self.coded else working
        native = np.asarray(scaled, dtype=np.float32) * np.float32(self.scale) + np.float32(self.offset)
        return native if self.low is None else np.maximum(native, np.float32(self.low))

    @property
    def lowest(self) -> float | None:
        """The lower bound in working units."""
        return None if self.low is None else float(self.to_working(np.array(self.low)))

    def clamp(self, working: torch.Tensor) -> torch.Tensor:
        """Clamp working values at the lower bound, as :meth:`to_native` does."""
        return working if self.lowest is None else working.clamp(min=self.lowest)

    def derivative(self, working: np.ndarray) -> np.ndarray:
        """Compute the derivative of native with respect to working units, at working values."""
        if not self.coded:
            return np.full_like(working, self.scale)
        step = 1e-4
        return (_srgb_encode(working + step) - _srgb_encode(working - step)) / (2 * step) * self.scale


def _srgb_decode(code: np.ndarray) -> np.ndarray:
    """Decode sRGB values to light; the power law is extended above 1, the linear part below 0."""
    return np.where(code <= 0.04045, code / 12.92, ((np.maximum(code, 0) + 0.055) / 1.055) ** 2.4)


def _srgb_encode(light: np.ndarray) -> np.ndarray:
    """Encode light as sRGB, the inverse of :func:`_srgb_decode`."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055)
