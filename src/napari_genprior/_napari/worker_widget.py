"""A widget that runs work in a thread and shuts it down with itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from napari.qt.threading import GeneratorWorker, create_worker
from qtpy.QtCore import QEvent
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QWidget

from .messages import Control, Done, Failed, Live, Work
from .workers import guarded


class WorkerWidget(QWidget):
    """A widget that runs one piece of work at a time in a thread, and stops it when it is closed."""

    _worker: GeneratorWorker | None = None  # of the class: Qt may send events before __init__ is through

    def __init__(self) -> None:
        super().__init__()
        self._control = Control()
        self._end: Done | Failed | None = None
        self._shutdown = _Shutdown()
        # a partial of the function: Qt keeps a bound method only as long as its object lives, which may be too short
        self.destroyed.connect(partial(_Shutdown.now, self._shutdown))

    @property
    def running(self) -> bool:
        """Return whether work is being done (also while it is stopping)."""
        return self._worker is not None

    def begin(self, work: Callable[..., Work], *arguments: Any) -> None:
        """Start ``work(*arguments, control)``; at most one at a time."""
        if self.running:
            return
        self._control, self._end = Control(), None
        worker = create_worker(guarded, work, *arguments, self._control, _start_thread=False)
        worker.yielded.connect(self._receive)
        worker.finished.connect(self._finish)
        self._worker = worker
        self._shutdown.watch(worker, self._control)
        worker.start()

    def stop(self) -> None:
        """Ask the work to end at once and to return what it has."""
        self._control.stop.set()

    def abandon(self) -> None:
        """End the work at once and forget it: nobody is there to see a result."""
        if self._worker is not None:
            self._worker.yielded.disconnect(self._receive)
            self._worker.finished.disconnect(self._finish)
        self._worker = None
        self._shutdown.now()

    def live(self, message: Live) -> None:
        """Show the progress; to be overridden."""

    def ended(self, message: Done | Failed) -> None:
        """Show the end; to be overridden."""

    def _receive(self, message: Live | Done | Failed) -> None:
        if self._worker is None:  # abandoned; this was still in the queue
            return
        if isinstance(message, Live):
            try:
                self.live(message)
            finally:
                self._control.drawn.set()
        else:
            self._end = message  # acted upon when the thread is through, so that the next run finds it free

    def _finish(self) -> None:
        # an end without a message: napari itself made the worker quit, and its generator is not closed
        self._control.stop.set()
        end, self._worker = self._end or Done(None), None
        self.ended(end)

    def event(self, event: QEvent | None) -> bool:
        """Stop the work where napari takes a closed dock's widget out of the window for the garbage collector."""
        parted = event is not None and event.type() == QEvent.Type.ParentChange and self.parent() is None
        if parted and self.running:
            self.abandon()
        return super().event(event)

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Stop the work."""
        self.abandon()
        super().closeEvent(event)


class _Shutdown:
    """End the worker when the widget is destroyed: at that moment no method of the widget may be called any more."""

    def __init__(self) -> None:
        self._worker: GeneratorWorker | None = None
        self._control: Control | None = None

    def watch(self, worker: GeneratorWorker, control: Control) -> None:
        self._worker, self._control = worker, control

    def now(self, *_: Any) -> None:
        if self._worker is not None and self._control is not None:
            self._worker.quit()
            self._control.stop.set()
        self._worker = self._control = None
