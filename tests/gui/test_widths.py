"""No widget is wider than its dock: what does not fit would be cut off."""

from __future__ import annotations

import pytest
from qtpy.QtWidgets import QScrollArea

from napari_genprior._napari.common_widgets import DOCK_WIDTH
from napari_genprior._napari.deblur_widget import DeblurWidget
from napari_genprior._napari.generator_widget import GeneratorWidget
from napari_genprior._napari.kernel_widget import KernelWidget
from napari_genprior._napari.simulate_widget import SimulateWidget
from napari_genprior._napari.train_widget import TrainWidget
from napari_genprior._napari.untrained_widget import UntrainedWidget

SCROLL_BAR = 16  # px
WIDGETS = (DeblurWidget, GeneratorWidget, UntrainedWidget, SimulateWidget, KernelWidget, TrainWidget)


@pytest.mark.parametrize("kind", WIDGETS)
def test_the_contents_fit_into_the_dock(qtbot, viewer, kind):
    widget = kind(viewer)
    qtbot.addWidget(widget)
    methods = range(widget.method.count()) if hasattr(widget, "method") else [None]
    for index in methods:
        if index is not None:
            widget.method.setCurrentIndex(index)
            widget.advanced.expand(animate=False)
        inner = widget.findChild(QScrollArea).widget()
        assert inner.minimumSizeHint().width() + SCROLL_BAR <= DOCK_WIDTH, index
