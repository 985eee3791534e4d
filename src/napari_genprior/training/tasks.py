"""What one training makes. The loop drives a task and knows no more of it than this."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..blur.support import CENTRED, off_centre
from ..settings import TrainingSettings
from ..zoo.export import stored_precision
from ..zoo.quantization import NEVER_BYTES
from ..zoo.registry import build
from . import data, learners
from . import evaluation as figures

MEASURED = 32  # held-out pictures whose best latents are searched for at the end


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
        stored_precision(net, self.settings.half, self.about["kind"] in NEVER_BYTES)
        return net, self.about["arguments"]

    @abstractmethod
    def measure(self, net: Any, held_out: Any) -> dict[str, float]:
        """Figures for the card."""

    @abstractmethod
    def sheet(self, net: Any, held_out: Any) -> np.ndarray:
        """A picture that shows what the model does: uint8 [Y, X] or [Y, X, 3]."""


class GeneratorTask(Task):
    """Generators of pictures or kernels."""

    def __init__(self, pictures: data.Pictures, settings: TrainingSettings) -> None:
        arguments = learners.arguments_for(settings, pictures)
        self.settings, self.pictures = settings, pictures
        self.size = learners.size_of(settings, arguments)
        self.kernel = pictures.kind == "kernel"
        self.count = len(pictures.train)
        self.learns = settings.arch != "linear" or settings.refiner
        self.ways = learners.variations(settings, pictures)
        self.about = {
            "kind": pictures.kind, "arch": settings.arch, "arguments": arguments, "latent": arguments["latent"],
            "channels": pictures.train.shape[1], "size": (self.size, self.size), "data": pictures.about,
            "centred": (self.kernel and bool((off_centre(pictures.held_out) < CENTRED**2).all())) or None,
        }  # fmt: skip

    def fingerprint(self) -> str:
        return self.pictures.fingerprint()

    def learner(self, device: torch.device) -> learners.Learner:
        return learners.fresh(self.settings, self.about["arguments"], device)

    def prepare(self, learner: learners.Learner) -> None:
        if self.settings.arch == "linear":
            learners.fit_linear(learner, self.pictures, self.size, self.settings)

    def batch(self, indices: Tensor, random: torch.Generator, device: torch.device) -> Tensor:
        return data.batch(self.pictures.train, indices, self.size, random, **self.ways).to(device)

    def held_out(self, device: torch.device) -> Tensor:
        pictures = self.pictures.held_out
        return data.batch(pictures, torch.arange(len(pictures)), self.size).to(device)

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
