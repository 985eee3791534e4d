"""*Deblur with deep image prior*, and the time limit that all widgets have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_genprior._napari.common_widgets import remaining
from napari_genprior._napari.untrained_widget import UntrainedWidget
from napari_genprior.methods import registry as methods


@pytest.fixture
def widget(qtbot, viewer, slow):
    methods.METHODS["slow"] = replace(methods.METHODS["slow"], untrained=True)
    made = UntrainedWidget(viewer)
    qtbot.addWidget(made)
    return made


def test_it_offers_the_untrained_methods_alone(widget):
    offered = {widget.method.itemText(i) for i in range(widget.method.count())}
    assert offered == {name for name, method in methods.METHODS.items() if method.untrained}
    assert {"slow", "selfdeblur"} <= offered


@pytest.mark.slow
def test_a_time_limit_ends_the_run_with_the_image_so_far(widget, viewer, slow, image, wait_until, finish, qtbot):
    viewer.add_image(image, name="b")
    widget.time_limit.auto.setChecked(False)
    widget.time_limit.editor.setValue(1)
    wait_until(lambda: "at most 1 s" in widget.sentence.text())
    widget.run_or_cancel()
    slow.step()
    wait_until(lambda: "b deblurred" in viewer.layers)
    qtbot.wait(1100)  # ms; the second is over when the next step is done
    slow.step()
    finish(widget)
    report = viewer.layers["b deblurred"].metadata["genprior"]
    assert report["provenance"]["arguments"]["time_limit_s"] == 1
    assert report["status"]["code"] == "stopped"
    assert "The time limit of 1 s was reached; the state at step 2 of 6" in widget.verdict.text()


@pytest.mark.parametrize(
    ("fraction", "seconds", "time_limit_s", "text"),
    [
        (0.01, 3, None, "3 s"),
        (0.25, 10, None, "10 s, about 30 s left"),
        (0.25, 10, 15, "10 s, about 5 s left"),
        (0.01, 3, 60, "3 s, about 57 s left"),
        (0.25, 20, 15, "20 s, about 0 s left"),
    ],
)
def test_the_remaining_time_is_shown(fraction, seconds, time_limit_s, text):
    assert remaining(fraction, seconds, time_limit_s) == text
