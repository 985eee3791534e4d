"""Deconvolution guided by a linear generator: the posterior mean of the image, with sparse edges.

With ``g = mu + B E[z | y, k]`` the generator's part of the posterior mean and S the spectrum of the generator's
residual,

    min_x |k * x - y|^2 / (2 s2) + sum_f |F(x - g)|^2 / (2 SLACK S) + weight TV(x) / s2,

periodic boundary, by the alternating direction method of multipliers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..deconvolution.total_variation import strength_for
from ..operators.convolution import transfer_function
from ..operators.finite_differences import differences, differences_adjoint, slope_power
from .gaussian_evidence import DataView, Gaussian, LinearEvidence

SLACK = 3.0  # factor on S: the residuals of a generator have heavy tails
STEPS = 30  # of ADMM
SMALLEST_POWER = 1e-8  # lower bound of SLACK S: tiny generators may leave no residual
STRENGTH = 4.0  # factor on the total variation of an unguided deconvolution: estimated kernels have errors
RHO = 10.0  # penalty of the splitting, times the weight over a usual difference: sets the speed, not the solution


def restore(
    net: Gaussian, blurred: Tensor, kernels: Tensor, noise: float, regularization: float
) -> tuple[Tensor, Tensor]:
    """Restore the image with each kernel.

    Parameters
    ----------
    net : Gaussian
        R local generators belong to the R kernels, one each.
    blurred : Tensor [1, C, Y, X]
        Working units; periodic boundary.
    kernels : Tensor [R, 1, kh, kw]
        >= 0, sum 1.
    noise : float
        Standard deviation, working units.
    regularization : float
        Strength of the total variation, as a multiple of the default for this noise level; 0: none.

    Returns
    -------
    Tensor, Tensor, both [R, C, Y, X]
        The restored images, and the generator's part of them.
    """
    evidence = LinearEvidence(net, blurred, DataView(net.latent, grey=False))
    _, z = evidence.posterior(kernels, noise)
    guide = net.linear(z)
    size = (blurred.shape[-2], blurred.shape[-1])
    transfer = transfer_function(kernels, size)
    scale = noise**2 / (SLACK * net.residual_spectrum).clamp(min=SMALLEST_POWER)
    slope = slope_power(size, blurred.device)
    weight = regularization * STRENGTH * strength_for(noise)
    rho = RHO * weight
    fixed = transfer.conj() * torch.fft.rfft2(blurred) + scale * torch.fft.rfft2(guide)
    denominator = transfer.abs().square() + scale
    x = torch.fft.irfft2(fixed / denominator, s=size)
    if not weight:
        return x, guide
    denominator = denominator + rho * slope
    u = torch.zeros(2, *x.shape, device=x.device)
    for _ in range(STEPS):
        gradient = differences(x) + u
        length = gradient.square().sum((0, 2), keepdim=True).sqrt()  # the channels share their edges
        shrunk = gradient * (1 - weight / rho / length.clamp(min=weight / rho))
        u = gradient - shrunk
        back = torch.fft.rfft2(differences_adjoint(shrunk - u))
        x = torch.fft.irfft2((fixed + rho * back) / denominator, s=size)
    return x, guide
