"""For all widget tests: a viewer without a window, and a method whose every step the test itself lets happen."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from napari.components import ViewerModel
from napari.qt.threading import WorkerBase
from pydantic import Field
from qtpy.QtCore import QThreadPool
from qtpy.QtWidgets import QApplication

from napari_genprior import methods
from napari_genprior._napari import _worker
from napari_genprior.algorithms import Problem, Recipe, Snapshot, Solution
from napari_genprior.settings import Settings

HAS_DISPLAY = sys.platform != "linux" or bool(os.environ.get("DISPLAY") or shutil.which("Xvfb"))
if not HAS_DISPLAY:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

WAIT = 20_000  # ms; a bound for a hanging test, not an expectation


class SlowSettings(Settings):
    """Of the method that the tests drive."""

    steps: int = Field(6, ge=1, le=1000, title="Steps")
    gain: float = Field(1e-5, gt=0, le=1, title="Gain", description="Does nothing.")


class Slow:
    """A deblurring method that makes a step only when the test calls ``step``.

    After step n the picture is brighter by n/100 of the range and the kernel's first pixel holds 1/(n + 1).
    """

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.fail_at: int | None = None
        self.first_picture = 1
        self.entered = threading.Event()
        self.closed = threading.Event()

    def step(self, times: int = 1) -> None:
        self.gate.release(times)

    def recipe(self, problem: Problem) -> Recipe:
        total = problem.settings.steps
        image, kernel = problem.blurred, torch.full((1, 1, 3, 3), 1 / 9)
        self.entered.set()
        try:
            for n in range(1, total + 1):
                if not self.gate.acquire(timeout=WAIT / 1000):
                    raise TimeoutError("the test forgot to let the method go on")
                if n == self.fail_at:
                    raise RuntimeError("CUDA out of memory, as torch says it")
                image = problem.blurred + n / 100
                kernel = torch.zeros(1, 1, 3, 3)
                kernel[0, 0, 0, 0], kernel[0, 0, 1, 1] = 1 / (n + 1), n / (n + 1)
                shown = n >= self.first_picture
                yield Snapshot(n, total, f"step {n}", image if shown else None, kernel if shown else None)
            return Solution(image, kernel)
        finally:
            self.closed.set()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    """Methods "slow" and "slow-known" (which needs a kernel) in the list of methods; "slow" is the first."""
    monkeypatch.setattr(_worker, "PICTURE_EVERY", 0.0)  # let the widget see every step
    monkeypatch.setattr(_worker, "SIGN_EVERY", 0.0)
    made = Slow()
    known = methods.Method("slow-known", made.recipe, SlowSettings, "Driven by the test.", needs_kernel=True)
    entries = {"slow": methods.Method("slow", made.recipe, SlowSettings, "Driven by the test."), "slow-known": known}
    others = dict(methods.METHODS)
    for name in others:
        monkeypatch.delitem(methods.METHODS, name)
    for name, method in {**entries, **others}.items():
        monkeypatch.setitem(methods.METHODS, name, method)
    yield made
    made.step(10_000)


@pytest.fixture
def viewer() -> ViewerModel:
    """napari's viewer without its window: layers, sliders, selection."""
    return ViewerModel()


@pytest.fixture
def picture() -> np.ndarray:
    """uint8 [40, 48], with room for brighter values."""
    return np.random.default_rng(0).integers(0, 128, (40, 48), dtype=np.uint8)


@pytest.fixture(autouse=True)
def no_thread_left(qapp: QApplication) -> Iterator[None]:
    """Whatever a test did, its threads end."""
    yield
    end = time.monotonic() + WAIT / 1000
    while WorkerBase._worker_set and time.monotonic() < end:
        qapp.processEvents()
        time.sleep(0.001)
    assert not WorkerBase._worker_set
    assert QThreadPool.globalInstance().waitForDone(WAIT)


@pytest.fixture
def finish(qtbot) -> Callable:
    """Wait until a widget's run is over."""

    def wait(widget) -> None:
        qtbot.waitUntil(lambda: not widget.running, timeout=WAIT)

    return wait


@pytest.fixture
def wait_until(qtbot) -> Callable:
    """Let Qt work until a condition holds."""

    def wait(condition: Callable[[], bool]) -> None:
        qtbot.waitUntil(condition, timeout=WAIT)

    return wait


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if HAS_DISPLAY:
        return
    for item in items:
        if "make_napari_viewer" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason="needs a display or Xvfb (apt-get install xvfb)"))
