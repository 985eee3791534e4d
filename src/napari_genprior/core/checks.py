"""Check the arrays that users bring, before anything is computed."""

from __future__ import annotations

import numpy as np

from .errors import ConstantError, InputError

LARGEST, SMALLEST_RANGE = 1e37, 1e-35  # of images: limits of float32, with a margin for intermediate results
LEAST_CONTRAST = 2.0**-18  # of the largest value, so that float32 holds some tens of levels
LEAST_FINITE = 0.05  # share of the values of an image
MIN_PLANES = 3  # of a volume
MIN_SIDE = 8  # px; in smaller images only a point-like kernel fits with a margin


def check_image(image: object, what: str = "image", allow_missing: bool = False) -> np.ndarray:
    """Check an image and return it as a numeric array ``[Y, X]`` or ``[Y, X, C]`` (C = 3 or 4).

    Parameters
    ----------
    allow_missing : bool
        NaN and infinite values are allowed, if there are not too many of them.

    Raises
    ------
    InputError
        The image is not numeric, has a wrong number of axes, or is empty, too small, not finite or constant.
    """
    try:
        array = np.asarray(image)
    except Exception as error:  # array types of other packages may raise anything
        raise InputError(f"The {what} cannot be read as an array ({error}).") from error
    if array.dtype.kind not in "uif":
        raise InputError(f"The {what} has data type {array.dtype}; integers or floats are needed.")
    colour = array.ndim == 3 and array.shape[-1] in (3, 4)
    if not (array.ndim == 2 or colour):
        raise InputError(
            f"The {what} has {array.ndim} axes (shape {array.shape}); allowed are [Y, X] or [Y, X, 3 or 4] (RGB(A)). "
            "Of stacks and volumes, name the axes, such as axes='TYX'."
        )
    if array.size == 0:
        raise InputError(f"The {what} is empty (shape {array.shape}).")
    if min(array.shape[:2]) < MIN_SIDE:
        raise InputError(
            f"The {what} is {array.shape[0]}x{array.shape[1]} px; it must be {MIN_SIDE}x{MIN_SIDE} or more."
        )
    _check_values(array[..., :3] if colour else array, what, allow_missing)
    return array


def _check_values(values: np.ndarray, what: str, allow_missing: bool) -> None:
    """Refuse values that are not finite, constant, or not those of float32."""
    finite = values
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        finite = values[np.isfinite(values)]
        bad = values.size - finite.size
        if not allow_missing:
            raise InputError(f"The {what} holds {bad} NaN or infinite values; all must be finite.")
        if finite.size < LEAST_FINITE * values.size:
            raise InputError(f"Of the {values.size} values of the {what}, {bad} are NaN or infinite; too few are left.")
    least, most = finite.min(), finite.max()
    if least == most:
        raise ConstantError(f"The {what} is constant ({least} everywhere); there is nothing to restore.")
    check_range(values.dtype, float(least), float(most), what)


def check_range(dtype: np.dtype, least: float, most: float, what: str = "image") -> None:
    """Raise InputError where values are too large, or too close to each other, for float32."""
    if most - least < LEAST_CONTRAST * max(abs(least), abs(most)):
        raise InputError(
            f"The {what} has values from {least:.10g} to {most:.10g}, a contrast too small beside their size for "
            "float32, which results are. Subtract a constant first."
        )
    if dtype.kind == "f" and (max(abs(least), abs(most)) > LARGEST or most / 2 - least / 2 < SMALLEST_RANGE):
        raise InputError(
            f"The {what} has values from {least:g} to {most:g}; results are float32, which needs values up to "
            f"{LARGEST:g} and a range of {2 * SMALLEST_RANGE:g} or more. Scale it first."
        )


def check_kernel(kernel: object, what: str = "kernel") -> np.ndarray:
    """Check a kernel and return it as float32 ``[kh, kw]``, >= 0, sum 1.

    Raises
    ------
    InputError
        The kernel is not a 2-D array of finite numbers >= 0 with a positive sum.
    """
    array = np.asarray(kernel)
    if array.dtype.kind not in "uif" or array.ndim != 2 or array.size == 0:
        raise InputError(
            f"The {what} must be a 2-D array of numbers; got shape {array.shape}, data type {array.dtype}."
        )
    with np.errstate(over="ignore"):  # of long doubles, which are refused below
        array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise InputError(f"The {what} holds NaN or infinite values; all must be finite.")
    if array.min() < 0:
        raise InputError(f"The {what} has negative values (least {array.min():.3g}); all must be >= 0. Clip it first.")
    if array.max() <= 0:
        raise InputError(f"The {what} is zero everywhere; its sum must be positive.")
    array = array / array.max()  # sums of the largest and of the smallest numbers would over- or underflow
    return (array / array.sum()).astype(np.float32)


def check_volume_shape(shape: tuple[int, ...]) -> None:
    """Raise InputError where a volume ``(Z, Y, X)`` is too small."""
    if shape[0] < MIN_PLANES or min(shape[1:]) < MIN_SIDE:
        raise InputError(
            f"A volume needs {MIN_PLANES} planes and {MIN_SIDE} rows and columns or more; got {shape}. "
            "Deblur its planes instead."
        )


def check_volume(volume: object, allow_missing: bool = False) -> np.ndarray:
    """Check a volume as :func:`check_image` does an image and return it as a numeric array ``[Z, Y, X]``.

    Raises
    ------
    InputError
        The volume is not numeric, has a wrong number of axes, or is too small, not finite or constant.
    """
    array = np.asarray(volume)
    if array.dtype.kind not in "uif" or array.ndim != 3:
        raise InputError(
            f"A volume is an array [Z, Y, X] of numbers; got shape {array.shape}, data type {array.dtype}."
        )
    check_volume_shape(array.shape)
    _check_values(array, "volume", allow_missing)
    return array


def check_volume_kernel(kernel: object) -> np.ndarray:
    """Check a kernel of a volume and return it as float32 ``[kz, kh, kw]``, >= 0, sum 1.

    Raises
    ------
    InputError
        The kernel is not a 3-D array of finite numbers >= 0 with a positive sum.
    """
    array = np.asarray(kernel)
    if array.dtype.kind not in "uif" or array.ndim != 3 or array.size == 0:
        raise InputError(f"The kernel of a volume is an array [kz, kh, kw] of numbers; got shape {array.shape}.")
    array = array.astype(np.float64)
    if not np.isfinite(array).all() or array.min() < 0 or array.sum() <= 0:
        raise InputError("The kernel must be finite and >= 0 everywhere, and its sum positive. Clip it first.")
    array = array / array.max()
    return (array / array.sum()).astype(np.float32)


def is_colour(image: np.ndarray) -> bool:
    """Return whether an image ``[Y, X, 3 or 4]`` has colours; planes and volumes have none."""
    return image.ndim == 3 and image.shape[-1] in (3, 4)


def check_fit(kernel_shape: tuple[int, ...], image_shape: tuple[int, ...]) -> None:
    """Check that a kernel of this shape is not larger than the image; raises InputError."""
    if kernel_shape[0] > image_shape[0] or kernel_shape[1] > image_shape[1]:
        raise InputError(
            f"The kernel ({kernel_shape[0]}x{kernel_shape[1]} pixels) is larger than the image "
            f"({image_shape[0]}x{image_shape[1]}); use a smaller kernel or a larger image."
        )
