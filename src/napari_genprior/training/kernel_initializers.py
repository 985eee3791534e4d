"""Train kernel initializers: networks that estimate the density of the kernel's latents given the blurred image.

Few samples of a kernel prior are near the kernel of a given image. A network trained on blurred images of the class
samples nearer ones, and its density ranks kernels where the evidence does not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.arrays import cpu_generator
from ..nets.initializer import KernelInitializer
from ..nets.linear_gaussian import LinearGenerator
from ..settings import TrainingSettings
from ..zoo.store import Generator
from . import data, evaluation
from .initializer_data import Examples
from .initializers import N_SHOWN, InitializerTask, kernels_as_images
from .learners import Learner

INPUT_SIDE_PX = 24  # of the downsampled image that the network takes
HIDDEN_WIDTH = 400
MAX_GRADIENT_NORM = 50.0  # exceeded by examples of vanishing density only
N_MEASURED = 64  # held-out examples
N_SAMPLES = 100  # kernels per example


class KernelInitializerLearner(Learner):
    """Training of a kernel initializer: maximizes the log density of the true latents of the kernel."""

    def step(self, x: Any, random: torch.Generator) -> dict[str, Tensor]:
        loss = _loss(self.net, x)
        self.optimisers["net"].zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), MAX_GRADIENT_NORM)
        self.optimisers["net"].step()
        return {"total": loss}

    @torch.no_grad()
    def validation_loss(self, x: Any) -> float:
        return float(_loss(self.averaged, x))


def _loss(net: Any, x: Examples) -> Tensor:
    return -net(x.blurred).log_density(x.kernel_latent).mean()


class KernelInitializerTask(InitializerTask):
    """Training of a kernel initializer for a pair of priors; see :class:`InitializerTask` for the parameters."""

    image_latents = False

    def __init__(
        self,
        image: Generator,
        kernel: Generator,
        settings: TrainingSettings,
        images: data.Images | None = None,
        kernels: data.Images | None = None,
    ) -> None:
        super().__init__(image, kernel, settings, images, kernels)
        latent, side = kernel.card.latent, min(INPUT_SIDE_PX, *(n // 2 * 2 for n in image.card.size))
        arguments = {"kernel_latent": latent, "side": side, "hidden": settings.width or HIDDEN_WIDTH}
        self.about |= {"arch": "kernel-initializer", "latent": latent, "arguments": arguments}

    def learner(self, device: torch.device) -> Learner:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            net = KernelInitializer(**self.about["arguments"])
        return KernelInitializerLearner(net, self.settings, device)

    @torch.no_grad()
    def measure(self, net: Any, held_out: Examples) -> dict[str, float]:
        """Measure the error of the nearest sampled kernel, the same for the prior, and the gain in log density."""
        errors: dict[str, list[Tensor]] = {"proposed": [], "prior": []}
        random = cpu_generator(0)
        for blurred, kernel in zip(held_out.blurred[:N_MEASURED], held_out.kernel[:N_MEASURED], strict=True):
            mixture = net(blurred[None])
            drawn = torch.randn(N_SAMPLES, mixture.means.shape[2], generator=random).to(kernel)
            for name, z in (("proposed", mixture.draw(N_SAMPLES, random)), ("prior", drawn)):
                distances = (self.pair.kernel.decode(z) - kernel).flatten(1).norm(dim=1)
                errors[name].append(distances.min() / kernel.norm())
        z = held_out.kernel_latent
        gain = net(held_out.blurred).log_density(z) + z.square().sum(1) / 2
        nearest = {f"relative_error_{name}": round(float(torch.stack(e).mean()), 3) for name, e in errors.items()}
        return nearest | {"nats_gained": round(float(gain.mean()), 2)}

    @torch.no_grad()
    def sample_sheet(self, net: Any, held_out: Examples) -> np.ndarray:
        """Draw rows of blurred and true images, true kernels, and two samples of each kernel."""
        blurred, truth, kernel = (x[:N_SHOWN] for x in (held_out.blurred, held_out.image, held_out.kernel))
        latents = torch.stack([net(y[None]).draw(2, cpu_generator(0)) for y in blurred], 1)
        kernels = [kernel, *(self.pair.kernel.decode(z) for z in latents)]
        rows = [kernels_as_images(k, blurred.shape) for k in kernels]
        return evaluation.grid(torch.cat([blurred, truth, *rows]), len(blurred))


def initializer_task(image: Generator) -> type[InitializerTask]:
    """Choose the kind of initializer for an image prior: methods with a linear prior optimize the kernel alone."""
    return KernelInitializerTask if isinstance(image.net, LinearGenerator) else InitializerTask
