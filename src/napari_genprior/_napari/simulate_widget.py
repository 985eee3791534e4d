"""*Blur simulation*: a sharp layer in, a blurred layer and the kernel out."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QCheckBox, QLabel, QPushButton

from ..core.checks import check_fit, check_image, check_kernel
from ..core.errors import GenPriorError, InputError
from ..core.provenance import versions
from ..settings import BlurSettings, NoiseSettings
from ..simulation import Simulation, make_kernel
from . import layers as _layers
from .common_widgets import LayerCombo, Message, debounced, scrolled, seed_box, side_by_side, size_text
from .layers import SelectedImage
from .messages import Done, Failed
from .plots import KernelView
from .resolve import NO_IMAGE, NO_KERNEL
from .settings_form import Rows, SettingsForm
from .worker_widget import WorkerWidget
from .workers import simulating

# The settings that each blur has, as simulation.make_kernel reads them (a test compares the two).
RELEVANT = {
    "motion": ("length", "angle_deg"),
    "shake": ("length",),
    "gaussian": ("sigma_px", "aspect", "angle_deg"),
    "defocus": ("radius_px",),
    "box": ("length",),
    "blur-a": ("angle_deg",),
    "blur-b": ("angle_deg", "sigma_px"),
}


class SimulateWidget(WorkerWidget):
    """Choose a layer, a blur and noise, see the kernel, and simulate a blurred image.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._pending: tuple[SelectedImage, dict[str, Any]] | None = None
        self._build()
        self._refresh_timer = debounced(self, self.refresh)
        for signal in (
            self.image.changed,
            self.kernel.changed,
            self.from_layer.toggled,
            self.seed.valueChanged,
            self.blur.changed,
            self.noise.changed,
        ):
            signal.connect(self._schedule_refresh)
        self.from_layer.toggled.connect(self._show_relevant)
        self.blur.changed.connect(self._show_relevant)
        napari_viewer.dims.events.current_step.connect(self._schedule_refresh)
        self._show_relevant()
        self.refresh()

    def _build(self) -> None:
        self.image = LayerCombo(self._viewer, _layers.is_image, _layers.looks_like_image)
        self.from_layer = QCheckBox("from a layer")
        self.kernel = LayerCombo(self._viewer, _layers.is_kernel, _layers.looks_like_kernel)
        self.blur, self.noise = SettingsForm(BlurSettings), SettingsForm(NoiseSettings)
        self.seed = seed_box()
        self.top, self.bottom = Rows(), Rows()
        self.top.add("image", "Image", self.image, "The sharp layer. Of a stack the displayed plane is used.")
        self.top.add("from_layer", "Kernel", self.from_layer, "Takes the kernel from a layer; else it is simulated.")
        self.top.add("kernel", "Kernel layer", self.kernel, "A layer of values >= 0, which are normalized to sum 1.")
        self.bottom.add("seed", "Seed", self.seed, "Seed of noise and camera shake. Equal seeds give equal images.")
        self.view = KernelView()
        self.kernel_text = QLabel()
        self.kernel_text.setWordWrap(True)
        self.sentence, self.outcome = Message(), Message()
        self.run_button = QPushButton("Run")
        self.run_button.clicked.connect(self.run)

        _, column = scrolled(self)
        column.addWidget(self.top)
        column.addWidget(self.blur)
        column.addLayout(side_by_side(self.view, self.kernel_text))
        for widget in (self.noise, self.bottom, self.sentence, self.run_button, self.outcome):
            column.addWidget(widget)
        column.addStretch(1)

    def made_kernel(self) -> np.ndarray:
        """Return the kernel that the form describes.

        Raises
        ------
        GenPriorError
            There is no kernel, or it cannot be used.
        """
        if not self.from_layer.isChecked():
            return make_kernel(BlurSettings.checked(self.blur.values()), self.seed.value())
        layer = self.kernel.layer
        if layer is None:
            raise InputError(NO_KERNEL)
        return check_kernel(_layers.select_displayed(layer).image)

    def selected(self) -> SelectedImage | None:
        """Return the displayed image of the chosen layer; None where there is no layer."""
        layer = self.image.layer
        return None if layer is None else _layers.select_displayed(layer, self._viewer.dims.point)

    def refresh(self) -> None:
        """Draw the kernel and say what a run would do, or why it cannot be started."""
        selected = self.selected()
        try:
            kernel = self.made_kernel()
            self.view.show_kernel(kernel)
            self.kernel_text.setText(f"Kernel of {size_text(kernel.shape)}")
            if selected is None:
                usable, text = False, NO_IMAGE
            else:
                if selected.cheap:
                    check_image(selected.image)
                check_fit(kernel.shape, selected.image.shape)
                usable, text = True, f"{size_text(selected.image.shape)}, {selected.dtype}. {selected.note}".strip()
        except GenPriorError as error:
            usable, text = False, str(error)
        self.sentence.say(text, "plain" if usable or selected is None else "doubt")
        self.run_button.setEnabled(usable and not self.running)

    def _schedule_refresh(self, *_: Any) -> None:
        self._refresh_timer.start()

    def _show_relevant(self, *_: Any) -> None:
        from_layer = self.from_layer.isChecked()
        self.top.show_row("kernel", from_layer)
        self.blur.setVisible(not from_layer)
        self.blur.show_only(("kind", *RELEVANT[self.blur.values()["kind"]]))

    def run(self) -> None:
        """Blur the chosen image in a thread, which adds the layers at its end."""
        selected = self.selected()
        if self.running or selected is None:
            return
        try:
            kernel = self.made_kernel()
        except GenPriorError as error:
            self.outcome.say(str(error), "bad")
            return
        layer = self.kernel.layer
        blur = {"layer": layer.name} if self.from_layer.isChecked() and layer is not None else self.blur.values()
        noise = self.noise.values()
        report = {"blur": blur, "noise": noise, "seed": self.seed.value(), "source": selected.name}
        self._pending = selected, report | {"versions": versions()}
        self.outcome.say("")
        self.run_button.setText("Running...")
        self.run_button.setEnabled(False)
        self.begin(simulating, selected, kernel, noise, self.seed.value())

    def ended(self, message: Done | Failed) -> None:
        self.run_button.setText("Run")
        if isinstance(message, Failed):
            self.outcome.say(message.sentence, "bad")
            show_error(message.sentence)
        elif message.value is not None and self._pending is not None:
            self._add(message.value, *self._pending)
        self._pending = None
        self.refresh()

    def _add(self, made: Simulation, selected: SelectedImage, report: dict[str, Any]) -> None:
        report |= {"clipped": made.clipped}
        kernel, arguments = _layers.kernel_layer(selected, made.kernel, report, "blur kernel")
        self._viewer.add_image(kernel, **arguments)
        blurred, arguments = _layers.blurred_layer(selected, made.blurred, made.kernel.shape, report)
        self._viewer.add_image(blurred, **arguments)
        clipped = f" {made.clipped:.1%} of the pixels were clipped to the range." if made.clipped > 0 else ""
        self.outcome.say(f"Layer {arguments['name']!r} and its kernel were added.{clipped}", "good")
