"""*Deblur*: a blurred layer in, a sharp layer and its kernel out."""

from __future__ import annotations

import time
from typing import Any

from napari.components import ViewerModel
from napari.utils.notifications import show_error
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QProgressBar, QPushButton, QSpinBox, QVBoxLayout

from .. import methods
from .._tensors import available_devices
from ..deblurring import plan
from ..errors import GenPriorError
from . import _layers
from ._editors import INT_MAX, Optional, get_value, rich
from ._forms import Rows, SettingsForm
from ._layers import Picked
from ._output import Outcome, Output
from ._parts import NO_KERNEL, NO_PICTURE, Advanced, KernelView, LayerCombo, Message, debounced, scrolled, size_text
from ._worker import Done, Failed, Live, Running, deblurring

KERNEL_SIZE = 21  # px, where the spin box starts when "auto" is switched off


class DeblurWidget(Running):
    """Choose a layer and a method, run, watch, cancel.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._forms: dict[str, tuple[SettingsForm, SettingsForm]] = {}
        self._out = Output(napari_viewer)
        self._started = 0.0
        self._build()
        self._refresh_timer = debounced(self, self.refresh)
        for part in (self.picture, self.kernel, self.kernel_size):
            part.changed.connect(self._soon)
        self.device.currentIndexChanged.connect(self._soon)
        self.method.currentIndexChanged.connect(self._method_changed)
        napari_viewer.dims.events.current_step.connect(self._soon)
        self._method_changed()
        self.refresh()

    def _build(self) -> None:
        self.picture = LayerCombo(self._viewer, _layers.is_picture, _layers.looks_like_picture)
        self.kernel = LayerCombo(self._viewer, _layers.is_kernel, _layers.looks_like_kernel)
        self.method = QComboBox()
        for i, method in enumerate(methods.METHODS.values()):
            self.method.addItem(method.name, method.name)
            self.method.setItemData(i, rich(method.summary), Qt.ItemDataRole.ToolTipRole)
        side = QSpinBox()
        side.setRange(1, 999)
        side.setSingleStep(2)
        side.setSuffix(" px")
        side.setValue(KERNEL_SIZE)
        self.kernel_size = Optional(side)
        self.seed = QSpinBox()
        self.seed.setRange(0, INT_MAX)
        self.device = QComboBox()
        self.device.addItems(["auto", *available_devices()])

        self.form = Rows()
        self.form.add("picture", "Picture", self.picture, "The blurred layer. Of a stack the displayed plane is used.")
        self.form.add("method", "Method", self.method, "")
        self.form.add("kernel", "Kernel", self.kernel, "The layer with the blur kernel, of values >= 0.")
        self.form.add(
            "kernel_size",
            "Kernel size",
            self.kernel_size,
            "Side of the unknown kernel: at least the length of the blur in pixels. Raised to an odd number.",
        )
        self._own = QVBoxLayout()  # the method's number of steps
        self._own.setContentsMargins(0, 0, 0, 0)
        self.rest = Rows()
        self.rest.add("seed", "Seed", self.seed, "Equal seeds give equal results on one machine.")
        self.rest.add("device", "Device", self.device, "Where to compute.")
        self.advanced = Advanced()

        self.sentence = Message()
        self.run_button = QPushButton("Run")
        self.run_button.clicked.connect(self.run_or_cancel)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.stage = Message()
        self.view = KernelView()
        self.verdict = Message()

        column = scrolled(self)
        column.addWidget(self.form)
        column.addLayout(self._own)
        column.addWidget(self.rest)
        column.addWidget(self.advanced)
        column.addWidget(self.sentence)
        column.addWidget(self.run_button)
        column.addWidget(self.bar)
        column.addWidget(self.stage)
        outcome = QHBoxLayout()
        outcome.addWidget(self.view, 0, Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        outcome.addWidget(self.verdict, 1, Qt.AlignmentFlag.AlignTop)
        column.addLayout(outcome)
        column.addStretch(1)
        self.bar.hide()
        self.view.hide()

    # what the user wants

    @property
    def needs_kernel(self) -> bool:
        """Whether the chosen method works with a given kernel."""
        return methods.METHODS[self.method.currentData()].needs_kernel

    def arguments(self) -> dict[str, Any]:
        """Arguments of ``deblurring.plan`` but the picture, as the widget shows them."""
        name = self.method.currentData()
        steps, advanced = self._method_forms(name)
        given = self.kernel.layer if self.needs_kernel else None
        return {
            "method": name,
            "kernel": None if given is None else _layers.pick(given).image,
            "kernel_size": "auto" if self.needs_kernel else get_value(self.kernel_size) or "auto",
            "seed": self.seed.value(),
            "device": self.device.currentText(),
            "settings": advanced.values() | steps.values(),
        }

    def picked(self) -> Picked | None:
        """The chosen picture; None where there is no layer."""
        layer = self.picture.layer
        return None if layer is None else _layers.pick(layer, self._viewer.dims.point)

    def refresh(self) -> None:
        """Say what a run would do, or why it cannot be done."""
        if self.running:
            return
        picked, usable = self.picked(), False
        kind = "plain"
        if picked is None:
            text = NO_PICTURE
        elif self.needs_kernel and self.kernel.layer is None:
            text = NO_KERNEL
        else:
            text = f"{size_text(picked.image.shape)}, large or not in memory: looked at when the run starts"
            if picked.cheap:
                try:
                    text = plan(picked.image, **self.arguments()).sentence
                except GenPriorError as error:
                    text, kind = str(error), "doubt"
            text = f"{text.removesuffix('.')}. {picked.note}".strip()
            usable = kind == "plain"
        self.sentence.say(text, kind)
        self.run_button.setEnabled(usable)

    def _soon(self, *_: Any) -> None:
        self._refresh_timer.start()

    def _method_forms(self, name: str) -> tuple[SettingsForm, SettingsForm]:
        if name not in self._forms:
            settings = methods.METHODS[name].settings
            pair = SettingsForm(settings, include=("steps",)), SettingsForm(settings, exclude=("steps",))
            self._own.addWidget(pair[0])
            self.advanced.content().layout().addWidget(pair[1])
            for form in pair:
                form.changed.connect(self._soon)
            self._forms[name] = pair
        return self._forms[name]

    def _method_changed(self, *_: Any) -> None:
        name = self.method.currentData()
        method = methods.METHODS[name]
        mine = self._method_forms(name)
        for forms in self._forms.values():
            for form, own in zip(forms, mine, strict=True):
                form.setVisible(form is own and bool(form.names))
        self.advanced.setVisible(bool(mine[1].names))
        self.form.show_row("kernel", method.needs_kernel)
        self.form.show_row("kernel_size", not method.needs_kernel)
        self.method.setToolTip(rich(method.summary))
        self._soon()

    # the run

    def run_or_cancel(self) -> None:
        """What the button does."""
        if self.running:
            self.run_button.setText("Stopping...")
            self.run_button.setEnabled(False)
            self.stop()
            return
        picked = self.picked()
        if picked is None:
            return
        self._out.start(self.picture.layer, picked)
        self._started = time.monotonic()
        self.verdict.say("")
        self.view.show_kernel(None)
        self.bar.setValue(0)
        self._show_running(True)
        self.begin(deblurring, picked.image, self.arguments(), picked.dtype)

    def _show_running(self, running: bool) -> None:
        self.run_button.setText("Cancel" if running else "Run")
        self.run_button.setEnabled(True)
        for part in (self.form, self.rest, self.advanced, *(f for pair in self._forms.values() for f in pair)):
            part.setEnabled(not running)
        self.bar.setVisible(running)
        self.view.setVisible(running or self.view.kernel is not None)
        if not running:
            self.stage.say("")
            self.refresh()

    def live(self, message: Live) -> None:
        self.bar.setValue(round(1000 * message.fraction))
        self.stage.say(f"{message.stage}, {time.monotonic() - self._started:.0f} s")
        if message.kernel is not None:
            self.view.show_kernel(message.kernel)
        if message.image is not None:
            self._out.show(message.image, message.kernel)

    def ended(self, message: Done | Failed) -> None:
        outcome: Outcome | None = message.value
        lost = ""
        if outcome is not None:
            self.view.show_kernel(outcome.result.kernel)
            lost = self._out.finish(outcome)
        if isinstance(message, Failed):
            kept = "" if outcome is None else " The picture so far was kept."
            self.verdict.say(message.sentence + kept, "bad")
            show_error(message.sentence)
        elif outcome is None:
            self.verdict.say("Cancelled before there was a picture; nothing was kept.", "doubt")
        else:
            status, verdict = outcome.result.status, outcome.result.verdict
            sentences = ("" if status.code == "done" else status.sentence, verdict.reason, lost)
            self.verdict.say(
                f"{self._out.name}: {' '.join(filter(None, sentences))}", "good" if verdict.improved else "doubt"
            )
        self._show_running(False)
