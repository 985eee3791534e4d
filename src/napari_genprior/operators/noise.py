"""Estimate the noise of blurred images, and say which noise level a deconvolution assumes."""

from __future__ import annotations

from torch import Tensor

from .convolution import convolve, valid_part

LEAST_NOISE = 0.002  # of a given kernel and rounding

KERNEL_NOISE = 0.01  # an estimated kernel errs like at least this much noise, fraction of the range


def noise_std(image: Tensor) -> Tensor:
    """Standard deviation ``[R, C]`` of the white noise of images ``[R, C, Y, X]``.

    Median of the absolute diagonal second difference over 0.6745: edges are few, and a blurred image has hardly
    any detail that passes this filter.
    """
    corner = image[..., :-1, :-1] - image[..., 1:, :-1] - image[..., :-1, 1:] + image[..., 1:, 1:]
    return (corner / 2).abs().flatten(-2).median(-1).values / 0.6745


def residual_std(blurred: Tensor, image: Tensor, kernel: Tensor) -> float:
    """Root mean square of ``k * x - y`` where no unknown border takes part; one image and one kernel."""
    return float((convolve(image, kernel, "valid") - valid_part(blurred, kernel)).square().mean().sqrt())
