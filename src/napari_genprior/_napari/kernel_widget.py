"""*Kernel tools*: a kernel from a file, a drawing or beads; its shape; its pixels made the image's; into a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QFileDialog, QGridLayout, QPushButton, QSpinBox

from .. import blur
from ..blur.beads import SIDE, Beads
from ..core.arrays import check_kernel
from ..core.errors import GenPriorError, InputError
from ..core.image_io import read_image, write_image
from . import layers as _layers
from .common_widgets import NO_IMAGE, NO_KERNEL, LayerCombo, Message, debounced, scrolled, side_by_side, size_text
from .plots import KernelView
from .settings_form import Rows
from .workers import Control, Done, Failed, Live, Running, Work

FILES = "Kernels (*.tif *.tiff *.npy *.png)"
DRAWING = "kernel drawing"
LONG = 1.2  # from this elongation on, a kernel has a direction
SAME_SIZE = 0.01  # pixel sizes that differ by less are one


def averaging(source: Any, size: int, control: Control) -> Work:
    """The mean of the beads in a plane or stack, computed here if it is lazy."""
    yield Live(0.0, "looking for beads")
    yield Done(blur.from_beads(np.asarray(source), size))


class KernelWidget(Running):
    """Make, measure and convert kernels; each becomes a layer that *Deblur* offers.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._source: Image | None = None
        self.image = LayerCombo(napari_viewer, _layers.is_image, _layers.looks_like_image)
        self.kernel = LayerCombo(napari_viewer, _layers.is_kernel, _layers.looks_like_kernel)
        self.side = QSpinBox()
        self.side.setRange(3, 999)
        self.side.setSingleStep(2)
        self.side.setSuffix(" px")
        self.side.setValue(SIDE)
        rows = Rows()
        rows.add("kernel", "Kernel", self.kernel, "The kernel to measure, resample or export.")
        rows.add("image", "Image", self.image, "Of beads, or the one whose pixel size a kernel shall get.")
        rows.add("side", "Side", self.side, "Of a kernel that is drawn or measured on beads.")
        self.view, self.shape, self.outcome = KernelView(), Message(), Message()
        grid = QGridLayout()
        for number, (title, tip, act) in enumerate((
            ("Import...", "A kernel from a TIFF, NPY or PNG file.", self.ask_and_import),
            ("Export...", "The kernel into a TIFF or NPY file: float, sum 1.", self.ask_and_export),
            ("Draw", "A layer to paint a kernel in; press again to make a kernel of it.", self.draw),
            ("From beads", "The mean of the beads in the image, or in all of its stack.", self.from_beads),
            ("Resample", "The kernel on the image's pixels, by the scales of both layers.", self.resample),
        )):  # fmt: skip
            button = QPushButton(title)
            button.setToolTip(tip)
            button.clicked.connect(act)
            grid.addWidget(button, number // 2, number % 2)
        _, column = scrolled(self)
        column.addWidget(rows)
        column.addLayout(grid)
        column.addLayout(side_by_side(self.view, self.shape))
        column.addWidget(self.outcome)
        column.addStretch(1)
        self._timer = debounced(self, self.refresh)
        self.kernel.changed.connect(self._soon)
        self.refresh()

    def _soon(self, *_: object) -> None:
        self._timer.start()

    def refresh(self) -> None:
        """Draw and measure the chosen kernel."""
        layer = self.kernel.layer
        if layer is None:
            self.view.show_kernel(None)
            self.shape.say("")
            return
        try:
            kernel = check_kernel(_layers.pick(layer).image)
        except GenPriorError as error:
            self.view.show_kernel(None)
            self.shape.say(str(error), "doubt")
            return
        self.view.show_kernel(kernel)
        self.shape.say(_in_words(blur.measure(kernel), kernel.shape, layer))

    # what the buttons do

    def ask_and_import(self, *_: object) -> None:
        path, _ = QFileDialog.getOpenFileName(self.window(), "Import a kernel", "", FILES)
        if path:
            self.load(Path(path))

    def ask_and_export(self, *_: object) -> None:
        path, _ = QFileDialog.getSaveFileName(self.window(), "Export the kernel", "kernel.tif", FILES)
        if path:
            self.save(Path(path))

    def load(self, path: Path) -> None:
        """A file becomes a kernel layer."""
        try:
            self._add(check_kernel(read_image(path)), path.stem, f"Imported from {path}.")
        except GenPriorError as error:
            self.outcome.say(str(error), "bad")

    def save(self, path: Path) -> None:
        """The chosen kernel becomes a file, whole or not at all."""
        try:
            write_image(path, self._chosen())
            self.outcome.say(f"Exported to {path}.", "good")
        except GenPriorError as error:
            self.outcome.say(str(error), "bad")

    def draw(self, *_: object) -> None:
        """First a layer to paint in; then what was painted, slightly softened, becomes a kernel."""
        drawn = next((x for x in self._viewer.layers if isinstance(x, Labels) and x.name == DRAWING), None)
        if drawn is None:
            side = self.side.value() | 1
            layer = self._viewer.add_labels(np.zeros((side, side), np.uint8), name=DRAWING)
            layer.mode, layer.brush_size = "paint", 1
            self._viewer.reset_view()
            self.outcome.say("Paint the path of the blur, then press Draw again.")
            return
        try:
            kernel = check_kernel((drawn.data > 0).astype(np.float32))
        except GenPriorError:
            self.outcome.say("Nothing was painted yet.", "doubt")
            return
        self._viewer.layers.remove(drawn)
        self._add(kernel, "drawn", "Made of the drawing.")

    def from_beads(self, *_: object) -> None:
        """The mean of the image's beads becomes a kernel layer, or a stack of one."""
        layer = self.image.layer
        if layer is None or layer.rgb or self.running:
            self.outcome.say(NO_IMAGE if layer is None else "Beads are looked for in grey images.", "doubt")
            return
        self._source = layer
        data = layer.data[0] if layer.multiscale else layer.data
        self.outcome.say("Looking for beads...")
        self.begin(averaging, data, self.side.value() | 1)

    def resample(self, *_: object) -> None:
        """The chosen kernel on the image's pixels becomes another layer."""
        kernel, image = self.kernel.layer, self.image.layer
        if kernel is None or image is None:
            self.outcome.say(NO_KERNEL if kernel is None else NO_IMAGE, "doubt")
            return
        factor = float(kernel.scale[-1] / image.scale[-1])
        try:
            if not np.allclose(kernel.scale[-2:] / image.scale[-2:], factor, rtol=SAME_SIZE):
                raise InputError("The pixels of kernel and image differ in shape; set the layers' scales first.")
            if abs(factor - 1) < SAME_SIZE:
                raise InputError("Kernel and image have the same pixel size; their scales are those of the layers.")
            made = blur.resample(self._chosen(), factor)
        except GenPriorError as error:
            self.outcome.say(str(error), "doubt")
            return
        self._source = image
        self._add(made, f"{kernel.name} resampled", f"Pixels {1 / factor:.3g} times as large.")

    def ended(self, message: Done | Failed) -> None:
        if isinstance(message, Failed):
            self.outcome.say(message.sentence, "bad")
            if not isinstance(message.error, GenPriorError):
                show_error(message.sentence)
        elif message.value is not None:
            found: Beads = message.value
            others = ", ".join(f"{count} {reason}" for reason, count in found.left_out.items())
            text = f"The mean of {len(found.used)} beads." + (f" Left out: {others}." if others else "")
            self._add(found.kernel, "beads", text)

    def _chosen(self) -> np.ndarray:
        layer = self.kernel.layer
        if layer is None:
            raise InputError(NO_KERNEL)
        return check_kernel(_layers.pick(layer).image)

    def _add(self, kernel: np.ndarray, name: str, sentence: str) -> None:
        """A kernel layer with the scale and units of the image it comes from."""
        look: dict[str, Any] = {
            "name": f"{name} kernel",
            "contrast_limits": _layers.kernel_limits(kernel),
            "colormap": "inferno",
            "metadata": {_layers.KEY: {"made": sentence}},
        }
        if self._source is not None:
            look |= {"scale": self._source.scale[-kernel.ndim :], "units": tuple(self._source.units)[-kernel.ndim :]}
        self._source = None
        layer = self._viewer.add_image(kernel, **look)
        if kernel.ndim == 2:
            self.kernel.choose(layer)
        else:
            sentence += " Deblurring wants a plane of it: the one in focus."
        self.outcome.say(sentence, "good")


def _in_words(shape: blur.Shape, size: tuple[int, ...], layer: Image) -> str:
    pixel, unit = float(layer.scale[-1]), str(layer.units[-1])
    physical = "" if unit == "pixel" else f" ({shape.fwhm_long * pixel:.3g} x {shape.fwhm_short * pixel:.3g} {unit})"
    spot = f"{shape.fwhm_long:.1f} x {shape.fwhm_short:.1f} px{physical}"
    text = f"{size_text(size)}. As a spot: {spot} wide at half maximum."
    if shape.elongation > LONG:
        text += f" As a motion: {shape.motion_length:.1f} px at {shape.angle_deg:.0f}°."
    return text
