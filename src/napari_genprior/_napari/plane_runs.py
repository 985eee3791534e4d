"""Many images in one go: which, and where the results of a stack's planes go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image

from . import layers as _layers
from .layers import Picked
from .result_layers import Outcome, Output

THIS, SELECTED, PLANES = "this image", "selected layers", "all planes of the stack"


@dataclass(frozen=True)
class Job:
    """One run of a batch."""

    layer: Image
    picked: Picked


def jobs_for(scope: str, layer: Image, selected: Iterable[Any], point: tuple[float, ...]) -> list[Job]:
    """The runs that a scope asks for: the chosen layer, all selected images, or plane by plane."""
    if scope == PLANES:
        return [Job(layer, _layers.pick_plane(layer, index)) for index in np.ndindex(_layers.stack_shape(layer))]
    layers = [each for each in selected if _layers.is_image(each)] if scope == SELECTED else [layer]
    return [Job(each, _layers.pick(each, point)) for each in layers]


def count_for(scope: str, layer: Image, selected: Iterable[Any]) -> int:
    """How many runs those are; a long stack is not cut up for it."""
    if scope == PLANES:
        return prod(_layers.stack_shape(layer))
    return sum(map(_layers.is_image, selected)) if scope == SELECTED else 1


class StackOutput(Output):
    """The layers of a stack that is deblurred plane by plane: a stack of results, and one of kernels.

    A plane that is still to come, or failed, shows the blurred one.
    """

    def __init__(self, viewer: ViewerModel, layer: Image) -> None:
        super().__init__(viewer)
        self._source: Image = layer
        self._planes = _layers.stack_shape(layer)
        self._kernels: dict[tuple[int, ...], np.ndarray] = {}
        self._reports: dict[str, Any] = {}

    def start(self, source: Image, picked: Picked) -> None:
        self._picked = picked

    def show(self, image: np.ndarray, kernel: np.ndarray | None) -> None:
        """An image on the way, into its plane."""
        assert self._picked is not None
        if self._image is None:
            picked = _layers.pick_all(self._source)
            data, arguments = _layers.result_layer(picked, np.array(picked.image), _layers.UNFINISHED)
            self._image = self._viewer.add_image(data, **arguments)
        self._image.data[self._picked.index] = image
        self._image.refresh()

    def leave(self, sentence: str) -> bool:
        """A plane that came to nothing is the blurred one again."""
        assert self._picked is not None
        self._note({"status": {"code": "stopped", "sentence": sentence}})
        if self._image is None:
            return False
        self.show(np.asarray(self._picked.image), None)
        return False

    def finish(self, outcome: Outcome) -> str:
        """Put a plane's result into both stacks."""
        assert self._picked is not None
        self.show(outcome.image, None)
        self._kernels[self._picked.index] = outcome.result.kernel
        self._note(outcome.result.report())
        self._show_kernels()
        return ""

    def _note(self, report: dict[str, Any]) -> None:
        """What came of a plane, into the metadata of both stacks."""
        assert self._picked is not None
        self._reports[", ".join(map(str, self._picked.index))] = report
        for layer in (self._image, self._kernel):
            if layer is not None:
                layer.metadata[_layers.KEY] = {"source": self._source.name, "planes": self._reports}

    def _show_kernels(self) -> None:
        """Kernels of different sizes, centred on each other; those still to come are empty."""
        sides = [max(k.shape[axis] for k in self._kernels.values()) for axis in (0, 1)]
        stack = np.zeros((*self._planes, *sides), np.float32)
        for index, kernel in self._kernels.items():
            top, left = (sides[0] - kernel.shape[0]) // 2, (sides[1] - kernel.shape[1]) // 2
            stack[index][top : top + kernel.shape[0], left : left + kernel.shape[1]] = kernel
        if self._kernel is None:
            report = {"source": self._source.name, "planes": self._reports}
            data, arguments = _layers.kernel_layer(_layers.pick_all(self._source), stack, report)
            self._kernel = self._viewer.add_image(data, **arguments)
            self._viewer.layers.selection.active = self._image
        elif self._kernel in self._viewer.layers:
            _layers.update_kernel(self._kernel, stack)
