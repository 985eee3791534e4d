"""Blind kernel estimation, coarse to fine, with an L0 gradient prior on the picture.

Notes
-----
Two steps take turns at each level of a pyramid [1]_ [2]_:

.. math:: x = argmin_x |k * x - y|^2 + \\lambda |\\nabla x|_0,
          k = argmin_{k >= 0} |w (k * \\nabla x - \\nabla y)|^2 + \\gamma |k|^2

The picture is made of few strong edges, on purpose not natural: what is weaker than the edges that fix
the kernel would only let the blur itself pass as a solution. The weight w falls to 0 at the picture's border,
beyond which nothing is known: without it the seams of the periodic picture spoil the kernel by decibels.

References
----------
.. [1] L. Xu, S. Zheng, J. Jia, "Unnatural L0 sparse representation for natural image deblurring", CVPR 2013.
.. [2] J. Anger, G. Facciolo, M. Delbracio, "Blind image deblurring using the l0 gradient prior", IPOL 2019.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..forward.convolve import transfer_function
from .borders import on_canvas, smooth_wrap
from .kernel_shape import centred, cleaned, fitted, odd, resized, trimmed

PYRAMID_STEP = math.sqrt(2)
COARSEST = 3  # px, side of the kernel where the pyramid begins: there a delta is a fair start
SMALLEST_SIDE = 8  # px, of the picture at the coarsest level


@dataclass(frozen=True)
class Search:
    """Constants of one search; the defaults were tuned on bsd400 pictures under simulated shake."""

    lam_start: float = 8e-3  # weight of the L0 term, picture in [0, 1]; divided by lam_decay after each iteration
    lam_end: float = 4e-4
    lam_decay: float = 1.1
    noise_lam: float = 4.0  # lam is never below this times the noise variance
    iterations: int = 5  # per level
    beta_max: float = 10.0  # of the half-quadratic splitting; beyond it the edges no longer change
    beta_step: float = 2.0
    ridge: float = 10.0
    kernel_steps: int = 60
    clip: float = 0.1  # of the kernel's maximum; below it is noise
    least_mass: float = 0.1  # a separate part of the kernel with less of its mass is noise
    taper: float = 0.5  # width of the falling border of w, in kernel sides
    margin: int = 1  # px, room to grow on each side per level, where the size is free


@dataclass(frozen=True)
class Level:
    """The state after one level of the pyramid: ``image`` [1, 1, Y, X] at that level's size, ``kernel`` [1, 1, kh, kw]."""

    index: int
    total: int
    image: Tensor
    kernel: Tensor


