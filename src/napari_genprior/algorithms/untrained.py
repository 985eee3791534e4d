"""Recipes with untrained networks: SelfDeblur."""

from __future__ import annotations

import torch

from .._generators import relay
from .._tensors import seeded
from ..classical.known_kernel import noise_std
from ..classical.rivals import find_size
from ..forward.bilinear import Convolution
from ..forward.fidelity import dissimilarity, squared_error
from ..nets.mlp import KernelMLP
from ..nets.skip import SkipNetwork, fitting_depth
from ..objective import Objective, Term, during
from ..priors.base import Prior, trainable
from ..priors.pixels import Known, SoftmaxKernel, start_kernel
from ..priors.untrained import UntrainedNetwork
from ..result import StatusCode
from ..settings import SelfDeblurSettings
from ..solvers.loop import LoopState, minimise
from .base import Problem, Recipe, Snapshot, Solution


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
