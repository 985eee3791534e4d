"""Train denoisers: networks that remove white Gaussian noise of known level, the learned prior of images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..core.arrays import cpu_generator
from ..nets.denoiser import Denoiser
from ..settings import TrainingSettings
from . import evaluation
from .denoiser_data import CROP_PX, PHOTO_SCALES, SharpImages
from .learners import Learner
from .tasks import Task

MAX_NOISE, LEAST_NOISE = 60 / 255, 0.5 / 255
UNIFORM_FRACTION = 1 / 3  # of the noise levels, drawn evenly from 0 to MAX_NOISE; the others log-uniformly
LEVELS = (2.5, 5, 15, 25, 50)  # of 255, at which denoisers are measured
VALIDATED = (5, 15, 25, 50)
MAX_GRADIENT_NORM = 1.0
DEFAULT_WIDTH = 64
N_SHOWN, SHOWN_LEVEL = 5, 25


def draw_levels(count: int, random: torch.Generator) -> Tensor:
    """Draw noise levels, ``[count, 1, 1, 1]``: standard deviations, as a fraction of the range."""
    uniform, log, coin = torch.rand(3, count, 1, 1, 1, generator=random)
    levels = LEAST_NOISE * (MAX_NOISE / LEAST_NOISE) ** log
    return torch.where(coin < UNIFORM_FRACTION, MAX_NOISE * uniform.clamp(min=1e-3), levels)


def add_noise(sharp: Tensor, level: float, seed: int) -> Tensor:
    """Add white Gaussian noise of ``level`` / 255; equal seeds give equal noise on all devices."""
    return sharp + level / 255 * torch.randn(sharp.shape, generator=cpu_generator(seed)).to(sharp)


def psnr(net: Any, sharp: Tensor, level: float, seed: int = 0) -> Tensor:
    """Measure the PSNR in dB, ``[N]``, of images ``[N, 1, Y, X]`` with noise of ``level`` / 255 added and removed."""
    denoised = net(add_noise(sharp, level, seed), torch.full((1, 1, 1, 1), level / 255, device=sharp.device))
    return -10 * (denoised - sharp).square().mean((1, 2, 3)).log10()


class DenoiserLearner(Learner):
    """Training of a denoiser: minimizes the mean ratio of the error left to the noise added."""

    def step(self, x: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        levels = draw_levels(len(x), random).to(x)
        noisy = x + levels * torch.randn(x.shape, generator=random).to(x)
        error = (self.net(noisy, levels) - x).square().mean((1, 2, 3)).sqrt()
        total = (error / levels.flatten()).mean()  # all levels count alike
        self.optimisers["net"].zero_grad(set_to_none=True)
        total.backward()
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), MAX_GRADIENT_NORM)
        self.optimisers["net"].step()
        return {"total": total, "gradient_norm": norm}

    @torch.no_grad()
    def validation_loss(self, x: Tensor) -> float:
        return -float(torch.stack([psnr(self.averaged, x, level).mean() for level in VALIDATED]).mean())


class DenoiserTask(Task):
    """Training of a denoiser of grey images.

    Parameters
    ----------
    images : SharpImages
    settings : TrainingSettings
        ``width`` is the number of channels at half the image's size (0: :data:`DEFAULT_WIDTH`).
    """

    def __init__(self, images: SharpImages, settings: TrainingSettings) -> None:
        self.settings, self.images = settings, images
        self.count = sum(image[0].size for image in images.photos) // CROP_PX**2
        width = settings.width or DEFAULT_WIDTH
        scales = ", ".join(map(str, PHOTO_SCALES))
        nuclei = f"{len(images.nuclei) // 2} images of nuclei, " if images.nuclei else ""
        self.about = {
            "kind": "denoiser", "arch": "denoiser",
            "arguments": {"width": width, "middle": 3 * width // 2, "deep": 2 * width},
            "latent": 0, "channels": 1, "size": (CROP_PX, CROP_PX),
            "data": f"{len(images.photos)} photographs and reduced copies (scales {scales}), {nuclei}"
            f"{len(images.scenes)} simulated microscope scenes; noise up to {255 * MAX_NOISE:g} of 255",
        }  # fmt: skip

    def fingerprint(self) -> str:
        return self.images.fingerprint()

    def learner(self, device: torch.device) -> Learner:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            net = Denoiser(**self.about["arguments"])
        return DenoiserLearner(net.to(memory_format=torch.channels_last), self.settings, device)  # type: ignore[call-overload]

    def batch(self, indices: Tensor, random: torch.Generator, device: torch.device) -> Tensor:
        """Draw random crops; there are no numbered examples, so the indices do not matter."""
        rng = np.random.default_rng(int(torch.randint(2**62, (), generator=random)))
        return self.images.examples(self.settings.batch, rng).to(device)

    def held_out(self, device: torch.device) -> Tensor:
        return self.images.held_out.to(device)

    @torch.no_grad()
    def measure(self, net: Any, held_out: Tensor) -> dict[str, float]:
        """Measure the mean PSNR in dB on held-out photographs at each noise level."""
        return {f"psnr_{level:g}_db": round(float(psnr(net, held_out, level).mean()), 2) for level in LEVELS}

    @torch.no_grad()
    def sample_sheet(self, net: Any, held_out: Tensor) -> np.ndarray:
        """Draw rows of noisy, denoised and true images."""
        shown = held_out[:: max(1, len(held_out) // N_SHOWN)][:N_SHOWN]
        noisy = add_noise(shown, SHOWN_LEVEL, 0)
        denoised = net(noisy, torch.full((1, 1, 1, 1), SHOWN_LEVEL / 255, device=shown.device))
        return evaluation.grid(torch.cat([noisy, denoised, shown]), len(shown))
