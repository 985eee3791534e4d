"""Training tasks: the interface between the training loop and the model that is trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..blur.support import CENTRED_PX, off_center
from ..settings import TrainingSettings
from ..zoo.card import ModelFields
from ..zoo.export import stored_precision
from ..zoo.quantization import NOT_QUANTIZED
from ..zoo.registry import build
from . import architectures, data, evaluation, learners

N_MEASURED = 32  # held-out images that are projected onto the range after the training


class Task(ABC):
    """Training data, the learner that is trained on them, and the model that is stored.

    Attributes
    ----------
    settings : TrainingSettings
    about : ModelFields
        Fields of the model card that are known before the training.
    count : int
        Number of training examples.
    learns : bool
        Whether the model is trained by gradient steps.
    """

    settings: TrainingSettings
    about: ModelFields
    count: int
    learns = True

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a hash of all training data; a run resumes on the same data only."""

    @abstractmethod
    def learner(self, device: torch.device) -> learners.Learner:
        """Return a new learner, whose initial weights depend on the seed alone."""

    def prepare(self, learner: learners.Learner) -> None:  # noqa: B027 (most need none)
        """Initialize the learner before the first step; most tasks need nothing here."""

    @abstractmethod
    def batch(self, indices: Tensor, random: torch.Generator, device: torch.device) -> Any:
        """Return the training examples ``indices`` in the form that the learner's step takes."""

    @abstractmethod
    def held_out(self, device: torch.device) -> Any:
        """Return the held-out examples, in the form that the validation and the methods below take."""

    def stored(self, net: Any, device: torch.device) -> tuple[Any, dict[str, Any]]:
        """Return the model in the precision in which it will be stored, and the arguments of its architecture."""
        stored_precision(net, self.settings.float16, self.about["kind"] in NOT_QUANTIZED)
        return net, self.about["arguments"]

    @abstractmethod
    def measure(self, net: Any, held_out: Any) -> dict[str, float]:
        """Measure the model on held-out examples; return the metrics for its card."""

    @abstractmethod
    def sample_sheet(self, net: Any, held_out: Any) -> np.ndarray:
        """Draw an image that shows results of the model: uint8 ``[Y, X]`` or ``[Y, X, 3]``."""


class GeneratorTask(Task):
    """Training of a generator of images or kernels."""

    def __init__(self, images: data.Images, settings: TrainingSettings) -> None:
        arguments = architectures.architecture_arguments(settings, images)
        self.settings, self.images = settings, images
        self.size = architectures.image_side(settings, arguments)
        self.kernel = images.kind == "kernel"
        self.count = len(images.train)
        self.learns = settings.arch != "linear" or settings.residual_network
        self.augmentation = learners.augmentation(settings, images)
        self.about = {
            "kind": images.kind, "arch": settings.arch, "arguments": arguments, "latent": arguments["latent"],
            "channels": images.train.shape[1], "size": (self.size, self.size), "data": images.about,
            "centred": (self.kernel and bool((off_center(images.held_out) < CENTRED_PX**2).all())) or None,
        }  # fmt: skip

    def fingerprint(self) -> str:
        return self.images.fingerprint()

    def learner(self, device: torch.device) -> learners.Learner:
        return learners.new_learner(self.settings, self.about["arguments"], device)

    def prepare(self, learner: learners.Learner) -> None:
        if self.settings.arch == "linear":
            learners.fit_linear(learner, self.images, self.size, self.settings)

    def batch(self, indices: Tensor, random: torch.Generator, device: torch.device) -> Tensor:
        return data.batch(self.images.train, indices, self.size, random, **self.augmentation).to(device)

    def held_out(self, device: torch.device) -> Tensor:
        images = self.images.held_out
        return data.batch(images, torch.arange(len(images)), self.size).to(device)

    def stored(self, net: Any, device: torch.device) -> tuple[Any, dict[str, Any]]:
        """Return the model in the precision in which it will be stored, without its encoder where that is not kept."""
        s, arguments = self.settings, self.about["arguments"]
        if s.arch == "linear":
            arguments = {**arguments, "refiner": s.residual_network}
        elif s.arch != "dcgan" and not s.keep_encoder:
            arguments = {**arguments, "encoder": False}
            whole, net = net.state_dict(), build(s.arch, arguments)
            net.load_state_dict({key: value for key, value in whole.items() if key in net.state_dict()})
            net.to(device).eval().requires_grad_(False)
        return super().stored(net, device)[0], arguments

    def measure(self, net: Any, held_out: Tensor) -> dict[str, float]:
        return evaluation.measure(net, held_out[:N_MEASURED], self.kernel)

    def sample_sheet(self, net: Any, held_out: Tensor) -> np.ndarray:
        return evaluation.sample_sheet(net, held_out, self.kernel)
