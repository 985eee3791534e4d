"""Blind kernel estimation, coarse to fine, with an L0 gradient prior on the image.

Notes
-----
Two steps alternate at each level of a pyramid [1]_ [2]_:

.. math:: x = argmin_x |k * x - y|^2 + \\lambda |\\nabla x|_0,
          k = argmin_k |w (k * \\nabla x - \\nabla y)|^2 + \\gamma |k|^2

The image is restricted to few strong edges and is deliberately not natural: with weaker gradients the blurred image
itself would be a solution. ``w`` is 1 at gradients well inside the image and, with a mask, far from masked pixels.
The kernel is constrained to be non-negative during the fit, or only afterwards: the two rules fail on different images.

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
from ..operators.finite_differences import gradients, gradients_adjoint, slope_power
from ..operators.observation import eroded_valid_mask
from .kernel_fit import fit_kernel, fit_kernel_unconstrained

PYRAMID_STEP = math.sqrt(2)
COARSEST_KERNEL_PX = 3  # side of the kernel at the coarsest level: so small, a single point is a fair initial kernel
MIN_IMAGE_SIDE_PX = 8  # at the coarsest level
ITERATIONS = 3  # per level; five gained nothing
LAM_DECAY, LAM_END = 1.15, 4e-4  # lam is divided by LAM_DECAY after each iteration, down to LAM_END
NOISE_LAM = 4.0  # lam is at least this times the noise variance: differences weaker than the noise are not edges
BETA_MAX, BETA_STEP = 1e3, 2.0  # half-quadratic splitting; beyond BETA_MAX the edges no longer change
MIN_COMPONENT_MASS = 0.1  # a separate component of the kernel with a smaller share of its mass is noise
TAPER = 0.5  # width of the falling border of w, in kernel sides
MIN_VALID_WEIGHT = 0.2  # if masking would leave less than this share of the total weight, the mask is ignored


@dataclass(frozen=True)
class KernelRule:
    """A rule for fitting a kernel to gradients.

    Parameters
    ----------
    free : bool
        Use least squares and set negative values to 0 afterwards; else non-negative least squares.
    ridge : float
        gamma per pixel of the image, intensities in [0, 1].
    clip : float
        Fraction of the kernel's maximum; values below it are noise. Real camera shakes have faint strokes, which a
        higher value removes.
    """

    free: bool
    ridge: float
    clip: float


NON_NEGATIVE = KernelRule(free=False, ridge=2.2e-4, clip=0.03)
FREE = KernelRule(free=True, ridge=7.7e-5, clip=0.05)


@dataclass(frozen=True)
class Level:
    """State after a level of the pyramid: ``image`` [P, 1, Y, X] at the level's size, ``kernel`` [1, 1, kh, kw]."""

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
    mask: Tensor | None = None,
) -> Generator[Level, None, Tensor]:
    """Estimate the kernel of a blurred image, or of several that share it.

    Parameters
    ----------
    blurred : Tensor [P, C, Y, X]
        Working units; channels are averaged. Each of the P images has its own edges; the kernel is fitted to all.
    size : (int, int)
        Support, odd sides in pixels.
    lam : float
        Initial weight of the L0 term, intensities in [0, 1].
    noise : float
        Standard deviation of the image's noise.
    rule : KernelRule
    mask : bool Tensor [P, 1, Y, X], optional
        True at pixels to which the kernel is not fitted, such as saturated ones.

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
    levels = 1 + max(0, math.ceil(math.log(max(size) / COARSEST_KERNEL_PX) / math.log(PYRAMID_STEP) - 1e-6))
    kernel = grey.new_ones(1, 1, 1, 1)
    for index in range(levels):
        factor = PYRAMID_STEP ** (index + 1 - levels)
        shape = (max(MIN_IMAGE_SIDE_PX, round(sides[0] * factor)), max(MIN_IMAGE_SIDE_PX, round(sides[1] * factor)))
        small = grey if index == levels - 1 else interpolate(grey, size=shape, mode="bilinear", antialias=True)
        if index:
            kernel = resize(kernel, PYRAMID_STEP)
        kernel = pad_or_crop(kernel, (_support(size[0], factor), _support(size[1], factor)))
        valid = None if mask is None else eroded_valid_mask(mask, shape)
        image, kernel, lam = _alternate(small, kernel, lam, noise * factor, rule, valid)
        yield Level(index, levels, image, kernel)
    return kernel


def _support(side: int, factor: float) -> int:
    """Return the odd side at a coarser level that is nearest to ``side * factor``."""
    return min(side, max(COARSEST_KERNEL_PX, 2 * round((side * factor - 1) / 2) + 1))


def _alternate(
    blurred: Tensor, kernel: Tensor, lam: float, noise: float, rule: KernelRule, valid: Tensor | None
) -> tuple[Tensor, Tensor, float]:
    """Run the iterations of one level; return image, kernel, and lam for the next level."""
    kh, kw = kernel.shape[-2:]
    height, width = blurred.shape[-2:]
    y = smooth_wrap(blurred, (2 * kh, 2 * kw))
    weights = gradient_weights(blurred, (y.shape[-2], y.shape[-1]), TAPER * kh, TAPER * kw)
    if valid is not None:
        masked = weights * pad(valid, (0, y.shape[-1] - width, 0, y.shape[-2] - height))
        weights = masked if masked.sum() > MIN_VALID_WEIGHT * weights.sum() else weights
    target = torch.fft.rfft2(_as_channels(weights * gradients(y)))
    fit = fit_kernel_unconstrained if rule.free else fit_kernel
    image = y
    for _ in range(ITERATIONS):
        image = l0_image_step(y, kernel, max(lam, NOISE_LAM * noise**2))
        estimate = fit(_as_channels(weights * gradients(image)), target, kernel, rule.ridge * len(y) * height * width)
        kernel = center(remove_specks(estimate, rule.clip, MIN_COMPONENT_MASS))
        lam = max(lam / LAM_DECAY, LAM_END)
    return image[..., :height, :width], kernel, lam


def _as_channels(edges: Tensor) -> Tensor:
    """Stack the gradients of P images that share a kernel as channels of one: [1, 2 P, Y, X]."""
    return edges.flatten(0, 1)[None]


def gradient_weights(inside: Tensor, shape: tuple[int, int], taper_y: float, taper_x: float) -> Tensor:
    """Weight each gradient of a canvas: 1 well inside the image, falling to 0 at its border and beyond.

    Parameters
    ----------
    inside : Tensor [R, C, Y, X]
        The image, at the top left of the canvas.
    shape : (int, int)
        Sides of the canvas in pixels.
    taper_y, taper_x : float
        Widths of the falling border in pixels.

    Returns
    -------
    Tensor [1, 1, *shape]
        In [0, 1].
    """
    sides = []
    for side, taper in zip(inside.shape[-2:], (taper_y, taper_x), strict=True):
        place = torch.arange(side - 1, device=inside.device, dtype=inside.dtype) + 0.5  # differences lie between pixels
        distance = torch.minimum(place, side - 1 - place)
        sides.append(0.5 - 0.5 * torch.cos(torch.pi * (distance / taper).clamp(max=1)))
    height, width = inside.shape[-2:]
    return pad((sides[0][:, None] * sides[1])[None, None], (0, shape[1] - width + 1, 0, shape[0] - height + 1))


def l0_image_step(y: Tensor, kernel: Tensor, lam: float) -> Tensor:
    """Minimize ``|k * x - y|^2 + lam |grad x|_0`` over the image by half-quadratic splitting, boundary periodic.

    Channels share their edges, which are found in the gradients of all channels together.

    Parameters
    ----------
    y : Tensor [R, C, Y, X]
    kernel : Tensor [R or 1, 1, kh, kw]
    lam : float

    Returns
    -------
    Tensor [R, C, Y, X]
    """
    height, width = y.shape[-2:]
    transfer = transfer_function(kernel, (height, width))
    power = transfer.abs().square()
    roughness = slope_power((height, width), y.device)
    data = transfer.conj() * torch.fft.rfft2(y)
    image, beta = y, 2 * lam
    while beta < BETA_MAX:
        edges = gradients(image)
        edges = edges * (edges.square().sum(1, keepdim=True) >= lam / beta)
        spectrum = (data + beta * torch.fft.rfft2(gradients_adjoint(edges))) / (power + beta * roughness)
        image = torch.fft.irfft2(spectrum, s=(height, width))
        beta *= BETA_STEP
    return image
