"""Images larger than their generator: overlapping patches, each in its range, that share one kernel."""

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
from .kernel_prior import kernels_from_prior, ringing

LEAST = 0.02  # of the blending window, at a patch's border
PROJECTION_STEPS = 60  # for the latents that the search begins at
SHOWN_EVERY = 10  # updates
INEXACT = 2.0  # times the noise that patches may miss: less fits it, more loses the blur (benchmarks/RESULTS.md)
LAYER = "image of patches"


class Cover:
    """Patches, half a side apart, on a canvas that holds a scene ``[1, C, Y, X]`` of the given size.

    Where they overlap they are blended by a window that falls to their borders.
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
        down, right = (torch.hann_window(side, periodic=False, device=device) + LEAST for side in sides)
        self.window = down[:, None] * right
        self.weights = self._sum(self.window.expand(self.count, 1, *sides))

    @property
    def count(self) -> int:
        return self.counts[0] * self.counts[1]

    def cut(self, scene: Tensor) -> Tensor:
        """The patches ``[N, C, h, w]`` of a scene; beyond it its last rows and columns go on."""
        below, right = (whole - n for whole, n in zip(self.canvas, self.scene, strict=True))
        columns = unfold(pad(scene, (0, right, 0, below), mode="replicate"), self.sides, stride=self.steps)
        return columns[0].T.reshape(self.count, -1, *self.sides)

    def blended(self, patches: Tensor) -> Tensor:
        """The scene that patches ``[N, C, h, w]`` make."""
        return (self._sum(patches * self.window) / self.weights)[..., : self.scene[0], : self.scene[1]]

    def _sum(self, patches: Tensor) -> Tensor:
        return fold(patches.flatten(1).T[None], self.canvas, self.sides, stride=self.steps)


def patches(problem: Problem) -> Recipe:
    """Algorithm 1 of Asim 2020 for images of any size: all patches and the kernel at once.

    ``min |y - G_K(z_k) * blend(G_I(z_1) .. G_I(z_N))|^2 / 2 s^2 + (sum |z_i|^2 / 4 + |z_k|^2) / 2``: a pixel lies in up
    to four patches, so each counts a quarter. It begins at the kernel that a search in the kernel prior's range finds,
    and at the patches of the image for it. The image is the known-kernel solve for the kernel it ends with.
    """
    s, blurred = problem.settings, problem.blurred
    assert isinstance(s, PatchSettings)
    noise = max(float(noise_std(blurred).mean()), KERNEL_NOISE)
    circular = is_periodic(blurred, noise)
    if problem.kernel is not None:
        yield Snapshot(0, 1, "image", blurred, problem.kernel)
        return Solution(final_image(blurred, problem.kernel, noise, s, circular), problem.kernel)
    searched = yield from kernels_from_prior(problem)
    start = searched[int(ringing(blurred, searched).argmin()), None]
    kernel, decoded = yield from _with_patches(problem, start, noise)
    image = final_image(blurred, kernel, noise, s, circular)
    candidates = [(start, 0.0), (kernel, 0.0)]
    return Solution(image, kernel, chosen=1, candidates=candidates, extras={LAYER: decoded})


def _with_patches(problem: Problem, kernel: Tensor, noise: float) -> Generator[Snapshot, None, tuple[Tensor, Tensor]]:
    """Kernel ``[1, 1, kh, kw]`` and image ``[1, C, Y, X]`` in the priors' ranges, from a kernel on."""
    s, blurred, prior, kernels = problem.settings, problem.blurred, problem.image_prior, problem.kernel_prior
    assert isinstance(s, PatchSettings)
    assert prior is not None
    assert kernels is not None
    height, width = blurred.shape[-2:]
    kh, kw = kernel.shape[-2:]
    cover = Cover((prior.card.size[0], prior.card.size[1]), (height + kh - 1, width + kw - 1), blurred.device)
    first = final_image(blurred, kernel, noise, s).clamp(0, 1)
    top, left = kh - 1 - kh // 2, kw - 1 - kw // 2
    scene = pad(first, (left, kw // 2, top, kh // 2), mode="replicate")
    latents = closest_latents(prior.net, cover.cut(scene), steps=PROJECTION_STEPS)
    of_kernel = closest_latents(kernels.net, kernel, steps=PROJECTION_STEPS)

    def decode(point: Tensor) -> tuple[Tensor, Tensor]:
        z = point[0, : latents.numel()].reshape(latents.shape)
        return cover.blended(prior.decode(z)), kernels.decode(point[:, latents.numel() :])

    def objective(point: Tensor, _: Tensor) -> Tensor:
        misfit = (convolve(*decode(point), "valid") - blurred).square().sum() / (2 * (INEXACT * noise) ** 2)
        norms = point.square()
        return (misfit + norms[:, : latents.numel()].sum() / 8 + norms[:, latents.numel() :].sum() / 2)[None]

    search = lbfgs(objective, torch.cat([latents.flatten(), of_kernel.flatten()])[None], steps=s.steps)
    with closing(search):
        while True:
            try:
                state = next(search)
            except StopIteration as end:
                point = end.value.x
                break
            if state.step % SHOWN_EVERY == 0:
                with torch.no_grad():
                    image, now = decode(state.x)
                inside = image[..., top : top + height, left : left + width]
                yield Snapshot(state.step, s.steps, "patches and kernel", inside, now, {"total": state.values})
    with torch.no_grad():
        image, found = decode(point)
    return found, image[..., top : top + height, left : left + width]
