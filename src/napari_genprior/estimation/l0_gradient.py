"""Blind kernel estimation, coarse to fine, with an L0 gradient prior on the image.

Notes
-----
Two steps take turns at each level of a pyramid [1]_ [2]_:

.. math:: x = argmin_x |k * x - y|^2 + \\lambda |\\nabla x|_0,
          k = argmin_k |w (k * \\nabla x - \\nabla y)|^2 + \\gamma |k|^2

The image is made of few strong edges, on purpose not natural: what is weaker than the edges that fix
the kernel would only let the blur itself pass as a solution. ``w`` trusts gradients well inside the image,
and where wished, far from pixels that were cut off.
The kernel is held to be non-negative while it is fitted, or only after: two rules that fail on different images.

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
from torch.nn.functional import interpolate, pad

from ..blur.support import center, pad_or_crop, remove_specks, resize
from ..operators.boundary import smooth_wrap
from ..operators.convolution import transfer_function
from ..operators.finite_differences import gradients
from ..operators.observation import eroded_valid_mask

PYRAMID_STEP = math.sqrt(2)
COARSEST = 3  # px, side of the kernel where the pyramid begins: there a single point is a fair start
SMALLEST_SIDE = 8  # px, of the image at the coarsest level
ITERATIONS = 3  # per level; five gained nothing
LAM_DECAY, LAM_END = 1.15, 4e-4  # lam is divided by LAM_DECAY after each iteration, down to LAM_END
NOISE_LAM = 4.0  # lam is never below this times the noise variance: edges weaker than noise are none
BETA_MAX, BETA_STEP = 1e3, 2.0  # half-quadratic splitting; beyond BETA_MAX the edges no longer change
KERNEL_STEPS, FREE_STEPS = 60, 40  # of the two kernel steps
CONVERGED = 1e-8  # squared residual over the squared right-hand side
LEAST_MASS = 0.1  # a separate part of the kernel with less of its mass is noise
TAPER = 0.5  # width of the falling border of w, in kernel sides
LEAST_TRUST = 0.2  # where less than this share of the trust would be left, what is untold is trusted after all


@dataclass(frozen=True)
class KernelRule:
    """How a kernel is fitted to gradients.

    Parameters
    ----------
    free : bool
        Least squares, and negative values set to 0 afterwards; else non-negative least squares.
    ridge : float
        gamma per pixel of the image, intensities in [0, 1].
    clip : float
        Fraction of the kernel's maximum; below it is noise. Real shakes have faint strokes, so that more costs dearly.
    """

    free: bool
    ridge: float
    clip: float


NON_NEGATIVE = KernelRule(free=False, ridge=2.2e-4, clip=0.03)
FREE = KernelRule(free=True, ridge=7.7e-5, clip=0.05)


@dataclass(frozen=True)
class Level:
    """After one level of the pyramid: ``image`` [P, 1, Y, X] in that level's size, ``kernel`` [1, 1, kh, kw]."""

    index: int
    total: int
    image: Tensor
    kernel: Tensor


def estimate_kernel(
    blurred: Tensor,
    size: tuple[int, int],
    lam: float,
    noise: float = 0.0,
    rule: KernelRule = NON_NEGATIVE,
    untold: Tensor | None = None,
) -> Generator[Level, None, Tensor]:
    """Estimate the kernel of a blurred image, or of several that share it.

    Parameters
    ----------
    blurred : Tensor [P, C, Y, X]
        Working units; channels are averaged. Each of the P images has its own edges, all tell of the kernel.
    size : (int, int)
        Support, odd sides in pixels.
    lam : float
        Weight of the L0 term at the start, intensities in [0, 1].
    noise : float
        Standard deviation of the image's noise.
    rule : KernelRule
    untold : bool Tensor [P, 1, Y, X], optional
        Pixels that are not what the kernel made of the image, as light that was cut off; the kernel is fitted
        to the others.

    Yields
    ------
    Level
        After each level, coarse to fine.

    Returns
    -------
    Tensor [1, 1, kh, kw]
        >= 0, sum 1, its centre of mass within half a pixel of the centre pixel.
    """
    grey = blurred.mean(dim=1, keepdim=True)
    sides = (grey.shape[-2], grey.shape[-1])
    levels = 1 + max(0, math.ceil(math.log(max(size) / COARSEST) / math.log(PYRAMID_STEP) - 1e-6))
    kernel = grey.new_ones(1, 1, 1, 1)
    for index in range(levels):
        factor = PYRAMID_STEP ** (index + 1 - levels)
        shape = (max(SMALLEST_SIDE, round(sides[0] * factor)), max(SMALLEST_SIDE, round(sides[1] * factor)))
        small = grey if index == levels - 1 else interpolate(grey, size=shape, mode="bilinear", antialias=True)
        if index:
            kernel = resize(kernel, PYRAMID_STEP)
        kernel = pad_or_crop(kernel, (_support(size[0], factor), _support(size[1], factor)))
        told = None if untold is None else eroded_valid_mask(untold, shape)
        image, kernel, lam = _alternate(small, kernel, lam, noise * factor, rule, told)
        yield Level(index, levels, image, kernel)
    return kernel


def _support(side: int, factor: float) -> int:
    """The odd number next to a side at a coarser level."""
    return min(side, max(COARSEST, 2 * round((side * factor - 1) / 2) + 1))


