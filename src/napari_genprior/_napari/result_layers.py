"""Show a run as layers: the image, its kernels, and what else a method returns."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image

from ..blur.support import pad_to
from ..core.layout import Layout
from ..core.result import DeblurResult
from . import layers as _layers
from .layers import SelectedImage


class ResultLayers:
    """The layers of one run; they stay well-defined even when the layer of the input is removed."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._source: Image | None = None
        self._selected: SelectedImage | None = None
        self._image: Image | None = None
        self._kernel: Image | None = None

    @property
    def name(self) -> str:
        """Name of the image of the last run."""
        return "" if self._selected is None else self._selected.name

    @property
    def has_result(self) -> bool:
        """Return whether there is an image to compare with the input."""
        return self._image is not None and self._image in self._viewer.layers

    def start(self, source: Image, selected: SelectedImage) -> None:
        """Begin with new layers for another image."""
        self._source, self._selected, self._image, self._kernel = source, selected, None, None

    def show(self, image: np.ndarray, kernel: np.ndarray | None) -> None:
        """Show an unfinished image: in a new layer first, then in the same one. A layer the user removed stays away."""
        assert self._selected is not None
        # the kernel first: a new layer becomes the active one, which the image shall be
        if kernel is not None and kernel.ndim == self._selected.axes:
            if self._kernel is None:
                self._kernel = self._add(_layers.kernel_layer(self._selected, kernel, _layers.UNFINISHED))
            elif self._kernel in self._viewer.layers:
                _layers.update_kernel(self._kernel, kernel)
        if self._image is None:
            self._image = self._add(_layers.result_layer(self._selected, image, _layers.UNFINISHED))
        elif self._image in self._viewer.layers:
            _update_image(self._image, image)

    def leave(self, sentence: str) -> bool:
        """Write into the unfinished layers that the run has ended; return False where there are none."""
        live = [layer for layer in (self._image, self._kernel) if layer is not None]
        for layer in live:
            layer.metadata[_layers.KEY] = {"status": {"code": "stopped", "sentence": sentence}, "source": self.name}
        return bool(live)

    def finish(self, result: DeblurResult) -> str:
        """Put the result into the layers, or into new ones where they were removed; return notes about them."""
        assert self._selected is not None
        report = result.report() | {"source": self._selected.name}
        live = [layer for layer in (self._image, self._kernel) if layer is not None]
        removed = [layer for layer in live if layer not in self._viewer.layers]
        kernels = _kernels_layer(self._selected, result, report)
        if self._kernel is None or self._kernel in removed:
            self._kernel = self._add(kernels)
        else:
            _layers.update_kernel(self._kernel, kernels[0])
            self._kernel.metadata[_layers.KEY] = kernels[1]["metadata"][_layers.KEY]
        if self._image is None or self._image in removed:
            self._image = self._add(_layers.result_layer(self._selected, result.image, report))
        else:
            _update_image(self._image, result.image)
            self._image.metadata[_layers.KEY] = report
        notes = self._add_extras(result.extra_images, report)
        if self._source not in self._viewer.layers:
            notes.append("The layer of the input was removed during the run; the result was kept.")
        if removed:
            notes.append("A live layer was removed during the run; the result was added as a new layer.")
        return " ".join(notes)

    def show_input(self, shown: bool) -> None:
        """Hide the result, so that the input is seen in its place, or show it again."""
        if self._image is not None and self.has_result:
            self._image.visible = not shown
            if shown and self._source is not None and self._source in self._viewer.layers:
                self._source.visible = True

    def _add_extras(self, extras: dict[str, np.ndarray], report: dict[str, Any]) -> list[str]:
        """Add hidden layers below the result, which they would cover."""
        assert self._selected is not None
        for name, extra in extras.items():
            data, arguments = _layers.extra_layer(self._selected, extra, report, name)
            layer = Image(data, **arguments)
            self._viewer.layers.insert(self._viewer.layers.index(self._image), layer)
            layer.visible = False  # only now: a layer that was never seen has a black thumbnail
        self._viewer.layers.selection.active = self._image
        return [f"Hidden layers below it: {', '.join(extras)}."] if extras else []

    def _add(self, layer: _layers.LayerData) -> Image:
        data, arguments = layer
        return self._viewer.add_image(data, **arguments)


