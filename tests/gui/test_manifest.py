"""What napari reads at start-up: cheap to read, and every name in it leads somewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from napari._app_model.constants import MenuId
from napari.layers import Layer
from npe2 import PluginManifest

import napari_genprior

MANIFEST = Path(napari_genprior.__file__).parent / "napari.yaml"

DISCOVER = """
import json, sys
from npe2 import PluginManager
manager = PluginManager()
manager.discover()
manifest = manager.get_manifest("napari-genprior")
print(json.dumps({
    "widgets": [w.display_name for w in manifest.contributions.widgets],
    "loaded": [name for name in sys.modules if name == "torch" or name.startswith("napari_genprior.")],
}))
"""


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_file(MANIFEST)


def test_discovery_finds_the_widgets_and_imports_neither_torch_nor_our_modules():
    done = subprocess.run([sys.executable, "-c", DISCOVER], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert set(found["widgets"]) == {
        "Deblur",
        "Deblur with generative priors",
        "Deblur with deep image prior (untrained networks)",
        "Blur simulation",
        "Kernel tools",
        "Train a prior",
    }
    assert found["loaded"] == []


def test_npe2_accepts_the_manifest():
    done = subprocess.run([sys.executable, "-m", "npe2.cli", "validate", str(MANIFEST)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_link_at_the_top_is_the_manifest():
    link = Path(__file__).parents[2] / "napari.yaml"
    assert link.resolve() == MANIFEST.resolve()


def test_every_command_leads_to_something_callable(manifest):
    for command in manifest.contributions.commands:
        module, _, name = command.python_name.partition(":")
        assert callable(getattr(import_module(module), name)), command.id


def test_widgets_samples_and_menus_name_commands_that_exist(manifest):
    commands = {command.id for command in manifest.contributions.commands}
    contributions = manifest.contributions
    used = {contribution.command for contribution in (*contributions.widgets, *contributions.sample_data)}
    entries = [item for items in contributions.menus.values() for item in items]
    used |= {entry.command for entry in entries if hasattr(entry, "command")}
    assert used
    assert used <= commands


def test_menus_exist_in_napari_or_here(manifest):
    own = {submenu.id for submenu in manifest.contributions.submenus}
    for menu, items in manifest.contributions.menus.items():
        assert menu in own or menu in MenuId.contributables(), menu
        assert {item.submenu for item in items if hasattr(item, "submenu")} <= own


def test_samples_open_as_layers(manifest):
    commands = {command.id: command.python_name for command in manifest.contributions.commands}
    for sample in manifest.contributions.sample_data:
        module, _, name = commands[sample.command].partition(":")
        layers = [Layer.create(*data) for data in getattr(import_module(module), name)()]
        assert layers, sample.key
        assert all(layer.name != "Image" for layer in layers)
