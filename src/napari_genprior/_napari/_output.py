"""The layers that a deblurring run makes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image

from ..result import DeblurResult
from . import _layers
from ._layers import Picked


@dataclass(frozen=True)
class Outcome:
    """A result, and its picture in the type of the input's layer."""

    result: DeblurResult
    image: np.ndarray


class Output:
    """The two layers of a run, and what they shall look like even when the picture's own layer is gone."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._source: Image | None = None
        self._picked: Picked | None = None
        self._image: Image | None = None
        self._kernel: Image | None = None

    @property
    def name(self) -> str:
        """Of the picture of the last run."""
        return "" if self._picked is None else self._picked.name

    def start(self, source: Image, picked: Picked) -> None:
        self._source, self._picked, self._image, self._kernel = source, picked, None, None

    def show(self, image: np.ndarray, kernel: np.ndarray | None) -> None:
        """A picture on the way: a new layer first, then new data in it. A layer the user removed stays away."""
        assert self._picked is not None
        # the kernel first: a new layer becomes the active one, which the picture shall be
        if kernel is not None:
            if self._kernel is None:
                self._kernel = self._add(_layers.kernel_layer(self._picked, kernel, _layers.UNFINISHED))
            elif self._kernel in self._viewer.layers:
                _layers.update_kernel(self._kernel, kernel)
        if self._image is None:
            self._image = self._add(_layers.result_layer(self._picked, image, _layers.UNFINISHED))
        elif self._image in self._viewer.layers:
            self._image.data = image

    def finish(self, outcome: Outcome) -> str:
        """Put the result into the layers, anew where they were removed; returns a sentence about that, or nothing."""
        assert self._picked is not None
        report = outcome.result.report() | {"source": self._picked.name}
        made = [layer for layer in (self._image, self._kernel) if layer is not None]
        removed = [layer for layer in made if layer not in self._viewer.layers]
        for kind, (data, arguments) in (
            ("_kernel", _layers.kernel_layer(self._picked, outcome.result.kernel, report)),
            ("_image", _layers.result_layer(self._picked, outcome.image, report)),
        ):
            layer = getattr(self, kind)
            if layer is None or layer in removed:
                self._add((data, arguments))
                continue
            if kind == "_kernel":
                _layers.update_kernel(layer, data)
            else:
                layer.data = data
            layer.metadata[_layers.KEY] = report
        notes = []
        if self._source not in self._viewer.layers:
            notes.append("The blurred picture's layer was removed during the run; the result was kept.")
        if removed:
            notes.append("A live layer was removed during the run; the result was added as a new layer.")
        return " ".join(notes)

    def _add(self, layer: _layers.LayerData) -> Image:
        data, arguments = layer
        return self._viewer.add_image(data, **arguments)
