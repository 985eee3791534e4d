"""Least-squares fit of a kernel to the gradients of a sharp and a blurred image, with and without a bound at 0."""

from __future__ import annotations

import math

import torch
from torch import Tensor

KERNEL_STEPS, FREE_STEPS = 60, 40  # iterations of the fits with and without the bound
CONVERGED = 1e-8  # squared residual over the squared right-hand side


def fit_kernel(edges: Tensor, target: Tensor, start: Tensor, ridge: float, steps: int = KERNEL_STEPS) -> Tensor:
    """Solve the kernel step by non-negative least squares, with accelerated projected gradients.

    Parameters
    ----------
    edges : Tensor [1, 2 P, Y, X]
        Gradients of the sharp image, or of all that share the kernel.
    target : Tensor [1, 2 P, Y, X // 2 + 1]
        Spectrum of the gradients of the blurred images.
    start : Tensor [1, 1, kh, kw]
        Initial kernel, which also sets the support.
    ridge : float
        gamma.

    Returns
    -------
    Tensor [1, 1, kh, kw]
        >= 0, not normalized.
    """
    normal, right, size = normal_equations(edges, target, (start.shape[-2], start.shape[-1]))
    kh, kw = start.shape[-2:]
    step = 1 / (normal.abs().max() + ridge)
    k, extrapolated, t = start, start, 1.0
    for _ in range(steps):
        spread = torch.fft.irfft2(normal * torch.fft.rfft2(extrapolated, s=size), s=size)[..., :kh, :kw]
        new = (extrapolated - step * (spread + ridge * extrapolated - right)).clamp(min=0)
        t_new = (1 + math.sqrt(1 + 4 * t * t)) / 2
        extrapolated = new + (t - 1) / t_new * (new - k)
        k, t = new, t_new
    return k


def fit_kernel_unconstrained(
    edges: Tensor, target: Tensor, start: Tensor, ridge: float, steps: int = FREE_STEPS
) -> Tensor:
    """Solve :func:`fit_kernel` without the bound, by conjugate gradients; negative values are set to 0 at the end."""
    normal, right, size = normal_equations(edges, target, (start.shape[-2], start.shape[-1]))
    kh, kw = start.shape[-2:]

    def applied(k: Tensor) -> Tensor:
        return torch.fft.irfft2(normal * torch.fft.rfft2(k, s=size), s=size)[..., :kh, :kw] + ridge * k

    k, r = start, right - applied(start)
    p, power = r, r.square().sum()
    for _ in range(steps):
        if not power > CONVERGED * right.square().sum():
            break
        spread = applied(p)
        step = power / (p * spread).sum()
        k, r = k + step * p, r - step * spread
        before, power = power, r.square().sum()
        p = r + power / before * p
    return k.clamp(min=0)


def normal_equations(edges: Tensor, target: Tensor, support: tuple[int, int]) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """Set up least squares on a support: spectrum of the normal matrix, right-hand side, size of that spectrum's FFT.

    The matrix depends on differences of pixel positions only: it is applied by an FFT just large enough for them.
    """
    kh, kw = support
    spectra = torch.fft.rfft2(edges)
    shape = edges.shape[-2:]
    auto = torch.fft.irfft2(spectra.abs().square().sum(1, keepdim=True), s=shape)
    cross = torch.fft.irfft2((spectra.conj() * target).sum(1, keepdim=True), s=shape)
    size = (2 * kh - 1, 2 * kw - 1)
    lags = auto.roll((kh - 1, kw - 1), (-2, -1))[..., : size[0], : size[1]]
    normal = torch.fft.rfft2(lags.roll((1 - kh, 1 - kw), (-2, -1)))
    return normal, cross.roll((kh // 2, kw // 2), (-2, -1))[..., :kh, :kw], size
