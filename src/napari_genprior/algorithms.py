"""Named recipes, one per algorithm: which prior, which misfit, which search. None has a loop of its own.

A recipe takes a :class:`Problem`, yields :class:`Snapshot` on the way, and returns a :class:`Solution`.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ._generators import relay
from ._tensors import seeded
from .classical.kernel_l0 import Level
from .classical.known_kernel import deconvolve, noise_std, residual_std, strength_for
from .classical.rivals import find_size, pick, search_by_rivals
from .forward.bilinear import Convolution
from .forward.fidelity import dissimilarity, squared_error
from .nets.mlp import KernelMLP
from .nets.skip import SkipNetwork, fitting_depth
from .objective import Objective, Term, during
from .priors.base import Prior, trainable
from .priors.pixels import Known, SoftmaxKernel, start_kernel
from .priors.untrained import UntrainedNetwork
from .result import StatusCode
from .settings import ClassicalSettings, KnownKernelSettings, SelfDeblurSettings, Settings
from .solvers.loop import LoopState, minimise

KERNEL_NOISE = 0.01  # an estimated kernel errs like at least this much noise, fraction of the range
LEAST_NOISE = 0.002  # of a given kernel and rounding


@dataclass(frozen=True)
class Problem:
    """What a recipe gets.

    Parameters
    ----------
    blurred : Tensor [1, C, Y, X]
        Working units (usable range about [0, 1]), on the device to use.
    kernel : Tensor [1, 1, kh, kw] or None
        Given kernel, >= 0, sum 1.
    kernel_size : (int, int) or None
        Height and width of the kernel's support in pixels (odd); None: to be found.
    """

    blurred: Tensor
    settings: Settings
    kernel: Tensor | None = None
    kernel_size: tuple[int, int] | None = None
    seed: int = 0


@dataclass(frozen=True)
class Snapshot:
    """The state on the way, in working units; turned into :class:`result.Progress` by the front door."""

    step: int
    total: int
    stage: str
    image: Tensor | None = None  # [1, C, Y, X]
    kernel: Tensor | None = None  # [1, 1, kh, kw]
    losses: dict[str, Tensor] = field(default_factory=dict)  # each [R]


@dataclass(frozen=True)
class Solution:
    """What a recipe returns, in working units."""

    image: Tensor
    kernel: Tensor
    chosen: int = 0
    diverged: bool = False


Recipe = Generator[Snapshot, None, Solution]


def selfdeblur(problem: Problem) -> Recipe:
    """SelfDeblur: picture from an untrained skip network, kernel from a softmax or a network.

    ``min over theta_x, theta_k of misfit(G_k(theta_k) * G_x(theta_x), y)``: squared error first, then 1 - SSIM.
    ``problem.settings`` is a :class:`SelfDeblurSettings`; without ``problem.kernel_size`` a classical search sets it.

    References
    ----------
    Ren, Zhang, Wang, Hu and Zuo, Neural blind deconvolution using deep priors, CVPR 2020.
    """
    s, blurred = problem.settings, problem.blurred
    assert isinstance(s, SelfDeblurSettings)
    if problem.kernel is not None:
        kh, kw = problem.kernel.shape[-2:]
    else:
        kh, kw = problem.kernel_size or find_size(blurred, float(noise_std(blurred).mean()))
    channels, height, width = blurred.shape[1:]
    size = (height + kh - 1, width + kw - 1)  # all of the scene that the data sees
    operator = Convolution((kh, kw), (channels, *size), boundary="valid")

    depth = fitting_depth(size, s.depth)
    image = UntrainedNetwork(
        lambda: SkipNetwork(channels, channels=s.channels, skip_channels=s.skip_channels, depth=depth),
        code_shape=(8, *size),
        jitter=s.jitter,
        device=blurred.device,
    )
    kernel: Prior = Known(problem.kernel) if problem.kernel is not None else _kernel_prior(s, (kh, kw), blurred.device)
    switch = round(s.ssim_from * s.steps) if s.ssim_from < 1 else s.steps + 1
    terms = {
        "squared error": Term(lambda e: squared_error(e.model, e.data), during(0, switch)),
        "1 - SSIM": Term(lambda e: dissimilarity(e.model, e.data), during(switch)),
    }
    objective = Objective(operator, blurred, image, kernel, terms, seeded(problem.seed))
    kernel_rate = s.softmax_rate if s.kernel_net == "softmax" else s.mlp_rate
    optimiser = torch.optim.Adam(
        [
            {"params": trainable(objective.image_block), "lr": s.image_rate},
            {"params": trainable(objective.kernel_block), "lr": kernel_rate},
        ]
    )

    def snapshot(state: LoopState) -> Snapshot:
        now = objective.estimate()
        losses = {name: torch.from_numpy(value) for name, value in state.losses.items()}
        picture = operator.under_data(now.image)
        return Snapshot(state.step, state.total, "picture and kernel", picture, now.kernel, losses)

    search = minimise(
        objective,
        optimiser,
        steps=s.steps,
        report_every=s.report_every,
        milestones={round(fraction * s.steps) for fraction in (0.4, 0.6, 0.8)},
        decay=0.5,
    )
    status = yield from relay(search, snapshot)
    final = objective.estimate()
    return Solution(operator.under_data(final.image), final.kernel, diverged=status.code == StatusCode.DIVERGED)


def _kernel_prior(s: SelfDeblurSettings, shape: tuple[int, int], device: torch.device) -> Prior:
    if s.kernel_net == "mlp":
        return UntrainedNetwork(lambda: KernelMLP(shape), code_shape=(200,), device=device)
    return SoftmaxKernel(start_kernel("gaussian", shape, device))


def classical(problem: Problem) -> Recipe:
    """Kernel by rival coarse-to-fine L0 searches, picture by total variation (:mod:`.classical`)."""
    s, blurred = problem.settings, problem.blurred
    assert isinstance(s, ClassicalSettings)
    if problem.kernel is not None:
        return (yield from known_kernel(problem))
    noise = float(noise_std(blurred).mean())

    def snapshot(level: Level) -> Snapshot:
        preview = interpolate(level.image, size=blurred.shape[-2:], mode="bilinear").expand_as(blurred)
        return Snapshot(
            level.index, level.total, f"kernel, search {level.index + 1} of {level.total}", preview, level.kernel
        )

    kernels = yield from relay(search_by_rivals(blurred, problem.kernel_size, noise), snapshot)
    strength = s.smoothing * strength_for(max(noise, KERNEL_NOISE))
    images = [deconvolve(blurred, kernel, strength) for kernel in kernels]
    best = pick(kernels, [residual_std(blurred, x, k) for x, k in zip(images, kernels, strict=True)])
    return Solution(images[best], kernels[best], chosen=best)


def known_kernel(problem: Problem) -> Recipe:
    """Picture for a given kernel by total variation, as strong as the noise asks for."""
    s, blurred = problem.settings, problem.blurred
    assert isinstance(s, ClassicalSettings | KnownKernelSettings)
    assert problem.kernel is not None
    yield Snapshot(0, 1, "picture", blurred, problem.kernel)
    strength = s.smoothing * strength_for(max(float(noise_std(blurred).mean()), LEAST_NOISE))
    return Solution(deconvolve(blurred, problem.kernel, strength), problem.kernel)