def _alternate(
    blurred: Tensor, kernel: Tensor, lam: float, noise: float, rule: KernelRule, told: Tensor | None
) -> tuple[Tensor, Tensor, float]:
    """The iterations of one level; returns image, kernel, and lam for the next level."""
    kh, kw = kernel.shape[-2:]
    height, width = blurred.shape[-2:]
    y = smooth_wrap(blurred, (2 * kh, 2 * kw))
    trust = gradient_weights(blurred, (y.shape[-2], y.shape[-1]), TAPER * kh, TAPER * kw)
    if told is not None:
        less = trust * pad(told, (0, y.shape[-1] - width, 0, y.shape[-2] - height))
        trust = less if less.sum() > LEAST_TRUST * trust.sum() else trust
    target = torch.fft.rfft2(_together(trust * gradients(y)))
    fit = fit_kernel_unconstrained if rule.free else fit_kernel
    image = y
    for _ in range(ITERATIONS):
        image = l0_image_step(y, kernel, max(lam, NOISE_LAM * noise**2))
        estimate = fit(_together(trust * gradients(image)), target, kernel, rule.ridge * len(y) * height * width)
        kernel = center(remove_specks(estimate, rule.clip, LEAST_MASS))
        lam = max(lam / LAM_DECAY, LAM_END)
    return image[..., :height, :width], kernel, lam


def _together(edges: Tensor) -> Tensor:
    """Gradients of several images as those of one, for the one kernel they share: [1, 2 P, Y, X]."""
    return edges.flatten(0, 1)[None]


def gradient_weights(inside: Tensor, shape: tuple[int, int], taper_y: float, taper_x: float) -> Tensor:
    """Trust in each gradient of a canvas: 1 well inside the image, falling to 0 at its border and beyond."""
    sides = []
    for side, taper in zip(inside.shape[-2:], (taper_y, taper_x), strict=True):
        place = torch.arange(side - 1, device=inside.device, dtype=inside.dtype) + 0.5  # differences lie between pixels
        distance = torch.minimum(place, side - 1 - place)
        sides.append(0.5 - 0.5 * torch.cos(torch.pi * (distance / taper).clamp(max=1)))
    height, width = inside.shape[-2:]
    return pad((sides[0][:, None] * sides[1])[None, None], (0, shape[1] - width + 1, 0, shape[0] - height + 1))


def divergence(g: Tensor) -> Tensor:
    """Adjoint of :func:`gradients`."""
    gy, gx = g.chunk(2, dim=1)
    return gy.roll(1, -2) - gy + gx.roll(1, -1) - gx


def l0_image_step(y: Tensor, kernel: Tensor, lam: float) -> Tensor:
    """The image step: ``|k * x - y|^2 + lam |grad x|_0`` by half-quadratic splitting, periodic borders.

    Channels share their edges: what is an edge is told by the gradients of all together.
    """
    height, width = y.shape[-2:]
    transfer = transfer_function(kernel, (height, width))
    power = transfer.abs().square()
    fy = torch.fft.fftfreq(height, device=y.device)[:, None]
    fx = torch.fft.rfftfreq(width, device=y.device)
    roughness = 4 * torch.sin(torch.pi * fy).square() + 4 * torch.sin(torch.pi * fx).square()
    data = transfer.conj() * torch.fft.rfft2(y)
    image, beta = y, 2 * lam
    while beta < BETA_MAX:
        edges = gradients(image)
        edges = edges * (edges.square().sum(1, keepdim=True) >= lam / beta)
        spectrum = (data + beta * torch.fft.rfft2(divergence(edges))) / (power + beta * roughness)
        image = torch.fft.irfft2(spectrum, s=(height, width))
        beta *= BETA_STEP
    return image


def fit_kernel(edges: Tensor, target: Tensor, start: Tensor, ridge: float, steps: int = KERNEL_STEPS) -> Tensor:
    """The kernel step: non-negative least squares on the support of ``start``, by accelerated projected gradients.

    Parameters
    ----------
    edges : Tensor [1, 2 P, Y, X]
        Gradients of the sharp image, or of all that share the kernel.
    target : Tensor [1, 2 P, Y, X // 2 + 1]
        Spectrum of the gradients of the blurred ones.
    start : Tensor [1, 1, kh, kw]
    ridge : float
        gamma.
    """
    normal, right, size = normal_equations(edges, target, (start.shape[-2], start.shape[-1]))
    kh, kw = start.shape[-2:]
    step = 1 / (normal.abs().max() + ridge)
    k, ahead, t = start, start, 1.0
    for _ in range(steps):
        spread = torch.fft.irfft2(normal * torch.fft.rfft2(ahead, s=size), s=size)[..., :kh, :kw]
        new = (ahead - step * (spread + ridge * ahead - right)).clamp(min=0)
        t_new = (1 + math.sqrt(1 + 4 * t * t)) / 2
        ahead = new + (t - 1) / t_new * (new - k)
        k, t = new, t_new
    return k


def fit_kernel_unconstrained(
    edges: Tensor, target: Tensor, start: Tensor, ridge: float, steps: int = FREE_STEPS
) -> Tensor:
    """As :func:`fit_kernel` without the bound, by conjugate gradients; negative values are set to 0 at the end."""
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
    """Least squares on a support: spectrum of the normal matrix, right-hand side, size of that spectrum's FFT.

    The matrix depends on differences of pixels only: it acts by an FFT just large enough for them.
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
