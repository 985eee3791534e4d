"""Recipes of SelfDeblur, at one scale and coarse to fine: image and kernel from untrained networks.

References
----------
"Ren 2020": Ren, Zhang, Wang, Hu and Zuo, Neural blind deconvolution using deep priors, CVPR 2020 (SelfDeblur).
"Kotera 2021": Kotera, Sroubek and Smidl, Improving neural blind deconvolution, ICIP 2021.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from ..blur.support import odd, pad_or_crop, resize
from ..core.arrays import cpu_generator
from ..nets.mlp import KernelMLP
from ..nets.skip import SkipNetwork, fitting_depth
from ..operators.data_fidelity import dissimilarity, squared_error
from ..priors.base import Prior, trainable
from ..priors.objective import Term, during
from ..priors.penalties import kernel_energy, total_variation
from ..priors.pixels import Known, SoftmaxKernel, start_kernel
from ..priors.untrained import UntrainedNetwork
from ..settings import SelfDeblurSettings
from ..settings import untrained as constants
from ..settings.untrained import MULTISCALE, SELFDEBLUR, DeepSchedule
from .base import Problem, Recipe, Snapshot
from .deep_prior import DeepSearch, RunSlice, resampled
from .ensemble import Outcome, ensemble, with_size

KERNEL_CODE = 200  # length of the input of the kernel's network (Ren 2020)


def selfdeblur(problem: Problem) -> Recipe:
    """Run SelfDeblur (Ren 2020); with ``schedule="paper"`` as published, without the non-local blocks.

    ``min over theta_x, theta_k of misfit(G_k(theta_k) * G_x(theta_x), y)``: squared error first, then 1 - SSIM.

    Parameters
    ----------
    problem : Problem
        ``settings`` is a :class:`SelfDeblurSettings`; a ``kernel_size`` of None is estimated by a classical search.
    """
    c = _schedule(problem, SELFDEBLUR)
    return (yield from ensemble(with_size(problem), lambda one, end: _coarse_to_fine(one, c, end)))


def multiscale(problem: Problem) -> Recipe:
    """Run SelfDeblur coarse to fine (Kotera 2021, section 3): at half size, then twice larger by a factor of sqrt 2.

    Each scale is initialized by the enlarged estimates of the previous one, to which new networks are fitted (eq. 8),
    the first by a wide Gaussian kernel and a random image. Eq. 9 is minimized: ``|k|^2`` is added to the squared error
    in the first phase, total variation to 1 - SSIM in the second.

    Notes
    -----
    The article does not state whether norms are sums or means. Here misfit and total variation are means over pixels,
    as in the code it builds on, and so is ``|k|^2``, over the kernel's pixels: its sum, with the weight of eq. 9,
    outweighs the misfit by far and keeps the kernel flat. The coarser scales are omitted if the kernel is known.
    """
    c = _schedule(problem, MULTISCALE)
    if problem.kernel is not None:
        c = replace(c, coarse_steps=())
    return (yield from ensemble(with_size(problem), lambda one, end: _coarse_to_fine(one, c, end)))


def _schedule(problem: Problem, schedules: dict[str, DeepSchedule]) -> DeepSchedule:
    """Apply the settings of a problem to its schedule."""
    s = problem.settings
    assert isinstance(s, SelfDeblurSettings)
    c = schedules[s.schedule]
    steps = s.steps or c.steps
    coarse = tuple(max(1, round(count * steps / c.steps)) for count in c.coarse_steps)
    return replace(c, steps=steps, coarse_steps=coarse, channels=s.channels or c.channels)


def _coarse_to_fine(problem: Problem, c: DeepSchedule, end: float) -> Generator[Snapshot, None, Outcome]:
    """Run all scales of a schedule once, until a time on the monotonic clock."""
    s, random = problem.settings, cpu_generator(problem.seed)
    assert isinstance(s, SelfDeblurSettings)
    assert problem.kernel_size is not None
    sides = (problem.blurred.shape[-2], problem.blurred.shape[-1])
    plan = (*c.coarse_steps, c.steps)
    scales, before, search = len(plan), 0, None
    for scale, steps in enumerate(plan, 1):
        factor = constants.SCALE_STEP ** (scale - scales)
        blurred = resampled(problem.blurred, (round(sides[0] * factor), round(sides[1] * factor)))
        support = (_support(problem.kernel_size[0], factor), _support(problem.kernel_size[1], factor))
        if search is None:
            start = start_kernel("gaussian", support, blurred.device)
        else:
            start = pad_or_crop(resize(search.kernel(), constants.SCALE_STEP), support)
        name = f"Scale {scale}/{scales}" if scales > 1 else "Image and kernel"
        run_slice = RunSlice(name, before, sum(plan), s.report_every, sides, end, problem.checkpoint)
        coarser, terms = search, _terms(c, steps, last=scale == scales)
        kernel = _kernel_prior(problem, c, support, start)
        search = DeepSearch(blurred, _Image(blurred, c.channels), kernel, support, terms, random, run_slice)
        if scales > 1 and c.kernel_net == "mlp":
            yield from search.fit_kernel(start, constants.KERNEL_FIT_RATE, constants.FIT_STEPS, constants.FIT_TOLERANCE)
        if coarser is not None:
            scene = enlarged(coarser.scene(), search.size, constants.SCALE_STEP)
            yield from search.fit_image(scene, constants.IMAGE_RATE, constants.FIT_STEPS, constants.FIT_TOLERANCE)
        objective = search.objective
        rates = (
            (trainable(objective.image_block), constants.IMAGE_RATE),
            (trainable(objective.kernel_block), c.kernel_rate),
        )
        yield from search.run(rates, steps, constants.MILESTONES if scale == scales else (), constants.DECAY)
        if run_slice.out_of_time:
            break
        before += steps
    assert search is not None
    return search.outcome(problem, c.final_deconvolution)


class _Image:
    """Builder of the untrained prior of an image of any size, with as many channels as ``blurred``."""

    def __init__(self, blurred: Tensor, channels: int) -> None:
        self.outputs, self.device, self.channels = blurred.shape[1], blurred.device, channels

    def __call__(self, size: tuple[int, int]) -> Prior:
        skip = max(1, self.channels // constants.SKIP_PART)
        depth = fitting_depth(size, constants.DEPTH)
        return UntrainedNetwork(
            lambda: SkipNetwork(self.outputs, constants.CODE_CHANNELS, self.channels, skip, depth),
            code_shape=(constants.CODE_CHANNELS, *size),
            jitter=constants.CODE_JITTER,
            device=self.device,
        )


def _kernel_prior(problem: Problem, c: DeepSchedule, support: tuple[int, int], start: Tensor) -> Prior:
    """Return the prior of the kernel; ``start`` is its initial value."""
    if problem.kernel is not None:
        return Known(problem.kernel)
    if c.kernel_net == "mlp":
        return UntrainedNetwork(lambda: KernelMLP(support, KERNEL_CODE), (KERNEL_CODE,), device=start.device)
    return SoftmaxKernel(start)


def _terms(c: DeepSchedule, steps: int, last: bool) -> dict[str, Term]:
    """Return the terms of eq. 9 of Kotera 2021, or without its penalties those of Ren 2020."""
    ssim_from = c.ssim_from if last else c.coarse_ssim_from
    switch = round(ssim_from * steps) if ssim_from < 1 else steps + 1
    terms = {
        "squared error": Term(lambda e: squared_error(e.model, e.data), during(0, switch)),
        "1 - SSIM": Term(lambda e: dissimilarity(e.model, e.data), during(switch)),
    }
    if c.kernel_energy:
        mean = Term(lambda e: kernel_energy(e.kernel) / e.kernel[0].numel(), during(0, switch, c.kernel_energy))
        terms["kernel energy"] = mean
    if c.total_variation:
        terms["total variation"] = Term(lambda e: total_variation(e.image), during(switch, None, c.total_variation))
    return terms


def _support(side: int, factor: float) -> int:
    """Return the nearest odd side of a kernel at a coarser scale, large enough to distinguish blur from none."""
    return min(odd(side), max(constants.SMALLEST_SUPPORT, 2 * round((side * factor - 1) / 2) + 1))


def enlarged(image: Tensor, size: tuple[int, int], factor: float) -> Tensor:
    """Stretch an image about its middle by exactly ``factor``, cropped to ``size``; its border pixels are repeated.

    The middle of the scene is that of the data at each scale, while the sides of supports and scenes are rounded.

    Parameters
    ----------
    image : Tensor [R, C, Y, X]
    size : (int, int)
        Sides of the result in pixels.
    factor : float
    """
    (height, width), (old_height, old_width) = size, image.shape[-2:]
    stretch = torch.zeros(len(image), 2, 3, device=image.device, dtype=image.dtype)
    stretch[:, 0, 0] = (width - 1) / (factor * (old_width - 1))
    stretch[:, 1, 1] = (height - 1) / (factor * (old_height - 1))
    grid = affine_grid(stretch, [len(image), image.shape[1], height, width], align_corners=True)
    return grid_sample(image, grid, padding_mode="border", align_corners=True)
