"""How plausible a kernel is, judged by the image it leads to, and whether there is any: no truth is needed."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..operators.convolution import convolve, valid_part
from ..operators.finite_differences import gradients

SPARSITY = 2.0  # weight of the second term, and ...
DARKER = 20.0  # weight of the last term, 1 / (mean of what lies below 0)
REACH = 32  # px, of the ghosts that are looked for: benchmarks/RESULTS.md says how they were chosen
STEEP = 0.33  # finest_detail from which an image is sharp, ...
ABOVE_NOISE = 3.0  # ... if its finest detail has this many times the noise's power: noise is steep, too
DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))
NOISE_MARGIN = 1.2  # the noise's power may be this many times what was estimated
TINY = 1e-12  # where there is no edge, or no residual


def kernel_cost(blurred: Tensor, image: Tensor, kernel: Tensor) -> float:
    """What speaks against a kernel; only differences between kernels for one image mean anything.

    Mostly a sum of logarithms. First, how much the gradients of the residual resemble those of the restored image
    moved by up to :data:`REACH` pixels: a wrong kernel leaves ghosts of edges. Then l1/l2 of the restored image's
    gradients and the mean of their roots: blur spreads edges, ringing and noise fill an image with small ones. Last,
    what is darker than dark: a wrong kernel rings, one that is too large above all. Nothing is said of the upper end
    of the range: light may have been cut off there, or the end be unknown. The residual itself and the agreement among
    kernels tell less.

    Parameters
    ----------
    blurred, image : Tensor [1, 1, Y, X]
        Working units; ``image`` is restored with ``kernel``.
    kernel : Tensor [1, 1, kh, kw]
    """
    residual = convolve(image, kernel, "valid") - valid_part(blurred, kernel)
    alike = residual_edge_correlation(residual, valid_part(image, kernel))
    slopes = gradients(image)[..., :-1, :-1].square().sum(1).sqrt()
    terms = torch.stack([alike, normalized_sparsity(image)[0], slopes.sqrt().mean()]).clamp(min=TINY).log()
    return float(terms[0] + SPARSITY * terms[1] + terms[2] - DARKER * image.clamp(max=0).mean())


def residual_edge_correlation(residual: Tensor, image: Tensor) -> Tensor:
    """How much the gradients of a residual resemble those of an image ``[1, C, Y, X]``, moved by up to :data:`REACH`.

    Some 2 REACH + 1 where the residual is noise.
    """
    left, edges = gradients(residual)[..., :-1, :-1], gradients(image)[..., :-1, :-1]
    shape = (edges.shape[-2] + 2 * REACH, edges.shape[-1] + 2 * REACH)  # nothing wraps around
    product = (torch.fft.rfft2(left, s=shape) * torch.fft.rfft2(edges, s=shape).conj()).sum(1)
    alike = torch.fft.irfft2(product, s=shape).roll((REACH, REACH), (-2, -1))[..., : 2 * REACH + 1, : 2 * REACH + 1]
    return alike.norm() * math.sqrt(edges.numel()) / (left.norm() * edges.norm()).clamp(min=TINY)


def normalized_sparsity(images: Tensor) -> Tensor:
    """l1 over l2 norm of the gradients of ``[R, C, Y, X]``, ``[R]`` in (0, 1]: least where edges are few and sharp.

    References
    ----------
    Krishnan, Tay, Fergus, Blind deconvolution using a normalized sparsity measure, CVPR 2011.
    """
    down, right = images.diff(dim=-2)[..., :-1], images.diff(dim=-1)[..., :-1, :]
    length = (down.square() + right.square()).sum(1).sqrt().flatten(1)
    return length.sum(1) / (length.norm(dim=1) * length.shape[1] ** 0.5).clamp(min=TINY)


def is_sharp(image: Tensor, noise: float) -> bool:
    """Whether an image ``[1, C, Y, X]`` has so much fine detail in all directions that no shake can have blurred it.

    Images without such detail may be sharp, too.
    """
    seen = min(_power(image, step) for step in DIRECTIONS) > ABOVE_NOISE * 2 * noise**2
    return seen and finest_detail(image, NOISE_MARGIN * noise**2) > STEEP


def finest_detail(image: Tensor, noise_power: float) -> float:
    """Mean square difference of next pixels over that of next but one, noise taken off; the least of four directions.

    Where an image is smooth it is 1/4, where it is made of steps 1/2. Blur along a line smooths along that line.
    """
    ratios = []
    for down, right in DIRECTIONS:
        near, far = (_power(image, (times * down, times * right)) - 2 * noise_power for times in (1, 2))
        ratios.append(near / far if min(near, far) > 0 else 0.0)
    return min(ratios)


def _power(image: Tensor, step: tuple[int, int]) -> float:
    """Mean square difference of each pixel and the one a step on, inside the image."""
    return float((image - image.roll(step, (-2, -1)))[..., 2:-2, 2:-2].square().mean())
