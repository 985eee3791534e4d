"""One training step of each kind of generator: autoencoder, GAN, refined linear model."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from ..core.arrays import cpu_generator
from ..core.errors import InputError
from ..nets.dcgan import DCGANDiscriminator
from ..nets.linear_gaussian import LinearGenerator, fit
from ..settings import TrainingSettings
from ..zoo.registry import build
from . import data, losses

FIXED = {"blur-vae": (1, 28), "digit-vae": (1, 28), "house-number-vae": (3, 32)}  # channels, size
GENERATOR_UPDATES = 2  # per update of the discriminator (Asim 2018, section 4.3)
DCGAN_BETAS = (0.5, 0.999)  # of Adam, as published
VARIANTS = 4  # of each image a linear generator is fitted to, where they are shifted, mirrored or turned
LARGEST_GRADIENT = 100.0  # norm of an autoencoder's gradient per latent and pixel sum; only outliers exceed it


class Learner:
    """A generator in training: everything that a checkpoint holds, and how it is changed by a batch.

    Attributes
    ----------
    net : Module
        The generator as it is trained.
    averaged : Module
        Its running average: what is judged, shown and stored.
    modules : dict
        All that learns, by name; ``net`` is one of them.
    optimisers : dict
    rate : float
        Learning rate at the start.
    falls : bool
        Whether the learning rate falls to zero towards the end.
    """

    falls = True
    moving_buffers = True  # statistics of batch normalisation

    def __init__(self, net: nn.Module, settings: TrainingSettings, device: torch.device) -> None:
        self.settings = settings
        self.device = device
        self.net = net.to(device)
        self.averaged = copy.deepcopy(self.net).requires_grad_(False).eval()
        self.modules: dict[str, nn.Module] = {"net": self.net, "averaged": self.averaged}
        self.rate = settings.learning_rate or 1e-3
        weights = list(self.net.parameters())
        self.optimisers = {"net": torch.optim.Adam(weights, self.rate)} if weights else {}

    def step(self, x: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        """Learn from one batch ``[B, C, Y, X]``; returns the losses, scalars."""
        raise NotImplementedError

    def judge(self, x: Tensor) -> float | None:
        """Loss of the averaged generator on held-out images; None where no loss tells quality."""
        raise NotImplementedError

    def set_rate(self, fraction: float) -> None:
        """The learning rate after this fraction of the training: half a cosine from ``rate`` to zero."""
        factor = (1 + float(torch.cos(torch.tensor(torch.pi * fraction, dtype=torch.float64)))) / 2
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = self.rate * (factor if self.falls else 1.0)

    @torch.no_grad()
    def follow_average(self, step: int) -> None:
        """Move the average towards the trained weights; early on its memory is shorter, as there is little to keep."""
        memory = min(self.settings.average, (1 + step) / (10 + step))
        for average, current in zip(self.averaged.parameters(), self.net.parameters(), strict=True):
            average.lerp_(current, 1 - memory)
        if self.moving_buffers:
            for copied, statistic in zip(self.averaged.buffers(), self.net.buffers(), strict=True):
                copied.copy_(statistic)


class AutoencoderLearner(Learner):
    """Maximises the evidence lower bound (:func:`losses.elbo`)."""

    def step(self, x: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        terms = self._elbo(self.net, x, random)
        optimiser = self.optimisers["net"]
        optimiser.zero_grad(set_to_none=True)
        terms["total"].backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), LARGEST_GRADIENT * x[0].numel() ** 0.5)
        optimiser.step()
        return terms

    def _elbo(self, net: Any, x: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        mean, logvar = net.encode(x)
        noise = torch.randn(mean.shape, generator=random).to(self.device)
        decoded = net.raw(mean + (logvar / 2).exp() * noise)
        s = self.settings
        return losses.elbo(x * net.scale, decoded * net.scale, mean, logvar, s.beta, s.reconstruction)

    @torch.no_grad()
    def judge(self, x: Tensor) -> float:
        return float(self._elbo(self.averaged, x, cpu_generator(0))["total"])


class RefinerLearner(Learner):
    """Trains the refiner of a fitted linear generator: images come back from their own latents."""

    moving_buffers = False

    def __init__(self, net: nn.Module, settings: TrainingSettings, device: torch.device) -> None:
        super().__init__(net, settings, device)
        self._matrix: Tensor | None = None  # of the encoder; it never changes, and costs more than a step

    def step(self, x: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        total = self._misfit(self.net, x)
        self.optimisers["net"].zero_grad(set_to_none=True)
        total.backward()
        self.optimisers["net"].step()
        return {"total": total}

    def _misfit(self, net: Any, x: Tensor) -> Tensor:
        if self._matrix is None:
            self._matrix = net.encoding_matrix()
        z = (x.flatten(1) - net.mean) @ self._matrix.T
        return (net.raw(z) - x).square().mean()

    @torch.no_grad()
    def judge(self, x: Tensor) -> float:
        return float(self._misfit(self.averaged, x))


class GANLearner(Learner):
    """DCGAN: a discriminator learns to tell real from generated images, the generator to deceive it."""

    falls = False

    def __init__(self, net: Any, discriminator: nn.Module, settings: TrainingSettings, device: torch.device) -> None:
        super().__init__(net, settings, device)
        self.latent: int = net.latent
        self.discriminator = discriminator.to(device)
        self.modules["discriminator"] = self.discriminator
        self.rate = settings.learning_rate or 2e-4
        self.optimisers = {
            name: torch.optim.Adam(self.modules[name].parameters(), self.rate, betas=DCGAN_BETAS)
            for name in ("net", "discriminator")
        }

    def step(self, x: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        fake = self._generate(len(x), random)
        loss = losses.discriminator_loss(self.discriminator(x), self.discriminator(fake.detach()))
        self._update("discriminator", loss)
        for update in range(GENERATOR_UPDATES):
            if update:
                fake = self._generate(len(x), random)
            deceit = losses.generator_loss(self.discriminator(fake))
            self._update("net", deceit)
        return {"total": deceit, "discriminator": loss}

    def _generate(self, count: int, random: torch.Generator) -> Tensor:
        return self.net(torch.randn(count, self.latent, generator=random).to(self.device))

    def _update(self, name: str, loss: Tensor) -> None:
        self.optimisers[name].zero_grad(set_to_none=True)
        loss.backward()
        self.optimisers[name].step()

    def judge(self, x: Tensor) -> None:
        return None


def arguments_for(settings: TrainingSettings, images: data.Images) -> dict[str, Any]:
    """What the architecture is built with, from the settings and the data.

    Raises
    ------
    InputError
        Data of a kind, size or number of channels that the architecture does not decode.
    """
    arch, kernel = settings.arch, images.kind == "kernel"
    channels, height, width = images.train.shape[1:]
    if (arch == "blur-vae" and not kernel) or (kernel and arch in ("digit-vae", "house-number-vae", "dcgan")):
        raise InputError(f"{arch} is no generator of {images.kind}s; for kernels there are vae, blur-vae and linear.")
    latent = settings.latent or (50 if kernel else 100)
    if arch in FIXED:
        fixed_channels, size = FIXED[arch]
        if channels != fixed_channels or settings.size not in (0, size) or min(height, width) < size:
            raise InputError(
                f"{arch} is made of images {size}x{size}x{fixed_channels}; got {height}x{width}x{channels}."
            )
        return {"latent": latent}
    size = settings.size or min(height, width)
    if min(height, width) < size:
        raise InputError(f"The images are {height}x{width} px; a generator of {size} px needs larger ones.")
    if arch == "linear":
        return {"latent": latent, "channels": channels, "height": size, "width": size, "kernel": kernel}
    if arch == "dcgan":
        return {"latent": latent, "channels": channels, "size": size, "width": settings.width or 64}
    return {"latent": latent, "channels": channels, "size": size, "width": settings.width or 32, "kernel": kernel}


def size_of(settings: TrainingSettings, arguments: dict[str, Any]) -> int:
    """Side of what the architecture decodes to, in pixels."""
    return (
        FIXED[settings.arch][1] if settings.arch in FIXED else arguments["height" if "height" in arguments else "size"]
    )


def variations(settings: TrainingSettings, images: data.Images) -> dict[str, Any]:
    """How :func:`data.batch` may vary an image."""
    return {"mirror": settings.mirror, "turn": settings.turn or images.turn, "shift_px": settings.shift_px}


def fresh(settings: TrainingSettings, arguments: dict[str, Any], device: torch.device) -> Learner:
    """A learner with its initial weights, which depend on the seed alone; torch's own generator is left untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        if settings.arch == "linear":
            return RefinerLearner(LinearGenerator(**arguments, refiner=settings.refiner), settings, device)
        net = build(settings.arch, arguments)
        if settings.arch != "dcgan":
            return AutoencoderLearner(net, settings, device)
        shape = {name: arguments[name] for name in ("channels", "size", "width")}
        return GANLearner(net, DCGANDiscriminator(**shape), settings, device)


def fit_linear(learner: Learner, images: data.Images, size: int, settings: TrainingSettings) -> None:
    """Principal components of the training images, and where there are random variants, of some of each."""
    random = cpu_generator(settings.seed)
    ways = variations(settings, images)
    variants = VARIANTS if any(ways.values()) else 1
    drawn = torch.cat([
        _bytes(data.batch(images.train, part, size, random if variants > 1 else None, **ways), images)
        for _ in range(variants)
        for part in torch.arange(len(images.train)).split(1024)
    ])  # fmt: skip
    fitted = fit(drawn, learner.net.latent, images.kind == "kernel", seed=settings.seed)  # type: ignore[arg-type]
    for net in (learner.net, learner.averaged):
        for name, value in fitted.named_buffers():
            getattr(net, name).copy_(value)


def _bytes(batch: Tensor, images: data.Images) -> Tensor:
    """Back to uint8 where the data were: four times as many fit into memory."""
    return (batch * 255).round().byte() if images.train.dtype == torch.uint8 else batch
