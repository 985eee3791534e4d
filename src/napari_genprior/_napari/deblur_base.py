"""What all widgets that deblur do with a request: run it, show it live, cancel it, put its layers and verdict up."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QProgressBar, QPushButton

from ..core.errors import GenPriorError
from ..core.result import Word
from ..pipeline import runtime_estimate as expected
from ..pipeline import stack_runtime as forecast
from ..pipeline.plan import Plan, plan
from ..pipeline.spatially_varying import plan_varying
from ..pipeline.stack_plan import plan_stack
from .common_widgets import NO_IMAGE, Message, debounced, remaining, scrolled, side_by_side, size_text, stretched
from .field_editors import get_value
from .plane_runs import PLANES, THIS, Job, StackOutput
from .plots import KernelChoice, KernelView, LossPlot
from .preferences import use_threads
from .request_form import RequestForm
from .result_layers import Outcome, Output
from .settings_menu import SettingsMenu
from .stack_run import SharedOutput, deblurring_stack
from .varying_run import VaryingOutput, deblurring_varying
from .workers import Done, Failed, Live, deblurring

CLOSED = "The widget was closed during the run; this is the last image it showed."
KINDS = {Word.IMPROVED: "good", Word.DOUBTFUL: "doubt", Word.KEPT: "bad"}  # of message
ENDED = "The run ended before it had a result; this is the last image it showed."


def _with_time(sentence: str, seconds: float | None) -> str:
    return ", ".join(filter(None, (sentence, expected.in_words(seconds))))


class DeblurFrame(RequestForm):
    """Choose a layer and a method, run, watch, cancel."""

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self._out = Output(napari_viewer)
        self._started = 0.0
        self._jobs: list[Job] = []
        self._total = 0
        self._came_to: list[tuple[str, str]] = []  # sentence and kind of each run of a batch
        self._refresh_timer = debounced(self, self.refresh)
        self._scroll_timer = debounced(self, self._scroll_to_outcome, 200)  # ms; until the texts have their height
        self.build_request()
        self._build()
        self.image.changed.connect(self.soon)
        self.scope.currentIndexChanged.connect(self._method_changed)
        self.axes.currentIndexChanged.connect(self.soon)
        self.tiles.valueChanged.connect(self.soon)
        self.device.currentIndexChanged.connect(self.soon)
        self.budget.changed.connect(self.soon)
        self.method.currentIndexChanged.connect(self._method_changed)
        napari_viewer.dims.events.current_step.connect(self.soon)
        self._method_changed()
        self.refresh()

    def _build(self) -> None:
        self.sentence, self.stage, self.verdict = Message(), Message(), Message()
        self.run_button = QPushButton("Run")
        self.run_button.clicked.connect(self.run_or_cancel)
        self.all_button = QPushButton("Cancel all")
        self.all_button.clicked.connect(self.cancel_all)
        self.all_button.hide()  # until several runs wait
        self.menu = SettingsMenu(self, self.verdict.say)
        self.compare = QPushButton("Show before")
        self.compare.setCheckable(True)
        self.compare.setToolTip("Shows the blurred image in place of the result while it is pressed in.")
        self.compare.toggled.connect(self._compare)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.view, self.plot, self.candidates = KernelView(), LossPlot(), KernelChoice()
        self.candidates.chosen.connect(self.take_kernel)
        self.scroll, column = scrolled(self)
        column.addWidget(self.request)
        column.addWidget(self.sentence)
        column.addLayout(stretched(self.run_button, self.all_button, self.menu))
        column.addWidget(self.bar)
        column.addWidget(self.stage)
        column.addLayout(side_by_side(self.view, self.verdict))
        column.addWidget(self.candidates)
        column.addWidget(self.compare)
        column.addWidget(self.plot)
        column.addStretch(1)
        self.bar.hide()
        self.view.hide()
        self.compare.hide()
        self.candidates.hide()

    def refresh(self) -> None:
        """Say what a run would do, or why it cannot be done."""
        if self.running:
            return
        self.show_axes()
        picked, usable, kind = self.picked(), False, "plain"
        if picked is None:
            text = NO_IMAGE
        else:
            try:
                text = self.lacking(picked)
                usable = not text
                if usable and self.whole:
                    data, arguments = self.stack_request()
                    stack = plan_stack(data, **arguments)
                    text = _with_time(stack.sentence, forecast.of_stack(stack))
                elif usable and self.changing and picked.cheap:
                    varying = plan_varying(picked.image, **self.varying_request())
                    text = _with_time(varying.sentence, forecast.of_varying(varying))
                elif usable and picked.cheap:
                    text = self._forecast(plan(picked.image, **self.arguments()))
            except GenPriorError as error:
                text, usable, kind = str(error), False, "doubt"
            text = text or f"{size_text(picked.image.shape)}, large or not in memory: looked at when the run starts"
            alone = self.changing or self.scope.currentText() == THIS
            note = picked.note if alone else f"{self.count()} images, one by one."
            note = "" if self.whole else note
            text = f"{text.removesuffix('.')}. {note}".strip()
        self.sentence.say(text, kind)
        self.run_button.setEnabled(usable)

    def _forecast(self, made: Plan) -> str:
        """What will happen, and how long it will take."""
        takes = expected.sentence(made)
        each = " each" if takes and self.scope.currentText() != THIS else ""
        return ", ".join(filter(None, (made.sentence, takes + each)))

    def soon(self, *_: Any) -> None:
        self._refresh_timer.start()

    # the run

    def run_or_cancel(self) -> None:
        """What the button does."""
        if self.running:
            self.run_button.setText("Stopping...")
            self.run_button.setEnabled(False)
            self.stop()
            return
        self.show_axes()  # the form may not have caught up yet
        self._jobs = self.jobs()
        self._total, self._came_to = len(self._jobs), []
        if not self._jobs:
            return
        self._request = self.arguments()
        self._out = self._new_output(self._jobs[0])
        self.verdict.say("")
        use_threads()
        self._next()

    def _new_output(self, job: Job) -> Output:
        if self.whole:
            return SharedOutput(self._viewer, job.layer)
        if self.changing:
            return VaryingOutput(self._viewer)
        stack = self.scope.currentText() == PLANES
        return StackOutput(self._viewer, job.layer) if stack else Output(self._viewer)

    def cancel_all(self) -> None:
        """Nothing of a batch is begun any more; the run under way is cancelled."""
        self._jobs = []
        self.run_or_cancel()

    def take_kernel(self, kernel: np.ndarray) -> None:
        """The image for another kernel of the last run, into the same layers."""
        if self.running:
            return
        self._total, self._came_to = 1, []
        self._request = {"method": "known-kernel", "kernel": kernel, "device": self.device.currentText()}
        self._run(self._job)

    def _next(self) -> None:
        self._job = self._jobs.pop(0)
        self._out.start(self._job.layer, self._job.picked)
        self.candidates.offer(())
        self._run(self._job)

    def _run(self, job: Job) -> None:
        self._started = time.monotonic()
        self.view.show_kernel(None)
        self.plot.clear()
        self.bar.setValue(0)
        self._show_running(True)
        if isinstance(self._out, SharedOutput):
            data, arguments = self.stack_request()
            self.begin(deblurring_stack, data, arguments, job.picked.dtype)
        elif isinstance(self._out, VaryingOutput):
            self.begin(deblurring_varying, job.picked.image, self.varying_request(), job.picked.dtype)
        else:
            self.begin(deblurring, job.picked.image, self._request, job.picked.dtype)

    def abandon(self) -> None:
        self._jobs = []
        if self.running:
            self._out.leave(CLOSED)
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
        self.compare.setVisible(not running and self._out.has_result)
        if not running:
            self.stage.say("")
            self.refresh()

    def _compare(self, before: bool) -> None:
        self._out.compare(before)

    def _scroll_to_outcome(self) -> None:
        """A long form must not hide what the run shows."""
        for part in (self.run_button, self.verdict, self.plot):
            if part.isVisible():
                self.scroll.ensureWidgetVisible(part, 0)

    def live(self, message: Live) -> None:
        self.bar.setValue(round(1000 * message.fraction))
        seconds = time.monotonic() - self._started
        number = f"{self._total - len(self._jobs)} of {self._total}: " if self._total > 1 else ""
        self.stage.say(f"{number}{message.stage}, {remaining(message.fraction, seconds, get_value(self.budget))}")
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
            if self._jobs:
                self._next()
            else:
                self._show_running(False)

    def _show_end(self, message: Done | Failed) -> None:
        outcome: Outcome | None = message.value
        if outcome is not None:
            self.view.show_kernel(outcome.result.kernel)
            if outcome.result.candidates:  # the run for a chosen one has none: they stay
                self.candidates.offer(outcome.result.candidates if self._total == 1 else ())
            notes = self._out.finish(outcome)
            kept = "The image so far was kept."
        else:
            kept = "The last image shown was kept." if self._out.leave(ENDED) else ""
        if isinstance(message, Failed):
            sentence, kind = f"{message.sentence} {kept}".strip(), "bad"
            if self._total == 1:
                show_error(message.sentence)
        elif outcome is None:
            sentence, kind = f"Cancelled before there was a result; {kept or 'nothing was kept.'}", "doubt"
        else:
            status, verdict = outcome.result.status, outcome.result.verdict
            told = ("" if status.code == "done" else status.sentence, verdict.sentence, notes)
            sentence, kind = " ".join(filter(None, told)), KINDS[verdict.word]
        self._tell(f"{self._out.name}: {sentence}" if outcome is not None or self._total > 1 else sentence, kind)

    def _tell(self, sentence: str, kind: str) -> None:
        """The verdict of a run; of a batch, below those before it, as bad as the worst."""
        self._came_to.append((sentence, kind))
        kinds = [each for _, each in self._came_to]
        worst = next((each for each in ("bad", "doubt") if each in kinds), "good")
        self.verdict.say("\n".join(text for text, _ in self._came_to), worst)
