"""What all widgets that deblur share: the wish, the run, the layers, the verdict."""

from __future__ import annotations

import time
from typing import Any

from napari.components import ViewerModel
from napari.utils.notifications import show_error
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QProgressBar, QPushButton, QVBoxLayout, QWidget

from .._tensors import available_devices
from ..errors import GenPriorError
from ..methods import METHODS, Method
from ..planning import plan
from . import _layers
from ._drawings import KernelView, LossPlot
from ._editors import get_value, rich
from ._forms import FormPairs, Rows, SettingsForm
from ._layers import Picked
from ._output import Outcome, Output
from ._parts import (
    NO_PICTURE,
    Advanced,
    LayerCombo,
    Message,
    budget_slider,
    debounced,
    remaining,
    scrolled,
    seed_box,
    side_by_side,
    size_text,
)
from ._worker import Done, Failed, Live, Running, deblurring

CLOSED = "The widget was closed during the run; this is the last picture it showed."
ENDED = "The run ended before it had a result; this is the last picture it showed."


class DeblurFrame(Running):
    """Choose a layer and a method, run, watch, cancel. A widget adds what its methods want to know."""

    in_sight: tuple[str, ...] = ("steps",)  # settings that are not folded away
    chosen_apart: tuple[str, ...] = ()  # settings for which the widget has choices of its own

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._methods = {name: method for name, method in METHODS.items() if self.offers(method)}
        self._out = Output(napari_viewer)
        self._started = 0.0
        self._refresh_timer = debounced(self, self.refresh)
        self._scroll_timer = debounced(self, self._scroll_to_outcome, 200)  # ms; until the texts have their height
        self._build()
        self.picture.changed.connect(self._soon)
        self.device.currentIndexChanged.connect(self._soon)
        self.budget.changed.connect(self._soon)
        self.method.currentIndexChanged.connect(self._method_changed)
        napari_viewer.dims.events.current_step.connect(self._soon)
        self._method_changed()
        self.refresh()

    # what a widget adds

    def offers(self, method: Method) -> bool:
        """To be overridden: whether a method is in the widget's list."""
        raise NotImplementedError

    def add_choices(self, column: QVBoxLayout) -> None:
        """To be overridden: put the widget's own choices into ``self.form`` or below it, into ``column``."""

    def own_arguments(self) -> dict[str, Any]:
        """To be overridden: more arguments of ``planning.plan``."""
        return {}

    def show_choices(self, method: Method) -> None:
        """To be overridden: show those of the widget's own choices that matter to a method."""

    def lacking(self, picked: Picked) -> str:
        """To be overridden: what a run still needs; may raise GenPriorError."""
        return ""

    def _build(self) -> None:
        self.picture = LayerCombo(self._viewer, _layers.is_picture, _layers.looks_like_picture)
        self.method = QComboBox()
        for method in self._methods.values():
            self.method.addItem(method.name, method.name)
            self.method.setItemData(self.method.count() - 1, rich(method.summary), Qt.ItemDataRole.ToolTipRole)
        self.seed = seed_box()
        self.device = QComboBox()
        self.device.addItems(["auto", *available_devices()])
        self.budget = budget_slider()

        self.wish = QWidget()
        wish = QVBoxLayout(self.wish)
        wish.setContentsMargins(0, 0, 0, 0)
        self.form = Rows()
        self.form.add("picture", "Picture", self.picture, "The blurred layer. Of a stack the displayed plane is used.")
        self.form.add("method", "Method", self.method, "")
        wish.addWidget(self.form)
        self.add_choices(wish)
        self.advanced = Advanced()
        self._forms = FormPairs(self.in_sight, self.chosen_apart, self.advanced, self._soon)
        wish.addWidget(self._forms)
        self.rest = Rows()
        self.rest.add("budget", "Time budget", self.budget, "Seconds after which the best so far is the result.")
        self.rest.add("seed", "Seed", self.seed, "Equal seeds give equal results on one machine.")
        self.rest.add("device", "Device", self.device, "Where to compute.")
        wish.addWidget(self.rest)
        wish.addWidget(self.advanced)

        self.sentence, self.stage, self.verdict = Message(), Message(), Message()
        self.run_button = QPushButton("Run")
        self.run_button.clicked.connect(self.run_or_cancel)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.view, self.plot = KernelView(), LossPlot()
        self.scroll, column = scrolled(self)
        for widget in (self.wish, self.sentence, self.run_button, self.bar, self.stage):
            column.addWidget(widget)
        column.addLayout(side_by_side(self.view, self.verdict))
        column.addWidget(self.plot)
        column.addStretch(1)
        self.bar.hide()
        self.view.hide()

    # what the user wants

    @property
    def chosen(self) -> Method:
        """The chosen method."""
        return self._methods[self.method.currentData()]

    def arguments(self) -> dict[str, Any]:
        """Arguments of ``planning.plan`` but the picture, as the widget shows them."""
        in_sight, advanced = self._method_forms(self.chosen.name)
        return {
            "method": self.chosen.name,
            "seed": self.seed.value(),
            "device": self.device.currentText(),
            "budget_s": get_value(self.budget),
            "settings": advanced.values() | in_sight.values(),
            **self.own_arguments(),
        }

    def picked(self) -> Picked | None:
        """The chosen picture; None where there is no layer."""
        layer = self.picture.layer
        return None if layer is None else _layers.pick(layer, self._viewer.dims.point)

    def refresh(self) -> None:
        """Say what a run would do, or why it cannot be done."""
        if self.running:
            return
        picked, usable, kind = self.picked(), False, "plain"
        if picked is None:
            text = NO_PICTURE
        else:
            try:
                text = self.lacking(picked)
                usable = not text
                if usable and picked.cheap:
                    text = plan(picked.image, **self.arguments()).sentence
            except GenPriorError as error:
                text, usable, kind = str(error), False, "doubt"
            text = text or f"{size_text(picked.image.shape)}, large or not in memory: looked at when the run starts"
            text = f"{text.removesuffix('.')}. {picked.note}".strip()
        self.sentence.say(text, kind)
        self.run_button.setEnabled(usable)

    def _soon(self, *_: Any) -> None:
        self._refresh_timer.start()

    def _method_forms(self, name: str) -> tuple[SettingsForm, SettingsForm]:
        return self._forms.pair(name, self._methods[name].settings)

    def _method_changed(self, *_: Any) -> None:
        self._forms.show_only(self._method_forms(self.chosen.name))
        self.show_choices(self.chosen)
        self.method.setToolTip(rich(self.chosen.summary))
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
        self.plot.clear()
        self.bar.setValue(0)
        self._show_running(True)
        self.begin(deblurring, picked.image, self.arguments(), picked.dtype)

    def abandon(self) -> None:
        if self.running:
            self._out.leave(CLOSED)
        super().abandon()

    def _show_running(self, running: bool) -> None:
        self.run_button.setText("Cancel" if running else "Run")
        self.run_button.setEnabled(True)
        self.wish.setEnabled(not running)
        self.bar.setVisible(running)
        self.view.setVisible(running or self.view.kernel is not None)
        self._scroll_timer.start()
        if not running:
            self.stage.say("")
            self.refresh()

    def _scroll_to_outcome(self) -> None:
        """A long form must not hide what the run shows."""
        for part in (self.run_button, self.verdict, self.plot):
            if part.isVisible():
                self.scroll.ensureWidgetVisible(part)

    def live(self, message: Live) -> None:
        self.bar.setValue(round(1000 * message.fraction))
        seconds = time.monotonic() - self._started
        self.stage.say(f"{message.stage}, {remaining(message.fraction, seconds, get_value(self.budget))}")
        if message.loss is not None:
            if not self.plot.steps:
                self._scroll_timer.start()
            self.plot.add(message.step, message.loss)
        if message.kernel is not None:
            self.view.show_kernel(message.kernel)
        if message.image is not None:
            self._out.show(message.image, message.kernel)

    def ended(self, message: Done | Failed) -> None:
        try:
            self._show_end(message)
        finally:  # whatever the layer list may say to it, the button comes back
            self._show_running(False)

    def _show_end(self, message: Done | Failed) -> None:
        outcome: Outcome | None = message.value
        if outcome is not None:
            self.view.show_kernel(outcome.result.kernel)
            notes = self._out.finish(outcome)
            kept = "The picture so far was kept."
        else:
            kept = "The last picture shown was kept." if self._out.leave(ENDED) else ""
        if isinstance(message, Failed):
            self.verdict.say(f"{message.sentence} {kept}".strip(), "bad")
            show_error(message.sentence)
        elif outcome is None:
            self.verdict.say(f"Cancelled before there was a result; {kept or 'nothing was kept.'}", "doubt")
        else:
            status, verdict = outcome.result.status, outcome.result.verdict
            sentences = ("" if status.code == "done" else status.sentence, verdict.reason, notes)
            self.verdict.say(
                f"{self._out.name}: {' '.join(filter(None, sentences))}", "good" if verdict.improved else "doubt"
            )
