"""Map the intensities of images to working units and back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch


@dataclass(frozen=True)
class Intensity:
    """The mapping of native intensities to working units, ``working = (native - offset) / scale``.

    Parameters
    ----------
    offset, scale : float
        In native units.
    low, high : float or None
        Bounds of the image's data type in native units (None: unbounded), which a restored image does not exceed.
    coded : bool
        The scaled values are sRGB-encoded (IEC 61966-2-1); working units are proportional to light then.
    """

    offset: float
    scale: float
    low: float | None
    high: float | None
    coded: bool = False

    @classmethod
    def of(cls, image: np.ndarray, absolute: bool = False, coded: bool = False) -> Intensity:
        """Determine the intensity range of an image.

        8-bit images have their full range; floats with a maximum in (0.5, 1] have the range [0, 1]; the range of all
        others ends at their maximum. With ``absolute``, for priors of absolute brightness, all floats in [0, 1] have
        that range.
        """
        return replace(cls.between(image.dtype, float(image.min()), float(image.max()), absolute), coded=coded)

    @classmethod
    def between(cls, dtype: np.dtype, smallest: float, largest: float, absolute: bool = False) -> Intensity:
        """Determine the intensity range as :meth:`of` does, from the extremes of an image."""
        offset = min(0.0, smallest)
        scale = 255.0 if dtype == np.uint8 else largest - offset
        if dtype.kind == "f" and smallest >= 0 and (0 if absolute else 0.5) < largest <= 1:
            scale = 1.0
        if dtype.kind == "u":
            high = float(np.iinfo(dtype).max)
            return cls(offset, scale, 0.0, high)
        return cls(offset, scale, None if smallest < 0 else 0.0, None)

    def to_working(self, native: np.ndarray) -> np.ndarray:
        """Convert native intensities to working units, float32."""
        scaled = (np.asarray(native, dtype=np.float64) - self.offset) / self.scale
        return (_srgb_decode(scaled) if self.coded else scaled).astype(np.float32)

    def to_native(self, working: np.ndarray) -> np.ndarray:
        """Convert working units to native intensities, float32, clipped to the bounds of the data type."""
        scaled = _srgb_encode(working) if self.coded else working
        native = np.asarray(scaled, dtype=np.float32) * np.float32(self.scale) + np.float32(self.offset)
        return np.clip(native, self.low, self.high) if (self.low, self.high) != (None, None) else native

    def clamp(self, working: torch.Tensor) -> torch.Tensor:
        """Clamp working values to what the image's type can hold, as :meth:`to_native` does."""
        low, high = (
            None if bound is None else float(self.to_working(np.array(bound))) for bound in (self.low, self.high)
        )
        return working if low is None and high is None else working.clamp(low, high)

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
