"""Run what a form asks for, show it live, cancel it, and show its layers and verdict."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QProgressBar, QPushButton

from ..core.errors import GenPriorError
from ..core.result import DeblurResult
from ..core.run_records import StatusCode, VerdictLabel
from .common_widgets import Message, debounced, remaining, scrolled, side_by_side, stretched
from .field_editors import get_value, rich
from .jobs import Job
from .messages import Done, Failed, Live, Remarks
from .plots import KernelChoice, KernelView, LossPlot
from .preferences import use_threads
from .request_form import RequestForm
from .resolve import Scope, outlook, resolve, with_kernel
from .result_layers import PlaneResultLayers, ResultLayers, kernel_drawing
from .settings_menu import SettingsMenu
from .workers import deblurring

KINDS = {VerdictLabel.IMPROVED: "good", VerdictLabel.DOUBTFUL: "doubt", VerdictLabel.REJECTED: "bad"}  # of message
CLOSED = "The widget was closed during the run; this is the last preview."
ENDED = "The run ended before it had a result; this is the last preview."


class DeblurBase(RequestForm):
    """Choose a layer and a method, run, watch, cancel."""

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self._output = ResultLayers(napari_viewer)
        self._started = 0.0
        self._jobs: list[Job] = []
        self._total = 0
        self._arguments: dict[str, Any] = {}
        self._outcomes: list[tuple[str, str]] = []  # sentence and kind of each run of a batch
        self._refresh_timer = debounced(self, self.refresh)
        self._scroll_timer = debounced(self, self._scroll_to_outcome, 200)  # ms; until the texts have their height
        self.build_form()
        self._build()
        for signal in (
            self.image.changed,
            self.mask_layer.changed,
            self.axes.currentIndexChanged,
            self.tiles.valueChanged,
            self.device.currentIndexChanged,
            self.time_limit.changed,
            napari_viewer.dims.events.current_step,
            napari_viewer.layers.selection.events.changed,
        ):
            signal.connect(self.schedule_refresh)
        self.scope.currentIndexChanged.connect(self.show_method)
        self.method.currentIndexChanged.connect(self.show_method)
        self.show_method()
        self.refresh()

    def _build(self) -> None:
        self.sentence, self.stage, self.verdict, self.remarks = Message(), Message(), Message(), Message()
        self.run_button = QPushButton("Run")
        self.run_button.clicked.connect(self.run_or_cancel)
        self.all_button = QPushButton("Cancel all")
        self.all_button.clicked.connect(self.cancel_all)
        self.menu = SettingsMenu(self, self.verdict.say)
        self.compare = QPushButton("Show input")
        self.compare.setCheckable(True)
        self.compare.setToolTip(rich("Shows the input in place of the result while it is pressed in."))
        self.compare.toggled.connect(self._show_input)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.view, self.plot, self.candidates = KernelView(), LossPlot(), KernelChoice()
        self.candidates.chosen.connect(self.apply_candidate)
        self.scroll_area, column = scrolled(self)
        column.addWidget(self.request)
        column.addWidget(self.sentence)
        column.addLayout(stretched(self.run_button, self.all_button, self.menu))
        column.addWidget(self.bar)
        column.addWidget(self.stage)
        column.addLayout(side_by_side(self.view, self.verdict))
        column.addWidget(self.remarks)
        column.addWidget(self.candidates)
        column.addWidget(self.compare)
        column.addWidget(self.plot)
        column.addStretch(1)
        for widget in (self.bar, self.view, self.compare, self.candidates, self.all_button):
            widget.hide()  # until there is a run, or several

    def refresh(self) -> None:
        """Say what a run would do, or why it cannot be started."""
        if self.running:
            return
        self.show_axes()
        kind, usable = "plain", False
        selected = self.selected()
        try:
            if selected is not None:
                self.offer_choices(selected)
            text, usable = outlook(self.values(), selected, self.count())
        except GenPriorError as error:
            note = "" if selected is None or self.chosen_scope.whole_layer else selected.note
            text, kind = f"{error} {note}".strip(), "doubt"
        self.sentence.say(text, kind)
        self.run_button.setEnabled(usable)

    def schedule_refresh(self, *_: Any) -> None:
        self._refresh_timer.start()

    # the run

    def run_or_cancel(self) -> None:
        """Start the runs that the form asks for, or cancel the one that is running."""
        if self.running:
            self.run_button.setText("Stopping...")
            self.run_button.setEnabled(False)
            self.stop()
            return
        self.show_axes()  # the form may not have caught up yet
        self._jobs = self.jobs()
        self._total, self._outcomes = len(self._jobs), []
        if not self._jobs:
            return
        first = self._jobs[0]
        try:
            self._arguments = resolve(self.values(), first.selected).arguments
        except GenPriorError as error:  # the mask was moved just now
            self.sentence.say(str(error), "doubt")
            return
        by_plane = self.chosen_scope is Scope.PLANES
        self._output = PlaneResultLayers(self._viewer, first.layer) if by_plane else ResultLayers(self._viewer)
        self.verdict.say("")
        self.remarks.say("")
        use_threads()
        self._next()

    def cancel_all(self) -> None:
        """Cancel the current run of a batch, and start no other."""
        self._jobs = []
        self.run_or_cancel()

    def apply_candidate(self, kernel: np.ndarray) -> None:
        """Restore the image of the last run with another kernel, into the same layers."""
        if self.running:
            return
        self._total, self._outcomes = 1, []
        self._arguments = with_kernel({**self._arguments, "device": self.device.currentData()}, kernel)
        self._run(self._job)

    def _next(self) -> None:
        self._job = self._jobs.pop(0)
        self._output.start(self._job.layer, self._job.selected)
        self.candidates.offer(())
        try:
            self._arguments = self._arguments | self.mask_layer.argument(self._job.layer, self._job.selected)
        except GenPriorError as error:
            self.ended(Failed(error))
        else:
            self._run(self._job)

    def _run(self, job: Job) -> None:
        self._started = time.monotonic()
        self.view.show_kernel(None)
        self.plot.clear()
        self.bar.setValue(0)
        self._show_running(True)
        self.begin(deblurring, job.selected.image, self._arguments, job.selected.dtype)

    def abandon(self) -> None:
        self._jobs = []
        if self.running:
            self._output.leave(CLOSED)
        super().abandon()

    def _show_running(self, running: bool) -> None:
        self.run_button.setText("Cancel" if running else "Run")
        self.run_button.setEnabled(True)
        self.all_button.setVisible(running and self._total > 1)
        self.all_button.setEnabled(bool(self._jobs))
        self.request.setEnabled(not running)
        self.menu.setEnabled(not running)
        self.candidates.setEnabled(not running)
        self.bar.setVisible(running)
        self.view.setVisible(running or self.view.kernel is not None)
        self._scroll_timer.start()
        if running:
            self.compare.setChecked(False)
        self.compare.setVisible(not running and self._output.has_result)
        if not running:
            self.stage.say("")
            self.refresh()

    def _show_input(self, shown: bool) -> None:
        self._output.show_input(shown)

    def _scroll_to_outcome(self) -> None:
        """Scroll a long form so that it does not hide what the run shows."""
        for part in (self.run_button, self.verdict, self.plot):
            if part.isVisible():
                self.scroll_area.ensureWidgetVisible(part, 0)

    def live(self, message: Live) -> None:
        self.bar.setValue(round(1000 * message.fraction))
        seconds = time.monotonic() - self._started
        number = f"{self._total - len(self._jobs)} of {self._total}: " if self._total > 1 else ""
        self.stage.say(f"{number}{message.stage}, {remaining(message.fraction, seconds, get_value(self.time_limit))}")
        if message.loss is not None:
            if not self.plot.steps:
                self._scroll_timer.start()
            self.plot.add(message.step, message.loss)
        if message.kernel is not None:
            self.view.show_kernel(message.kernel)
        if message.image is not None:
            self._output.show(message.image, message.kernel)

    def ended(self, message: Done | Failed) -> None:
        try:
            self._show_end(message)
        finally:  # whatever the layer list may say to it, the button comes back
            if self._jobs:
                self._next()
            else:
                self._show_running(False)

    def _show_end(self, message: Done | Failed) -> None:
        result: DeblurResult | None = message.value
        kept, notes, remarks = "", "", Remarks()
        if result is not None:
            self.view.show_kernel(kernel_drawing(result))
            if result.candidates:  # a run for a chosen candidate has none: the others stay
                self.candidates.offer(result.candidates if self._total == 1 else ())
            notes = self._output.finish(result)
        elif self._output.leave(ENDED):
            kept = "The last preview was kept."
        if isinstance(message, Failed):
            kept = kept if result is None else "The image so far was kept."
            sentence, kind = f"{message.sentence} {kept}".strip(), "bad"
            if self._total == 1:
                show_error(message.sentence)
        elif result is None:
            sentence, kind = f"Cancelled before there was a result. {kept or 'Nothing was kept.'}", "doubt"
        else:
            remarks = Remarks.of(result)
            ended = "" if result.status.code is StatusCode.DONE else result.status.sentence
            sentence = " ".join(filter(None, (ended, result.sentence, notes)))
            kind = KINDS[result.verdict.label or VerdictLabel.DOUBTFUL]
        named = result is not None or self._total > 1
        if self._total > 1:  # each in its own line
            sentence, remarks = f"{sentence} {remarks.short}".strip(), Remarks()
        self.remarks.say(remarks.short)
        self.remarks.setToolTip(rich(remarks.full))
        self._report(f"{self._output.name}: {sentence}" if named else sentence, kind)

    def _report(self, sentence: str, kind: str) -> None:
        """Show the end of a run; of a batch below those before it, in the colour of the worst."""
        self._outcomes.append((sentence, kind))
        kinds = [each for _, each in self._outcomes]
        worst = next((each for each in ("bad", "doubt") if each in kinds), "good")
        self.verdict.say("\n".join(text for text, _ in self._outcomes), worst)
