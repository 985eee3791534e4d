"""The image for a kernel, guided by a linear generator: its posterior mean, with edges kept sparse.

With ``g = mu + B E[z | y, k]`` the generator's part of the posterior mean and S the spectrum of what the generator
leaves of an image,

    min_x |k * x - y|^2 / (2 s2) + sum_f |F(x - g)|^2 / (2 SLACK S) + weight TV(x) / s2,

circular, by the alternating direction method of multipliers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..deconvolution.total_variation import strength_for
from ..operators.convolution import transfer_function
from ..operators.finite_differences import differences, differences_adjoint, slope_power
from .gaussian_evidence import Gaussian, LinearEvidence, View

SLACK = 3.0  # times S: what a generator leaves has heavy tails
STEPS = 30
SMALLEST_POWER = 1e-8  # of what a generator leaves: tiny ones may leave nothing
STRENGTH = 4.0  # of the total variation, as a multiple of what serves without a guide: kernels found err
RHO = 10.0  # penalty of the splitting, times the weight over a usual difference: it sets the speed, not the solution


def restore(net: Gaussian, blurred: Tensor, kernels: Tensor, noise: float, regularization: float) -> tuple[Tensor, Tensor]:
    """The restored image of each kernel and the generator's part of it, both ``[R, C, Y, X]``.

    Parameters
    ----------
    net : Gaussian
        R local ones belong to R kernels.
    blurred : Tensor [1, C, Y, X]
    kernels : Tensor [R, 1, kh, kw]
    noise : float
        Standard deviation, working units.
    regularization : float
        Strength of the total variation, as a multiple of what the noise asks for; 0: none.
    """
    evidence = LinearEvidence(net, blurred, View(net.latent, grey=False))
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
        kept = gradient * (1 - weight / rho / length.clamp(min=weight / rho))
        u = gradient - kept
        back = torch.fft.rfft2(differences_adjoint(kept - u))
        x = torch.fft.irfft2((fixed + rho * back) / denominator, s=size)
    return x, guide
