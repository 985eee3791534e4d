"""Blind kernel estimation, coarse to fine, with an L0 gradient prior on the picture.

Notes
-----
Two steps take turns at each level of a pyramid [1]_ [2]_:

.. math:: x = argmin_x |k * x - y|^2 + \\lambda |\\nabla x|_0,
          k = argmin_k |k * \\nabla x - \\nabla y|^2 + \\gamma |k|^2

The picture is made of few strong edges, on purpose not natural: what is weaker than the edges that fix
the kernel would only let the blur itself pass as a solution.

References
----------
.. [1] L. Xu, S. Zheng, J. Jia, "Unnatural L0 sparse representation for natural image deblurring", CVPR 2013.
.. [2] J. Anger, G. Facciolo, M. Delbracio, "Blind image deblurring using the l0 gradient prior", IPOL 2019.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn.functional import interpolate

from ..forward.convolve import transfer_function
from .borders import smooth_wrap

PYRAMID_STEP = math.sqrt(2)
ITERATIONS = 5  # per level
LAM_START, LAM_END = 8e-3, 4e-4
LAM_DECAY = 1.1
BETA_MAX, BETA_STEP = 1e5, 2.0
RIDGE = 5.0
CLIP, LEAST_MASS = 0.05, 0.1
MARGIN_AUTO = 1
NOISE_LAM = 4.0
MASK_BORDER = True


@dataclass(frozen=True)
class Level:
    """The state after one level of the pyramid: ``image`` [1, 1, Y, X] at that level's size, ``kernel`` [1, 1, kh, kw]."""

    index: int
    total: int
    image: Tensor
    kernel: Tensor


