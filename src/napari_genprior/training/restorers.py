"""Train restorers: the network of the unrolled deconvolution, on simulated blurred images."""

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
from ..blur.camera_noise import add_noise
from ..core.checks import check_kernel
from ..core.iteration import run_to_end
from ..deconvolution.total_variation import deconvolve_canvas, strength_for
from ..deconvolution.unrolled import rounds
from ..estimation.l0_gradient import estimate_kernel
from ..metrics import align, kernel_error
from ..nets.restorer import Restorer
from ..operators.boundary import smooth_wrap
from ..operators.convolution import convolve
from ..operators.noise import noise_std
from ..operators.observation import Observation
from ..operators.observed import observe
from ..settings import TrainingSettings
from . import data, evaluation
from .learners import Learner
from .tasks import Task

CANVAS, KERNEL = 192, 37  # px, sides of all canvases and kernel arrays
ESTIMATED, SATURATED = 0.25, 0.12  # fractions of problems with an estimated kernel, and with saturation
NOISE_STD = (0.001, 0.1)  # fraction of the range, drawn log-uniformly
MAX_NOISE_ESTIMATED = 0.03  # upper limit of the noise where the kernel is estimated
MIN_NOISE, MIN_NOISE_ESTIMATED = 0.002, 0.01  # lower limits of the noise assumed by the deconvolution
LAM = 16e-3  # weight of the L0 gradient prior in the kernel estimation
FAILED = 0.8  # relative error of a kernel estimate that is not trained on
EARLY_WEIGHT = 0.1  # of the loss of each iteration but the last
MIN_ERROR = 1e-6  # mean squared error, 60 dB
N_SHOWN = 6


@dataclass(frozen=True)
class Problems:
    """Deconvolution problems: blurred images on periodic canvases, their kernels, and the true images.

    Attributes
    ----------
    truth, canvas, initial : Tensor [N, 1, CANVAS, CANVAS]
        The true image, the blurred image, and the initial estimate by total variation, in [0, 1].
    inside : bool Tensor [N, 1, CANVAS, CANVAS]
        Where the canvas holds the image, not padding.
    kernel : Tensor [N, 1, KERNEL, KERNEL]
        >= 0, sum 1.
    noise : Tensor [N]
        Standard deviation assumed by the deconvolution.
    """

    truth: Tensor
    canvas: Tensor
    initial: Tensor
    inside: Tensor
    kernel: Tensor
    noise: Tensor

    def some(self, indices: Tensor | slice) -> Problems:
        """Select problems by their indices."""
        return Problems(**{f.name: getattr(self, f.name)[indices] for f in fields(self)})

    def augmented(self, transposed: bool, mirrored: tuple[int, ...], negative: bool) -> Problems:
        """Transpose, mirror (along axes) and invert the problems."""
        changed = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value.ndim == 4:
                value = value.transpose(2, 3) if transposed else value
                value = value.flip(mirrored)
                value = 1 - value if negative and field.name in ("truth", "canvas", "initial") else value
            changed[field.name] = value
        return Problems(**changed)


def random_kernel(rng: np.random.Generator) -> np.ndarray:
    """Draw a kernel of at most KERNEL pixels: mostly camera shake, else straight motion, a Gaussian or a disk."""
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
    """Simulate a problem for each image uint8 ``[N, 1, Y, X]`` (Y, X < CANVAS); equal seeds give equal problems."""
    problems = [
        _simulate_one(image[0].numpy() / 255, np.random.default_rng([seed, number]))
        for number, image in enumerate(tqdm(images, desc="blur", leave=False))
    ]
    return Problems(*(torch.cat(parts) for parts in zip(*problems, strict=True)))


