"""Fixtures of the widget tests: a viewer without a window, and a method whose every step the test itself triggers."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from napari.components import ViewerModel
from napari.qt.threading import WorkerBase
from pydantic import Field
from qtpy.QtCore import QThreadPool
from qtpy.QtWidgets import QApplication

from napari_genprior._napari import request_form, workers
from napari_genprior._napari.deblur_widget import DeblurWidget
from napari_genprior._napari.preferences import Preferences
from napari_genprior.core.result import RESTART_STD
from napari_genprior.methods import Problem, Recipe, Snapshot, Solution
from napari_genprior.methods import registry as methods
from napari_genprior.nets.linear_gaussian import LinearGenerator
from napari_genprior.pipeline import runtime_estimate
from napari_genprior.settings import Settings
from napari_genprior.zoo import store
from napari_genprior.zoo.card import Card
from napari_genprior.zoo.export import write_prior

HAS_DISPLAY = sys.platform != "linux" or bool(os.environ.get("DISPLAY") or shutil.which("Xvfb"))
if not HAS_DISPLAY:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

WAIT = 60_000  # ms; a bound for a hanging test, not an expectation


class SlowSettings(Settings):
    """Settings of the method that the tests drive."""

    steps: int = Field(6, ge=1, le=1000, title="Steps")
    gain: float = Field(1e-5, gt=0, le=1, title="Gain", description="Does nothing.")


class SlowPriorSettings(SlowSettings):
    """Settings of the method with pretrained priors that the tests drive."""

    image_prior: str = Field("", title="Image prior")
    kernel_prior: str = Field("strokes-5", title="Kernel prior")
    restarts: int = Field(3, ge=1, le=100, title="Restarts")
    range_weight: float = Field(100.0, ge=0, le=1e6, title="Range weight (tau)")


class Slow:
    """A deblurring method that makes a step only when the test calls ``step``.

    After step n the image is brighter by n/100 of the range and the kernel's first pixel holds 1/(n + 1).
    With priors there are losses, of each restart r: 10 (r + 1) / n, and as extra_images half the image and a std of 1%.
    """

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.fail_at: int | None = None
        self.first_image = self.first_kernel = 1
        self.entered = threading.Event()
        self.closed = threading.Event()

    def step(self, times: int = 1) -> None:
        self.gate.release(times)

    def recipe(self, problem: Problem) -> Recipe:
        total = problem.settings.steps
        image, kernel = problem.blurred, torch.full((1, 1, 3, 3), 1 / 9)
        with_priors = isinstance(problem.settings, SlowPriorSettings)
        restarts = torch.arange(problem.settings.restarts) + 1.0 if with_priors else None
        self.entered.set()
        try:
            for n in range(1, total + 1):
                if not self.gate.acquire(timeout=WAIT / 1000):
                    raise TimeoutError("the test did not trigger the next step")
                if n == self.fail_at:
                    raise RuntimeError("CUDA out of memory, as torch says it")
                image = problem.blurred + n / 100
                kernel = torch.zeros(1, 1, 3, 3)
                kernel[0, 0, 0, 0], kernel[0, 0, 1, 1] = 1 / (n + 1), n / (n + 1)
                shown = image if n >= self.first_image else None, kernel if n >= self.first_kernel else None
                yield Snapshot(n, total, f"step {n}", *shown, {"total": 10 * restarts / n} if with_priors else {})
            extra_images = (
                {"generator estimate": image / 2, RESTART_STD: torch.full_like(image, 0.01)} if with_priors else {}
            )
            candidates = [(kernel, 1.0), (torch.full((1, 1, 3, 3), 1 / 9), 2.0)]
            return Solution(image, kernel, candidates=candidates, extra_images=extra_images)
        finally:
            self.closed.set()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    """First in the list of methods: "slow", "slow-known" (which needs a kernel), "slow-prior" (with priors)."""
    monkeypatch.setattr(workers, "IMAGE_INTERVAL_S", 0.0)  # let the widget see every step
    monkeypatch.setattr(workers, "PROGRESS_INTERVAL_S", 0.0)
    monkeypatch.setattr(request_form, "preferences", lambda: Preferences(method="slow"))
    made = Slow()
    entries = {
        name: methods.Method(
            name, made.recipe, settings, "Driven by the test.", needs_kernel=name == "slow-known", finds_kernel=False
        )  # its estimate is returned, whatever the verdict
        for name, settings in (("slow", SlowSettings), ("slow-known", SlowSettings), ("slow-prior", SlowPriorSettings))
    }
    others = dict(methods.METHODS)
    methods.METHODS.clear()  # not by monkeypatch: it would put them back in another order
    methods.METHODS.update({**entries, **others})
    yield made
    made.step(10_000)
    methods.METHODS.clear()
    methods.METHODS.update(others)


@pytest.fixture
def install(tmp_path, monkeypatch) -> Callable:
    """Provide an empty folder of priors, and a function that writes a tiny prior into it."""
    folder = tmp_path / "priors"
    folder.mkdir()
    monkeypatch.setattr(store, "folders", lambda: [folder])

    def write(name: str, shape: tuple[int, ...], **about: Any) -> Card:
        """``shape`` is channels and size; ``about`` changes the card."""
        net = LinearGenerator(2, *shape, kernel=about.get("kind") == "kernel")
        net.mean.fill_(0.4 + 0.01 * len(name))  # so that no two files are the same
        net.basis.copy_(torch.linspace(-0.2, 0.2, net.basis.numel()).reshape(net.basis.shape))
        arguments = {"latent": 2, "kernel": net.kernel}
        arguments |= dict(zip(("channels", "height", "width"), shape, strict=True))
        card = {
            "kind": "image", "arch": "linear", "arguments": arguments, "latent": 2, "distribution": "normal",
            "channels": shape[0], "size": shape[1:], "output_range": (0.0, 1.0), "license_weights": "BSD-3-Clause",
            "license_data": "CC0", "data": f"images of {name}", "recipe": "tests", "metrics": {},
        }  # fmt: skip
        return write_prior(net, folder, half=False, name=name, **card | about)

    write.folder = folder
    return write


@pytest.fixture
def priors(install) -> None:
    """Install two priors of images like ``image`` (grey, 40x48), one of small colour images, two of kernels."""
    install("dots-40", (1, 40, 48), metrics={"psnr_range_db": 21.25})
    install("lines-40", (1, 40, 48), license_data="research only", data="engravings")
    install("faces-16", (3, 16, 16))
    install("shakes-9", (1, 9, 9), kind="kernel", metrics={"relative_range_error": 0.12})
    install("strokes-5", (1, 5, 5), kind="kernel")


@pytest.fixture
def viewer() -> ViewerModel:
    """Provide napari's viewer without its window: layers, sliders, selection."""
    return ViewerModel()


@pytest.fixture
def image() -> np.ndarray:
    """Provide an image, uint8 [40, 48], with room for brighter values."""
    return np.random.default_rng(0).integers(0, 128, (40, 48), dtype=np.uint8)


@pytest.fixture(autouse=True)
def durations(tmp_path, monkeypatch) -> Path:
    """Keep run times that tests record out of the user's folders."""
    path = tmp_path / "cache" / "seconds.json"
    monkeypatch.setattr(runtime_estimate, "ratio_file", lambda: path)
    return path


@pytest.fixture(autouse=True)
def no_thread_left(qapp: QApplication) -> Iterator[None]:
    """Check that the threads of a test end."""
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


@pytest.fixture
def widget(qtbot, viewer, slow):
    """Provide *Deblur*, with a method that the test drives."""
    made = DeblurWidget(viewer)
    qtbot.addWidget(made)
    return made
