"""Convert checked arrays to tensors and back; choose devices and seeds.

Inside the package an image is a float32 tensor ``[R, C, (Z,) Y, X]`` (R: restarts) in *working units*, where the usable
range of the input is about [0, 1]. Users' arrays have *native units* and any numeric type.
"""

from __future__ import annotations

import numpy as np
import torch

from .checks import is_colour
from .errors import DeviceError, short_repr
from .intensity import Intensity


def half_spectrum_weights(width: int, device: torch.device) -> torch.Tensor:
    """Count the frequencies that each column of a half spectrum stands for, ``[width // 2 + 1]``: 2, or 1 if real."""
    weights = torch.full((width // 2 + 1,), 2.0, device=device)
    weights[0] = 1.0
    if width % 2 == 0:
        weights[-1] = 1.0
    return weights


def low_spectrum(spectrum: torch.Tensor, side: int) -> torch.Tensor:
    """Crop a half spectrum ``[..., Y, X // 2 + 1]`` to low frequencies, ``[..., side, side // 2 + 1]``; side even."""
    half = side // 2
    rows = torch.cat([spectrum[..., :half, : half + 1], spectrum[..., -half:, : half + 1]], -2)
    if side < spectrum.shape[-2]:
        rows[..., half, :] = 0  # the highest frequency is present with one sign only
        rows[..., :, half] = 0
    return rows


def lowpass(planes: torch.Tensor, side: int) -> torch.Tensor:
    """Low-pass filter and downsample images ``[..., Y, X]`` to ``[..., side, side]``, keeping grey values."""
    low = low_spectrum(torch.fft.rfft2(planes, norm="forward"), side)
    return torch.fft.irfft2(low, s=(side, side), norm="forward")


def to_tensor(image: np.ndarray, intensity: Intensity, device: torch.device) -> torch.Tensor:
    """Convert a checked image or volume to a tensor ``[1, C, (Z,) Y, X]`` in working units; alpha is left out."""
    planes = np.moveaxis(image[..., :3], -1, 0) if is_colour(image) else image[None]
    return torch.from_numpy(np.ascontiguousarray(intensity.to_working(planes)))[None].to(device)


def to_image(tensor: torch.Tensor, intensity: Intensity, like: np.ndarray) -> np.ndarray:
    """Convert a tensor back: float32, shape and units of ``like``, whose alpha channel is carried over."""
    planes = intensity.to_native(tensor.detach()[0].cpu().numpy())
    if not is_colour(like):
        return planes[0]
    colours = np.moveaxis(planes, 0, -1)
    if like.shape[-1] == 4:
        return np.concatenate([colours, like[..., 3:].astype(np.float32)], axis=-1)
    return colours.copy()


def kernel_to_tensor(kernel: np.ndarray, device: torch.device) -> torch.Tensor:
    """Convert a kernel to a tensor ``[1, 1, (kz,) kh, kw]``."""
    return torch.from_numpy(np.ascontiguousarray(kernel, dtype=np.float32))[None, None].to(device)


def to_kernel(tensor: torch.Tensor) -> np.ndarray:
    """Convert a kernel tensor ``[1, 1, (kz,) kh, kw]`` back: float32, >= 0, sum 1."""
    kernel = np.clip(tensor[0, 0].detach().cpu().numpy().astype(np.float64), 0, None)
    return (kernel / kernel.sum()).astype(np.float32)


def out_of_memory(error: BaseException) -> bool:
    """Tell whether an error means out of memory, by its type, or by its text (MPS and CPU have no type)."""
    words = ("out of memory", "can't allocate memory", "not enough memory")
    kinds = (MemoryError, torch.OutOfMemoryError)  # also known as torch.cuda.OutOfMemoryError
    return isinstance(error, kinds) or any(word in str(error).lower() for word in words)


def resolve_device(name: str = "auto") -> torch.device:
    """Turn ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"`` into a device that is present.

    Raises
    ------
    DeviceError
        The name is unknown, or this machine has no such device.
    """
    present = available_devices()
    if not isinstance(name, str):
        raise DeviceError(
            f"The device must be a string; got {short_repr(name)}. Available: auto, {', '.join(present)}."
        )
    if name == "auto":
        return torch.device(present[-1])
    if name not in present and name.split(":")[0] + ":0" not in present:
        raise DeviceError(f"Device {short_repr(name)} is not available. Available: auto, {', '.join(present)}.")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        here = ", ".join(present)
        raise DeviceError(f"Device {short_repr(name)} cannot be used ({error}). Available: auto, {here}.") from error
    return device


def available_devices() -> list[str]:
    """List the names of the usable devices, the preferred one last."""
    names = ["cpu"]
    if torch.backends.mps.is_available():
        names.append("mps")
    if torch.cuda.is_available():
        names += [f"cuda:{i}" for i in reversed(range(torch.cuda.device_count()))]
    return names


def cpu_generator(seed: int) -> torch.Generator:
    """Make a seeded random generator on the CPU, so that random numbers are the same for all devices."""
    return torch.Generator(device="cpu").manual_seed(int(seed))


def normalize_kernels(kernels: torch.Tensor) -> torch.Tensor:
    """Normalize kernels ``[R, C, kh, kw]`` to values >= 0 and sum 1, the last step of every kernel generator."""
    kernels = kernels.clamp(min=0)
    # the lower bound avoids a division by zero for latents far from the training data
    return kernels / kernels.sum(dim=(-3, -2, -1), keepdim=True).clamp(min=1e-6)
