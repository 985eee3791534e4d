"""Blind kernel estimation in the range of a kernel generator, for images of any size and class.

As in :mod:`.l0_gradient` two steps alternate, from coarse to fine, but the kernel is ``k(z)`` and many initial kernels
are refined in parallel, of which the better ones reach the finer levels:

    x = argmin_x |k * x - y|^2 + lam |grad x|_0,
    z = argmin_z FIT |w (k(z) * grad x - grad y)|^2 / |w grad y|^2 + |z|^2 / 2 + |c(z) - c|^2 / (2 CENTRED_PX^2).

c(z) is the kernel's centre of mass and c the middle of the grid; the last term applies to generators of centred kernels
only, since otherwise kernel and image could shift in opposite directions. The misfit is a quadratic form of the kernel,
whose matrix contains auto-correlations at lags shorter than the kernel: a step in z costs the same for any image.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..blur.support import CENTRED_PX, off_center
from ..core.iteration import run_to_end
from ..operators.boundary import is_periodic, smooth_wrap
from ..operators.detail import most_textured
from ..operators.finite_differences import gradients
from ..operators.noise import noise_std
from ..optim.batched_lbfgs import Objective, lbfgs
from .kernel_fit import normal_equations
from .l0_gradient import NOISE_LAM, PYRAMID_STEP, TAPER, gradient_weights, l0_image_step

WINDOW = 192  # px, side of the most textured part that is used of a larger image
LEVELS = 2  # below the full size, a factor of sqrt 2 apart; at coarser ones kernels of 28 pixels all look alike
BANK = 300  # kernels drawn, of which the best are the initial ones
PIXELS = 2**15  # of all kernels' images at one level together, which sets the number of kernels ...
MIN_KERNELS = 4  # ... but at least so many at full size, and four times as many at half of it
ROUNDS, LAST_ROUNDS = 8, 20  # of both steps, at each level and at the last
LATENT_STEPS = 3  # L-BFGS steps in a round: few, as the image is still wrong
LAM = (2e-2, 5e-4)  # weight of the L0 term in the first and the last round, geometric in between
FIT = 600.0  # weight of the misfit
MIN_KERNEL_SIDE_PX = 3  # at the coarsest level


@dataclass(frozen=True)
class LatentSearchState:
    """Kernels ``[R, 1, kh, kw]`` and their objectives ``[R]``, best first, after ``step`` of ``total`` rounds."""

    step: int
    total: int
    kernels: Tensor
    values: Tensor


def search_latents(
    blurred: Tensor, decode: Callable[[Tensor], Tensor], latent: int, random: torch.Generator, centred: bool = False
) -> Generator[LatentSearchState, None, LatentSearchState]:
    """Estimate the kernel of an image of any size and number of channels, its boundary unknown.

    Parameters
    ----------
    blurred : Tensor [1, C, Y, X]
        Working units; not smaller than the kernels.
    decode : callable
        Latents ``[R, latent]``, standard normal, to kernels ``[R, 1, kh, kw]``.
    latent : int
        Length of the latents.
    random : torch.Generator
        Source of the initial latents.
    centred : bool
        The generator was trained on centred kernels only: constrain kernels to be centred.

    Yields
    ------
    LatentSearchState
        After each round.

    Returns
    -------
    LatentSearchState
        That of the last round.
    """
    part = most_textured(blurred, WINDOW)
    noise = float(noise_std(part).mean())
    factors = [PYRAMID_STEP**-level for level in range(LEVELS, -1, -1)]
    total, done = ROUNDS * LEVELS + LAST_ROUNDS, 0
    z = torch.randn(BANK, latent, generator=random).to(blurred)
    with torch.no_grad():
        height, width = decode(z[:1]).shape[-2:]
    kernels = _Kernels(decode, (height, width), centred)
    state = None
    for factor in factors:
        level = _Level(part, kernels, factor, noise)
        for number in range(ROUNDS if factor < 1 else LAST_ROUNDS):
            lam = LAM[0] * (LAM[1] / LAM[0]) ** (done / (total - 1))
            if number == 0:
                z = level.best(z, lam)
            cost = level.cost(z, lam)
            solution = run_to_end(lbfgs(cost, z, steps=LATENT_STEPS))
            order = solution.values.argsort()
            z = solution.x[order]
            done += 1
            with torch.no_grad():
                state = LatentSearchState(done, total, decode(z), solution.values[order])
            yield state
    assert state is not None
    return state


@dataclass(frozen=True)
class _Kernels:
    """Kernels of a generator at any scale, with their distance from the centre; ``size`` is that at full scale."""

    decode: Callable[[Tensor], Tensor]
    size: tuple[int, int]
    centred: bool

    def support(self, factor: float) -> tuple[int, int]:
        """Return the kernel's sides in pixels at a scale."""
        height, width = (max(MIN_KERNEL_SIDE_PX, round(side * factor)) for side in self.size)
        return height, width

    def __call__(self, z: Tensor, factor: float) -> tuple[Tensor, Tensor]:
        """Decode to ``[R, 1, kh, kw]`` and the squared distance ``[R]`` from the centre, in px^2 at full scale."""
        kernels = self.decode(z)
        off = off_center(kernels) if self.centred else kernels.new_zeros(len(kernels))
        if factor < 1:
            kernels = interpolate(kernels, size=self.support(factor), mode="bilinear", antialias=True)
            kernels = kernels / kernels.sum((2, 3), keepdim=True)
        return kernels, off


