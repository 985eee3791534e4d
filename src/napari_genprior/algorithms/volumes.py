"""Recipes for volumes: the volume for a given kernel, and blind, with a generator of microscopes' blur.

Blind, the kernel is that of most evidence among simulated microscopes, moved on in the generator's range.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .._generators import drain
from .._tensors import half_spectrum_weights, seeded
from ..blur import optics
from ..classical.volumes import (
    LUCY_SHARE,
    TAIL,
    Noise,
    Solve,
    Weights,
    least_variation,
    richardson_lucy,
    strength_for,
    volume_noise,
    wiener,
)
from ..errors import InputError
from ..forward.volumes import (
    SPACE,
    Canvas,
    Sides,
    apply_transfer,
    differences,
    margin_for,
    on_canvas,
    sides_of,
    slope_power,
    transfer_function,
)
from ..nets.linear import LinearGenerator
from ..settings import VolumeSettings
from ..solvers.lbfgs import lbfgs
from ..zoo.store import Generator
from .base import Problem, Recipe, Snapshot, Solution

REGION: Sides = (32, 72, 72)  # voxels in which the kernel is sought, where there is most detail
TRIAL_STEPS = 12  # of the splitting, to compare kernels
FINALISTS = 3
ROUNDS = 5  # of volume and kernel in turn
KERNEL_STEPS = 6  # of L-BFGS a round
CLASSES = 8  # of slopes, in the evidence
FLAT = 1e-4  # working units; no slope counts as less
HOLD = 1.0  # of the latent's log-density beside the evidence


@dataclass(frozen=True)
class Scene:
    """What all kernels are judged on: the canvas, its noise, the weights of differences, the strength."""

    canvas: Canvas
    noise: Noise
    weights: Weights
    strength: float

    @property
    def typical(self) -> float:
        return self.noise.typical(self.canvas.cut(self.canvas.data))


def scene_of(blurred: Tensor, weights: Weights, margin: Sides, smoothing: float) -> Scene:
    """A blurred volume ``[1, 1, Z, Y, X]`` on its canvas."""
    noise = volume_noise(blurred)
    return Scene(
        on_canvas(blurred, margin), noise, weights, smoothing * strength_for(noise.typical(blurred) ** 0.5)
    )


def known_kernel(problem: Problem, weights: Weights) -> Recipe:
    """The volume for a given kernel, by the solver that the settings name."""
    s, kernel = problem.settings, problem.kernel
    assert isinstance(s, VolumeSettings) and kernel is not None
    scene = scene_of(problem.blurred, weights, margin_for(kernel, TAIL), s.smoothing)
    volume = yield from _final(scene, kernel, s)
    return Solution(volume, kernel)


def _final(scene: Scene, kernel: Tensor, s: VolumeSettings) -> Recipe:
    canvas, transfer = scene.canvas, transfer_function(kernel, scene.canvas.sides)
    if s.solver == "wiener":
        yield Snapshot(0, 1, "volume", canvas.cut(canvas.data), kernel)
        return canvas.cut(wiener(canvas, transfer, scene.noise, scene.weights)).clamp(min=0)
    solve: Solve
    arguments = (canvas, transfer, scene.noise, scene.weights)
    if s.solver == "richardson-lucy":
        solve = richardson_lucy(*arguments, strength=LUCY_SHARE * scene.strength, steps=s.steps)
    else:
        solve = least_variation(*arguments, strength=scene.strength, steps=s.steps)
    state = None
    for state in solve:
        losses = {"misfit": torch.tensor([state.misfit])}
        yield Snapshot(state.step, s.steps, "volume", canvas.cut(state.canvas), kernel, losses)
    assert state is not None
    return canvas.cut(state.canvas)


def blind(problem: Problem, weights: Weights) -> Recipe:
    """Kernel by its evidence, then the volume for it.

    Notes
    -----
    Every candidate is scored by :func:`against`. The best few are encoded into the generator's range, and there volume
    and latent take turns, each lowering the same figure.
    """
    s, prior = problem.settings, problem.kernel_prior
    assert isinstance(s, VolumeSettings) and prior is not None
    depth, height, width = prior.card.size
    part = busiest(problem.blurred, REGION)
    scene = scene_of(part, weights, (depth - 1, height - 1, width - 1), s.smoothing)
    candidates = starts(prior, s.starts, problem.seed, part.device)
    total = len(candidates) + FINALISTS * ROUNDS
    scored = []
    for number, latent in enumerate(candidates):
        kernel = prior.decode(latent)
        yield Snapshot(number, total, f"kernel, start {number + 1} of {len(candidates)}", problem.blurred, kernel)
        volume = _trial(scene, kernel, TRIAL_STEPS)
        scored.append((against(scene, volume, kernel), latent, volume))
    scored.sort(key=lambda each: each[0])
    found: list[tuple[float, Tensor]] = []
    for rank, (score, latent, volume) in enumerate(scored[:FINALISTS]):
        best = (score, prior.decode(latent))
        for turn in range(ROUNDS):
            step = len(candidates) + rank * ROUNDS + turn
            losses = {"against": torch.tensor([best[0]])}
            yield Snapshot(step, total, f"kernel, search {rank + 1} of {FINALISTS}", problem.blurred, best[1], losses)
            latent = _kernel_step(scene, volume, prior, latent)
            kernel = prior.decode(latent)
            volume = _trial(scene, kernel, TRIAL_STEPS)
            best = min(best, (against(scene, volume, kernel), kernel), key=lambda each: each[0])
        found.append(best)
    chosen = min(range(len(found)), key=lambda i: found[i][0])
    kernel = found[chosen][1]
    whole = scene_of(problem.blurred, weights, margin_for(kernel, TAIL), s.smoothing)
    volume = yield from _final(whole, kernel, s)
    return Solution(volume, kernel, chosen=chosen, rivals=[(each, figure) for figure, each in found])


def starts(prior: Generator, count: int, seed: int, device: torch.device) -> list[Tensor]:
    """Latents ``[1, latent]`` to begin at: of simulated microscopes in focus, one of them the generator's mean."""
    depth, height, _ = prior.card.size
    rng, found = np.random.default_rng(seed), [torch.zeros(1, prior.card.latent, device=device)]
    while len(found) < count:
        try:
            microscope = optics.random_microscope(rng, height)
            step = optics.random_step_nm(rng, microscope)
            sides = (depth, height, height)
            drawn = optics.microscope_psf_3d(
                shape=sides, step_z_nm=step, **{**vars(microscope), "defocus_um": 0.0}
            )
        except InputError:  # psfmodels is not installed
            drawn_latents = torch.randn(count - len(found), prior.card.latent, generator=seeded(seed)) / 2
            return found + [latent[None].to(device) for latent in drawn_latents]
        assert isinstance(prior.net, LinearGenerator)
        found.append(prior.net.encode(torch.from_numpy(drawn)[None, None].to(device))[0])
    return found


