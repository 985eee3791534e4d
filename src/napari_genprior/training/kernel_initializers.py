"""Training of kernel proposals: what latents of the kernel are likely for a blurred image, learnt from examples.

Few of the kernels that a prior draws are near that of a given image. A network that has seen blurred images of
the class draws nearer ones; and how likely it thinks a kernel tells kernels apart where the evidence does not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.arrays import cpu_generator
from ..nets.initializer import KernelProposal
from ..nets.linear_gaussian import LinearGenerator
from ..settings import TrainingSettings
from ..zoo.store import Generator
from . import data
from . import evaluation as figures
from .initializer_data import Examples
from .initializers import SHOWN, ProposalTask, framed
from .learners import Learner

SIDE = 24  # px, of what the network sees
HIDDEN = 400
LARGEST_GRADIENT = 50.0  # norm; examples that the mixture thinks impossible exceed it
MEASURED = 64  # examples
DRAWN = 100  # kernels for each


class KernelProposalLearner(Learner):
    """Learns the density of the kernel's latents given the blurred image."""

    def step(self, x: Any, random: torch.Generator) -> dict[str, Tensor]:
        loss = _loss(self.net, x)
        self.optimisers["net"].zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), LARGEST_GRADIENT)
        self.optimisers["net"].step()
        return {"total": loss}

    @torch.no_grad()
    def judge(self, x: Any) -> float:
        return float(_loss(self.averaged, x))


def _loss(net: Any, x: Examples) -> Tensor:
    return -net(x.blurred).log_density(x.kernel_latent).mean()


class KernelProposalTask(ProposalTask):
    """A kernel proposal for a pair of priors; arguments as of :class:`ProposalTask`."""

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
        latent, side = kernel.card.latent, min(SIDE, *(n // 2 * 2 for n in image.card.size))
        arguments = {"kernel_latent": latent, "side": side, "hidden": settings.width or HIDDEN}
        self.about |= {"arch": "kernel-proposal", "latent": latent, "arguments": arguments}

    def learner(self, device: torch.device) -> Learner:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            net = KernelProposal(**self.about["arguments"])
        return KernelProposalLearner(net, self.settings, device)

    @torch.no_grad()
    def measure(self, net: Any, held_out: Examples) -> dict[str, float]:
        """Error of the nearest kernel drawn, that of as many of the prior's, and the log density gained on it."""
        errors: dict[str, list[Tensor]] = {"proposed": [], "prior": []}
        random = cpu_generator(0)
        for blurred, kernel in zip(held_out.blurred[:MEASURED], held_out.kernel[:MEASURED], strict=True):
            mixture = net(blurred[None])
            drawn = torch.randn(DRAWN, mixture.means.shape[2], generator=random).to(kernel)
            for name, z in (("proposed", mixture.draw(DRAWN, random)), ("prior", drawn)):
                off = (self.pair.kernel.decode(z) - kernel).flatten(1).norm(dim=1)
                errors[name].append(off.min() / kernel.norm())
        z = held_out.kernel_latent
        gain = net(held_out.blurred).log_density(z) + z.square().sum(1) / 2
        nearest = {f"relative_error_{name}": round(float(torch.stack(e).mean()), 3) for name, e in errors.items()}
        return nearest | {"nats_gained": round(float(gain.mean()), 2)}

    @torch.no_grad()
    def sheet(self, net: Any, held_out: Examples) -> np.ndarray:
        """A row each: blurred and true image, true kernel, and two that are drawn."""
        seen, truth, kernel = (x[:SHOWN] for x in (held_out.blurred, held_out.image, held_out.kernel))
        drawn = torch.stack([net(y[None]).draw(2, cpu_generator(0)) for y in seen], 1)
        kernels = [framed(k, seen.shape) for k in (kernel, *(self.pair.kernel.decode(z) for z in drawn))]
        return figures.grid(torch.cat([seen, truth, *kernels]), len(seen))


def start_task(image: Generator) -> type[ProposalTask]:
    """What serves the searches that a prior of images is used in: under linear ones they go by the kernel alone."""
    return KernelProposalTask if isinstance(image.net, LinearGenerator) else ProposalTask
