"""What is drawn in the dock: the right shapes, and no trouble with odd values."""

from __future__ import annotations

import numpy as np
import pytest

from napari_genprior._napari.plots import CURVE_POINTS, LossPlot, SampleStrip, to_pixmap


@pytest.mark.parametrize(
    ("shape", "size"), [((28, 28), (84, 84)), ((20, 33, 3), (99, 60)), ((200, 100), (50, 100)), ((3, 5), (100, 60))]
)
def test_images_are_enlarged_by_whole_numbers_or_fitted(qapp, shape, size):
    pixmap = to_pixmap(np.ones(shape), 100)
    assert (pixmap.width(), pixmap.height()) == size
    assert pixmap.toImage().pixelColor(0, 0).getRgb()[:3] == (255, 255, 255)


@pytest.mark.parametrize("shape", [(4, 28, 28), (4, 7, 9, 3), (1, 64, 64)])
def test_samples_lie_side_by_side(qtbot, shape):
    strip = SampleStrip()
    qtbot.addWidget(strip)
    strip.show_images(np.zeros(shape))
    assert strip.pixmap().width() > strip.pixmap().height() or shape[0] == 1
    strip.show()
    assert strip.height() >= strip.pixmap().height()
    strip.say("none")
    assert strip.text() == "none"


def test_a_curve_per_restart_with_gaps(qtbot):
    plot = LossPlot()
    qtbot.addWidget(plot)
    plot.add(0, np.array([3.0, 2.0]))
    plot.add(10, np.array([np.inf, 1.0]))
    plot.add(20, np.array(0.5))
    np.testing.assert_array_equal(plot.curves(), [[3, 2], [np.nan, 1], [0.5, np.nan]])
    assert not plot.grab().isNull()


@pytest.mark.parametrize("losses", [[np.nan], [0.0], [-3.0, 5.0], [1e-12], [1.0, 1.0]])
def test_any_losses_can_be_drawn(qtbot, losses):
    plot = LossPlot()
    qtbot.addWidget(plot)
    for step in range(3):
        plot.add(step, np.array(losses))
        assert not plot.grab().isNull()


def test_the_best_curve_is_seen(qtbot):
    plot = LossPlot()
    qtbot.addWidget(plot)
    plot.resize(200, plot.height())
    for step in range(50):
        plot.add(step, np.array([np.exp(-step / 10), 2.0]))
    image = plot.grab().toImage()
    blue = [
        (x, y)
        for x in range(image.width())
        for y in range(image.height())
        if image.pixelColor(x, y).blue() > image.pixelColor(x, y).red() + 80
    ]
    assert len(blue) > 150
    assert min(x for x, _ in blue) < 5
    assert min(y for _, y in blue) < max(y for _, y in blue) - 30  # it falls


def test_long_runs_are_thinned_out(qtbot):
    plot = LossPlot()
    qtbot.addWidget(plot)
    for step in range(10 * CURVE_POINTS):
        plot.add(step, np.array([1.0]))
    assert len(plot.steps) <= CURVE_POINTS
    assert plot.steps[0] == 0