def busiest(volume: Tensor, region: Sides) -> Tensor:
    """The part ``[1, 1, z, y, x]`` of at most ``region`` voxels whose smoothed differences are largest."""
    sides = [min(n, r) for n, r in zip(sides_of(volume), region, strict=True)]
    strides = [max(1, side // 4) for side in sides]
    busy = torch.nn.functional.avg_pool3d(volume, 2, 1, ceil_mode=False) if min(sides) > 2 else volume
    slopes = differences(busy, (1.0, 1.0, 1.0)).square().sum(0)
    slopes = torch.nn.functional.pad(slopes, [x for a, b in zip(SPACE[::-1], SPACE[::-1]) for x in (0, volume.shape[a] - slopes.shape[b])])
    sums = torch.nn.functional.avg_pool3d(slopes, sides, strides)[0, 0]
    place = np.unravel_index(int(sums.argmax()), sums.shape)
    cut = tuple(slice(int(p) * st, int(p) * st + side) for p, st, side in zip(place, strides, sides, strict=True))
    return volume[(..., *cut)]


def _trial(scene: Scene, kernel: Tensor, steps: int) -> Tensor:
    transfer = transfer_function(kernel, scene.canvas.sides)
    solve = least_variation(
        scene.canvas, transfer, scene.noise, scene.weights, strength=scene.strength, steps=steps
    )
    return drain(solve).canvas


def against(scene: Scene, volume: Tensor, kernel: Tensor) -> float:
    """What speaks against a kernel, per voxel: an approximate negative log-evidence, the volume integrated out.

    Parameters
    ----------
    volume : Tensor [1, 1, Z', Y', X']
        The canvas that solves for the kernel.

    Notes
    -----
    ``(k * x - y)^2 / (2 v) + s |D x|_1 + mean_t [log det(K'K / v + t D'D) / 2 - log(t) / 2]``, all as means. The last
    term is Laplace's approximation: the penalty's curvature t is ``s / |D x|`` (with the posterior variance of D x
    added to its square), large on flat ground and small at edges; the determinant is taken as if t were the same all
    over the volume, and then averaged over classes of slopes. Without that term blur-free kernels win, since they fit
    all and their volume is smooth.
    """
    with torch.no_grad():
        return float(_against(scene, volume, kernel, curvatures(scene, volume, kernel)))


def _against(scene: Scene, volume: Tensor, kernel: Tensor, curvature: Tensor) -> Tensor:
    canvas = scene.canvas
    transfer = transfer_function(kernel, canvas.sides)
    blurred = apply_transfer(volume, transfer)
    variance = scene.noise.variance(blurred.detach()).clamp(min=1e-3 * scene.typical)
    misfit = (canvas.inside * (blurred - canvas.data).square() / variance).sum() / canvas.inside.sum()
    slopes = differences(volume, scene.weights).square().sum(0).sqrt()
    variation = canvas.cut(slopes).mean()
    power = transfer.abs().square()[0, 0] / scene.typical
    slope = slope_power(canvas.sides, scene.weights, power.device)
    counted = half_spectrum_weights(canvas.sides[2], power.device).expand_as(power) / canvas.data.numel()
    volumes = sum((counted * torch.log(power + t * slope)).sum() - t.log() for t in curvature) / len(curvature)
    return misfit / 2 + scene.strength * variation + volumes / 2


@torch.no_grad()
def curvatures(scene: Scene, volume: Tensor, kernel: Tensor) -> Tensor:
    """Curvature of the total variation in :data:`CLASSES` equally frequent classes of slopes, see :func:`against`."""
    canvas = scene.canvas
    slopes = canvas.cut(differences(volume, scene.weights).square().sum(0).sqrt()).flatten()
    ranks = ((torch.arange(CLASSES, device=slopes.device) + 0.5) / CLASSES * (len(slopes) - 1)).long()
    levels = slopes.sort().values[ranks].clamp(min=FLAT)
    power = transfer_function(kernel, canvas.sides).abs().square()[0, 0] / scene.typical
    slope = slope_power(canvas.sides, scene.weights, power.device)
    counted = half_spectrum_weights(canvas.sides[2], power.device).expand_as(power) / canvas.data.numel()
    found = []
    for level in levels:
        t = scene.strength / level
        for _ in range(3):
            t = scene.strength / (level.square() + (counted * slope / (power + t * slope)).sum()).sqrt()
        found.append(t)
    return torch.stack(found)


def _kernel_step(scene: Scene, volume: Tensor, prior: Generator, latent: Tensor) -> Tensor:
    """Lower what speaks against the kernel by its latent, the volume and its curvatures held."""
    curvature = curvatures(scene, volume, prior.decode(latent))
    voxels = float(scene.canvas.inside.sum())

    def objective(z: Tensor, rows: Tensor) -> Tensor:
        cost = _against(scene, volume, prior.decode(z), curvature)
        return (voxels * cost + HOLD * z.square().sum() / 2)[None]

    return drain(lbfgs(objective, latent, steps=KERNEL_STEPS)).x
