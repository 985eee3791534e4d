"""Estimate the noise of blurred images and volumes, and say which noise level a deconvolution assumes."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

from torch import Tensor
from torch.nn.functional import max_pool2d

from .convolution import convolve, valid_part
from .observed import Observed, as_observed

LEAST_NOISE = 0.002  # standard deviation, fraction of the range: errors of a given kernel, and rounding
KERNEL_NOISE = 0.01  # an estimated kernel errs like at least this much noise
MIN_NOISE_STD = 1e-4  # data of a volume are never trusted further
ROUNDING_STD = 12**-0.5  # of rounding to integers
FLAT_FRACTION = 0.2  # of an image that has one value over areas of 4x4 pixels; less is chance


@dataclass(frozen=True)
class NoiseModel:
    """Variance of the data, ``gain * mean + read_variance``: gain 0 is Gaussian noise, read variance 0 Poisson."""

    gain: float
    read_variance: float

    def variance(self, mean: Tensor) -> Tensor:
        """Compute the variance at each pixel, from its mean."""
        return self.gain * mean.clamp(min=0) + self.read_variance

    def mean_variance(self, image: Tensor) -> float:
        """Compute the mean variance over an image."""
        mean = float(self.variance(image).mean()) if self.gain else self.read_variance
        return max(mean, MIN_NOISE_STD**2)


def effective_noise(noise: float, kernel_given: bool) -> float:
    """Return the noise level that a deconvolution assumes: the measured one, or what the kernel errs like.

    Parameters
    ----------
    noise : float
        Measured standard deviation, fraction of the range.
    kernel_given : bool
        The user vouches for the kernel; otherwise it is an estimate.
    """
    return max(noise, LEAST_NOISE if kernel_given else KERNEL_NOISE)


def noise_level(image: Tensor | Observed) -> float:
    """Estimate the noise of images: the root mean square over the channels that are not empty, working units.

    It is at least what rounding to the image's least difference of two values adds.
    """
    seen = as_observed(image)
    std = noise_std(seen.values, seen.masked)
    textured = seen.values.flatten(2).amax(-1) > seen.values.flatten(2).amin(-1)
    measured = float(std[textured].square().mean().sqrt()) if textured.any() else 0.0
    return max(measured, seen.step * ROUNDING_STD)


def noise_std(image: Tensor, masked: Tensor | None = None) -> Tensor:
    """Estimate the standard deviation ``[R, C]`` of the white noise of images ``[R, C, Y, X]``.

    Median of the absolute diagonal second difference over 0.6745: edges are few, and a blurred image has hardly
    any detail that passes this filter. Masked pixels do not count; nor do areas of one value, which have no noise, if
    they are large.
    """
    corner = mixed_difference(image).abs()
    left_out = flat_areas(image)
    few = left_out.flatten(-2).float().mean(-1) < FLAT_FRACTION
    left_out = left_out & ~few[..., None, None]
    if masked is not None:
        left_out = left_out | any_of_four(masked)
    if not left_out.any():
        return corner.flatten(-2).median(-1).values / 0.6745
    median = corner.masked_fill(left_out, nan).flatten(-2).nanmedian(-1).values
    return median.nan_to_num(0.0) / 0.6745


def residual_std(blurred: Tensor, image: Tensor, kernel: Tensor) -> float:
    """Compute the root mean square of ``k * x - y`` where no unknown border takes part; one image and one kernel."""
    return float((convolve(image, kernel, "valid") - valid_part(blurred, kernel)).square().mean().sqrt())


def mixed_difference(image: Tensor) -> Tensor:
    """Compute the difference along both axes of squares of four pixels, which keeps the variance of white noise."""
    return (image[..., :-1, :-1] - image[..., 1:, :-1] - image[..., :-1, 1:] + image[..., 1:, 1:]) / 2


def flat_areas(image: Tensor) -> Tensor:
    """Mark the squares of four pixels, ``[R, C, Y - 1, X - 1]``, that lie in areas of 4x4 pixels of one value."""
    right, down = image.diff(dim=-1) != 0, image.diff(dim=-2) != 0
    varied = (right[..., 1:, :] | right[..., :-1, :] | down[..., 1:] | down[..., :-1]).float()
    return max_pool2d(varied, 3, 1, 1) == 0


def any_of_four(masked: Tensor) -> Tensor:
    """Mark the squares of four pixels, ``[R, C, Y - 1, X - 1]``, any of which is masked."""
    rows = masked[..., 1:, :] | masked[..., :-1, :]
    return rows[..., 1:] | rows[..., :-1]
