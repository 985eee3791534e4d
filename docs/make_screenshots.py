"""Take screenshots of the widgets in the real napari window: idle, running, done, and with an unusable image.

xvfb-run -a -s "-screen 0 1280x900x24" .venv/bin/python docs/make_screenshots.py [FOLDER]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_genprior import samples, simulate
from napari_genprior.blur import shake

SIZE = (1280, 900)
PLUGIN = "napari-genprior"


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer(show=True)
    viewer.window.resize(*SIZE)

    viewer.add_image(samples.cat(), name="cat", rgb=True)
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Blur simulation")
    shoot(viewer, folder / "simulate-idle.png")
    widget.blur.set_values({"kind": "shake", "length": 25.0})
    widget.run()
    wait(lambda: not widget.running)
    viewer.reset_view()
    shoot(viewer, folder / "simulate-done.png")
    widget.from_layer.setChecked(True)
    shoot(viewer, folder / "simulate-from-layer.png")
    viewer.window.remove_dock_widget(dock)
    viewer.layers.clear()

    viewer.add_image(samples.clock(), name="clock", scale=(0.5, 0.5), units=("um", "um"))
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Deblur")
    viewer.reset_view()
    shoot(viewer, folder / "deblur-idle.png")
    widget.run_or_cancel()
    wait(lambda: widget.bar.value() > 300 or not widget.running)
    shoot(viewer, folder / "deblur-running.png")
    wait(lambda: not widget.running)
    viewer.reset_view()
    shoot(viewer, folder / "deblur-done.png")

    choose(widget.method, "known-kernel")
    widget.advanced.expand(animate=False)
    shoot(viewer, folder / "deblur-known-kernel.png")

    flat = np.ones((64, 64), np.float32)
    choose(widget.method, "auto")
    widget.image.choose(viewer.add_image(flat, name="without contrast", visible=False, units=("um", "um")))
    shoot(viewer, folder / "deblur-unusable.png")
    viewer.theme = "light"
    shoot(viewer, folder / "deblur-light.png")
    viewer.theme = "dark"
    viewer.window.remove_dock_widget(dock)
    viewer.layers.clear()
    generator_priors(viewer, folder)
    others(viewer, folder)
    viewer.close()


def generator_priors(viewer: napari.Viewer, folder: Path) -> None:
    """Show the widget for generative priors, with ``nuclei-64`` if that prior is installed."""
    cells = samples.cells()
    viewer.add_image(cells, name="cells", scale=(0.1, 0.1), units=("um", "um"))
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Deblur with generative priors")
    viewer.reset_view()
    shoot(viewer, folder / "generator-none-fits.png")
    viewer.layers.clear()
    made = simulate(cells[96:192, 46:142], shake(12, seed=1), noise=0.01)
    viewer.add_image(made.blurred[7:71, 8:72], name="nucleus", scale=(0.1, 0.1), units=("um", "um"))
    viewer.reset_view()
    start = time.monotonic()
    wait(lambda: widget.image_prior.samples.images is not None or time.monotonic() - start > 10)
    shoot(viewer, folder / "generator-idle.png")
    choose(widget.method, "relaxed")
    shoot(viewer, folder / "generator-relaxed.png")
    if widget.run_button.isEnabled():
        widget.run_or_cancel()
        wait(lambda: widget.plot.steps or not widget.running)
        shoot(viewer, folder / "generator-running.png")
        wait(lambda: not widget.running)
        viewer.reset_view()
        shoot(viewer, folder / "generator-done.png")
    viewer.window.remove_dock_widget(dock)


def others(viewer: napari.Viewer, folder: Path) -> None:
    """Show the widgets for untrained networks, for kernels and for training."""
    viewer.layers.clear()
    viewer.add_image(samples.clock(), name="clock")
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Deblur with deep image prior (untrained networks)")
    widget.time_limit.auto.setChecked(False)
    viewer.reset_view()
    shoot(viewer, folder / "untrained-idle.png")
    viewer.window.remove_dock_widget(dock)
    viewer.layers.clear()
    viewer.add_image(shake(21, seed=7), name="shake kernel", scale=(0.1, 0.1), units=("um", "um"), colormap="inferno")
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Kernel tools")
    viewer.reset_view()
    shoot(viewer, folder / "kernel-tools.png")
    viewer.window.remove_dock_widget(dock)
    viewer.layers.clear()
    viewer.add_image(samples.cells(), name="cells", scale=(0.1, 0.1), units=("um", "um"))
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Train a prior")
    widget.folder = Path(tempfile.mkdtemp())  # nothing is put beside the user's own priors
    widget.patch_size.setValue(32)
    viewer.reset_view()
    widget.train_or_stop()
    wait(lambda: not widget.running)
    shoot(viewer, folder / "train-done.png")


def choose(combo, data: str) -> None:
    """Choose an entry of a list by its data."""
    combo.setCurrentIndex(combo.findData(data))


def wait(condition, seconds: float = 300) -> None:
    """Process Qt events until ``condition`` holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the window did not reach the state to show")
        QApplication.processEvents()
        time.sleep(0.01)


def shoot(viewer: napari.Viewer, path: Path) -> None:
    """Save the whole window once it no longer changes."""
    start = time.monotonic()
    wait(lambda: time.monotonic() - start > 0.4)
    viewer.window.screenshot(str(path), flash=False, canvas_only=False)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images"))
