"""The picture for a given kernel: total variation of first and second order, with an unknown border."""

from __future__ import annotations

import torch
from torch import Tensor

from ..forward.convolve import transfer_function
from .borders import fast_side, smooth_wrap

STEPS = 50
LAM = 3e-4
SECOND = 0.5
RHO_DATA, RHO_TV = 1e-2, 1e-2


def derivs(shape, device):
    fy = torch.fft.fftfreq(shape[0], device=device)[:, None]
    fx = torch.fft.rfftfreq(shape[1], device=device)
    dy = torch.exp(2j * torch.pi * fy) - 1
    dx = torch.exp(2j * torch.pi * fx) - 1
    return dy.abs() ** 2 + dx.abs() ** 2


def first(x):
    return torch.stack([x.roll(-1, -2) - x, x.roll(-1, -1) - x])


def first_t(g):
    return g[0].roll(1, -2) - g[0] + g[1].roll(1, -1) - g[1]


def second(x):
    dyy = x.roll(-1, -2) + x.roll(1, -2) - 2 * x
    dxx = x.roll(-1, -1) + x.roll(1, -1) - 2 * x
    dx = x.roll(-1, -1) - x
    dxy = (dx.roll(-1, -2) - dx) * 2**0.5
    return torch.stack([dyy, dxx, dxy])


def second_t(h):
    a = h[0].roll(-1, -2) + h[0].roll(1, -2) - 2 * h[0] + h[1].roll(-1, -1) + h[1].roll(1, -1) - 2 * h[1]
    t = (h[2].roll(1, -2) - h[2]) * 2**0.5
    return a + t.roll(1, -1) - t


def shrink(v, t):
    n = v.square().sum(0, keepdim=True).sqrt()
    return v * (1 - t / n.clamp(min=t if t > 0 else 1e-12))


def noise_std(image: Tensor) -> Tensor:
    """[R, C] noise std from the diagonal second difference."""
    d = image[..., :-1, :-1] - image[..., 1:, :-1] - image[..., :-1, 1:] + image[..., 1:, 1:]
    d = d / 2
    return d.abs().flatten(-2).median(-1).values / 0.6745


def deconvolve(blurred: Tensor, kernel: Tensor, lam: float, steps: int = STEPS, boundary: str = "unknown") -> Tensor:
    R, C, H, W = blurred.shape
    kh, kw = kernel.shape[-2:]
    if boundary == "circular":
        shape, mask, canvas = (H, W), torch.ones_like(blurred), blurred
    else:
        canvas = smooth_wrap(blurred, (kh - 1 + 2, kw - 1 + 2))
        shape = canvas.shape[-2:]
        mask = torch.zeros(1, 1, *shape, device=blurred.device, dtype=blurred.dtype)
        mask[..., :H, :W] = 1
    K = transfer_function(kernel, shape)
    D = derivs(shape, blurred.device)
    denom = RHO_DATA * K.abs() ** 2 + RHO_TV * (D + SECOND**0 * D * D)
    denom[..., 0, 0] = denom[..., 0, 0].clamp(min=RHO_DATA)
    x = canvas
    kx = canvas
    u0 = torch.zeros_like(canvas)
    g1, g2 = first(x), second(x)
    u1, u2 = torch.zeros_like(g1), torch.zeros_like(g2)
    y = canvas * mask
    for _ in range(steps):
        v = (y + RHO_DATA * (kx + u0)) / (mask + RHO_DATA)
        d1, d2 = shrink(g1 + u1, lam / RHO_TV), shrink(g2 + u2, SECOND * lam / RHO_TV)
        u0 = u0 + kx - v
        u1 = u1 + g1 - d1
        u2 = u2 + g2 - d2
        rhs = RHO_DATA * K.conj() * torch.fft.rfft2(v - u0) + RHO_TV * torch.fft.rfft2(first_t(d1 - u1) + second_t(d2 - u2))
        X = rhs / denom
        x = torch.fft.irfft2(X, s=shape)
        kx = torch.fft.irfft2(X * K, s=shape)
        g1, g2 = first(x), second(x)
    return x[..., :H, :W]