def estimate_kernel(
    blurred: Tensor,
    size: tuple[int, int] | None = None,
    largest: int = 75,
    noise: float = 0.0,
    search: Search = Search(),  # noqa: B008 (frozen)
) -> Generator[Level, None, Tensor]:
    grey = blurred.mean(dim=1, keepdim=True)
    sides = grey.shape[-2:]
    top = size or tuple(min(largest, odd(side // 2 - 1)) for side in sides)
    levels = 1 + max(0, math.ceil(math.log(max(top) / COARSEST) / math.log(PYRAMID_STEP) - 1e-6))
    kernel, lam = grey.new_ones(1, 1, 1, 1), search.lam_start
    for index in range(levels):
        factor = PYRAMID_STEP ** (index + 1 - levels)
        shape = tuple(max(SMALLEST_SIDE, round(side * factor)) for side in sides)
        small = grey if index == levels - 1 else interpolate(grey, size=shape, mode="bilinear", antialias=True)
        support = tuple(min(t, max(COARSEST, odd(math.ceil(t * factor)))) for t in top)
        kernel = resized(kernel, PYRAMID_STEP)
        if size is None:
            support = tuple(min(s, max(3, k + 2 * search.margin)) for s, k in zip(support, kernel.shape[-2:], strict=True))
        kernel = fitted(kernel, support)
        image, kernel, lam = refine(small, kernel, lam, noise * factor, search)
        if size is None:
            kernel = trimmed(kernel)
        yield Level(index, levels, image, kernel)
    return kernel


def refine(blurred: Tensor, kernel: Tensor, lam: float, noise: float, search: Search) -> tuple[Tensor, Tensor, float]:
    kh, kw = kernel.shape[-2:]
    y = smooth_wrap(blurred, (2 * kh, 2 * kw))
    trust = window(blurred, y.shape[-2:], search.taper * kh, search.taper * kw)
    target = torch.fft.rfft2(trust * gradients(y))
    for _ in range(search.iterations):
        image = sharp_edges(y, kernel, max(lam, search.noise_lam * noise**2), search)
        kernel = centred(cleaned(fit_kernel(trust * gradients(image), target, kernel, search), search.clip, search.least_mass))
        lam = max(lam / search.lam_decay, search.lam_end)
    return image[..., : blurred.shape[-2], : blurred.shape[-1]], kernel, lam


def window(inside: Tensor, shape: tuple[int, int], taper_y: float, taper_x: float) -> Tensor:
    """Trust in each gradient of a canvas: 1 well inside the picture, falling to 0 at its border and beyond."""
    sides = []
    for side, taper in zip(inside.shape[-2:], (taper_y, taper_x), strict=True):
        place = torch.arange(side - 1, device=inside.device, dtype=inside.dtype) + 0.5  # the last difference is not inside
        distance = torch.minimum(place, side - 1 - place)
        sides.append(0.5 - 0.5 * torch.cos(torch.pi * (distance / taper).clamp(max=1)))
    return on_canvas((sides[0][:, None] * sides[1])[None, None], shape, (0, 0))


def gradients(image: Tensor) -> Tensor:
    """Periodic forward differences along Y and X, [R, 2, Y, X] from [R, 1, Y, X]."""
    return torch.cat([image.roll(-1, -2) - image, image.roll(-1, -1) - image], dim=1)


def divergence(g: Tensor) -> Tensor:
    """Adjoint of gradients."""
    gy, gx = g[:, :1], g[:, 1:]
    return gy.roll(1, -2) - gy + gx.roll(1, -1) - gx


def sharp_edges(y: Tensor, kernel: Tensor, lam: float, search: Search) -> Tensor:
    shape = y.shape[-2:]
    transfer = transfer_function(kernel, shape)
    power = transfer.abs() ** 2
    fy = torch.fft.fftfreq(shape[0], device=y.device)[:, None]
    fx = torch.fft.rfftfreq(shape[1], device=y.device)
    roughness = 4 * torch.sin(torch.pi * fy) ** 2 + 4 * torch.sin(torch.pi * fx) ** 2
    data = transfer.conj() * torch.fft.rfft2(y)
    image, beta = y, 2 * lam
    while beta < search.beta_max:
        edges = gradients(image)
        edges = edges * ((edges**2).sum(1, keepdim=True) >= lam / beta)
        image = torch.fft.irfft2((data + beta * torch.fft.rfft2(divergence(edges))) / (power + beta * roughness), s=shape)
        beta *= search.beta_step
    return image


def fit_kernel(edges: Tensor, target: Tensor, start: Tensor, search: Search) -> Tensor:
    kh, kw = start.shape[-2:]
    shape = edges.shape[-2:]
    spectra = torch.fft.rfft2(edges)
    auto = torch.fft.irfft2((spectra.abs() ** 2).sum(1, keepdim=True), s=shape)
    cross = torch.fft.irfft2((spectra.conj() * target).sum(1, keepdim=True), s=shape)
    right = cross.roll((kh // 2, kw // 2), (-2, -1))[..., :kh, :kw]
    # the normal matrix is a table of differences: it acts by an FFT just large enough for the lags that occur
    lags = auto.roll((kh - 1, kw - 1), (-2, -1))[..., : 2 * kh - 1, : 2 * kw - 1]
    size = (2 * kh - 1, 2 * kw - 1)
    normal = torch.fft.rfft2(lags.roll((1 - kh, 1 - kw), (-2, -1)))
    step = 1 / (normal.abs().max() + search.ridge)
    k = ahead = start
    t = 1.0
    for _ in range(search.kernel_steps):
        slope = torch.fft.irfft2(normal * torch.fft.rfft2(ahead, s=size), s=size)[..., :kh, :kw] + search.ridge * ahead - right
        new = (ahead - step * slope).clamp(min=0)
        faster = (1 + math.sqrt(1 + 4 * t * t)) / 2
        ahead = new + (t - 1) / faster * (new - k)
        k, t = new, faster
    return k
