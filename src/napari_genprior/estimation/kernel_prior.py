"""Blind kernel estimation in the range of a kernel generator, for images of any size and class.

As in :mod:`.kernel_l0` two steps take turns, from coarse to fine, but the kernel is ``k(z)`` and many starts go side
by side, of which the better ones reach the finer levels:

    x = argmin_x |k * x - y|^2 + lam |grad x|_0,
    z = argmin_z FIT |w (k(z) * grad x - grad y)|^2 / |w grad y|^2 + |z|^2 / 2 + |c(z) - c|^2 / (2 CENTRED^2).

c(z) is the kernel's centre of mass, c the middle of the grid, if the generator knows centred kernels only: else kernel
and image could move against each other. The misfit is a quadratic form of the kernel, whose matrix holds
auto-correlations at lags shorter than the kernel: a step in z costs the same for any image.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..blur.support import CENTRED, off_center
from ..core.iteration import run_to_end
from ..operators.boundary import is_periodic, smooth_wrap
from ..operators.detail import most_textured
from ..operators.finite_differences import gradients
from ..operators.noise import noise_std
from ..optim.batched_lbfgs import Objective, lbfgs
from .l0_gradient import NOISE_LAM, PYRAMID_STEP, TAPER, gradient_weights, l0_image_step, normal_equations

WINDOW = 192  # px; of a larger image the busiest part of this side is looked at
LEVELS = 2  # below the full size, a factor of sqrt 2 apart; further down kernels of 28 pixels all look alike
BANK = 300  # kernels drawn, of which the best become starts
PIXELS = 2**15  # of all starts at one level together: so many starts go side by side ...
LEAST_STARTS = 4  # ... but no fewer than these at full size, and at half of it four times as many
ROUNDS, LAST_ROUNDS = 8, 20  # of both steps, at each level and at the last
LATENT_STEPS = 3  # of L-BFGS in a round: few, as the image is still wrong
LAM = (2e-2, 5e-4)  # weight of the edges in the first and the last round, between them geometric
FIT = 600.0
SMALLEST = 3  # px, side of a kernel at the coarsest level


@dataclass(frozen=True)
class Found:
    """Kernels ``[R, 1, kh, kw]``, best objective ``[R]`` first, after ``step`` of ``total`` rounds."""

    step: int
    total: int
    kernels: Tensor
    values: Tensor


def search_latents(
    blurred: Tensor, decode: Callable[[Tensor], Tensor], latent: int, random: torch.Generator, centred: bool = False
) -> Generator[Found, None, Found]:
    """Search for the kernel of an image of any size and colour, its border unknown.

    Parameters
    ----------
    blurred : Tensor [1, C, Y, X]
        Working units; not smaller than the kernels.
    decode : callable
        Latents ``[R, latent]``, standard normal, to kernels ``[R, 1, kh, kw]``.
    random : torch.Generator
        Source of the starts.
    centred : bool
        The generator knows centred kernels only.

    Yields
    ------
    Found
        After each round.
    """
    part = most_textured(blurred, WINDOW)
    noise = float(noise_std(part).mean())
    factors = [PYRAMID_STEP**-level for level in range(LEVELS, -1, -1)]
    total, done = ROUNDS * LEVELS + LAST_ROUNDS, 0
    z = torch.randn(BANK, latent, generator=random).to(blurred)
    with torch.no_grad():
        height, width = decode(z[:1]).shape[-2:]
    kernels = _Kernels(decode, (height, width), centred)
    found = None
    for factor in factors:
        level = _Level(part, kernels, factor, noise)
        for number in range(ROUNDS if factor < 1 else LAST_ROUNDS):
            lam = LAM[0] * (LAM[1] / LAM[0]) ** (done / (total - 1))
            if number == 0:
                z = level.best(z, lam)
            cost = level.cost(z, lam)
            state = run_to_end(lbfgs(cost, z, steps=LATENT_STEPS))
            order = state.values.argsort()
            z = state.x[order]
            done += 1
            with torch.no_grad():
                found = Found(done, total, decode(z), state.values[order])
            yield found
    assert found is not None
    return found


@dataclass(frozen=True)
class _Kernels:
    """A generator's kernels of ``size`` at any scale, with how far they are off their centre."""

    decode: Callable[[Tensor], Tensor]
    size: tuple[int, int]
    centred: bool

    def support(self, factor: float) -> tuple[int, int]:
        height, width = (max(SMALLEST, round(side * factor)) for side in self.size)
        return height, width

    def __call__(self, z: Tensor, factor: float) -> tuple[Tensor, Tensor]:
        """``[R, 1, kh, kw]``, and the squared distance ``[R]`` in full pixels."""
        kernels = self.decode(z)
        off = off_center(kernels) if self.centred else kernels.new_zeros(len(kernels))
        if factor < 1:
            kernels = interpolate(kernels, size=self.support(factor), mode="bilinear", antialias=True)
            kernels = kernels / kernels.sum((2, 3), keepdim=True)
        return kernels, off


class _Level:
    """The image ``[1, C, Y, X]`` at one size, and what of it stays the same from round to round.

    In colours: edges that all channels show are told from noise sooner than in their mean.
    """

    def __init__(self, part: Tensor, kernels: _Kernels, factor: float, noise: float) -> None:
        self.kernels, self.factor = kernels, factor
        if factor < 1:
            sides = (round(part.shape[-2] * factor), round(part.shape[-1] * factor))
            part = interpolate(part, size=sides, mode="bilinear", antialias=True)
        height, width = part.shape[-2:]
        self.starts = max(round(LEAST_STARTS / factor**2), PIXELS // (height * width))
        self.least_lam = NOISE_LAM * (noise * factor) ** 2
        kh, kw = self.support = kernels.support(factor)
        if height >= 2 * kh and width >= 2 * kw and is_periodic(part, noise * factor):
            self.canvas, self.trust = part, torch.ones_like(part[:, :1])
        else:
            self.canvas = smooth_wrap(part, (2 * kh, 2 * kw))
            self.trust = gradient_weights(part, (self.canvas.shape[-2], self.canvas.shape[-1]), TAPER * kh, TAPER * kw)
        seen = self.trust * gradients(self.canvas)
        self.target, self.power = torch.fft.rfft2(seen), seen.square().sum().clamp(min=1e-12)

    @torch.no_grad()
    def best(self, z: Tensor, lam: float) -> Tensor:
        """The latents that go on to this level."""
        if len(z) <= self.starts:
            return z
        values = [self.cost(part, lam)(part, torch.arange(len(part))) for part in z.split(self.starts)]
        return z[torch.cat(values).argsort()[: self.starts]]

    @torch.no_grad()
    def cost(self, z: Tensor, lam: float) -> Objective:
        """What the latents are to minimise, each for the sharp image of its kernel as it is now."""
        kernels, _ = self.kernels(z, self.factor)
        edges = self.trust * gradients(l0_image_step(self.canvas, kernels, max(lam, self.least_lam)))
        kh, kw = self.support
        normal, right, size = normal_equations(edges, self.target, (kh, kw))

        def cost(z: Tensor, rows: Tensor) -> Tensor:
            k, off_center = self.kernels(z, self.factor)
            spread = torch.fft.irfft2(normal[rows] * torch.fft.rfft2(k, s=size), s=size)[..., :kh, :kw]
            misfit = (k * (spread - 2 * right[rows])).sum((1, 2, 3)) + self.power
            return FIT * misfit / self.power + z.square().sum(1) / 2 + off_center / (2 * CENTRED**2)

        return cost
