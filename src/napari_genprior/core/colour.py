"""Convert colours of print and measurement to RGB as screens show them."""

from __future__ import annotations

import io

import numpy as np

# XYZ under D50 to linear sRGB, white points adapted by Bradford's method
SRGB_OF_XYZ_D50 = np.array(
    [[3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540], [0.0719453, -0.2289914, 1.4052427]]
)
D50 = np.array([0.96422, 1.0, 0.82521])


def full_range(dtype: np.dtype) -> float:
    """Return the value of white: the largest integer, or 1."""
    return float(np.iinfo(dtype).max) if dtype.kind in "ui" else 1.0


def cmyk_to_rgb(inks: np.ndarray, profile: bytes | None = None) -> np.ndarray:
    """Convert inks ``[..., 4]`` (0: none) to RGB of the same type, by their ICC profile where it can be used."""
    if profile is not None and inks.dtype == np.uint8 and inks.ndim == 3:
        from PIL import Image, ImageCms

        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            image = Image.fromarray(np.ascontiguousarray(inks), "CMYK")
            shown = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if shown is not None:
                return np.asarray(shown)
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # a damaged profile, or one of other colours
    white = full_range(inks.dtype)
    light = (1 - inks[..., :3] / white) * (1 - inks[..., 3:] / white) * white
    return _as(light, inks.dtype)


def lab_to_rgb(lightness: np.ndarray, a: np.ndarray, b: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Convert CIE L*a*b* (0 to 100, about -128 to 127, D50) to sRGB ``[..., 3]``."""
    y = (lightness + 16) / 116
    cubes = np.stack([y + a / 500, y, y - b / 200], -1)
    xyz = np.where(cubes > 6 / 29, cubes**3, 3 * (6 / 29) ** 2 * (cubes - 4 / 29)) * D50
    linear = np.clip(xyz @ SRGB_OF_XYZ_D50.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return _as(encoded * full_range(dtype), dtype)


def tiff_lab_to_rgb(samples: np.ndarray, icc: bool) -> np.ndarray:
    """Convert the samples of a TIFF file, ``[..., 3]`` unsigned, to RGB of the same type.

    Parameters
    ----------
    icc : bool
        a* and b* have an offset (ICCLAB), else they are two's complement (CIELAB).
    """
    dtype = samples.dtype
    levels = float(np.iinfo(dtype).max)
    one = 1.0 if dtype.itemsize == 1 else 256.0  # 16 bit: 256ths
    lightness = samples[..., 0] * (100 / levels) if not icc or dtype.itemsize == 1 else samples[..., 0] / 652.8
    signed = samples[..., 1:].astype(np.float64)
    signed = signed - 128 * one if icc else samples[..., 1:].astype(np.dtype(f"i{dtype.itemsize}")).astype(np.float64)
    return lab_to_rgb(lightness, signed[..., 0] / one, signed[..., 1] / one, dtype)


def ycbcr_to_rgb(samples: np.ndarray) -> np.ndarray:
    """Convert full-range YCbCr ``[..., 3]`` (ITU-R BT.601) to RGB of the same type."""
    white = full_range(samples.dtype)
    y, blue, red = (samples[..., n].astype(np.float64) for n in range(3))
    middle = (white + 1) / 2
    blue, red = blue - middle, red - middle
    rgb = np.stack([y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue], -1)
    return _as(np.clip(rgb, 0, white), samples.dtype)


def oriented(image: np.ndarray, orientation: int, rows: int) -> np.ndarray:
    """Turn an image upright; ``orientation`` is that of TIFF and EXIF (1 to 8), ``rows`` the axis of Y, X follows."""
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(rows, rows + 1)
    # where the first row and the first column of the stored image lie: after the swap, at the far ends
    flip_rows, flip_columns = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    if flip_rows:
        image = np.flip(image, rows)
    return np.flip(image, rows + 1) if flip_columns else image


def _as(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return np.rint(values).astype(dtype) if dtype.kind in "ui" else values.astype(dtype)
