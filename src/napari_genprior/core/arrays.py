"""The border between users' arrays and torch: shapes, intensity range, device, seeds.

Inside the package an image is a float32 tensor ``[R, C, Y, X]`` (R: restarts) in *working units*,
where the input's usable range is about [0, 1]; outside it is whatever the user brought.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from .errors import DeviceError, InputError, short_repr

LARGEST, SMALLEST_RANGE = 1e37, 1e-35  # of images: what float32 can hold, with room for what lies between
MIN_SIDE = 8  # px; below this no kernel but the single point fits with room to spare


@dataclass(frozen=True)
class Intensity:
    """How an image's own intensities map to working units: ``working = (own - offset) / scale``.

    ``low`` and ``high`` bound what the image's type can hold (own units, None: unbounded),
    so that a restored image never leaves the range its input could have had. Of a ``coded`` image the scaled values
    are the sRGB code of light (IEC 61966-2-1), and working units are light.
    """

    offset: float
    scale: float
    low: float | None
    high: float | None
    coded: bool = False

    @classmethod
    def of(cls, image: np.ndarray, absolute: bool = False, coded: bool = False) -> Intensity:
        """Read the range off an image: 8-bit images use their full range, floats that use more than half of
        [0, 1] and no more have just that range, all others range up to their maximum.

        With ``absolute``, for priors that know how bright their images are, any floats in [0, 1] have that range.
        """
        return replace(cls.between(image.dtype, float(image.min()), float(image.max()), absolute), coded=coded)

    @classmethod
    def between(cls, dtype: np.dtype, smallest: float, largest: float, absolute: bool = False) -> Intensity:
        """As :meth:`of`, for an image whose extremes are known."""
        offset = min(0.0, smallest)
        scale = 255.0 if dtype == np.uint8 else largest - offset
        if dtype.kind == "f" and smallest >= 0 and (0 if absolute else 0.5) < largest <= 1:
            scale = 1.0
        if dtype.kind == "u":
            high = float(np.iinfo(dtype).max)
            return cls(offset, scale, 0.0, high)
        return cls(offset, scale, None if smallest < 0 else 0.0, None)

    def to_working(self, own: np.ndarray) -> np.ndarray:
        scaled = (np.asarray(own, dtype=np.float64) - self.offset) / self.scale
        return (_decoded(scaled) if self.coded else scaled).astype(np.float32)

    def to_native(self, working: np.ndarray) -> np.ndarray:
        scaled = _coded(working) if self.coded else working
        own = np.asarray(scaled, dtype=np.float32) * np.float32(self.scale) + np.float32(self.offset)
        return np.clip(own, self.low, self.high) if (self.low, self.high) != (None, None) else own

    def slope(self, working: np.ndarray) -> np.ndarray:
        """Own units for each working unit, at working values: what a small difference comes to."""
        if not self.coded:
            return np.full_like(working, self.scale)
        step = 1e-4
        return (_coded(working + step) - _coded(working - step)) / (2 * step) * self.scale


def _decoded(code: np.ndarray) -> np.ndarray:
    """Light from its sRGB code; beyond 1 the curve goes on, below 0 its straight part."""
    return np.where(code <= 0.04045, code / 12.92, ((np.maximum(code, 0) + 0.055) / 1.055) ** 2.4)


def _coded(light: np.ndarray) -> np.ndarray:
    """The inverse of :func:`_decoded`."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055)


