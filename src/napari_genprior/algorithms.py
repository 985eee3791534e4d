"""Named recipes, one per algorithm: which prior, which misfit, which search. None has a loop of its own.

A recipe takes a :class:`Problem`, yields :class:`Snapshot` on the way, and returns a :class:`Solution`.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ._tensors import seeded
from .errors import InputError
from .forward.bilinear import Convolution
from .forward.fidelity import dissimilarity, squared_error
from .nets.mlp import KernelMLP
from .nets.skip import SkipNetwork, fitting_depth
from .objective import Objective, Term, during
from .priors.base import Prior, trainable
from .priors.pixels import Known, SoftmaxKernel, start_kernel
from .priors.untrained import UntrainedNetwork
from .result import StatusCode
from .settings import SelfDeblurSettings, Settings
from .solvers.loop import LoopState, minimise, relay


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
    ``problem.settings`` is a :class:`SelfDeblurSettings`; ``problem.kernel_size`` or ``problem.kernel`` is needed.

    References
    ----------
    Ren, Zhang, Wang, Hu and Zuo, Neural blind deconvolution using deep priors, CVPR 2020.
    """
    s, blurred = problem.settings, problem.blurred
    assert isinstance(s, SelfDeblurSettings)
    kernel_size = problem.kernel_size if problem.kernel is None else problem.kernel.shape[-2:]
    if kernel_size is None:
        raise InputError("selfdeblur got neither a kernel nor a kernel size; give kernel_size, for example 15 by 15.")
    kh, kw = kernel_size
    channels, height, width = blurred.shape[1:]
    size = (height + kh - 1, width + kw - 1)  # all of the scene that the data sees
    operator = Convolution((kh, kw), (channels, *size), boundary="valid")

    depth = fitting_depth(size, s.depth)
    image = UntrainedNetwork(
        lambda: SkipNetwork(channels, channels=s.channels, skip_channels=s.skip_channels, depth=depth),
        code_shape=(8, *size), jitter=s.jitter, device=blurred.device,
    )
    kernel: Prior = Known(problem.kernel) if problem.kernel is not None else _kernel_prior(s, (kh, kw), blurred.device)
    switch = round(s.ssim_from * s.steps) if s.ssim_from < 1 else s.steps + 1
    terms = {
        "squared error": Term(lambda e: squared_error(e.model, e.data), during(0, switch)),
        "1 - SSIM": Term(lambda e: dissimilarity(e.model, e.data), during(switch)),
    }
    objective = Objective(operator, blurred, image, kernel, terms, seeded(problem.seed))
    kernel_rate = s.softmax_rate if s.kernel_net == "softmax" else s.mlp_rate
    optimiser = torch.optim.Adam([
        {"params": trainable(objective.image_block), "lr": s.image_rate},
        {"params": trainable(objective.kernel_block), "lr": kernel_rate},
    ])

    def snapshot(state: LoopState) -> Snapshot:
        now = objective.estimate()
        losses = {name: torch.from_numpy(value) for name, value in state.losses.items()}
        picture = operator.under_data(now.image)
        return Snapshot(state.step, state.total, "picture and kernel", picture, now.kernel, losses)

    search = minimise(
        objective, optimiser, steps=s.steps, report_every=s.report_every,
        milestones={round(fraction * s.steps) for fraction in (0.4, 0.6, 0.8)}, decay=0.5,
    )
    status = yield from relay(search, snapshot)
    final = objective.estimate()
    return Solution(operator.under_data(final.image), final.kernel, diverged=status.code == StatusCode.DIVERGED)


def _kernel_prior(s: SelfDeblurSettings, shape: tuple[int, int], device: torch.device) -> Prior:
    if s.kernel_net == "mlp":
        return UntrainedNetwork(lambda: KernelMLP(shape), code_shape=(200,), device=device)
    return SoftmaxKernel(start_kernel("gaussian", shape, device))


# TEMPORARY recipes, so that the front doors can be built on them; the classical engineer replaces both.
def classical(problem: Problem) -> Recipe:
    from .classical.kernel_l0 import estimate_kernel

    if problem.kernel is not None:
        return (yield from known_kernel(problem))
    levels = estimate_kernel(problem.blurred, problem.kernel_size)
    while True:
        try:
            level = next(levels)
        except StopIteration as end:
            kernel = end.value
            break
        shape = problem.blurred.shape[-2:]
        image = torch.nn.functional.interpolate(level.image, size=shape, mode="bilinear").expand_as(problem.blurred)
        yield Snapshot(level.index, level.total, f"kernel, level {level.index + 1} of {level.total}", image, level.kernel)
    from .classical.known_kernel import deconvolve

    return Solution(deconvolve(problem.blurred, kernel, 3e-4), kernel)


def known_kernel(problem: Problem) -> Recipe:
    from .classical.known_kernel import deconvolve

    assert problem.kernel is not None
    yield Snapshot(0, 1, "picture", problem.blurred, problem.kernel)
    return Solution(deconvolve(problem.blurred, problem.kernel, 3e-4), problem.kernel)
