"""Recipe for images larger than their generator: overlapping patches in its range, which share one kernel."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

import torch
from torch import Tensor
from torch.nn.functional import fold, pad, unfold

from ..operators.boundary import is_periodic
from ..operators.convolution import convolve
from ..operators.noise import KERNEL_NOISE, noise_std
from ..optim.batched_lbfgs import lbfgs
from ..settings import PatchSettings
from ..zoo.projection import closest_latents
from .base import Problem, Recipe, Snapshot, Solution
from .final_deconvolution import final_image
from .kernel_prior import kernels_from_prior, ringing_score

MIN_WINDOW = 0.02  # of the blending window, at the border of a patch
PROJECTION_STEPS = 60  # for the initial latents
REPORT_EVERY = 10  # updates
NOISE_FACTOR = 2.0  # on the noise: lower values fit it, higher ones lose the blur (docs/decisions/0012-patches.md)
LAYER = "image of patches"


class PatchGrid:
    """A grid of patches, half a side apart, that covers a scene; overlapping patches are blended by a window.

    Parameters
    ----------
    sides : (int, int)
        Sides of a patch in pixels.
    scene : (int, int)
        Sides of the scene in pixels.
    device : torch.device
    """

    def __init__(self, sides: tuple[int, int], scene: tuple[int, int], device: torch.device) -> None:
        self.sides, self.scene = sides, scene
        self.steps = (max(1, sides[0] // 2), max(1, sides[1] // 2))
        self.counts = tuple(
            1 + max(0, -(-(n - side) // step)) for n, side, step in zip(scene, sides, self.steps, strict=True)
        )
        self.canvas = (
            sides[0] + (self.counts[0] - 1) * self.steps[0],
            sides[1] + (self.counts[1] - 1) * self.steps[1],
        )
        down, right = (torch.hann_window(side, periodic=False, device=device) + MIN_WINDOW for side in sides)
        self.window = down[:, None] * right
        self.weights = self._sum(self.window.expand(self.count, 1, *sides))

    @property
    def count(self) -> int:
        """Number of patches N."""
        return self.counts[0] * self.counts[1]

    def cut(self, scene: Tensor) -> Tensor:
        """Cut a scene ``[1, C, Y, X]`` into patches ``[N, C, h, w]``; beyond the scene its last pixels are repeated."""
        below, right = (whole - n for whole, n in zip(self.canvas, self.scene, strict=True))
        columns = unfold(pad(scene, (0, right, 0, below), mode="replicate"), self.sides, stride=self.steps)
        return columns[0].T.reshape(self.count, -1, *self.sides)

    def blend(self, patches: Tensor) -> Tensor:
        """Blend patches ``[N, C, h, w]`` to a scene ``[1, C, Y, X]``."""
        return (self._sum(patches * self.window) / self.weights)[..., : self.scene[0], : self.scene[1]]

    def _sum(self, patches: Tensor) -> Tensor:
        """Add patches on the canvas."""
        return fold(patches.flatten(1).T[None], self.canvas, self.sides, stride=self.steps)


def patches(problem: Problem) -> Recipe:
    """Run algorithm 1 of Asim 2020 for an image of any size, on all patches and the kernel together.

    ``min |y - G_K(z_k) * blend(G_I(z_1) .. G_I(z_N))|^2 / 2 s^2 + (sum |z_i|^2 / 4 + |z_k|^2) / 2``: a pixel is in up
    to four patches, so that each has a quarter of the weight. The initial kernel is estimated in the range of the
    kernel prior, and the initial patches are those of its image. The result is the deconvolution with the final kernel.
    """
    s, blurred = problem.settings, problem.blurred
    assert isinstance(s, PatchSettings)
    noise = max(float(noise_std(blurred).mean()), KERNEL_NOISE)
    periodic = is_periodic(blurred, noise)
    kernels = yield from kernels_from_prior(problem)
    initial = kernels[int(ringing_score(blurred, kernels).argmin()), None]
    kernel, decoded = yield from _with_patches(problem, initial, noise)
    image = final_image(blurred, kernel, noise, s, periodic)
    candidates = [(initial, 0.0), (kernel, 0.0)]
    return Solution(image, kernel, selected=1, candidates=candidates, extra_images={LAYER: decoded})


def _with_patches(problem: Problem, kernel: Tensor, noise: float) -> Generator[Snapshot, None, tuple[Tensor, Tensor]]:
    """Estimate kernel ``[1, 1, kh, kw]`` and image ``[1, C, Y, X]`` in the ranges of the priors from an initial one."""
    s, blurred, prior, kernels = problem.settings, problem.blurred, problem.image_prior, problem.kernel_prior
    assert isinstance(s, PatchSettings)
    assert prior is not None
    assert kernels is not None
    height, width = blurred.shape[-2:]
    kh, kw = kernel.shape[-2:]
    grid = PatchGrid((prior.card.size[0], prior.card.size[1]), (height + kh - 1, width + kw - 1), blurred.device)
    first = final_image(blurred, kernel, noise, s).clamp(0, 1)
    top, left = kh - 1 - kh // 2, kw - 1 - kw // 2
    scene = pad(first, (left, kw // 2, top, kh // 2), mode="replicate")
    latents = closest_latents(prior.net, grid.cut(scene), steps=PROJECTION_STEPS)
    kernel_latents = closest_latents(kernels.net, kernel, steps=PROJECTION_STEPS)

    def decode(point: Tensor) -> tuple[Tensor, Tensor]:
        z = point[0, : latents.numel()].reshape(latents.shape)
        return grid.blend(prior.decode(z)), kernels.decode(point[:, latents.numel() :])

    def objective(point: Tensor, _: Tensor) -> Tensor:
        misfit = (convolve(*decode(point), "valid") - blurred).square().sum() / (2 * (NOISE_FACTOR * noise) ** 2)
        norms = point.square()
        return (misfit + norms[:, : latents.numel()].sum() / 8 + norms[:, latents.numel() :].sum() / 2)[None]

    search = lbfgs(objective, torch.cat([latents.flatten(), kernel_latents.flatten()])[None], steps=s.steps)
    with closing(search):
        while True:
            try:
                state = next(search)
            except StopIteration as end:
                point = end.value.x
                break
            if state.step % REPORT_EVERY == 0:
                with torch.no_grad():
                    image, estimate = decode(state.x)
                inside = image[..., top : top + height, left : left + width]
                yield Snapshot(state.step, s.steps, "Patches and kernel", inside, estimate, {"total": state.values})
    with torch.no_grad():
        image, estimate = decode(point)
    return estimate, image[..., top : top + height, left : left + width]
