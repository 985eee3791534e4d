"""Solve for the free image of algorithm 2, for given kernels and generator images, with and without total variation.

References
----------
"Asim 2020": Asim, Shamshad and Ahmed, Blind image deconvolution using deep generative priors, IEEE TCI 2020.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..core.arrays import half_spectrum_weights
from ..operators.convolution import convolve, transfer_function
from ..operators.finite_differences import differences, differences_adjoint, slope_power
from ..settings import RelaxedSettings

STEPS = 60  # of ADMM
PENALTY = 0.02  # of the splitting: sets the speed, not the solution


def profile_objective(image: Tensor, kernel: Tensor, blurred: Tensor, s: RelaxedSettings) -> Tensor:
    """Evaluate the objective of algorithm 2 without total variation, minimized over the free image, ``[R]``.

    Parameters
    ----------
    image, kernel : Tensor [R, C, Y, X], [R, 1, kh, kw]
        g and k, the image and kernel of the generators.
    blurred : Tensor [1, C, Y, X]
        y; periodic boundary.
    s : RelaxedSettings

    Notes
    -----
    This is ``min over i of |y - i * k|^2 + t |i - g|^2 + zeta |y - g * k|^2`` with t = tau / (C Y X). The optimal i is
    ``(conj(k) y + t g) / (|k|^2 + t)`` at each frequency, which leaves ``(t / (|k|^2 + t) + zeta) |y - k g|^2``.
    """
    height, width = blurred.shape[-2:]
    power = transfer_function(kernel, (height, width)).abs().square()
    range_weight = s.range_weight / blurred[0].numel()
    weights = range_weight / (power + range_weight).clamp(min=1e-12) + s.generator_data_weight
    residual = torch.fft.rfft2(blurred - convolve(image, kernel), norm="ortho")
    counts = half_spectrum_weights(width, blurred.device)
    return (counts * weights * (residual.real.square() + residual.imag.square())).flatten(1).sum(1)


@torch.no_grad()
def solve_image(image: Tensor, kernel: Tensor, blurred: Tensor, s: RelaxedSettings) -> Tensor:
    """Solve for the free image, ``argmin over i of |y - i * k|^2 + t |i - g|^2 + rho |i|_tv``, by ADMM.

    Parameters
    ----------
    image, kernel : Tensor [R, C, Y, X], [R, 1, kh, kw]
        g and k, the image and kernel of the generators.
    blurred : Tensor [1, C, Y, X]
        y; periodic boundary.
    s : RelaxedSettings

    Returns
    -------
    Tensor [R, C, Y, X]
    """
    shape = (blurred.shape[-2], blurred.shape[-1])
    transfer = transfer_function(kernel, shape)
    range_weight = s.range_weight / blurred[0].numel()
    spectrum = 2 * transfer.conj() * torch.fft.rfft2(blurred) + 2 * range_weight * torch.fft.rfft2(image)
    denominator = 2 * transfer.abs().square() + 2 * range_weight + PENALTY * slope_power(shape, blurred.device)
    free = image
    split = differences(image)
    dual = torch.zeros_like(split)
    for _ in range(STEPS):
        edges = PENALTY * torch.fft.rfft2(differences_adjoint(split - dual))
        free = torch.fft.irfft2((spectrum + edges) / denominator, s=shape)
        gradient = differences(free)
        split = torch.nn.functional.softshrink(gradient + dual, s.total_variation / PENALTY)
        dual = dual + gradient - split
    return free