class PlaneResultLayers(ResultLayers):
    """The layers of a stack that is deblurred plane by plane: a stack of results, and one of kernels.

    A plane that is still to come, or failed, shows the input.
    """

    def __init__(self, viewer: ViewerModel, layer: Image) -> None:
        super().__init__(viewer)
        self._stack: Image = layer
        self._planes = _layers.stack_shape(layer)
        self._kernels: dict[tuple[int, ...], np.ndarray] = {}
        self._reports: dict[str, Any] = {}

    def start(self, source: Image, selected: SelectedImage) -> None:
        """Go to the next plane; the layers stay."""
        self._source, self._selected = source, selected

    def show(self, image: np.ndarray, kernel: np.ndarray | None) -> None:
        """Show an unfinished image in its plane."""
        assert self._selected is not None
        if self._image is None:
            whole = _layers.select_all(self._stack)
            self._image = self._add(_layers.result_layer(whole, np.array(whole.image), _layers.UNFINISHED))
        self._image.data[self._selected.index] = image
        self._image.refresh()

    def leave(self, sentence: str) -> bool:
        """Show the input again in a plane whose run ended without a result."""
        assert self._selected is not None
        self._note({"status": {"code": "stopped", "sentence": sentence}})
        if self._image is not None:
            self.show(np.asarray(self._selected.image), None)
        return False

    def finish(self, result: DeblurResult) -> str:
        """Put the result of a plane into both stacks."""
        assert self._selected is not None
        self.show(result.image, None)
        self._kernels[self._selected.index] = result.kernel
        self._note(result.report())
        self._show_kernels()
        return ""

    def _note(self, report: dict[str, Any]) -> None:
        """Write the report of a plane into the metadata of both stacks."""
        assert self._selected is not None
        self._reports[", ".join(map(str, self._selected.index))] = report
        for layer in (self._image, self._kernel):
            if layer is not None:
                layer.metadata[_layers.KEY] = {"source": self._stack.name, "planes": self._reports}

    def _show_kernels(self) -> None:
        """Show kernels of different sizes, centred on each other; those still to come are zero."""
        sides = [max(kernel.shape[axis] for kernel in self._kernels.values()) for axis in (0, 1)]
        stack = np.zeros((*self._planes, *sides), np.float32)
        for index, kernel in self._kernels.items():
            stack[index] = pad_to(kernel, sides)
        if self._kernel is None:
            report = {"source": self._stack.name, "planes": self._reports}
            self._kernel = self._add(_layers.kernel_layer(_layers.select_all(self._stack), stack, report))
            self._viewer.layers.selection.active = self._image
        elif self._kernel in self._viewer.layers:
            _layers.update_kernel(self._kernel, stack)


def along_layer(kernels: np.ndarray, layout: Layout) -> np.ndarray:
    """Return kernels with the axes of the layer, so that its sliders show the one in use; a view, nothing is copied."""
    sides = kernels.shape[len(layout.groups) :]
    own = [n if axis in layout.own else 1 for axis, n in zip(layout.looped, layout.pieces, strict=True)]
    whole = np.broadcast_to(kernels.reshape(*own, *sides), (*layout.pieces, *sides))
    now = layout.looped + layout.space
    return whole.transpose([now.index(axis) for axis in layout.axes if axis != "S"])


def kernel_drawing(result: DeblurResult) -> np.ndarray:
    """Return the kernel to draw in the dock: the first, or of a kernel per tile their map."""
    return result.kernel_map if _per_tile(result) else result.kernel


def _per_tile(result: DeblurResult) -> bool:
    layout = result.layout
    return layout is not None and result.kernels.ndim > len(layout.groups) + len(layout.space)


def _kernels_layer(selected: SelectedImage, result: DeblurResult, report: dict[str, Any]) -> _layers.LayerData:
    """Return the layer of the kernels: along the axes of the image, or drawn at their places."""
    if _per_tile(result):
        with_kernels = report | {"kernels": result.kernels}
        return _layers.kernel_layer(selected, result.kernel_map, with_kernels, "kernel map")
    kernels = result.kernel if result.layout is None else along_layer(result.kernels, result.layout)
    return _layers.kernel_layer(selected, kernels, report)


def _update_image(layer: Image, image: np.ndarray) -> None:
    """Show an image in a layer; the same array is drawn anew, as more of it may have been restored."""
    if layer.data is image:
        layer.refresh()
    else:
        layer.data = image
