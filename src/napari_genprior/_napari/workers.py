"""Runs in a thread: what is yielded to the GUI, and the widget that listens.

A generator in napari's thread worker loses every RuntimeError, and torch raises nothing else: so nothing is ever
raised here, an error is yielded as :class:`Failed`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from napari.qt.threading import GeneratorWorker, create_worker
from qtpy.QtCore import QEvent
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QWidget

from ..core import log_file as logs
from ..core.errors import GenPriorError
from ..core.image_io import as_type
from ..core.result import DeblurResult, Progress, StatusCode
from ..pipeline import runtime_estimate as expected
from ..pipeline.plan import plan
from ..pipeline.run import partial_result, run
from ..simulation import simulate
from .background import BackgroundGenerator
from .layers import Picked
from .result_layers import Outcome

logger = logging.getLogger(__name__)

IMAGE_EVERY = 0.2  # s; more images a second are not seen, and each costs a copy to the graphics card
SIGN_EVERY = 0.05  # s; for the progress bar
LOOK_EVERY = 0.05  # s; for the worker to notice that it shall quit, whatever the solver does


@dataclass(frozen=True)
class Live:
    """How far a run is; with the image (in the layer's type) and the kernel now and then, ``loss`` is [R]."""

    fraction: float
    stage: str
    image: np.ndarray | None = None
    kernel: np.ndarray | None = None
    step: int = 0
    loss: np.ndarray | None = None

    @classmethod
    def of(cls, progress: Progress, image: np.ndarray | None = None) -> Live:
        """What is shown of a snapshot; ``image`` is its image, where it shall be drawn."""
        loss = progress.losses.get("total")
        return cls(progress.fraction, progress.stage, image, progress.kernel, progress.step, loss)


@dataclass(frozen=True)
class Done:
    """The end of a run. ``value`` is what it came to; None where it was stopped too early to keep anything."""

    value: Any


@dataclass(frozen=True)
class Failed:
    """The end of a run by an error. ``value`` is what could be saved of it."""

    error: Exception
    value: Any = None

    @property
    def sentence(self) -> str:
        """For a person: our own errors speak for themselves, others say what they are."""
        if isinstance(self.error, GenPriorError):
            return str(self.error)
        text = f"{type(self.error).__name__}: {self.error}".strip()
        if "out of memory" in text.lower() or isinstance(self.error, MemoryError):
            return f"Out of memory; use a smaller image or another device. ({text})"
        return f"An unexpected error: {text}. Please report it; details are in the log."


@dataclass(frozen=True)
class Control:
    """What the GUI tells the thread: ``stop``, and ``seen`` once the last image is on the screen."""

    stop: threading.Event = field(default_factory=threading.Event)
    seen: threading.Event = field(default_factory=threading.Event)


Work = Generator[Live | Done | Failed, None, None]


def guarded(work: Callable[..., Work], *arguments: Any) -> Work:
    """Run ``work``; whatever it raises is yielded."""
    logs.keep()
    try:
        yield from work(*arguments)
    except Exception as error:
        yield failure(error)


def failure(error: Exception, value: Any = None) -> Failed:
    """Log an error where it is not the user's, and wrap it."""
    if not isinstance(error, GenPriorError):
        logger.error("a run failed", exc_info=error)
    # the traceback would keep every tensor of the run alive for as long as the message
    return Failed(error.with_traceback(None), value)


def deblurring(source: Any, arguments: Mapping[str, Any], dtype: np.dtype, control: Control) -> Work:
    """Deblur ``source`` (any array, computed here if it is lazy); ``arguments`` are those of ``planning.plan``.

    One run at a time: another waits. Stopped by ``control.stop`` at once; then, and after an error on the way, what
    was reached last is the result.
    """
    clock = time.perf_counter()
    yield Live(0.0, "reading the image")
    made = plan(np.asarray(source), **arguments)
    snapshots = BackgroundGenerator(run(made), control.stop)
    last: Progress | None = None
    sign = image = -np.inf
    control.seen.set()

    def outcome(result: DeblurResult | None) -> Outcome | None:
        return None if result is None else Outcome.of(result, dtype)

    def so_far() -> Outcome | None:
        return None if last is None else outcome(partial_result(made, last, time.perf_counter() - clock))

    while True:
        try:
            progress = snapshots.take(LOOK_EVERY)
        except StopIteration as end:
            if end.value.status.code is StatusCode.DONE:
                expected.learn(made, end.value.provenance.seconds)
            yield Done(outcome(end.value))
            return
        except Exception as error:
            yield failure(error, so_far())
            return
        if progress is not None and progress.image is not None and progress.kernel is not None:
            last = progress
        if control.stop.is_set():
            yield Done(so_far())
            return
        if progress is None:
            if snapshots.waiting:
                yield Live(0.0, "waiting for another run")
            continue
        now = time.perf_counter()
        if progress.image is not None and now - image >= IMAGE_EVERY and control.seen.is_set():
            control.seen.clear()  # else images could queue up faster than they are drawn, and fill the memory
            image = sign = now
            yield Live.of(progress, as_type(progress.image, dtype))
        elif now - sign >= SIGN_EVERY:
            sign = now
            yield Live.of(progress)


def simulating(picked: Picked, kernel: np.ndarray, noise: Mapping[str, Any], seed: int, control: Control) -> Work:
    """Blur a picked image with a kernel; the end is a ``Simulation``, ``blurred`` in the image's type."""
    yield Live(0.0, "blurring")
    made = simulate(np.asarray(picked.image), kernel, seed=seed, **noise)
    yield Done(None if control.stop.is_set() else replace(made, blurred=as_type(made.blurred, picked.dtype)))


class Running(QWidget):
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
        """Whether a run is under way (also while it is stopping)."""
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
        """Ask the run to end at its next snapshot and to hand out what it has."""
        self._control.stop.set()

    def abandon(self) -> None:
        """End the run at its next snapshot and forget it: nobody is there to see a result."""
        if self._worker is not None:
            self._worker.yielded.disconnect(self._receive)
            self._worker.finished.disconnect(self._finish)
        self._worker = None
        self._shutdown.now()

    def live(self, message: Live) -> None:
        """To be overridden: show how far the run is."""

    def ended(self, message: Done | Failed) -> None:
        """To be overridden: the run is over."""

    def _receive(self, message: Live | Done | Failed) -> None:
        if self._worker is None:  # abandoned; this was still in the queue
            return
        if isinstance(message, Live):
            try:
                self.live(message)
            finally:
                self._control.seen.set()
        else:
            self._end = message  # acted upon when the thread is through, so that the next run finds it free

    def _finish(self) -> None:
        # an end without a message: napari itself made the worker quit, and its generator is not closed
        self._control.stop.set()
        end, self._worker = self._end or Done(None), None
        self.ended(end)

    def event(self, event: QEvent) -> bool:
        # napari takes a closed dock's widget out of the window and leaves it to the garbage collector
        if event.type() == QEvent.Type.ParentChange and self.parent() is None and self.running:
            self.abandon()
        return super().event(event)

    def closeEvent(self, event: QCloseEvent) -> None:
        self.abandon()
        super().closeEvent(event)


class _Shutdown:
    """Ends the worker when the widget is destroyed: at that moment no method of the widget may be called any more."""

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
