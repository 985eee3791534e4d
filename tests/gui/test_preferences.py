"""The Preferences page: its values are where the widgets begin."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from napari.settings import get_plugin_settings
from npe2 import PluginManifest

import napari_genprior
from napari_genprior._napari.deblur_widget import DeblurWidget
from napari_genprior._napari.generator_widget import GeneratorWidget
from napari_genprior._napari.preferences import PLUGIN, Preferences, preferences, use_threads

MANIFEST = Path(napari_genprior.__file__).parent / "napari.yaml"


@pytest.fixture
def page(plugin_settings, npe2pm):
    """The plugin's own page, as a fresh user finds it."""
    npe2pm.register(PluginManifest.from_file(MANIFEST))
    return get_plugin_settings(PLUGIN).deblurring


def test_the_page_begins_with_the_defaults(page):
    assert preferences() == Preferences()
    assert {name: getattr(page, name) for name in asdict(Preferences())} == asdict(Preferences())


def test_without_the_plugin_the_defaults_hold(plugin_settings, npe2pm):
    assert preferences() == Preferences()


def test_every_method_on_the_page_is_in_the_widget(page, qtbot, viewer):
    widget = DeblurWidget(viewer)
    qtbot.addWidget(widget)
    choices = PluginManifest.from_file(MANIFEST).contributions.configurations["deblurring"].properties["method"].enum
    assert choices == [widget.method.itemText(i) for i in range(widget.method.count())]


def test_widgets_begin_as_preferred_and_reset_goes_there(page, qtbot, viewer):
    page.method, page.device = "known-kernel", "cpu"
    widget = DeblurWidget(viewer)
    qtbot.addWidget(widget)
    for _ in range(2):
        assert (widget.method.currentText(), widget.device.currentText()) == ("known-kernel", "cpu")
        widget.method.setCurrentText("classical")
        widget.device.setCurrentText("auto")
        widget.menu.reset()
    other = GeneratorWidget(viewer)  # which has no such method
    qtbot.addWidget(other)
    assert other.method.currentIndex() == 0


def test_a_device_that_is_not_there_becomes_auto(page, qtbot, viewer, monkeypatch):
    monkeypatch.setattr("napari_genprior._napari.request_form.available_devices", lambda: ["cpu"])
    page.device = "mps"
    widget = DeblurWidget(viewer)
    qtbot.addWidget(widget)
    assert widget.device.currentText() == "auto"


def test_threads_are_torchs_choice_or_the_users(page):
    before = torch.get_num_threads()
    try:
        use_threads()
        assert torch.get_num_threads() == before
        page.threads = 3
        use_threads()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
