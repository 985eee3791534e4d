"""Train initializers: networks that estimate the latents of image and kernel from a blurred image.

Deblurring with generators has many local minima, and most random restarts end in a poor one. Blurring is easy: sharp
images with known latents are blurred during the training, and a network learns the inverse once and for all.
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
from ..nets.initializer import Initializer
from ..operators.convolution import convolve
from ..operators.data_fidelity import summed_squared_error
from ..settings import GeneratorSettings, TrainingSettings
from ..zoo.card import Named
from ..zoo.store import Generator
from . import data, evaluation, losses
from .initializer_data import NOISE_STD, DatasetSource, Examples, PriorSource, blur
from .learners import Learner
from .tasks import Task

RELAXATION = 0.05  # weight of all heads in the winner-takes-all loss, so that every head is trained
OBJECTIVE_WEIGHT = 0.1  # 0.25 lowers the objective slightly further, at 0.5 dB less PSNR of the image
DECODED_EVERY = 4  # one in so many examples is decoded, which costs more than the network itself
N_SHOWN = 8


class PriorPair:
    """An image prior and a kernel prior, and the objective of their latents for blurred images."""

    def __init__(self, image: Generator, kernel: Generator) -> None:
        if (image.card.kind, kernel.card.kind) != ("image", "kernel") or len(image.card.size) != 2:
            raise InputError(
                "An initializer needs an image prior and a kernel prior, in this order; got a prior of "
                f"{image.card.kind}s and one of {kernel.card.kind}s."
            )
        if len(kernel.card.size) != 2 or any(np.greater(kernel.card.size, image.card.size)):
            raise InputError(
                f"Kernels of {kernel.card.name} ({kernel.card.shape}) do not fit into images of {image.card.name} "
                f"({image.card.shape})."
            )
        self.image, self.kernel = image, kernel

    def objective(self, blurred: Tensor, image_latent: Tensor, kernel_latent: Tensor) -> Tensor:
        """Compute the objective of algorithm 1 with its default weights, ``[R]``."""
        s = GeneratorSettings.checked({})
        model = convolve(self.image.decode(image_latent), self.kernel.decode(kernel_latent))
        image_penalty = s.image_latent_weight * image_latent.square().sum(1)
        kernel_penalty = s.kernel_latent_weight * kernel_latent.square().sum(1)
        return summed_squared_error(model, blurred) + (image_penalty + kernel_penalty)

    @torch.no_grad()
    def best(self, net: Initializer, blurred: Tensor) -> tuple[Tensor, Tensor]:
        """Select the estimate with the lowest objective for each image; latents ``[R, latent]`` of image and kernel."""
        image, kernel = net(blurred)
        count, heads = image.shape[:2]
        values = self.objective(blurred.repeat_interleave(heads, 0), image.flatten(0, 1), kernel.flatten(0, 1))
        best = values.view(count, heads).argmin(1)
        rows = torch.arange(count, device=best.device)
        return image[rows, best], kernel[rows, best]


class InitializerLearner(Learner):
    """Training of an initializer: minimizes the error of the latents and the objective of the estimates.

    Notes
    -----
    A blurred image has several explanations, and their mean explains nothing. The error of each image is therefore
    that of its nearest head (relaxed winner-takes-all [1]_). The error of the latents weighs all of them alike; the
    objective of algorithm 1, which is minimized afterwards, weighs them by their effect.

    References
    ----------
    .. [1] Rupprecht et al., Learning in an uncertain world: representing ambiguity through multiple hypotheses,
       ICCV 2017.
    """

    def __init__(self, net: Initializer, pair: PriorPair, settings: TrainingSettings, device: torch.device) -> None:
        super().__init__(net, settings, device)
        self.pair = pair

    def step(self, x: Any, random: torch.Generator) -> dict[str, Tensor]:
        terms = self._losses(self.net, x)
        self.optimisers["net"].zero_grad(set_to_none=True)
        terms["total"].backward()
        self.optimisers["net"].step()
        return terms

    @torch.no_grad()
    def validation_loss(self, x: Any) -> float:
        return float(self._losses(self.averaged, x)["total"])

    def _losses(self, net: Any, x: Examples) -> dict[str, Tensor]:
        image, kernel = net(x.blurred)
        errors = _head_errors(image, x.image_latent) + _head_errors(kernel, x.kernel_latent)
        nearest, winners = errors.min(1)
        latents = (1 - RELAXATION) * nearest.mean() + RELAXATION * errors.mean()
        rows = torch.arange(max(1, len(winners) // DECODED_EVERY), device=winners.device)
        winner = winners[rows]
        objective = self.pair.objective(x.blurred[rows], image[rows, winner], kernel[rows, winner]).mean()
        return {"total": latents + OBJECTIVE_WEIGHT * objective, "latents": latents, "objective": objective}


def _head_errors(estimates: Tensor, latent: Tensor) -> Tensor:
    """Compute the mean squared error of each head, ``[R, heads]``, from estimates ``[R, heads, latent]``."""
    return (estimates - latent[:, None]).square().mean(2)


class InitializerTask(Task):
    """Training of an initializer for a pair of priors.

    Parameters
    ----------
    image, kernel : Generator
        The pair of priors.
    settings : TrainingSettings
        ``width`` is that of the hidden layers (0: 512); settings of generators alone are ignored.
    images, kernels : Images, optional
        Real or simulated data; their priors need encoders. By default images and kernels are decoded from random
        latents, which trains a poorer initializer: samples of a prior differ from the images of users.
    """

    image_latents = True  # whether the latents of the images are estimated too

    def __init__(
        self,
        image: Generator,
        kernel: Generator,
        settings: TrainingSettings,
        images: data.Images | None = None,
        kernels: data.Images | None = None,
    ) -> None:
        self.pair, self.settings = PriorPair(image, kernel), settings
        for prior in (image, kernel):
            prior.net.to(resolve_device(settings.device))
        cards = (image.card, kernel.card)
        self.images = (
            DatasetSource(image, images, settings, self.image_latents) if images else PriorSource(image, settings.seed)
        )
        self.kernels = DatasetSource(kernel, kernels, settings) if kernels else PriorSource(kernel, settings.seed + 1)
        self.count = self.images.count
        height, width = image.card.size[:2]
        image_prior, kernel_prior = (Named(name=card.name, sha256=card.sha256) for card in cards)
        self.about = {
            "kind": "initializer", "arch": "initializer", "latent": sum(card.latent for card in cards),
            "arguments": {
                "image_latent": cards[0].latent, "kernel_latent": cards[1].latent, "channels": cards[0].channels,
                "height": height, "width": width, "hidden": settings.width or 512,
            },
            "channels": cards[0].channels, "size": (height, width),
            "initializer_for": (image_prior, kernel_prior),
            "data": f"{self.images.about}, blurred by {self.kernels.about}; "
            f"noise {NOISE_STD[0]:.1%} to {NOISE_STD[1]:.0%}",
        }  # fmt: skip

    def fingerprint(self) -> str:
        parts = [self.images.fingerprint(), self.kernels.fingerprint(), str(self.about["initializer_for"])]
        return hashlib.sha256("|".join(parts).encode()).hexdigest()

    def learner(self, device: torch.device) -> Learner:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            net = Initializer(**self.about["arguments"])
        return InitializerLearner(net, self.pair, self.settings, device)

    @torch.no_grad()
    def batch(self, indices: Tensor, random: torch.Generator, device: torch.device) -> Examples:
        kernels = torch.randint(self.kernels.count, (len(indices),), generator=random)
        return blur(self.images.some(indices, random), self.kernels.some(kernels, random), random)

    @torch.no_grad()
    def held_out(self, device: torch.device) -> Examples:
        (image, image_latent), (kernel, kernel_latent) = self.images.held_out(), self.kernels.held_out()
        rows = torch.arange(len(image)) % len(kernel)
        return blur((image, image_latent), (kernel[rows], kernel_latent[rows]), cpu_generator(0))

    @torch.no_grad()
    def measure(self, net: Any, held_out: Examples) -> dict[str, float]:
        """Measure the PSNR of the initial image, the error of the initial kernel, and the initial objective."""
        latents = self.pair.best(net, held_out.blurred)
        image, kernel = self.pair.image.decode(latents[0]), self.pair.kernel.decode(latents[1])
        metrics = {
            "psnr_proposed_db": losses.psnr(held_out.image, image),
            "relative_error_proposed": losses.relative_error(held_out.kernel, kernel),
            "objective_proposed": float(self.pair.objective(held_out.blurred, *latents).mean()),
        }
        return {name: round(value, 3) for name, value in metrics.items()}

    @torch.no_grad()
    def sample_sheet(self, net: Any, held_out: Examples) -> np.ndarray:
        """Draw rows of blurred, true and initial images, and of true and initial kernels."""
        blurred, truth, kernel = (x[:N_SHOWN] for x in (held_out.blurred, held_out.image, held_out.kernel))
        latents = self.pair.best(net, blurred)
        kernels = [kernels_as_images(k, blurred.shape) for k in (kernel, self.pair.kernel.decode(latents[1]))]
        images = [blurred, truth, self.pair.image.decode(latents[0]), *kernels]
        return evaluation.grid(torch.cat(images), len(blurred))


def kernels_as_images(kernel: Tensor, shape: torch.Size) -> Tensor:
    """Pad kernels ``[R, 1, kh, kw]`` to images of ``shape`` ``[R, C, Y, X]`` and scale each to its brightest pixel."""
    bright = kernel / kernel.amax((2, 3), keepdim=True).clamp(min=1e-12)
    down, right = (side - own for side, own in zip(shape[-2:], kernel.shape[-2:], strict=True))
    return pad(bright, (right // 2, right - right // 2, down // 2, down - down // 2)).expand(-1, shape[1], -1, -1)
