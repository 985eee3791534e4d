"""Recipes for volumes: the volume for a given kernel, and blind, with a generator of microscopes' blur.

Blind, the kernel is the one of most evidence among simulated microscopes.
"""

from __future__ import annotations

from collections.abc import Generator as Yields
from dataclasses import dataclass, replace
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool3d

from .._generators import drain
from .._tensors import half_spectrum_weights
from ..blur import optics
from ..classical.volumes import (
    LUCY_SHARE,
    TAIL,
    Noise,
    Solve,
    VolumeState,
    Weights,
    least_variation,
    misfit_of,
    richardson_lucy,
    strength_for,
    volume_noise,
    wiener,
)
from ..forward.volumes import (
    Canvas,
    Sides,
    apply_transfer,
    differences,
    goes_round,
    margin_for,
    on_canvas,
    sides_of,
    slope_power,
    transfer_function,
)
from ..settings import VolumeSettings
from ..zoo.projection import device_of
from ..zoo.store import Generator
from .base import Problem, Recipe, Snapshot, Solution

REGION: Sides = (32, 72, 72)  # voxels in which the kernel is sought, where there is most detail
TRIAL_STEPS = 12  # of the splitting, to compare kernels
SPREADS = (0.25, 0.15, 0.1)  # of microscopes near the best ones so far, turn by turn
VARIANTS = 8  # a turn
FINALISTS = 3
CLASSES = 8  # of slopes, in the evidence
FLAT = 1e-4  # working units; no slope counts as less
SPARSE = 4.0  # weight of l1/l2 of the slopes; chosen on a few synthetic volumes, by which kernel was picked


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
    variance = noise.typical(blurred)
    z, y, x = (0 if wraps else m for wraps, m in zip(goes_round(blurred, variance), margin, strict=True))
    return Scene(on_canvas(blurred, (z, y, x)), noise, weights, smoothing * strength_for(variance**0.5))


def known_kernel(problem: Problem, weights: Weights) -> Recipe:
    """The volume for a given kernel, by the solver that the settings name."""
    s, kernel = problem.settings, problem.kernel
    assert isinstance(s, VolumeSettings)
    assert kernel is not None
    scene = scene_of(problem.blurred, weights, margin_for(kernel, TAIL), s.smoothing)
    volume = yield from _final(scene, kernel, s)
    return Solution(volume, kernel)


def _final(scene: Scene, kernel: Tensor, s: VolumeSettings, done: int = 0) -> Yields[Snapshot, None, Tensor]:
    """Yields snapshots with the misfit so far, the last with that of what is returned, ``[1, 1, Z, Y, X]``."""
    canvas, transfer = scene.canvas, transfer_function(kernel, scene.canvas.sides)
    arguments = (canvas, transfer, scene.noise, scene.weights)
    solve: Solve | list[VolumeState]
    if s.solver == "wiener":
        volume = wiener(*arguments).clamp(min=0)
        solve = [VolumeState(1, volume, misfit_of(canvas, apply_transfer(volume, transfer), scene.noise))]
    elif s.solver == "richardson-lucy":
        solve = richardson_lucy(*arguments, strength=LUCY_SHARE * scene.strength, steps=s.steps)
    else:
        solve = least_variation(*arguments, strength=scene.strength, steps=s.steps)
    for state in solve:
        volume = canvas.cut(state.canvas)
        losses = {"misfit": torch.tensor([state.misfit])}
        yield Snapshot(done + state.step, done + s.steps, "volume", volume, kernel, losses)
    return volume


def blind(problem: Problem, weights: Weights) -> Recipe:
    """Kernel by its evidence, then the volume for it.

    Notes
    -----
    Every candidate is scored by :func:`against`: first any simulated microscopes, then such as are near the best. The
    generator gives the kernel's size, and kernels where microscopes cannot be simulated. Moving on in its range by the
    gradient of the same figure lowers the figure, not the error: its latents leave what microscopes do.
    """
    s, prior = problem.settings, problem.kernel_prior
    assert isinstance(s, VolumeSettings)
    assert prior is not None
    depth, height, width = _sides(prior)
    part = busiest(problem.blurred, REGION)
    scene = scene_of(part, weights, (depth - 1, height - 1, width - 1), s.smoothing)
    rng = np.random.default_rng(problem.seed)
    total = s.starts + len(SPREADS) * VARIANTS
    found: list[Candidate] = []

    def shown(stage: str) -> Snapshot:
        kernel = found[0].kernel if found else None
        return Snapshot(tried, total + s.steps, f"kernel, {stage}", problem.blurred, kernel)

    for tried in range(total):
        yield shown(f"microscope {tried + 1}")
        turn = (tried - s.starts) // VARIANTS
        near = found[(tried - s.starts) % min(FINALISTS, len(found))] if turn >= 0 else None
        optic, kernel = drawn(rng, prior, near, SPREADS[max(turn, 0)])
        volume = _trial(scene, kernel)
        candidate = Candidate(against(scene, volume, kernel), kernel, optic)
        found = sorted([*found, candidate], key=lambda each: each.against)[:FINALISTS]
    kernel = found[0].kernel
    whole = scene_of(problem.blurred, weights, margin_for(kernel, TAIL), s.smoothing)
    volume = yield from _final(whole, kernel, s, total)
    return Solution(volume, kernel, rivals=[(each.kernel, each.against) for each in found])


