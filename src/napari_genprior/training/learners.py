"""Training steps of each kind of generator: autoencoder, GAN, linear model with a refiner."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from ..core.arrays import cpu_generator
from ..nets.dcgan import DCGANDiscriminator
from ..nets.linear_gaussian import LinearGenerator, fit
from ..settings import TrainingSettings
from ..zoo.registry import build
from . import data, losses

GENERATOR_UPDATES = 2  # per update of the discriminator (Asim 2018, section 4.3)
DCGAN_BETAS = (0.5, 0.999)  # of Adam, as published
N_VARIANTS = 4  # augmented copies of each image to which a linear generator is fitted
MAX_GRADIENT_NORM = 100.0  # of an autoencoder, times the square root of the number of pixels; only outliers exceed it


class Learner:
    """A model in training: the state that a checkpoint holds, and the update by one batch.

    Attributes
    ----------
    net : Module
        The model that is trained.
    averaged : Module
        The running average of its weights, which is validated, shown and stored.
    modules : dict
        All modules of the state, by name; ``net`` and ``averaged`` are two of them.
    optimisers : dict
        Optimisers by the name of the module they update.
    learning_rate : float
        The initial learning rate.
    anneals : bool
        Whether the learning rate decreases to zero over the training.
    """

    anneals = True
    copies_buffers = True  # statistics of batch normalisation are copied to the average, not averaged

    def __init__(self, net: nn.Module, settings: TrainingSettings, device: torch.device) -> None:
        self.settings = settings
        self.device = device
        self.net = net.to(device)
        self.averaged = copy.deepcopy(self.net).requires_grad_(False).eval()
        self.modules: dict[str, nn.Module] = {"net": self.net, "averaged": self.averaged}
        self.learning_rate = settings.learning_rate or 1e-3
        weights = list(self.net.parameters())
        self.optimisers = {"net": torch.optim.Adam(weights, self.learning_rate)} if weights else {}

    def step(self, x: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        """Update the weights by one batch ``[B, C, Y, X]``; return the losses, scalars by name."""
        raise NotImplementedError

    def validation_loss(self, x: Tensor) -> float | None:
        """Compute the loss of the averaged model on held-out images; None where no loss measures its quality."""
        raise NotImplementedError

    def set_learning_rate(self, fraction: float) -> None:
        """Set the learning rate after this fraction of the training: half a cosine from ``learning_rate`` to zero."""
        factor = (1 + float(torch.cos(torch.tensor(torch.pi * fraction, dtype=torch.float64)))) / 2
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = self.learning_rate * (factor if self.anneals else 1.0)

    @torch.no_grad()
    def update_ema(self, step: int) -> None:
        """Update the exponential moving average of the weights; its decay grows over the first steps."""
        decay = min(self.settings.ema_decay, (1 + step) / (10 + step))
        for average, current in zip(self.averaged.parameters(), self.net.parameters(), strict=True):
            average.lerp_(current, 1 - decay)
        if self.copies_buffers:
            for copied, statistic in zip(self.averaged.buffers(), self.net.buffers(), strict=True):
                copied.copy_(statistic)


class AutoencoderLearner(Learner):
    """Training of an autoencoder: maximizes the evidence lower bound (:func:`losses.elbo`)."""

    def step(self, x: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        terms = self._elbo(self.net, x, random)
        optimiser = self.optimisers["net"]
        optimiser.zero_grad(set_to_none=True)
        terms["total"].backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), MAX_GRADIENT_NORM * x[0].numel() ** 0.5)
        optimiser.step()
        return terms

    def _elbo(self, net: Any, x: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        mean, logvar = net.encode(x)
        noise = torch.randn(mean.shape, generator=random).to(self.device)
        decoded = net.raw(mean + (logvar / 2).exp() * noise)
        s = self.settings
        return losses.elbo(x * net.scale, decoded * net.scale, mean, logvar, s.beta, s.reconstruction)

    @torch.no_grad()
    def validation_loss(self, x: Tensor) -> float:
        return float(self._elbo(self.averaged, x, cpu_generator(0))["total"])


class RefinerLearner(Learner):
    """Training of the refiner of a fitted linear generator: minimizes the reconstruction error of encoded images."""

    copies_buffers = False

    def __init__(self, net: nn.Module, settings: TrainingSettings, device: torch.device) -> None:
        super().__init__(net, settings, device)
        self._matrix: Tensor | None = None  # of the encoder; constant, and more expensive than a step

    def step(self, x: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        total = self._reconstruction_loss(self.net, x)
        self.optimisers["net"].zero_grad(set_to_none=True)
        total.backward()
        self.optimisers["net"].step()
        return {"total": total}

    def _reconstruction_loss(self, net: Any, x: Tensor) -> Tensor:
        if self._matrix is None:
            self._matrix = net.encoding_matrix()
        z = (x.flatten(1) - net.mean) @ self._matrix.T
        return (net.raw(z) - x).square().mean()

    @torch.no_grad()
    def validation_loss(self, x: Tensor) -> float:
        return float(self._reconstruction_loss(self.averaged, x))


class GANLearner(Learner):
    """Training of a DCGAN: a discriminator learns to recognize generated images, the generator to deceive it."""

    anneals = False

    def __init__(self, net: Any, discriminator: nn.Module, settings: TrainingSettings, device: torch.device) -> None:
        super().__init__(net, settings, device)
        self.latent: int = net.latent
        self.discriminator = discriminator.to(device)
        self.modules["discriminator"] = self.discriminator
        self.learning_rate = settings.learning_rate or 2e-4
        self.optimisers = {
            name: torch.optim.Adam(self.modules[name].parameters(), self.learning_rate, betas=DCGAN_BETAS)
            for name in ("net", "discriminator")
        }

    def step(self, x: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        fake = self._generate(len(x), random)
        loss = losses.discriminator_loss(self.discriminator(x), self.discriminator(fake.detach()))
        self._update("discriminator", loss)
        for update in range(GENERATOR_UPDATES):
            if update:
                fake = self._generate(len(x), random)
            generator_loss = losses.generator_loss(self.discriminator(fake))
            self._update("net", generator_loss)
        return {"total": generator_loss, "discriminator": loss}

    def _generate(self, count: int, random: torch.Generator) -> Tensor:
        return self.net(torch.randn(count, self.latent, generator=random).to(self.device))

    def _update(self, name: str, loss: Tensor) -> None:
        self.optimisers[name].zero_grad(set_to_none=True)
        loss.backward()
        self.optimisers[name].step()

    def validation_loss(self, x: Tensor) -> None:
        return None


def augmentation(settings: TrainingSettings, images: data.Images) -> dict[str, Any]:
    """Return the arguments of :func:`data.batch` that augment images."""
    return {"mirror": settings.flip_horizontal, "turn": settings.rotate90 or images.turn, "shift_px": settings.shift_px}


def new_learner(settings: TrainingSettings, arguments: dict[str, Any], device: torch.device) -> Learner:
    """Make a learner whose initial weights depend on the seed alone; torch's global generator is left untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        if settings.arch == "linear":
            return RefinerLearner(LinearGenerator(**arguments, refiner=settings.residual_network), settings, device)
        net = build(settings.arch, arguments)
        if settings.arch != "dcgan":
            return AutoencoderLearner(net, settings, device)
        shape = {name: arguments[name] for name in ("channels", "size", "width")}
        return GANLearner(net, DCGANDiscriminator(**shape), settings, device)


def fit_linear(learner: Learner, images: data.Images, size: int, settings: TrainingSettings) -> None:
    """Fit a linear generator to the principal components of the training images and their augmented copies."""
    random = cpu_generator(settings.seed)
    augment = augmentation(settings, images)
    variants = N_VARIANTS if any(augment.values()) else 1
    examples = torch.cat([
        _as_stored(data.batch(images.train, part, size, random if variants > 1 else None, **augment), images)
        for _ in range(variants)
        for part in torch.arange(len(images.train)).split(1024)
    ])  # fmt: skip
    fitted = fit(examples, learner.net.latent, images.kind == "kernel", seed=settings.seed)  # type: ignore[arg-type]
    for net in (learner.net, learner.averaged):
        for name, value in fitted.named_buffers():
            getattr(net, name).copy_(value)


def _as_stored(batch: Tensor, images: data.Images) -> Tensor:
    """Convert a batch to uint8 where the data are uint8: four times as many images fit into memory."""
    return (batch * 255).round().byte() if images.train.dtype == torch.uint8 else batch
