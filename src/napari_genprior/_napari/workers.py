"""The work done in threads: deblurring in any scope, and simulation.

A generator in napari's thread worker loses every RuntimeError, and torch raises nothing else: so nothing is ever
raised here, an error is yielded as :class:`~.messages.Failed`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..core import log_file
from ..core.image_io import as_type
from ..core.result import RESTART_STD, DeblurResult
from ..core.run_records import Index, Progress, StatusCode
from ..pipeline import runtime_estimate
from ..pipeline.finalize import partial_result
from ..pipeline.plan import make_plan
from ..pipeline.run import run
from ..simulation import simulate
from .background import BackgroundGenerator
from .layers import SelectedImage
from .messages import Control, Done, Live, Work, failure

IMAGE_INTERVAL_S = 0.2  # more images a second cannot be seen, and each costs a copy to the graphics card
PROGRESS_INTERVAL_S = 0.05  # of the progress bar
POLL_S = 0.05  # the longest time to notice that a run shall stop, whatever its step takes


def guarded(work: Callable[..., Work], *arguments: Any) -> Work:
    """Run ``work``; yield whatever it raises."""
    log_file.enable()
    try:
        yield from work(*arguments)
    except Exception as error:
        yield failure(error)


def deblurring(source: Any, arguments: Mapping[str, Any], dtype: np.dtype, control: Control) -> Work:
    """Deblur an image, stack or volume, whatever the scope; the end is a ``DeblurResult`` in the layer's type.

    One run at a time: another waits. ``control.stop`` ends it at once; then, and after an error, what was restored so
    far is the result.

    Parameters
    ----------
    source : array-like
        May be lazy; it is computed in this thread.
    arguments : mapping
        Keyword arguments of ``make_plan``.
    dtype : dtype
        Data type of the layer.
    """
    yield Live(0.0, "Reading the image")
    restored = _Restored(source, arguments, dtype, control.stop)
    snapshots = BackgroundGenerator(run(restored.plan), control.stop)
    last_progress = last_image = -np.inf
    control.drawn.set()
    while True:
        try:
            progress = snapshots.take(POLL_S)
        except StopIteration as end:
            yield Done(restored.finished(end.value))
            return
        except Exception as error:
            yield failure(error, restored.so_far())
            return
        if progress is not None:
            restored.keep(progress)
        if control.stop.is_set():
            yield Done(restored.so_far())
            return
        if progress is None:
            if snapshots.waiting:
                yield Live(0.0, "Waiting for another run")
            continue
        now = time.perf_counter()
        if progress.image is not None and now - last_image >= IMAGE_INTERVAL_S and control.drawn.is_set():
            control.drawn.clear()  # else images could queue up faster than they are drawn, and fill the memory
            last_image = last_progress = now
            yield Live.of(progress, restored.preview(progress.image))
        elif now - last_progress >= PROGRESS_INTERVAL_S:
            last_progress = now
            yield Live.of(progress)


class _Restored:
    """The plan of a run, and what it has restored so far.

    The pieces of a stack are collected in an array of the layer's type, which begins as a copy of the input: a stack
    that is stopped keeps what is done.
    """

    def __init__(self, source: Any, arguments: Mapping[str, Any], dtype: np.dtype, stop: threading.Event) -> None:
        self._started, self._dtype = time.perf_counter(), dtype
        self.plan = make_plan(source, **arguments)
        self._stack: np.ndarray | None = None
        self._last: Progress | None = None
        self._kernels: dict[Index, np.ndarray] = {}
        if self.plan.layout.pieces and not self.plan.in_tiles:
            self._stack = np.array(self.plan.data, dtype)
            self.plan = replace(self.plan, out=_TypedOutput(self._stack, stop))

    def keep(self, progress: Progress) -> None:
        """Keep a snapshot that has an image and a kernel, as a run may end after it."""
        if progress.image is not None and progress.kernel is not None:
            self._last = progress
            if progress.index is not None and progress.group is not None:
                self._kernels[progress.group] = progress.kernel

    def preview(self, image: np.ndarray) -> np.ndarray:
        """Return what to draw: the stack so far, always the same array, or a single image."""
        return as_type(image, self._dtype) if self._stack is None else self._stack

    def finished(self, result: DeblurResult) -> DeblurResult:
        """Return the result in the layer's type, and record how long the run took."""
        if result.status.code is StatusCode.DONE:
            runtime_estimate.record(self.plan, result.provenance.seconds)
        return self._typed(result)

    def so_far(self) -> DeblurResult | None:
        """Return the result of a run that ends now; None where nothing is restored yet."""
        if self._last is None:
            return None
        seconds = time.perf_counter() - self._started
        result = partial_result(self.plan, self._last, seconds, self._stack, self._kernels)
        return None if result is None else self._typed(result)

    def _typed(self, result: DeblurResult) -> DeblurResult:
        """Convert the images of a result; a standard deviation rounded to whole grey values would be lost."""
        extras = {
            name: extra if name == RESTART_STD else as_type(extra, self._dtype)
            for name, extra in result.extra_images.items()
        }
        image = as_type(result.image, self._dtype) if self._stack is None else self._stack
        return replace(result, image=image, extra_images=extras)


class _TypedOutput:
    """Take pieces as an array would, and keep them in the data type of another array; none after a stop."""

    def __init__(self, data: np.ndarray, stop: threading.Event) -> None:
        self._data, self._stop = data, stop

    def __setitem__(self, where: Any, piece: np.ndarray) -> None:
        if not self._stop.is_set():  # else the array is the result already
            self._data[where] = as_type(piece, self._data.dtype)


def simulating(
    selected: SelectedImage, kernel: np.ndarray, noise: Mapping[str, Any], seed: int, control: Control
) -> Work:
    """Blur an image with a kernel; the end is a ``Simulation``, ``blurred`` in the image's type."""
    yield Live(0.0, "Blurring")
    made = simulate(np.asarray(selected.image), kernel, seed=seed, **noise)
    yield Done(None if control.stop.is_set() else replace(made, blurred=as_type(made.blurred, selected.dtype)))
