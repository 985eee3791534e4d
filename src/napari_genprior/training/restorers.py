"""Training of restorers: the network inside a known-kernel solve, learnt on blurred images whose truth is known."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from scipy.ndimage import shift
from scipy.signal import fftconvolve
from torch import Tensor
from torch.nn.functional import pad
from tqdm import tqdm

from .. import blur
from ..blur.noise import add_noise
from ..core.arrays import check_kernel
from ..core.iteration import run_to_end
from ..deconvolution.total_variation import strength_for, tv_admm
from ..deconvolution.unrolled import rounds
from ..estimation.l0_gradient import estimate_kernel
from ..metrics import align, kernel_error
from ..nets.restorer import Restorer
from ..operators.boundary import smooth_wrap
from ..operators.convolution import convolve
from ..operators.noise import noise_std
from ..operators.observation import Seen
from ..settings import TrainingSettings
from . import data
from . import evaluation as figures
from .learners import Learner
from .tasks import Task

CANVAS, KERNEL = 192, 37  # px, sides of all canvases and kernel arrays
ESTIMATED, EXPOSED = 0.25, 0.12  # shares of problems with an estimated kernel, and over-exposed
NOISE = (0.001, 0.1)  # standard deviation, drawn log-uniformly
NOISE_TO_ESTIMATE = 0.03  # at most
LEAST_NOISE, KERNEL_NOISE = 0.002, 0.01  # told to the solve, where the kernel is given or estimated
LAM = 16e-3  # of the estimate
FAILED = 0.8  # relative error of an estimate that has nothing to teach
EARLY = 0.1  # weight of each round's loss but the last one's
SMALLEST_ERROR = 1e-6  # mean squared, 60 dB
SHOWN = 6


@dataclass(frozen=True)
class Problems:
    """Blurred images on canvases, all that a solve starts from, and the truth.

    Attributes
    ----------
    truth, canvas, start : Tensor [N, 1, CANVAS, CANVAS]
    inside : bool Tensor, the same
    kernel : Tensor [N, 1, KERNEL, KERNEL]
    noise : Tensor [N]
    """

    truth: Tensor
    canvas: Tensor
    start: Tensor
    inside: Tensor
    kernel: Tensor
    noise: Tensor

    def some(self, chosen: Tensor | slice) -> Problems:
        return Problems(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})

    def turned(self, transposed: bool, mirrored: tuple[int, ...], negative: bool) -> Problems:
        """The same problems in another posture."""
        posed = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value.ndim == 4:
                value = value.transpose(2, 3) if transposed else value
                value = value.flip(mirrored)
                value = 1 - value if negative and field.name in ("truth", "canvas", "start") else value
            posed[field.name] = value
        return Problems(**posed)


def random_kernel(rng: np.random.Generator) -> np.ndarray:
    """Camera shakes above all, thin and soft ones; a few straight motions, Gaussians and disks; at most KERNEL px."""
    kind = rng.random()
    if kind < 0.8:
        side = 2 * int(rng.integers(2, 18)) + 1
        kernel = blur.shake(rng.uniform(0.7, 1.8) * side, rng, side)
        if rng.random() < 0.5:
            kernel = np.clip(fftconvolve(kernel, blur.gaussian(rng.uniform(0.3, 0.9)), "same"), 0, None)
    elif kind < 0.87:
        kernel = blur.motion(rng.uniform(1, 25), rng.uniform(0, 180))
    elif kind < 0.95:
        kernel = blur.gaussian(rng.uniform(0.4, 3), rng.uniform(0.5, 1), rng.uniform(0, 180), 21)
    else:
        kernel = blur.defocus(rng.uniform(0.6, 8))
    return check_kernel(kernel) if max(kernel.shape) <= KERNEL else random_kernel(rng)


def simulate(images: Tensor, seed: int) -> Problems:
    """Blur images uint8 ``[N, 1, Y, X]`` (Y, X < CANVAS); equal seeds give equal problems."""
    drawn = [
        _one(image[0].numpy() / 255, np.random.default_rng([seed, number]))
        for number, image in enumerate(tqdm(images, desc="blur", leave=False))
    ]
    return Problems(*(torch.cat(parts) for parts in zip(*drawn, strict=True)))


def _one(sharp: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, ...]:
    true_kernel = random_kernel(rng)
    estimated = rng.random() < ESTIMATED
    if rng.random() < EXPOSED:
        sharp = sharp * rng.uniform(1.1, 1.8)
    noise = float(np.exp(rng.uniform(*np.log([NOISE[0], NOISE_TO_ESTIMATE if estimated else NOISE[1]]))))
    seen = convolve(_tensor(sharp), _tensor(true_kernel), "valid").numpy()
    seen = add_noise(seen, noise, 0, rng)
    if rng.random() < 0.8:
        seen = np.rint(np.clip(seen, 0, 1) * 255) / 255
    y = torch.from_numpy(seen).float()
    kh, kw = true_kernel.shape
    top, left = kh - 1 - kh // 2, kw - 1 - kw // 2
    truth = sharp[top : sharp.shape[0] - kh // 2, left : sharp.shape[1] - kw // 2]
    told = float(noise_std(y))
    found = run_to_end(estimate_kernel(y, (kh | 1, kw | 1), LAM, told)) if estimated and max(kh, kw) > 3 else None
    estimated = found is not None and kernel_error(found[0, 0].numpy(), true_kernel) < FAILED
    kernel = found if found is not None and estimated else _tensor(true_kernel)
    told = max(told, KERNEL_NOISE if estimated else LEAST_NOISE)
    room = (CANVAS - y.shape[2], CANVAS - y.shape[3])
    inside = pad(torch.ones_like(y, dtype=torch.bool), (0, room[1], 0, room[0]))
    canvas = smooth_wrap(y, room)
    down, right = KERNEL // 2 - kernel.shape[2] // 2, KERNEL // 2 - kernel.shape[3] // 2
    kernel = pad(kernel, (right, KERNEL - kernel.shape[3] - right, down, KERNEL - kernel.shape[2] - down))
    start = tv_admm(Seen(canvas, inside), kernel, strength_for(told))
    if estimated:  # the kernel may have moved: the truth goes along
        near = start[0, 0, : y.shape[2], : y.shape[3]].numpy()
        moved = align(truth, near, crop=min(10, min(near.shape) // 4))[1]
        truth = shift(truth, (-moved[0], -moved[1]), order=3, mode="mirror")
    return pad(_tensor(truth), (0, room[1], 0, room[0])), canvas, start, inside, kernel, torch.tensor([told])


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))[None, None]


def solved(problems: Problems, net: Any) -> Iterator[Tensor]:
    """The images after each round of the solve."""
    seen = Seen(problems.canvas, problems.inside)
    return rounds(seen, problems.kernel, problems.start, problems.noise, net)


def decibels(image: Tensor, problems: Problems) -> Tensor:
    """Signal to noise ``[N]`` of images on the canvas, where they are seen, cut off at the range's ends."""
    squares = (image.clamp(0, 1) - problems.truth.clamp(0, 1)).square() * problems.inside
    error = squares.sum((1, 2, 3)) / problems.inside.sum((1, 2, 3))
    return -10 * error.clamp(min=SMALLEST_ERROR).log10()


