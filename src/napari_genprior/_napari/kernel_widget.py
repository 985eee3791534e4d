"""*Kernel tools*: import, draw or average kernels, measure them, resample them to an image's pixels, export them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QFileDialog, QGridLayout, QPushButton, QSpinBox

from .. import blur
from ..blur.beads import DEFAULT_SIDE_PX, Beads
from ..blur.given_kernel import clean_kernel
from ..core.checks import check_kernel
from ..core.errors import GenPriorError, InputError
from ..core.image_io import write_image
from ..pipeline.kernel_files import read_kernel
from . import layers as _layers
from .common_widgets import LayerCombo, Message, debounced, scrolled, side_by_side, size_text
from .field_editors import rich
from .messages import Control, Done, Failed, Live, Work
from .plots import KernelView
from .resolve import NO_IMAGE, NO_KERNEL
from .settings_form import Rows
from .worker_widget import WorkerWidget

FILES = "Kernels (*.tif *.tiff *.npy *.png)"
DRAWING = "kernel drawing"
MIN_ELONGATION = 1.2  # of a kernel whose direction means anything
SAME_SIZE = 0.01  # relative difference of pixel sizes that count as equal


def averaging(source: Any, size: int, control: Control) -> Work:
    """Average the beads in a plane or stack, which is computed here if it is lazy."""
    yield Live(0.0, "Detecting beads")
    yield Done(blur.from_beads(np.asarray(source), size))


class KernelWidget(WorkerWidget):
    """Make, measure and convert kernels, as layers that *Deblur* offers.

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
        self.side.setValue(DEFAULT_SIDE_PX)
        rows = Rows()
        rows.add("kernel", "Kernel", self.kernel, "The kernel to measure, resample or export.")
        rows.add("image", "Image", self.image, "The image of beads, or the one to whose pixels a kernel is resampled.")
        rows.add("side", "Side", self.side, "Side of a kernel that is drawn or averaged from beads.")
        self.view, self.shape, self.outcome = KernelView(), Message(), Message()
        grid = QGridLayout()
        for number, (title, tip, act) in enumerate((
            ("Import...", "Read a kernel from a TIFF, NPY or PNG file.", self.ask_and_import),
            ("Export...", "Write the kernel to a TIFF or NPY file: float, sum 1.", self.ask_and_export),
            ("Draw", "Adds a layer to paint in; press again to turn the drawing into a kernel.", self.draw),
            ("From beads", "Average the beads in the image, or in all planes of its stack.", self.from_beads),
            ("Resample", "Resample the kernel to the image's pixels, by the scales of both layers.", self.resample),
        )):  # fmt: skip
            button = QPushButton(title)
            button.setToolTip(rich(tip))
            button.clicked.connect(act)
            grid.addWidget(button, number // 2, number % 2)
        _, column = scrolled(self)
        column.addWidget(rows)
        column.addLayout(grid)
        column.addLayout(side_by_side(self.view, self.shape))
        column.addWidget(self.outcome)
        column.addStretch(1)
        self._timer = debounced(self, self.refresh)
        self.kernel.changed.connect(self._schedule_refresh)
        self.refresh()

    def _schedule_refresh(self, *_: object) -> None:
        self._timer.start()

    def refresh(self) -> None:
        """Draw and measure the chosen kernel."""
        layer = self.kernel.layer
        if layer is None:
            self.view.show_kernel(None)
            self.shape.say("")
            return
        try:
            kernel = check_kernel(_layers.select_displayed(layer).image)
        except GenPriorError as error:
            self.view.show_kernel(None)
            self.shape.say(str(error), "doubt")
            return
        self.view.show_kernel(kernel)
        self.shape.say(_describe(blur.measure_kernel(kernel), kernel.shape, layer))

    # what the buttons do

    def ask_and_import(self, *_: object) -> None:
        """Ask for a file and read a kernel from it."""
        chosen, _filter = QFileDialog.getOpenFileName(self.window(), "Import a kernel", "", FILES)
        if chosen:
            self.load(Path(chosen))

    def ask_and_export(self, *_: object) -> None:
        """Ask for a file and write the chosen kernel to it."""
        chosen, _filter = QFileDialog.getSaveFileName(self.window(), "Export the kernel", "kernel.tif", FILES)
        if chosen:
            self.save(Path(chosen))

    def load(self, path: Path) -> None:
        """Read a kernel from a file into a new layer."""
        try:
            given = read_kernel(path)
            kernel, notes = (given.values, []) if given.exact else clean_kernel(given.values)
            self._add(check_kernel(kernel), path.stem, " ".join([f"Imported from {path}.", *notes]))
        except GenPriorError as error:
            self.outcome.say(str(error), "bad")

    def save(self, path: Path) -> None:
        """Write the chosen kernel to a file."""
        try:
            write_image(path, self._chosen())
            self.outcome.say(f"Exported to {path}.", "good")
        except GenPriorError as error:
            self.outcome.say(str(error), "bad")

    def draw(self, *_: object) -> None:
        """Add a layer to paint in; where there is one already, turn the drawing into a kernel."""
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
        self._add(kernel, "drawn", "Made from the drawing.")

    def from_beads(self, *_: object) -> None:
        """Average the beads of the image into a kernel layer: a plane, or the planes of a stack."""
        layer = self.image.layer
        if layer is None or layer.rgb or self.running:
            self.outcome.say(NO_IMAGE if layer is None else "Beads are averaged in grey images only.", "doubt")
            return
        self._source = layer
        data = layer.data[0] if layer.multiscale else layer.data
        self.outcome.say("Detecting beads...")
        self.begin(averaging, data, self.side.value() | 1)

    def resample(self, *_: object) -> None:
        """Resample the chosen kernel to the pixel size of the image, into a new layer."""
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
            beads: Beads = message.value
            others = ", ".join(f"{count} {reason}" for reason, count in beads.left_out.items())
            text = f"The mean of {len(beads.used)} beads." + (f" Left out: {others}." if others else "")
            self._add(beads.kernel, "beads", text)

    def _chosen(self) -> np.ndarray:
        layer = self.kernel.layer
        if layer is None:
            raise InputError(NO_KERNEL)
        return check_kernel(_layers.select_displayed(layer).image)

    def _add(self, kernel: np.ndarray, name: str, sentence: str) -> None:
        """Add a kernel layer with the scale and units of the image that it comes from."""
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
            sentence += " To deblur planes, use the plane of it that is in focus."
        self.outcome.say(sentence, "good")


def _describe(shape: blur.KernelShape, size: tuple[int, ...], layer: Image) -> str:
    """Describe size, width and direction of a kernel, also in the units of its layer."""
    pixel, unit = float(layer.scale[-1]), str(layer.units[-1])
    physical = "" if unit == "pixel" else f" ({shape.fwhm_long * pixel:.3g} x {shape.fwhm_short * pixel:.3g} {unit})"
    fwhm = f"{shape.fwhm_long:.1f} x {shape.fwhm_short:.1f} px{physical}"
    text = f"{size_text(size)}. Full width at half maximum: {fwhm}."
    if shape.elongation > MIN_ELONGATION:
        text += f" Length as a motion: {shape.motion_length:.1f} px at {shape.angle_deg:.0f}°."
    return text
