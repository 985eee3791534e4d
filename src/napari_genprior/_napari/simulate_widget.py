"""*Blur simulation*: a sharp layer in, a blurred layer and the kernel out."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QCheckBox, QLabel, QPushButton

from ..core.arrays import check_fit, check_image, check_kernel
from ..core.errors import GenPriorError, InputError
from ..core.provenance import versions
from ..settings import BlurSettings, NoiseSettings
from ..simulation import Simulation, make_kernel
from . import layers as _layers
from .common_widgets import (
    NO_IMAGE,
    NO_KERNEL,
    LayerCombo,
    Message,
    debounced,
    scrolled,
    seed_box,
    side_by_side,
    size_text,
)
from .layers import Picked
from .plots import KernelView
from .settings_form import Rows, SettingsForm
from .workers import Done, Failed, Running, simulating

# Which settings matter to which blur, as simulation.make_kernel reads them (tests/gui holds the two together).
RELEVANT = {
    "motion": ("length", "angle_deg"),
    "shake": ("length",),
    "gaussian": ("sigma_px", "aspect", "angle_deg"),
    "defocus": ("radius_px",),
    "box": ("length",),
    "blur-a": ("angle_deg",),
    "blur-b": ("angle_deg", "sigma_px"),
}


class SimulateWidget(Running):
    """Choose a layer, a blur and noise; see the kernel; run.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._pending: tuple[Picked, dict[str, Any]] | None = None
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
            signal.connect(self._soon)
        self.from_layer.toggled.connect(self._show_relevant)
        self.blur.changed.connect(self._show_relevant)
        napari_viewer.dims.events.current_step.connect(self._soon)
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
        self.top.add("from_layer", "Kernel", self.from_layer, "Take the kernel from a layer instead of making one.")
        self.top.add("kernel", "Kernel layer", self.kernel, "A layer of values >= 0; it is normalised to sum 1.")
        self.bottom.add("seed", "Seed", self.seed, "Of the noise and the camera shake. Equal seeds give equal images.")
        self.view = KernelView()
        self.size = QLabel()
        self.size.setWordWrap(True)
        self.sentence, self.outcome = Message(), Message()
        self.run_button = QPushButton("Run")
        self.run_button.clicked.connect(self.run)

        _, column = scrolled(self)
        column.addWidget(self.top)
        column.addWidget(self.blur)
        column.addLayout(side_by_side(self.view, self.size))
        for widget in (self.noise, self.bottom, self.sentence, self.run_button, self.outcome):
            column.addWidget(widget)
        column.addStretch(1)

    def made_kernel(self) -> np.ndarray:
        """The kernel as it is set up now.

        Raises
        ------
        GenPriorError
            There is none, or it cannot be used.
        """
        if not self.from_layer.isChecked():
            return make_kernel(BlurSettings.checked(self.blur.values()), self.seed.value())
        layer = self.kernel.layer
        if layer is None:
            raise InputError(NO_KERNEL)
        return check_kernel(_layers.pick(layer).image)

    def picked(self) -> Picked | None:
        """The chosen image; None where there is no layer."""
        layer = self.image.layer
        return None if layer is None else _layers.pick(layer, self._viewer.dims.point)

    def refresh(self) -> None:
        """Draw the kernel and say what a run would do, or why it cannot be done."""
        picked = self.picked()
        try:
            kernel = self.made_kernel()
            self.view.show_kernel(kernel)
            self.size.setText(f"Kernel of {size_text(kernel.shape)}")
            if picked is None:
                usable, text = False, NO_IMAGE
            else:
                if picked.cheap:
                    check_image(picked.image)
                check_fit(kernel.shape, picked.image.shape)
                usable, text = True, f"{size_text(picked.image.shape)}, {picked.dtype}. {picked.note}".strip()
        except GenPriorError as error:
            usable, text = False, str(error)
        self.sentence.say(text, "plain" if usable or picked is None else "doubt")
        self.run_button.setEnabled(usable and not self.running)

    def _soon(self, *_: Any) -> None:
        self._refresh_timer.start()

    def _show_relevant(self, *_: Any) -> None:
        from_layer = self.from_layer.isChecked()
        self.top.show_row("kernel", from_layer)
        self.blur.setVisible(not from_layer)
        self.blur.show_only(("kind", *RELEVANT[self.blur.values()["kind"]]))

    def run(self) -> None:
        """Blur the chosen image; the layers come when it is done."""
        picked = self.picked()
        if self.running or picked is None:
            return
        try:
            kernel = self.made_kernel()
        except GenPriorError as error:
            self.outcome.say(str(error), "bad")
            return
        layer = self.kernel.layer
        blur = {"layer": layer.name} if self.from_layer.isChecked() and layer is not None else self.blur.values()
        noise = self.noise.values()
        report = {"blur": blur, "noise": noise, "seed": self.seed.value(), "source": picked.name}
        self._pending = picked, report | {"versions": versions()}
        self.outcome.say("")
        self.run_button.setText("Running...")
        self.run_button.setEnabled(False)
        self.begin(simulating, picked, kernel, noise, self.seed.value())

    def ended(self, message: Done | Failed) -> None:
        self.run_button.setText("Run")
        if isinstance(message, Failed):
            self.outcome.say(message.sentence, "bad")
            show_error(message.sentence)
        elif message.value is not None and self._pending is not None:
            self._add(message.value, *self._pending)
        self._pending = None
        self.refresh()

    def _add(self, made: Simulation, picked: Picked, report: dict[str, Any]) -> None:
        report |= {"clipped": made.clipped}
        kernel, arguments = _layers.kernel_layer(picked, made.kernel, report, "blur kernel")
        self._viewer.add_image(kernel, **arguments)
        blurred, arguments = _layers.blurred_layer(picked, made.blurred, made.kernel.shape, report)
        self._viewer.add_image(blurred, **arguments)
        clipped = f" {made.clipped:.1%} of the pixels were clipped to the range." if made.clipped > 0 else ""
        self.outcome.say(f"Layer {arguments['name']!r} and its kernel were added.{clipped}", "good")
