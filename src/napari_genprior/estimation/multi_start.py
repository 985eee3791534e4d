"""Several searches for the kernel, and the pick among them.

A search that goes wrong does so in its own way: with another size, another start, or another rule for the kernel
step it may go right. Which one did is told by the image each kernel leads to (:mod:`.plausible`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from ..blur.support import crop_to_mass, odd, trim_empty
from ..core.iteration import map_states, run_to_end
from ..deconvolution.total_variation import deconvolve, strength_for
from ..operators.detail import REGION, most_textured
from ..operators.noise import KERNEL_NOISE
from ..operators.observation import saturation_mask
from ..quality.kernel_criteria import kernel_cost
from .l0_gradient import FREE, NON_NEGATIVE, KernelRule, Level, estimate_kernel


@dataclass(frozen=True)
class Start:
    """How a search goes: start of the L0 weight, rule of the kernel step, support over the size that is wanted, and
    whether cut-off light takes part."""

    lam: float
    rule: KernelRule = NON_NEGATIVE
    room: float = 1.0
    lights: bool = True


FIRST = Start(8e-3)
OTHERS = (Start(8e-3, FREE), Start(16e-3), Start(16e-3, FREE), Start(16e-3, room=1.4), Start(32e-3))  # fail elsewhere
WITHOUT_LIGHTS = Start(16e-3, lights=False)
OTHERS_WITHOUT = (Start(16e-3, FREE, lights=False), Start(32e-3, lights=False))
LEAST_LIGHTS = 1e-3  # share of cut-off pixels from which these searches run too; an image's one maximum is no light
LADDER = (21, 41, 11, 29, 15, 57, 7, 81)  # px, sizes to try, a factor of some sqrt 2 apart; the commonest first
ROOM = 2  # px, left on each side of a found kernel for the searches after


@dataclass(frozen=True)
class Candidate:
    """``kernel`` [1, 1, kh, kw], ``image`` [1, 1, Y, X] restored with it, and what speaks ``against`` it."""

    kernel: Tensor
    image: Tensor
    against: float


def multi_start_search(
    blurred: Tensor,
    size: tuple[int, int] | None,
    noise: float,
    late: Callable[[], bool] = lambda: False,
    others: tuple[Start, ...] = OTHERS,
) -> Generator[Level, None, list[Candidate]]:
    """Run :func:`.kernel_l0.estimate_kernel` from several starts; its levels count the searches.

    Parameters
    ----------
    blurred : Tensor [P, C, Y, X]
        Working units; channels are averaged. Of large images, only the busiest part is looked at. Several images
        share a kernel: it is fitted to the first, which should be the one with most detail, and to all together, and
        judged by the first.
    size : (int, int) or None
        Support, odd sides in pixels. None: a ladder of sizes is tried, and the others go on from the best.
    noise : float
        Standard deviation of the image's noise.
    late : callable
        Asked after each search: True ends it there.
    others : tuple of Start
        Searches at the size that is given or found, beside those from :data:`FIRST`. Where light was cut off, searches
        that leave it out run too.

    Returns
    -------
    list of Candidate
        As they were found, one at least.
    """
    part = torch.cat([most_textured(each[None], REGION) for each in blurred])
    grey, lights = part.mean(dim=1, keepdim=True), saturation_mask(part)
    lit = bool(lights.float().mean() > LEAST_LIGHTS)
    limits = largest_kernel((grey.shape[-2], grey.shape[-1]))
    sizes = [size] if size else ladder(limits)
    firsts = (FIRST, WITHOUT_LIGHTS) if lit else (FIRST,)
    if lit and others:
        others += OTHERS_WITHOUT
    counts = (1,) if len(grey) == 1 else (1, len(grey))
    total = (len(sizes) * len(firsts) + len(others)) * len(counts)
    found: list[Candidate] = []

    def search(support: tuple[int, int], start: Start, count: int) -> Generator[Level, None, None]:
        def counted(level: Level) -> Level:
            return Level(len(found), total, level.image, level.kernel)

        kh, kw = (max(side, min(odd(side * start.room), most)) for side, most in zip(support, limits, strict=True))
        untold = None if start.lights else lights[:count]
        kernel = yield from map_states(
            estimate_kernel(grey[:count], (kh, kw), start.lam, noise, start.rule, untold), counted
        )
        kernel = trim_empty(kernel) if size is None else crop_to_mass(kernel, size)
        image = deconvolve(grey[:1], kernel, strength_for(max(noise, KERNEL_NOISE)))
        found.append(Candidate(kernel, image, kernel_cost(grey[:1], image, kernel)))

    for support, start, count in product(sizes, firsts, counts):
        yield from search(support, start, count)
        if late():
            return found
    kh, kw = found[pick(found)].kernel.shape[-2:]
    support = size or (min(kh + 2 * ROOM, limits[0]), min(kw + 2 * ROOM, limits[1]))
    for start, count in product(others, counts):
        yield from search(support, start, count)
        if late():
            break
    return found


def pick(found: list[Candidate]) -> int:
    """The kernel that least speaks against."""
    return min(range(len(found)), key=lambda i: found[i].against)


def find_size(blurred: Tensor, noise: float) -> tuple[int, int]:
    """The support ``(kh, kw)`` that an image's kernel needs."""
    found = run_to_end(multi_start_search(blurred, None, noise, others=()))
    kernel = found[pick(found)].kernel
    return kernel.shape[-2], kernel.shape[-1]


def largest_kernel(shape: tuple[int, int]) -> tuple[int, int]:
    """The largest odd sides that are no more than half an image's."""
    return odd(shape[0] // 2 - 1), odd(shape[1] // 2 - 1)


def ladder(limits: tuple[int, int]) -> list[tuple[int, int]]:
    """The sizes to try, none beyond the limits."""
    return list(dict.fromkeys((min(side, limits[0]), min(side, limits[1])) for side in LADDER))