def estimate_kernel(
    blurred: Tensor, size: tuple[int, int] | None = None, largest: int = 51, noise: float = 0.0,
) -> Generator[Level, None, Tensor]:
    grey = blurred.mean(dim=1, keepdim=True)
    sides = grey.shape[-2:]
    top = size or tuple(min(largest, odd_below(side // 2)) for side in sides)
    levels = max(1, 1 + math.ceil(math.log(max(top) / 3) / math.log(PYRAMID_STEP) - 1e-6))
    kernel = None
    lam = LAM_START
    for index in range(levels):
        factor = PYRAMID_STEP ** (index + 1 - levels)
        shape = tuple(max(8, round(side * factor)) for side in sides)
        small = grey if index == levels - 1 else interpolate(grey, size=shape, mode="bilinear", antialias=True)
        limit = tuple(max(3, odd_round(side * factor)) for side in top)
        if kernel is None:
            support = tuple(min(3, s) for s in limit)
            kernel = torch.zeros(1, 1, *support, dtype=grey.dtype, device=grey.device)
            kernel[..., support[0] // 2, support[1] // 2] = 1
        else:
            grown = resize_kernel(kernel, PYRAMID_STEP)
            if size is None:
                limit = tuple(min(lim, g + 2 * MARGIN_AUTO) for lim, g in zip(limit, grown.shape[-2:], strict=True))
            kernel = centred(fit(grown, limit))
        image, kernel, lam = one_level(small, kernel, lam, noise * factor)
        if size is None:
            kernel = trimmed(kernel)
        yield Level(index, levels, image, kernel)
    return kernel


def one_level(blurred, kernel, lam, noise):
    kh, kw = kernel.shape[-2:]
    y = smooth_wrap(blurred, (2 * kh, 2 * kw))
    gy = gradients(y)
    if MASK_BORDER:
        keep = torch.zeros_like(y[:1, :1])
        keep[..., : blurred.shape[-2] - 1, : blurred.shape[-1] - 1] = 1
        gy = gy * keep
    spectra = torch.fft.rfft2(gy)
    for _ in range(ITERATIONS):
        floor = NOISE_LAM * noise**2
        image, edges = sharp_edges(y, kernel, max(lam, floor))
        kernel = cleaned(least_squares_kernel(edges, spectra, (kh, kw), RIDGE))
        lam = max(lam / LAM_DECAY, LAM_END)
    return image[..., : blurred.shape[-2], : blurred.shape[-1]], kernel, lam


def gradients(image: Tensor) -> Tensor:
    """Periodic forward differences along Y and X, [R, 2, Y, X] from [R, 1, Y, X]."""
    return torch.cat([image.roll(-1, -2) - image, image.roll(-1, -1) - image], dim=1)


def divergence(g: Tensor) -> Tensor:
    """Adjoint of gradients."""
    gy, gx = g[:, :1], g[:, 1:]
    return gy.roll(1, -2) - gy + gx.roll(1, -1) - gx


def sharp_edges(y: Tensor, kernel: Tensor, lam: float) -> tuple[Tensor, Tensor]:
    shape = y.shape[-2:]
    transfer = transfer_function(kernel, shape)
    power = transfer.abs() ** 2
    fy = torch.fft.fftfreq(shape[0], device=y.device)[:, None]
    fx = torch.fft.rfftfreq(shape[1], device=y.device)
    roughness = 4 * torch.sin(torch.pi * fy) ** 2 + 4 * torch.sin(torch.pi * fx) ** 2
    data = transfer.conj() * torch.fft.rfft2(y)
    image, beta = y, 2 * lam
    while beta < BETA_MAX:
        edges = gradients(image)
        edges = edges * ((edges**2).sum(1, keepdim=True) >= lam / beta)
        image = torch.fft.irfft2((data + beta * torch.fft.rfft2(divergence(edges))) / (power + beta * roughness), s=shape)
        beta *= BETA_STEP
    return image, gradients(image)


def least_squares_kernel(edges: Tensor, target: Tensor, support: tuple[int, int], ridge: float) -> Tensor:
    kh, kw = support
    spectra = torch.fft.rfft2(edges)
    shape = edges.shape[-2:]
    auto = torch.fft.irfft2((spectra.abs() ** 2).sum(1), s=shape)[0]
    cross = torch.fft.irfft2((spectra.conj() * target).sum(1), s=shape)[0]
    rows = torch.arange(kh, device=edges.device)
    cols = torch.arange(kw, device=edges.device)
    dy = (rows[:, None] - rows[None, :]).remainder(shape[0])
    dx = (cols[:, None] - cols[None, :]).remainder(shape[1])
    normal = auto[dy[:, None, :, None], dx[None, :, None, :]].reshape(kh * kw, kh * kw)
    normal.diagonal().add_(ridge)
    right = cross[(rows - kh // 2).remainder(shape[0])][:, (cols - kw // 2).remainder(shape[1])]
    factor, _ = torch.linalg.cholesky_ex(normal)
    return torch.cholesky_solve(right.reshape(-1, 1), factor).reshape(1, 1, kh, kw)


def cleaned(kernel: Tensor) -> Tensor:
    k = kernel[0, 0].cpu().numpy().astype(np.float64)
    k[k < CLIP * k.max()] = 0
    labels, count = ndimage.label(k, structure=np.ones((3, 3)))
    if count > 1:
        mass = ndimage.sum_labels(k, labels, np.arange(1, count + 1))
        for i in np.flatnonzero(mass < LEAST_MASS * mass.sum()):
            k[labels == i + 1] = 0
    return centred(torch.from_numpy((k / k.sum()).astype(np.float32))[None, None].to(kernel))


def centred(kernel: Tensor) -> Tensor:
    k = kernel[0, 0]
    kh, kw = k.shape
    rows = torch.arange(kh, device=k.device, dtype=k.dtype)
    cols = torch.arange(kw, device=k.device, dtype=k.dtype)
    dy = kh // 2 - round(float((k.sum(1) * rows).sum()))
    dx = kw // 2 - round(float((k.sum(0) * cols).sum()))
    moved = torch.zeros_like(k)
    src = k[max(0, -dy): kh - max(0, dy), max(0, -dx): kw - max(0, dx)]
    moved[max(0, dy): max(0, dy) + src.shape[0], max(0, dx): max(0, dx) + src.shape[1]] = src
    return (moved / moved.sum())[None, None]


def trimmed(kernel: Tensor) -> Tensor:
    kh, kw = kernel.shape[-2:]
    rows = kernel[0, 0].sum(1).nonzero().flatten()
    cols = kernel[0, 0].sum(0).nonzero().flatten()
    hy = max(1, kh // 2 - int(rows[0]), int(rows[-1]) - kh // 2)
    hx = max(1, kw // 2 - int(cols[0]), int(cols[-1]) - kw // 2)
    return fit(kernel, (2 * hy + 1, 2 * hx + 1))


def resize_kernel(kernel, factor):
    size = tuple(odd_round(side * factor) for side in kernel.shape[-2:])
    k = interpolate(kernel, size=size, mode="bilinear").clamp(min=0)
    return k / k.sum()


def fit(kernel, support):
    """Crop or zero-pad an odd-sized kernel about its centre."""
    (kh, kw), (th, tw) = kernel.shape[-2:], support
    out = kernel.new_zeros(1, 1, max(kh, th), max(kw, tw))
    t, l = (out.shape[-2] - kh) // 2, (out.shape[-1] - kw) // 2
    out[..., t:t + kh, l:l + kw] = kernel
    t, l = (out.shape[-2] - th) // 2, (out.shape[-1] - tw) // 2
    out = out[..., t:t + th, l:l + tw]
    return out / out.sum()


def odd_round(value):
    return 2 * round((value - 1) / 2) + 1


def odd_below(value):
    return max(1, value - 1 + value % 2)