def _simulate_one(sharp: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, ...]:
    true_kernel = random_kernel(rng)
    estimated = rng.random() < ESTIMATED
    if rng.random() < SATURATED:
        sharp = sharp * rng.uniform(1.1, 1.8)
    noise = float(np.exp(rng.uniform(*np.log([NOISE_STD[0], MAX_NOISE_ESTIMATED if estimated else NOISE_STD[1]]))))
    blurred = convolve(_tensor(sharp), _tensor(true_kernel), "valid").numpy()
    blurred = add_noise(blurred, noise, 0, rng)
    if rng.random() < 0.8:
        blurred = np.rint(np.clip(blurred, 0, 1) * 255) / 255
    y = torch.from_numpy(blurred).float()
    kh, kw = true_kernel.shape
    top, left = kh - 1 - kh // 2, kw - 1 - kw // 2
    truth = sharp[top : sharp.shape[0] - kh // 2, left : sharp.shape[1] - kw // 2]
    assumed_noise = float(noise_std(y))
    estimate = None
    if estimated and max(kh, kw) > 3:
        estimate = run_to_end(estimate_kernel(y, (kh | 1, kw | 1), LAM, assumed_noise))
    estimated = estimate is not None and kernel_error(estimate[0, 0].numpy(), true_kernel) < FAILED
    kernel = estimate if estimate is not None and estimated else _tensor(true_kernel)
    assumed_noise = max(assumed_noise, MIN_NOISE_ESTIMATED if estimated else MIN_NOISE)
    room = (CANVAS - y.shape[2], CANVAS - y.shape[3])
    inside = pad(torch.ones_like(y, dtype=torch.bool), (0, room[1], 0, room[0]))
    canvas = smooth_wrap(y, room)
    down, right = KERNEL // 2 - kernel.shape[2] // 2, KERNEL // 2 - kernel.shape[3] // 2
    kernel = pad(kernel, (right, KERNEL - kernel.shape[3] - right, down, KERNEL - kernel.shape[2] - down))
    initial = deconvolve_canvas(_observation(canvas, inside), kernel, strength_for(assumed_noise))
    if estimated:  # an estimated kernel may be shifted: shift the true image accordingly
        near = initial[0, 0, : y.shape[2], : y.shape[3]].numpy()
        offset = align(truth, near, crop=min(10, min(near.shape) // 4))[1]
        truth = shift(truth, (-offset[0], -offset[1]), order=3, mode="mirror")
    return pad(_tensor(truth), (0, room[1], 0, room[0])), canvas, initial, inside, kernel, torch.tensor([assumed_noise])


def _observation(canvas: Tensor, inside: Tensor) -> Observation:
    seen = observe(canvas)
    return Observation(canvas, ~inside, seen.at_least & inside, seen.at_most & inside)


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))[None, None]


def iterates(problems: Problems, net: Any) -> Iterator[Tensor]:
    """Yield the image after each iteration of the unrolled deconvolution."""
    observed = _observation(problems.canvas, problems.inside)
    return rounds(observed, problems.kernel, problems.initial, problems.noise, net)


def psnr(image: Tensor, problems: Problems) -> Tensor:
    """Compute the PSNR in dB, ``[N]``, of images on the canvas, inside the image and clipped to [0, 1]."""
    squares = (image.clamp(0, 1) - problems.truth.clamp(0, 1)).square() * problems.inside
    error = squares.sum((1, 2, 3)) / problems.inside.sum((1, 2, 3))
    return -10 * error.clamp(min=MIN_ERROR).log10()


class RestorerLearner(Learner):
    """Training of a restorer through all iterations at once: maximizes the mean PSNR."""

    def step(self, x: Any, random: torch.Generator) -> dict[str, Tensor]:
        *early, last = (-psnr(image, x).mean() for image in iterates(x, self.net))
        total = last + EARLY_WEIGHT * torch.stack(early).sum()
        self.optimisers["net"].zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimisers["net"].step()
        return {"total": total, "last": last}

    @torch.no_grad()
    def validation_loss(self, x: Any) -> float:
        return -_mean_psnr(self.averaged, x)


def _mean_psnr(net: Any, x: Problems) -> float:
    parts = [x.some(slice(first, first + 1)) for first in range(len(x.noise))]
    return float(torch.cat([psnr([*iterates(part, net)][-1], part) for part in parts]).mean())


class RestorerTask(Task):
    """Training of a restorer from sharp grey images.

    Parameters
    ----------
    images : Images
        uint8, smaller than CANVAS in both directions.
    settings : TrainingSettings
        ``width`` is the number of channels of the network at half the size (0: 32).
    """

    def __init__(self, images: data.Images, settings: TrainingSettings) -> None:
        self.settings = settings
        self.problems = simulate(images.train, settings.seed)
        self.tests = simulate(images.held_out, settings.seed + 1)
        self.count = len(self.problems.noise)
        height, width = images.train.shape[2:]
        n_channels = settings.width or 32
        self.about = {
            "kind": "restorer", "arch": "restorer", "arguments": {"width": n_channels, "deep": 2 * n_channels},
            "latent": 0, "channels": 1, "size": (height, width),
            "data": f"{images.about}, blurred by simulated shakes of up to {KERNEL - 2} px, a quarter of the kernels "
            f"estimated; noise {NOISE_STD[0]:.1%} to {NOISE_STD[1]:.0%}",
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
        return self.problems.some(indices).augmented(coins[0], mirrored, coins[3])

    def held_out(self, device: torch.device) -> Problems:
        return self.tests

    @torch.no_grad()
    def measure(self, net: Any, held_out: Problems) -> dict[str, float]:
        """Measure the mean PSNR in dB of the initial total-variation estimate and of the result."""
        values = {"psnr_start_db": float(psnr(held_out.initial, held_out).mean())}
        return {name: round(v, 2) for name, v in {**values, "psnr_db": _mean_psnr(net, held_out)}.items()}

    @torch.no_grad()
    def sample_sheet(self, net: Any, held_out: Problems) -> np.ndarray:
        """Draw rows of blurred, restored and true images."""
        x = held_out.some(slice(N_SHOWN))
        return evaluation.grid(torch.cat([x.canvas, [*iterates(x, net)][-1], x.truth]), N_SHOWN)
