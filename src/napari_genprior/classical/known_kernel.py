"""The picture for a given kernel: total variation of first and second order, with an unknown border."""

from __future__ import annotations

import torch
from torch import Tensor

from ..forward.convolve import convolve, transfer_function
from ..forward.differences import differences, differences_adjoint, slope_power
from .seen import Seen, on_canvas

STEPS = 50
SECOND = 0.5  # weight of second-order over first-order total variation
# Penalties of the splitting set the speed, not the solution; these need a third of the steps that fixed ones did.
RHO_DATA = 0.04  # and less where the strength is above its reference
JUMP = 0.2  # strength over the other penalty: a step of the picture that is taken for an edge at once
LEAST_STRENGTH = 1e-7  # where none is wished, the splitting still needs some
REFERENCE = (0.01, 3e-4)  # at this noise (standard deviation) this strength restores simulated shakes best ...
POWER = 1.4  # ... and elsewhere it goes with this power of the noise


def noise_std(image: Tensor) -> Tensor:
    """Standard deviation ``[R, C]`` of the white noise of pictures ``[R, C, Y, X]``.

    Median of the absolute diagonal second difference over 0.6745: edges are few, and a blurred picture has hardly
    any detail that passes this filter.
    """
    corner = image[..., :-1, :-1] - image[..., 1:, :-1] - image[..., :-1, 1:] + image[..., 1:, 1:]
    return (corner / 2).abs().flatten(-2).median(-1).values / 0.6745


def residual_std(blurred: Tensor, image: Tensor, kernel: Tensor) -> float:
    """Root mean square of ``k * x - y`` where no unknown border takes part; one picture and one kernel."""
    return float((convolve(image, kernel, "valid") - valid_part(blurred, kernel)).square().mean().sqrt())


def valid_part(image: Tensor, kernel: Tensor) -> Tensor:
    """The part of ``[..., Y, X]`` that a "valid" convolution with a kernel ``[..., kh, kw]`` gives."""
    kh, kw = kernel.shape[-2:]
    top, left = kh - 1 - kh // 2, kw - 1 - kw // 2
    return image[..., top : image.shape[-2] - kh // 2, left : image.shape[-1] - kw // 2]


def strength_for(noise: float) -> float:
    """Weight of the total variation for a noise level, both for intensities in [0, 1]."""
    return REFERENCE[1] * (noise / REFERENCE[0]) ** POWER


def deconvolve(blurred: Tensor, kernel: Tensor, strength: float, steps: int = STEPS) -> Tensor:
    """Known-kernel solve: ``min_x |m (k * x - y)|^2 / 2 + strength (|D x|_1 + SECOND |D^2 x|_1)``.

    Parameters
    ----------
    blurred : Tensor [R, C, Y, X]
    kernel : Tensor [R, 1, kh, kw]
        >= 0, sum 1; either R may be 1. The mask m is 1 on the picture and 0 beyond it: there the data are unknown,
        and x is free.
    strength : float
        Total-variation weight, intensities in [0, 1]; see :func:`strength_for`.
    steps : int
        Of ADMM.

    Returns
    -------
    Tensor [R, C, Y, X]

    References
    ----------
    M. Almeida, M. Figueiredo, "Deconvolving images with unknown boundaries using the alternating direction method
    of multipliers", IEEE Trans. Image Processing 22(8), 2013.
    """
    seen = on_canvas(blurred, (kernel.shape[-2], kernel.shape[-1]))
    return least_variation(seen, kernel, strength, steps)[..., : blurred.shape[-2], : blurred.shape[-1]]


def least_variation(seen: Seen, kernel: Tensor, strength: float, steps: int = STEPS) -> Tensor:
    """:func:`deconvolve` on a canvas, ``[R, C, Y, X]``."""
    rho = max(strength, LEAST_STRENGTH) / JUMP
    rho_data = RHO_DATA * min(1.0, REFERENCE[1] / max(strength, LEAST_STRENGTH)) ** 0.4
    x, shape = seen.canvas, (seen.canvas.shape[-2], seen.canvas.shape[-1])
    transfer = transfer_function(kernel, shape)
    slope = slope_power(shape, x.device)
    denominator = rho_data * transfer.abs().square() + rho * (slope + slope.square())
    blurred_x = x
    g1, g2 = differences(x), _second(x)
    u0, u1, u2 = torch.zeros_like(x), torch.zeros_like(g1), torch.zeros_like(g2)
    for _ in range(steps):
        model = blurred_x + u0
        v = (seen.completed(model) + rho_data * model) / (1 + rho_data)
        d1, d2 = _shrunk(g1 + u1, strength / rho), _shrunk(g2 + u2, SECOND * strength / rho)
        u0, u1, u2 = u0 + blurred_x - v, u1 + g1 - d1, u2 + g2 - d2
        edges = torch.fft.rfft2(differences_adjoint(d1 - u1) + _second_adjoint(d2 - u2))
        spectrum = (rho_data * transfer.conj() * torch.fft.rfft2(v - u0) + rho * edges) / denominator
        x = torch.fft.irfft2(spectrum, s=shape)
        blurred_x = torch.fft.irfft2(spectrum * transfer, s=shape)
        g1, g2 = differences(x), _second(x)
    return x


def _second(x: Tensor) -> Tensor:
    """Second differences yy, xx and (sqrt 2 for counting twice) xy."""
    dyy = x.roll(-1, -2) + x.roll(1, -2) - 2 * x
    dxx = x.roll(-1, -1) + x.roll(1, -1) - 2 * x
    dx = x.roll(-1, -1) - x
    return torch.stack([dyy, dxx, (dx.roll(-1, -2) - dx) * 2**0.5])


def _second_adjoint(h: Tensor) -> Tensor:
    straight = h[0].roll(-1, -2) + h[0].roll(1, -2) - 2 * h[0] + h[1].roll(-1, -1) + h[1].roll(1, -1) - 2 * h[1]
    mixed = (h[2].roll(1, -2) - h[2]) * 2**0.5
    return straight + mixed.roll(1, -1) - mixed


def _shrunk(v: Tensor, threshold: float) -> Tensor:
    """Isotropic soft threshold of vectors along the first axis."""
    length = v.square().sum(0, keepdim=True).sqrt()
    return v * (1 - threshold / length.clamp(min=1e-12)).clamp(min=0)
