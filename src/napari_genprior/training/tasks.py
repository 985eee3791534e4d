"""What one training makes. The loop drives a task and knows no more of it than this."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..blur.support import CENTRED, off_center
from ..settings import TrainingSettings
from ..zoo.export import stored_precision
from ..zoo.quantization import NOT_QUANTIZED
from ..zoo.registry import build
from . import data, learners
from . import evaluation as figures

MEASURED = 32  # held-out images whose best latents are searched for at the end


class Task(ABC):
    """Examples to learn from, who learns from them, and what is kept of it.

    Attributes
    ----------
    settings : TrainingSettings
    about : dict
        The model card's fields that are known beforehand.
    count : int
        Examples to learn from.
    learns : bool
        Whether there is anything to learn step by step.
    """

    settings: TrainingSettings
    about: dict[str, Any]
    count: int
    learns = True

    @abstractmethod
    def fingerprint(self) -> str:
        """Of all that is learnt from: a run resumes on its own data only."""

    @abstractmethod
    def learner(self, device: torch.device) -> learners.Learner:
        """A fresh one; its weights depend on the seed alone."""

    def prepare(self, learner: learners.Learner) -> None:  # noqa: B027 (most need none)
        """What comes before the first step."""

    @abstractmethod
    def batch(self, indices: Tensor, random: torch.Generator, device: torch.device) -> Any:
        """What a learner's step takes."""

    @abstractmethod
    def held_out(self, device: torch.device) -> Any:
        """What a learner judges by, and the methods below."""

    def stored(self, net: Any, device: torch.device) -> tuple[Any, dict[str, Any]]:
        """The model as it will be stored, in that precision, with its architecture's arguments."""
        stored_precision(net, self.settings.half, self.about["kind"] in NOT_QUANTIZED)
        return net, self.about["arguments"]

    @abstractmethod
    def measure(self, net: Any, held_out: Any) -> dict[str, float]:
        """Figures for the card."""

    @abstractmethod
    def sheet(self, net: Any, held_out: Any) -> np.ndarray:
        """An image that shows what the model does: uint8 [Y, X] or [Y, X, 3]."""


class GeneratorTask(Task):
    """Generators of images or kernels."""

    def __init__(self, images: data.Images, settings: TrainingSettings) -> None:
        arguments = learners.arguments_for(settings, images)
        self.settings, self.images = settings, images
        self.size = learners.size_of(settings, arguments)
        self.kernel = images.kind == "kernel"
        self.count = len(images.train)
        self.learns = settings.arch != "linear" or settings.refiner
        self.ways = learners.variations(settings, images)
        self.about = {
            "kind": images.kind, "arch": settings.arch, "arguments": arguments, "latent": arguments["latent"],
            "channels": images.train.shape[1], "size": (self.size, self.size), "data": images.about,
            "centred": (self.kernel and bool((off_center(images.held_out) < CENTRED**2).all())) or None,
        }  # fmt: skip

    def fingerprint(self) -> str:
        return self.images.fingerprint()

    def learner(self, device: torch.device) -> learners.Learner:
        return learners.fresh(self.settings, self.about["arguments"], device)

    def prepare(self, learner: learners.Learner) -> None:
        if self.settings.arch == "linear":
            learners.fit_linear(learner, self.images, self.size, self.settings)

    def batch(self, indices: Tensor, random: torch.Generator, device: torch.device) -> Tensor:
        return data.batch(self.images.train, indices, self.size, random, **self.ways).to(device)

    def held_out(self, device: torch.device) -> Tensor:
        images = self.images.held_out
        return data.batch(images, torch.arange(len(images)), self.size).to(device)

    def stored(self, net: Any, device: torch.device) -> tuple[Any, dict[str, Any]]:
        """Without its encoder where that is not wanted."""
        s, arguments = self.settings, self.about["arguments"]
        if s.arch == "linear":
            arguments = {**arguments, "refiner": s.refiner}
        elif s.arch != "dcgan" and not s.keep_encoder:
            arguments = {**arguments, "encoder": False}
            whole, net = net.state_dict(), build(s.arch, arguments)
            net.load_state_dict({key: value for key, value in whole.items() if key in net.state_dict()})
            net.to(device).eval().requires_grad_(False)
        return super().stored(net, device)[0], arguments

    def measure(self, net: Any, held_out: Tensor) -> dict[str, float]:
        return figures.measure(net, held_out[:MEASURED], self.kernel)

    def sheet(self, net: Any, held_out: Tensor) -> np.ndarray:
        return figures.sheet(net, held_out, self.kernel)