class _Level:
    """The image ``[1, C, Y, X]`` at one size, with the quantities that all rounds share.

    All channels are used: edges that they share stand out from noise more clearly than in their mean.
    """

    def __init__(self, part: Tensor, kernels: _Kernels, factor: float, noise: float) -> None:
        self.kernels, self.factor = kernels, factor
        if factor < 1:
            sides = (round(part.shape[-2] * factor), round(part.shape[-1] * factor))
            part = interpolate(part, size=sides, mode="bilinear", antialias=True)
        height, width = part.shape[-2:]
        self.count = max(round(MIN_KERNELS / factor**2), PIXELS // (height * width))
        self.min_lam = NOISE_LAM * (noise * factor) ** 2
        kh, kw = self.support = kernels.support(factor)
        if height >= 2 * kh and width >= 2 * kw and is_periodic(part, noise * factor):
            self.canvas, self.weights = part, torch.ones_like(part[:, :1])
        else:
            self.canvas = smooth_wrap(part, (2 * kh, 2 * kw))
            self.weights = gradient_weights(
                part, (self.canvas.shape[-2], self.canvas.shape[-1]), TAPER * kh, TAPER * kw
            )
        observed = self.weights * gradients(self.canvas)
        self.target, self.power = torch.fft.rfft2(observed), observed.square().sum().clamp(min=1e-12)

    @torch.no_grad()
    def best(self, z: Tensor, lam: float) -> Tensor:
        """Select the latents that are refined at this level."""
        if len(z) <= self.count:
            return z
        values = [self.cost(part, lam)(part, torch.arange(len(part))) for part in z.split(self.count)]
        return z[torch.cat(values).argsort()[: self.count]]

    @torch.no_grad()
    def cost(self, z: Tensor, lam: float) -> Objective:
        """Return the objective of the latents, each for the sharp image estimated with its present kernel."""
        kernels, _ = self.kernels(z, self.factor)
        edges = self.weights * gradients(l0_image_step(self.canvas, kernels, max(lam, self.min_lam)))
        kh, kw = self.support
        normal, right, size = normal_equations(edges, self.target, (kh, kw))

        def cost(z: Tensor, rows: Tensor) -> Tensor:
            k, off_center = self.kernels(z, self.factor)
            spread = torch.fft.irfft2(normal[rows] * torch.fft.rfft2(k, s=size), s=size)[..., :kh, :kw]
            misfit = (k * (spread - 2 * right[rows])).sum((1, 2, 3)) + self.power
            return FIT * misfit / self.power + z.square().sum(1) / 2 + off_center / (2 * CENTRED_PX**2)

        return cost