@dataclass(frozen=True)
class Candidate:
    """A kernel, what speaks against it, the microscope and distance of planes (nm) it is of."""

    against: float
    kernel: Tensor
    optic: tuple[optics.Microscope, float] | None


def drawn(
    rng: np.random.Generator, prior: Generator, near: Candidate | None, spread: float
) -> tuple[tuple[optics.Microscope, float] | None, Tensor]:
    """A simulated microscope in focus, any or one ``near`` a candidate, with its kernel of the generator's size.

    Without ``psfmodels`` it is a random latent's kernel.
    """
    depth, height, width = _sides(prior)
    device = device_of(prior.net)
    if find_spec("psfmodels") is None:
        z = 0.5 * rng.standard_normal((1, prior.card.latent))
        return None, prior.decode(torch.from_numpy(z.astype(np.float32)).to(device))
    if near is None or near.optic is None:
        microscope = replace(optics.random_microscope(rng, height), defocus_um=0.0)
        optic = microscope, optics.random_step_nm(rng, microscope)
    else:
        optic = _varied(rng, *near.optic, spread)
    kernel = optics.microscope_psf_3d(shape=(depth, height, width), step_z_nm=optic[1], **vars(optic[0]))
    return optic, torch.from_numpy(kernel)[None, None].to(device)


def _varied(
    rng: np.random.Generator, m: optics.Microscope, step_nm: float, spread: float
) -> tuple[optics.Microscope, float]:
    """A microscope near another: sides of voxels by a factor of about ``1 + spread``, the rest in proportion."""
    pixel, step, aperture, index, depth, pinhole = spread * rng.standard_normal(6)
    microscope = replace(
        m,
        pixel_size_nm=m.pixel_size_nm * np.exp(pixel),
        na=float(np.clip(m.na * np.exp(aperture / 2), 0.1, 0.98 * m.immersion_index)),
        sample_index=float(np.clip(m.sample_index + index / 5, 1.3, 1.55)),
        depth_um=float(np.clip(m.depth_um * np.exp(3 * depth), 0.1, 50)),
        pinhole_au=float(np.clip(m.pinhole_au * np.exp(3 * pinhole), 0.3, 5)),
    )
    return microscope, float(np.clip(step_nm * np.exp(step), 20, 10_000))


def busiest(volume: Tensor, region: Sides) -> Tensor:
    """The part ``[1, 1, z, y, x]`` of at most ``region`` voxels whose smoothed differences are largest."""
    sides = [min(n, r) for n, r in zip(sides_of(volume), region, strict=True)]
    strides = [max(1, side // 4) for side in sides]
    slopes = differences(avg_pool3d(volume, 3, 1, padding=1), (1.0, 1.0, 1.0)).square().sum(0)
    sums = avg_pool3d(slopes, sides, strides)[0, 0]
    place = np.unravel_index(int(sums.argmax()), sums.shape)
    cut = [slice(int(p) * step, int(p) * step + side) for p, step, side in zip(place, strides, sides, strict=True)]
    return volume[:, :, cut[0], cut[1], cut[2]]


def _sides(prior: Generator) -> Sides:
    """Depth, height and width of the kernels; that they are volumes was seen to by the plan."""
    size = prior.card.size
    return (size[0], size[1], size[-1])


def _trial(scene: Scene, kernel: Tensor, steps: int = TRIAL_STEPS) -> Tensor:
    transfer = transfer_function(kernel, scene.canvas.sides)
    solve = least_variation(scene.canvas, transfer, scene.noise, scene.weights, strength=scene.strength, steps=steps)
    return drain(solve).canvas


@torch.no_grad()
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
    all and their volume is smooth. To this is added l1/l2 of the slopes, which tells near kernels apart.
    """
    canvas = scene.canvas
    transfer = transfer_function(kernel, canvas.sides)
    blurred = apply_transfer(volume, transfer)
    misfit = misfit_of(canvas, blurred, scene.noise)
    slopes = differences(volume, scene.weights).square().sum(0).sqrt()
    slopes = canvas.cut(slopes)
    power = transfer.abs().square()[0, 0] / scene.typical
    slope = slope_power(canvas.sides, scene.weights, power.device)
    counted = half_spectrum_weights(canvas.sides[2], power.device).expand_as(power) / canvas.data.numel()
    curvature = curvatures(scene, volume, kernel)
    volumes = sum((counted * torch.log(power + t * slope)).sum() - t.log() for t in curvature) / len(curvature)
    sparse = float(slopes.mean() / slopes.square().mean().sqrt())
    return misfit / 2 + scene.strength * float(slopes.mean()) + float(volumes) / 2 + SPARSE * sparse


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
