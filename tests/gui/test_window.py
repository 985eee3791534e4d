"""In napari's real window."""

from __future__ import annotations

import gc
import weakref
from functools import partial

import numpy as np
import pytest

from napari_genprior import samples

PLUGIN = "napari-genprior"


@pytest.fixture
def window(make_napari_viewer, slow):
    viewer = make_napari_viewer(strict_qt="raise")
    return viewer, slow


@pytest.mark.slow
def test_simulate_then_deblur(window, finish):
    viewer, slow = window
    viewer.add_image(samples.cells(), name="cells", scale=(0.1, 0.1), units=("um", "um"))
    _, simulate = viewer.window.add_plugin_dock_widget(PLUGIN, "Blur simulation")
    simulate.run_button.click()
    finish(simulate)
    _, deblur = viewer.window.add_plugin_dock_widget(PLUGIN, "Deblur")
    deblur.image.choose(viewer.layers["cells blurred"])
    deblur.refresh()
    slow.step(100)
    deblur.run_button.click()
    finish(deblur)
    result = viewer.layers["cells blurred deblurred"]
    assert result.data.dtype == np.uint16
    np.testing.assert_allclose(result.scale, (0.1, 0.1))
    assert result.units == viewer.layers["cells"].units


@pytest.mark.slow
def test_the_dock_closed_while_running(window, wait_until):
    viewer, slow = window
    viewer.add_image(samples.cells(), name="cells")
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Deblur")
    widget.run_or_cancel()
    slow.step()
    wait_until(lambda: "cells deblurred" in viewer.layers)
    viewer.window.remove_dock_widget(dock)  # what the cross in the dock's corner does
    assert not widget.running
    assert viewer.layers["cells deblurred"].metadata["genprior"]["status"]["code"] == "stopped"
    slow.step()
    assert slow.closed.wait(20)
    gone = weakref.ref(widget)
    del widget, dock
    gc.collect()
    assert gone() is None  # nothing of ours keeps a closed widget alive


def has_samples(widget) -> bool:
    return widget.image_prior.samples.images is not None


@pytest.mark.slow
def test_generator_priors_in_the_window(window, priors, image, finish, wait_until):
    viewer, slow = window
    viewer.add_image(image, name="b", scale=(0.1, 0.1), units=("um", "um"))
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Deblur with generative priors")
    wait_until(partial(has_samples, widget))
    assert widget.image_prior.samples.sizeHint().height() >= 40
    slow.step(100)
    widget.run_button.click()
    finish(widget)
    np.testing.assert_allclose(viewer.layers["b restart std"].scale, (0.1, 0.1))
    assert not widget.plot.isHidden()
    viewer.window.remove_dock_widget(dock)
    gone = weakref.ref(widget)
    del widget, dock
    gc.collect()
    assert gone() is None


@pytest.mark.slow
def test_the_window_closed_while_running(window, wait_until):
    viewer, slow = window
    viewer.add_image(samples.cells(), name="cells")
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Deblur")
    widget.run_or_cancel()
    slow.step()
    wait_until(lambda: "cells deblurred" in viewer.layers)
    viewer.close()
    slow.step()
    assert slow.closed.wait(20)


@pytest.mark.slow
def test_samples_open_from_the_menu(window):
    viewer, _ = window
    for key in ("clock", "cells", "synthetic"):
        assert viewer.open_sample(PLUGIN, key), key