def half_spectrum_weights(width: int, device: torch.device) -> torch.Tensor:
    """How many frequencies a column of a half spectrum stands for, ``[width // 2 + 1]``: 2, its own mirror image 1."""
    weights = torch.full((width // 2 + 1,), 2.0, device=device)
    weights[0] = 1.0
    if width % 2 == 0:
        weights[-1] = 1.0
    return weights


def low_spectrum(spectrum: torch.Tensor, side: int) -> torch.Tensor:
    """The low half-spectrum ``[..., side, side // 2 + 1]`` of a larger one ``[..., Y, X // 2 + 1]``; side even."""
    half = side // 2
    rows = torch.cat([spectrum[..., :half, : half + 1], spectrum[..., -half:, : half + 1]], -2)
    if side < spectrum.shape[-2]:
        rows[..., half, :] = 0  # the highest frequency has no partner on one side
        rows[..., :, half] = 0
    return rows


def lowpass(planes: torch.Tensor, side: int) -> torch.Tensor:
    """Images ``[..., Y, X]`` low-passed to ``[..., side, side]``, same grey values."""
    low = low_spectrum(torch.fft.rfft2(planes, norm="forward"), side)
    return torch.fft.irfft2(low, s=(side, side), norm="forward")


def check_image(image: object, what: str = "image") -> np.ndarray:
    """Return ``image`` as a numeric array ``[Y, X]`` or ``[Y, X, C]`` (C = 3 or 4), or say what is wrong with it.

    Raises
    ------
    InputError
        Not numeric, wrong number of axes, empty, too small, not finite, or constant.
    """
    try:
        array = np.asarray(image)
    except Exception as error:  # any foreign array type may fail in its own way
        raise InputError(f"The {what} cannot be read as an array ({error}).") from error
    if array.dtype.kind not in "uif":
        raise InputError(f"The {what} has data type {array.dtype}; integers or floats are needed.")
    colour = array.ndim == 3 and array.shape[-1] in (3, 4)
    if not (array.ndim == 2 or colour):
        raise InputError(
            f"The {what} has {array.ndim} axes (shape {array.shape}); allowed are [Y, X] or [Y, X, 3 or 4] (RGB(A)). "
            "For stacks and volumes there is deblur_stack, which asks what the axes mean."
        )
    if array.size == 0:
        raise InputError(f"The {what} is empty (shape {array.shape}).")
    if min(array.shape[:2]) < MIN_SIDE:
        raise InputError(
            f"The {what} is {array.shape[0]}x{array.shape[1]} px; it must be {MIN_SIDE}x{MIN_SIDE} or more."
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        raise InputError(f"The {what} holds {bad} NaN or infinite values; replace them (numpy.nan_to_num) first.")
    colours = array[..., :3] if colour else array
    if colours.min() == colours.max():
        raise InputError(f"The {what} is constant ({colours.flat[0]} everywhere); there is nothing to restore.")
    least, most = float(colours.min()), float(colours.max())
    if array.dtype.kind == "f" and (max(abs(least), abs(most)) > LARGEST or most / 2 - least / 2 < SMALLEST_RANGE):
        raise InputError(
            f"The {what} has values from {least:g} to {most:g}; results are float32, which needs values up to "
            f"{LARGEST:g} and a range of {2 * SMALLEST_RANGE:g} or more. Scale it first."
        )
    return array


def check_kernel(kernel: object, what: str = "kernel") -> np.ndarray:
    """Return ``kernel`` as float32 ``[kh, kw]``, >= 0, sum 1, or say what is wrong with it.

    Raises
    ------
    InputError
        Not a 2-D array of finite numbers >= 0 with a positive sum.
    """
    array = np.asarray(kernel)
    if array.dtype.kind not in "uif" or array.ndim != 2 or array.size == 0:
        raise InputError(
            f"The {what} must be a 2-D array of numbers; got shape {array.shape}, data type {array.dtype}."
        )
    with np.errstate(over="ignore"):  # of a long double; it is told below
        array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise InputError(f"The {what} holds NaN or infinite values; all must be finite.")
    if array.min() < 0:
        raise InputError(f"The {what} has negative values (least {array.min():.3g}); all must be >= 0. Clip it first.")
    if array.max() <= 0:
        raise InputError(f"The {what} is zero everywhere; its sum must be positive.")
    array = array / array.max()  # sums of the largest and of the smallest numbers are none
    return (array / array.sum()).astype(np.float32)


def to_tensor(image: np.ndarray, intensity: Intensity, device: torch.device) -> torch.Tensor:
    """A checked image as a tensor ``[1, C, Y, X]`` in working units; an alpha channel is left out."""
    planes = image[None] if image.ndim == 2 else np.moveaxis(image[..., :3], -1, 0)
    return torch.from_numpy(np.ascontiguousarray(intensity.to_working(planes)))[None].to(device)


def to_image(tensor: torch.Tensor, intensity: Intensity, like: np.ndarray) -> np.ndarray:
    """The inverse of :func:`to_tensor`: float32, shape and units of ``like``; its alpha channel is carried over."""
    planes = intensity.to_native(tensor.detach()[0].cpu().numpy())
    if like.ndim == 2:
        return planes[0]
    colours = np.moveaxis(planes, 0, -1)
    return (
        np.concatenate([colours, like[..., 3:].astype(np.float32)], axis=-1) if like.shape[-1] == 4 else colours.copy()
    )


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: by its type, or in words, where MPS and the CPU have no type."""
    words = ("out of memory", "can't allocate memory", "not enough memory")
    kinds = (MemoryError, torch.OutOfMemoryError)  # also known as torch.cuda.OutOfMemoryError
    return isinstance(error, kinds) or any(word in str(error).lower() for word in words)


def resolve_device(name: str = "auto") -> torch.device:
    """Turn ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"`` into a device that is present.

    Raises
    ------
    DeviceError
        The name is unknown or this machine has no such device.
    """
    present = available_devices()
    if not isinstance(name, str):
        raise DeviceError(
            f"A device is named by a word; got {short_repr(name)}. There are: auto, {', '.join(present)}."
        )
    if name == "auto":
        return torch.device(present[-1])
    if name not in present and name.split(":")[0] + ":0" not in present:
        raise DeviceError(f"Device {short_repr(name)} is not available; here there are: auto, {', '.join(present)}.")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        here = ", ".join(present)
        raise DeviceError(
            f"Device {short_repr(name)} cannot be used ({error}); here there are: auto, {here}."
        ) from error
    return device


def available_devices() -> list[str]:
    """Names of the usable devices, the preferred one last."""
    names = ["cpu"]
    if torch.backends.mps.is_available():
        names.append("mps")
    if torch.cuda.is_available():
        names += [f"cuda:{i}" for i in reversed(range(torch.cuda.device_count()))]
    return names


def cpu_generator(seed: int) -> torch.Generator:
    """A CPU generator: numbers are drawn on the CPU and then moved, so that a seed means the same on every device."""
    return torch.Generator(device="cpu").manual_seed(int(seed))


def normalize_kernels(kernels: torch.Tensor) -> torch.Tensor:
    """Kernels ``[R, C, kh, kw]`` made >= 0 and of sum 1: what every kernel generator ends with."""
    kernels = kernels.clamp(min=0)
    # the floor keeps a latent far outside the data from dividing by zero
    return kernels / kernels.sum(dim=(-3, -2, -1), keepdim=True).clamp(min=1e-6)


def check_fit(kernel_shape: tuple[int, ...], image_shape: tuple[int, ...]) -> None:
    """Raise InputError where a kernel of this shape is larger than the image."""
    if kernel_shape[0] > image_shape[0] or kernel_shape[1] > image_shape[1]:
        raise InputError(
            f"The kernel ({kernel_shape[0]}x{kernel_shape[1]} pixels) is larger than the image "
            f"({image_shape[0]}x{image_shape[1]}); use a smaller kernel or a larger image."
        )
