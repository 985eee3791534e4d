"""Simulate blurred images from sharp ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from . import blur
from .blur.camera_noise import add_noise
from .core.arrays import to_image, to_tensor
from .core.checks import check_fit, check_image, check_kernel
from .core.intensity import Intensity
from .operators.convolution import Boundary, convolve
from .settings import BlurSettings, NoiseSettings


@dataclass(frozen=True)
class Simulation:
    """A simulated blurred image and its ground truth.

    Parameters
    ----------
    blurred : float32 array
        Blurred image in the intensity scale of the sharp image, and of its shape; with boundary "valid" it is smaller
        by the kernel's border.
    kernel : float32 array [kh, kw]
        >= 0, sum 1.
    sharp : array
        The part of the sharp image that ``blurred`` covers, in its own data type.
    settings : NoiseSettings
    seed : int
    clipped : float
        Fraction of pixels that were changed by clipping.
    """

    blurred: np.ndarray
    kernel: np.ndarray
    sharp: np.ndarray
    settings: NoiseSettings
    seed: int
    clipped: float

    def __repr__(self) -> str:
        """Return shapes and settings; arrays are not printed."""
        size, kernel = ("x".join(map(str, array.shape)) for array in (self.blurred, self.kernel))
        noise, clipped = f"noise {self.settings.noise:g}", f"{self.clipped:.1%} of the pixels clipped"
        return f"<Simulation: blurred {size}, kernel {kernel}; {noise}, seed {self.seed}, {clipped}>"


def make_kernel(settings: BlurSettings, seed: int = 0) -> np.ndarray:
    """Make the kernel of these settings, float32 ``[kh, kw]``; ``seed`` is used for camera shake only."""
    s = settings
    match s.kind:
        case "motion":
            return blur.motion(s.length, s.angle_deg)
        case "shake":
            return blur.shake(s.length, seed)
        case "gaussian":
            return blur.gaussian(s.sigma_px, s.aspect, s.angle_deg)
        case "defocus":
            return blur.defocus(s.radius_px)
        case "box":
            return blur.box(s.length)
        case "blur-a":
            return blur.asim_a(s.angle_deg)
        case "blur-b":
            return blur.asim_b(s.angle_deg, s.sigma_px)


def simulate(
    image: np.ndarray,
    kernel: np.ndarray,
    noise: float = 0.01,
    seed: int = 0,
    *,
    photons: float = 0.0,
    boundary: Boundary = "reflect",
    clip: bool = True,
) -> Simulation:
    """Blur a sharp image: ``y = k * x + n``.

    Parameters
    ----------
    image : array [Y, X] or [Y, X, 3 or 4]
        Sharp image, any integer or float type, any range.
    kernel : array [kh, kw]
        >= 0; it is normalized to sum 1.
    noise : float
        Standard deviation of Gaussian noise as a fraction of the image's range.
    seed : int
        Equal seeds give equal noise.
    photons : float
        Number of photons at full scale, for Poisson noise; 0: no Poisson noise.
    boundary : {"circular", "valid", "reflect"}
        Extension of the image beyond its boundary: periodic, none (the result is smaller), or mirrored.
    clip : bool
        Clip to the range of the sharp image, as a camera does.

    Returns
    -------
    Simulation

    Raises
    ------
    InputError
        The image, kernel or a setting is unusable, or the kernel is larger than the image.

    Examples
    --------
    >>> import napari_genprior as gp
    >>> gp.simulate(gp.samples.cells(), gp.blur.motion(length=15, angle_deg=30), noise=0.01, seed=0).blurred.shape
    (256, 256)
    """
    settings = NoiseSettings.checked({"noise": noise, "photons": photons, "boundary": boundary, "clip": clip})
    sharp, kernel = check_image(image), check_kernel(kernel)
    check_fit(kernel.shape, sharp.shape)
    intensity = Intensity.of(sharp)
    tensor = to_tensor(sharp, intensity, torch.device("cpu")).double()
    blurred = convolve(tensor, torch.from_numpy(kernel)[None, None].double(), settings.boundary).numpy()
    noisy = add_noise(blurred, settings.noise, settings.photons, np.random.default_rng(seed))
    covered = _valid_region(sharp, kernel.shape) if settings.boundary == "valid" else sharp
    clipped = 0.0
    if settings.clip:
        low = (0.0 if intensity.low is None else intensity.low - intensity.offset) / intensity.scale
        end = float(np.iinfo(sharp.dtype).max) if sharp.dtype.kind == "u" else intensity.offset + intensity.scale
        high = (end - intensity.offset) / intensity.scale
        clipped = float(((noisy < low) | (noisy > high)).mean())
        noisy = np.clip(noisy, low, high)
    return Simulation(to_image(torch.from_numpy(noisy), intensity, covered), kernel, covered, settings, seed, clipped)


def _valid_region(sharp: np.ndarray, kernel_shape: tuple[int, ...]) -> np.ndarray:
    """Crop to the pixels under the kernel's centre in a valid convolution."""
    kh, kw = kernel_shape
    top, left = kh - 1 - kh // 2, kw - 1 - kw // 2
    return sharp[top : sharp.shape[0] - kh // 2, left : sharp.shape[1] - kw // 2]
