"""The layers that a deblurring run makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image

from ..core.image_io import as_type
from ..core.result import SPREAD, DeblurResult
from . import layers as _layers
from .layers import Picked


@dataclass(frozen=True)
class Outcome:
    """A result, and its images in the type of the input's layer."""

    result: DeblurResult
    image: np.ndarray
    extras: dict[str, np.ndarray]

    @classmethod
    def of(cls, result: DeblurResult, dtype: np.dtype) -> Outcome:
        extras = {
            # rounded to whole grey values, little would be left of a spread
            name: extra if name == SPREAD else as_type(extra, dtype)
            for name, extra in result.layers.items()
        }
        return cls(result, as_type(result.image, dtype), extras)


class Output:
    """The layers of a run, and what they shall look like even when the image's own layer is gone."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._source: Image | None = None
        self._picked: Picked | None = None
        self._image: Image | None = None
        self._kernel: Image | None = None

    @property
    def name(self) -> str:
        """Of the image of the last run."""
        return "" if self._picked is None else self._picked.name

    @property
    def has_result(self) -> bool:
        """Whether there is an image to compare with the blurred one."""
        return self._image is not None and self._image in self._viewer.layers

    def start(self, source: Image, picked: Picked) -> None:
        self._source, self._picked, self._image, self._kernel = source, picked, None, None

    def show(self, image: np.ndarray, kernel: np.ndarray | None) -> None:
        """An image on the way: a new layer first, then new data in it. A layer the user removed stays away."""
        assert self._picked is not None
        # the kernel first: a new layer becomes the active one, which the image shall be
        if kernel is not None:
            if self._kernel is None:
                self._kernel = self._add(_layers.kernel_layer(self._picked, kernel, _layers.UNFINISHED))
            elif self._kernel in self._viewer.layers:
                _layers.update_kernel(self._kernel, kernel)
        if self._image is None:
            self._image = self._add(_layers.result_layer(self._picked, image, _layers.UNFINISHED))
        elif self._image in self._viewer.layers:
            self._image.data = image

    def leave(self, sentence: str) -> bool:
        """Say in the live layers that nothing more will come; False where there are none."""
        made = [layer for layer in (self._image, self._kernel) if layer is not None]
        for layer in made:
            layer.metadata[_layers.KEY] = {"status": {"code": "stopped", "sentence": sentence}, "source": self.name}
        return bool(made)

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
                setattr(self, kind, self._add((data, arguments)))
                continue
            if kind == "_kernel":
                _layers.update_kernel(layer, data)
            else:
                layer.data = data
            layer.metadata[_layers.KEY] = report
        notes = self._add_extras(outcome.extras, report)
        if self._source not in self._viewer.layers:
            notes.append("The blurred image's layer was removed during the run; the result was kept.")
        if removed:
            notes.append("A live layer was removed during the run; the result was added as a new layer.")
        return " ".join(notes)

    def compare(self, before: bool) -> None:
        """Hide the result, so that the blurred image shows in its place, or show it again."""
        if self.has_result and self._image is not None:
            self._image.visible = not before
            if before and self._source in self._viewer.layers:
                self._source.visible = True

    def _add_extras(self, extras: dict[str, np.ndarray], report: dict[str, Any]) -> list[str]:
        """Hidden layers below the result: they lie in the same place."""
        assert self._picked is not None
        for name, extra in extras.items():
            data, arguments = _layers.extra_layer(self._picked, extra, report, name)
            layer = Image(data, **arguments)
            self._viewer.layers.insert(self._viewer.layers.index(self._image), layer)
            layer.visible = False  # only now: a layer that was never seen has a black thumbnail
        self._viewer.layers.selection.active = self._image
        return [f"Hidden below it: {', '.join(extras)}."] if extras else []

    def _add(self, layer: _layers.LayerData) -> Image:
        data, arguments = layer
        return self._viewer.add_image(data, **arguments)
