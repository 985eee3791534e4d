"""Measure the pauses of the window during a run, and the time until Cancel takes effect.

    xvfb-run -a -s "-screen 0 1280x900x24" .venv/bin/python benchmarks/gui.py [--side 512] [--runs 3]

A timer is due every 5 ms; the interval between two of its events is a gap. For each run the median and the longest gap
and the time from Cancel to the end of the run are printed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import napari
import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_genprior import blur, simulate

INTERVAL_MS = 5
METHODS = {"Deblur": ("auto",), "Deblur with deep image prior (untrained networks)": ("selfdeblur",)}


class Gaps:
    """The intervals between the events of a timer, in milliseconds."""

    def __init__(self) -> None:
        self.gaps: list[float] = []
        self._last = time.perf_counter()
        self._timer = QTimer()
        self._timer.timeout.connect(self._record)
        self._timer.start(INTERVAL_MS)

    def _record(self) -> None:
        now = time.perf_counter()
        self.gaps.append(1000 * (now - self._last))
        self._last = now

    def stop(self) -> None:
        """Stop the timer."""
        self._timer.stop()


def work_until(condition: Callable[[], bool], seconds: float = 600) -> None:
    """Process events of the window until ``condition`` holds, for at most ``seconds``."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.0005)


def image(side: int) -> np.ndarray:
    """Simulate blocks of many sizes under motion blur, uint8 ``[side, side]``."""
    random = np.random.default_rng(0)
    sharp = np.zeros((side, side))
    for _ in range(150):
        y, x, h, w = random.integers(0, side, 4)
        sharp[y : y + h // 4, x : x + w // 4] = random.random()
    return np.rint(255 * simulate(sharp, blur.motion(15, 30), noise=0.01, seed=0).blurred).astype(np.uint8)


def main() -> None:
    """Measure all methods and print a line per run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=512, help="side of the image in pixels")
    parser.add_argument("--runs", type=int, default=3, help="number of runs of each method")
    options = parser.parse_args()
    viewer = napari.Viewer(show=True)
    viewer.add_image(image(options.side), name="b")
    work_until(lambda: False, 2)
    print("method, median gap ms, longest gap ms, seconds; cancel ms")
    for title, methods in METHODS.items():
        dock, widget = viewer.window.add_plugin_dock_widget("napari-genprior", title)
        for method in methods:
            widget.method.setCurrentIndex(widget.method.findData(method))
            for _ in range(options.runs):
                measure(widget, method)
        viewer.window.remove_dock_widget(dock)
    viewer.close()


def measure(widget, method: str) -> None:
    """Measure the gaps of one run to its end (or for 20 s), and one run that is cancelled after a second."""
    work_until(lambda: widget.run_button.isEnabled())
    gaps, started = Gaps(), time.perf_counter()
    widget.run_or_cancel()
    work_until(lambda: not widget.running, 20)
    seconds = time.perf_counter() - started
    gaps.stop()
    if widget.running:
        widget.run_or_cancel()
        work_until(lambda: not widget.running)
    widget.run_or_cancel()
    work_until(lambda: False, 1)
    pressed = time.perf_counter()
    widget.run_or_cancel()
    work_until(lambda: not widget.running)
    cancel = 1000 * (time.perf_counter() - pressed)
    print(f"{method}, {np.median(gaps.gaps):.1f}, {max(gaps.gaps):.0f}, {seconds:.1f}; {cancel:.0f}")


if __name__ == "__main__":
    main()