class RestorerLearner(Learner):
    """Learns through all rounds at once: the mean of the decibels is what it maximises."""

    def step(self, x: Any, random: torch.Generator) -> dict[str, Tensor]:
        *early, last = (-decibels(image, x).mean() for image in solved(x, self.net))
        total = last + EARLY * torch.stack(early).sum()
        self.optimisers["net"].zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimisers["net"].step()
        return {"total": total, "last": last}

    @torch.no_grad()
    def judge(self, x: Any) -> float:
        return -_mean_decibels(self.averaged, x)


def _mean_decibels(net: Any, x: Problems) -> float:
    parts = [x.some(slice(first, first + 1)) for first in range(len(x.noise))]
    return float(torch.cat([decibels([*solved(part, net)][-1], part) for part in parts]).mean())


class RestorerTask(Task):
    """A restorer, from sharp grey images.

    Parameters
    ----------
    images : Images
        uint8, smaller than CANVAS.
    settings : TrainingSettings
        ``width`` is that of the network at half the size (0: 32).
    """

    def __init__(self, images: data.Images, settings: TrainingSettings) -> None:
        self.settings = settings
        self.problems = simulate(images.train, settings.seed)
        self.tests = simulate(images.held_out, settings.seed + 1)
        self.count = len(self.problems.noise)
        width = settings.width or 32
        self.about = {
            "kind": "restorer", "arch": "restorer", "arguments": {"width": width, "deep": 2 * width},
            "latent": 0, "channels": 1, "size": tuple(images.train.shape[2:]),
            "data": f"{images.about}, blurred by simulated shakes of up to {KERNEL - 2} px, a quarter of the kernels "
            f"estimated; noise {NOISE[0]:.1%} to {NOISE[1]:.0%}",
        }  # fmt: skip

    def fingerprint(self) -> str:
        return hashlib.sha256(self.problems.canvas.numpy().tobytes()).hexdigest()

    def learner(self, device: torch.device) -> Learner:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            net = Restorer(**self.about["arguments"])
        return RestorerLearner(net.to(memory_format=torch.channels_last), self.settings, device)  # type: ignore[call-overload]

    def batch(self, indices: Tensor, random: torch.Generator, device: torch.device) -> Problems:
        coins = [bool(coin) for coin in torch.randint(2, (4,), generator=random)]
        mirrored = tuple(dim for dim, coin in zip((2, 3), coins[1:], strict=False) if coin)
        return self.problems.some(indices).turned(coins[0], mirrored, coins[3])

    def held_out(self, device: torch.device) -> Problems:
        return self.tests

    @torch.no_grad()
    def measure(self, net: Any, held_out: Problems) -> dict[str, float]:
        """Decibels of the total variation the solve starts from, and of its end."""
        values = {"psnr_start_db": float(decibels(held_out.start, held_out).mean())}
        return {name: round(v, 2) for name, v in {**values, "psnr_db": _mean_decibels(net, held_out)}.items()}

    @torch.no_grad()
    def sheet(self, net: Any, held_out: Problems) -> np.ndarray:
        """A row each: blurred, restored, true."""
        x = held_out.some(slice(SHOWN))
        return figures.grid(torch.cat([x.canvas, [*solved(x, net)][-1], x.truth]), SHOWN)
