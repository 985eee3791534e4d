"""Training of starts: a network that proposes the latents of image and kernel, learnt from blurred examples.

Deblurring with generators has many local minima and a search by random starts pays for most of them. Blurring is
easy: sharp images whose latents are known are blurred on the fly, and a network learns the way back once for all.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ..core.arrays import cpu_generator, resolve_device
from ..core.errors import InputError
from ..nets.initializer import Proposal
from ..operators.convolution import convolve
from ..operators.data_fidelity import summed_squared_error
from ..settings import GeneratorSettings, TrainingSettings
from ..zoo.card import Named
from ..zoo.store import Generator
from . import data, losses
from . import evaluation as figures
from .initializer_data import NOISE, Drawn, Examples, Given, blurred
from .learners import Learner
from .tasks import Task

LOOSE = 0.05  # share of every head in the loss, so that none is forgotten
OBJECTIVE = 0.1  # its weight; 0.25 lowers the objective a little further, at 0.5 dB less of the image
DECODED = 4  # of so many examples one is decoded too, which costs more than the network itself
SHOWN = 8


class Pair:
    """An image and a kernel prior, and how well latents of both explain blurred images."""

    def __init__(self, image: Generator, kernel: Generator) -> None:
        if (image.card.kind, kernel.card.kind) != ("image", "kernel") or len(image.card.size) != 2:
            raise InputError("A start belongs to a prior of images and one of kernels, in this order.")
        if len(kernel.card.size) != 2 or any(np.greater(kernel.card.size, image.card.size)):
            raise InputError(
                f"Kernels of {kernel.card.name} ({kernel.card.shape}) do not fit into images of {image.card.name} "
                f"({image.card.shape})."
            )
        self.image, self.kernel = image, kernel

    def objective(self, blurred: Tensor, image_latent: Tensor, kernel_latent: Tensor) -> Tensor:
        """What algorithm 1 minimises with its usual weights, ``[R]``."""
        s = GeneratorSettings.checked({})
        model = convolve(self.image.decode(image_latent), self.kernel.decode(kernel_latent))
        ridges = s.image_latent_weight * image_latent.square().sum(
            1
        ) + s.kernel_latent_weight * kernel_latent.square().sum(1)
        return summed_squared_error(model, blurred) + ridges

    @torch.no_grad()
    def best(self, net: Proposal, blurred: Tensor) -> tuple[Tensor, Tensor]:
        """The proposal of least objective for each image, ``[R, latent]`` each."""
        image, kernel = net(blurred)
        count, heads = image.shape[:2]
        values = self.objective(blurred.repeat_interleave(heads, 0), image.flatten(0, 1), kernel.flatten(0, 1))
        chosen = values.view(count, heads).argmin(1)
        rows = torch.arange(count, device=chosen.device)
        return image[rows, chosen], kernel[rows, chosen]


class ProposalLearner(Learner):
    """Learns the latents of its examples, and proposals that explain the blurred image.

    Notes
    -----
    A blurred image has several explanations; the mean of them is none. So each image's error is that of its
    nearest head (relaxed winner-takes-all [1]_). The latents' error alone does not know which of them matter: the
    objective that is searched afterwards does.

    References
    ----------
    .. [1] Rupprecht et al., Learning in an uncertain world: representing ambiguity through multiple hypotheses,
       ICCV 2017.
    """

    def __init__(self, net: Proposal, pair: Pair, settings: TrainingSettings, device: torch.device) -> None:
        super().__init__(net, settings, device)
        self.pair = pair

    def step(self, x: Any, random: torch.Generator) -> dict[str, Tensor]:
        terms = self._losses(self.net, x)
        self.optimisers["net"].zero_grad(set_to_none=True)
        terms["total"].backward()
        self.optimisers["net"].step()
        return terms

    @torch.no_grad()
    def judge(self, x: Any) -> float:
        return float(self._losses(self.averaged, x)["total"])

    def _losses(self, net: Any, x: Examples) -> dict[str, Tensor]:
        image, kernel = net(x.blurred)
        errors = _distance(image, x.image_latent) + _distance(kernel, x.kernel_latent)
        nearest, winners = errors.min(1)
        latents = (1 - LOOSE) * nearest.mean() + LOOSE * errors.mean()
        rows = torch.arange(max(1, len(winners) // DECODED), device=winners.device)
        winner = winners[rows]
        objective = self.pair.objective(x.blurred[rows], image[rows, winner], kernel[rows, winner]).mean()
        return {"total": latents + OBJECTIVE * objective, "latents": latents, "objective": objective}


def _distance(proposed: Tensor, latent: Tensor) -> Tensor:
    """Mean squared error ``[R, heads]``."""
    return (proposed - latent[:, None]).square().mean(2)


class ProposalTask(Task):
    """A start network for a pair of priors.

    Parameters
    ----------
    image, kernel : Generator
    images, kernels : Images, optional
        Real ones, or simulated; their priors need encoders. By default they are decoded from random latents, which
        is the poorer schooling: what a prior draws is not quite what users bring.
    settings : TrainingSettings
        ``width`` is that of the hidden layers (0: 512); what is said of generators alone is not looked at.
    """

    image_latents = True  # whether the images' latents are learnt too

    def __init__(
        self,
        image: Generator,
        kernel: Generator,
        settings: TrainingSettings,
        images: data.Images | None = None,
        kernels: data.Images | None = None,
    ) -> None:
        self.pair, self.settings = Pair(image, kernel), settings
        for prior in (image, kernel):
            prior.net.to(resolve_device(settings.device))
        cards = (image.card, kernel.card)
        self.images = Given(image, images, settings, self.image_latents) if images else Drawn(image, settings.seed)
        self.kernels = Given(kernel, kernels, settings) if kernels else Drawn(kernel, settings.seed + 1)
        self.count = self.images.count
        height, width = image.card.size[:2]
        self.about = {
            "kind": "start", "arch": "proposal", "latent": sum(card.latent for card in cards),
            "arguments": {
                "image_latent": cards[0].latent, "kernel_latent": cards[1].latent, "channels": cards[0].channels,
                "height": height, "width": width, "hidden": settings.width or 512,
            },
            "channels": cards[0].channels, "size": (height, width),
            "starts_for": tuple(Named(name=card.name, sha256=card.sha256) for card in cards),
            "data": f"{self.images.about}, blurred by {self.kernels.about}; noise {NOISE[0]:.1%} to {NOISE[1]:.0%}",
        }  # fmt: skip

    def fingerprint(self) -> str:
        of_all = [self.images.fingerprint(), self.kernels.fingerprint(), str(self.about["starts_for"])]
        return hashlib.sha256("|".join(of_all).encode()).hexdigest()

    def learner(self, device: torch.device) -> Learner:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            net = Proposal(**self.about["arguments"])
        return ProposalLearner(net, self.pair, self.settings, device)

    @torch.no_grad()
    def batch(self, indices: Tensor, random: torch.Generator, device: torch.device) -> Examples:
        chosen = torch.randint(self.kernels.count, (len(indices),), generator=random)
        return blurred(self.images.some(indices, random), self.kernels.some(chosen, random), random)

    @torch.no_grad()
    def held_out(self, device: torch.device) -> Examples:
        (image, image_latent), (kernel, kernel_latent) = self.images.held_out(), self.kernels.held_out()
        rows = torch.arange(len(image)) % len(kernel)
        return blurred((image, image_latent), (kernel[rows], kernel_latent[rows]), cpu_generator(0))

    @torch.no_grad()
    def measure(self, net: Any, held_out: Examples) -> dict[str, float]:
        """PSNR of the proposed image, error of the proposed kernel, and the objective where the search starts."""
        latents = self.pair.best(net, held_out.blurred)
        image, kernel = self.pair.image.decode(latents[0]), self.pair.kernel.decode(latents[1])
        figures = {
            "psnr_proposed_db": losses.psnr(held_out.image, image),
            "relative_error_proposed": losses.relative_error(held_out.kernel, kernel),
            "objective_proposed": float(self.pair.objective(held_out.blurred, *latents).mean()),
        }
        return {name: round(value, 3) for name, value in figures.items()}

    @torch.no_grad()
    def sheet(self, net: Any, held_out: Examples) -> np.ndarray:
        """A row each: blurred, true and proposed image, true and proposed kernel."""
        seen, truth, kernel = (x[:SHOWN] for x in (held_out.blurred, held_out.image, held_out.kernel))
        latents = self.pair.best(net, seen)
        kernels = [framed(k, seen.shape) for k in (kernel, self.pair.kernel.decode(latents[1]))]
        return figures.grid(torch.cat([seen, truth, self.pair.image.decode(latents[0]), *kernels]), len(seen))


def framed(kernel: Tensor, shape: torch.Size) -> Tensor:
    """Kernels ``[R, 1, kh, kw]`` as images, their brightest pixel white."""
    bright = kernel / kernel.amax((2, 3), keepdim=True).clamp(min=1e-12)
    down, right = (side - own for side, own in zip(shape[-2:], kernel.shape[-2:], strict=True))
    return pad(bright, (right // 2, right - right // 2, down // 2, down - down // 2)).expand(-1, shape[1], -1, -1)
