"""The menu beside Run: settings are saved and loaded, and a run can be repeated without the window."""

from __future__ import annotations

import json

import numpy as np
import pytest
from napari.layers._source import layer_source
from qtpy.QtWidgets import QApplication

from napari_genprior._napari.deblur_widget import DeblurWidget
from napari_genprior._napari.generator_widget import GeneratorWidget
from napari_genprior._napari.resolve import Scope


@pytest.fixture
def widget(qtbot, viewer, slow):
    made = DeblurWidget(viewer)
    qtbot.addWidget(made)
    return made


def clipboard() -> str:
    return QApplication.clipboard().text()


def change(widget) -> None:
    widget.method.setCurrentText("classical")
    widget.seed.setValue(7)
    widget.time_limit.auto.setChecked(False)
    widget.time_limit.editor.setValue(30)
    widget.kernel_size.auto.setChecked(False)
    widget.kernel_size.editor.setValue(15)
    for form in widget.method_forms("classical"):
        form.set_values({"regularization": 2.5})


def test_saved_settings_come_back_after_a_reset(widget, tmp_path):
    change(widget)
    before = widget.arguments()
    widget.menu.save(tmp_path / "mine.json")
    assert "mine.json" in widget.verdict.text()
    widget.menu.reset()
    assert widget.arguments()["method"] == "slow"  # the first in the list
    assert widget.arguments()["seed"] == 0
    assert widget.arguments()["time_limit_s"] is None
    assert widget.arguments()["kernel_size"] == "auto"
    widget.menu.load(tmp_path / "mine.json")
    assert widget.arguments() == before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"method": "generator"}, "not in this widget"),
        ({"method": "classical", "settings": {"regularization": -1}}, "regularization"),
        ({"method": "classical", "settings": {"nonsense": 1}}, "Unknown setting 'nonsense'"),
    ],
)
def test_a_file_that_does_not_fit_changes_nothing(widget, tmp_path, content, words):
    change(widget)
    before = widget.arguments()
    (tmp_path / "other.json").write_text(json.dumps(content))
    widget.menu.load(tmp_path / "other.json")
    assert words in widget.verdict.text()
    assert widget.verdict.kind == "bad"
    assert widget.arguments() == before


def test_script_and_command_name_the_file_of_the_layer(widget, viewer, image, tmp_path):
    with layer_source(path=str(tmp_path / "a.npy")):  # as napari's readers do
        viewer.add_image(image, name="a")
    change(widget)
    widget.menu.copy_command()
    path = str(tmp_path / "a.npy")
    assert clipboard().startswith(f"genprior deblur {path} -o ")
    assert "--method classical --kernel-size 15 --seed 7 --time-limit 30 --setting regularization=2.5" in clipboard()
    assert widget.verdict.text() == "Copied."
    widget.menu.copy_script()
    assert f"gp.deblur({path!r}, method='classical'" in clipboard()
    compile(clipboard(), "script", "exec")


def test_layers_without_a_file_are_named(widget, viewer, image):
    viewer.add_image(np.ones((3, 3)), name="my kernel")
    viewer.add_image(image, name="made here")
    widget.method.setCurrentText("known-kernel")
    widget.menu.copy_command()
    assert "deblur image.tif" in clipboard()
    assert "--kernel kernel.tif" in clipboard()
    assert "save the layer 'made here' as image.tif first" in widget.verdict.text()
    assert "save the layer 'my kernel' as kernel.tif first" in widget.verdict.text()


@pytest.mark.slow
def test_the_priors_of_a_request_are_chosen(qtbot, viewer, slow, priors, image, tmp_path):
    viewer.add_image(image[:40, :48], name="b")
    widget = GeneratorWidget(viewer)
    qtbot.addWidget(widget)
    widget.method.setCurrentText("slow-prior")
    widget.refresh()
    widget.image_prior.choose("lines-40")
    widget.kernel_prior.choose("shakes-9")
    before = widget.arguments()
    assert before["image_prior"] == "lines-40"
    widget.menu.save(tmp_path / "mine.json")
    widget.image_prior.choose("dots-40")
    widget.kernel_prior.choose("strokes-5")
    widget.menu.load(tmp_path / "mine.json")
    assert widget.arguments() == before


def test_the_menu_rests_during_a_run(widget, viewer, slow, image, finish):
    viewer.add_image(image, name="b")
    widget.run_or_cancel()
    assert not widget.menu.isEnabled()
    slow.step(100)
    finish(widget)
    assert widget.menu.isEnabled()


def test_script_and_command_name_the_scope(widget, viewer, image, tmp_path):
    with layer_source(path=str(tmp_path / "s.tif")):
        viewer.add_image(np.stack([image] * 3), name="s", axis_labels=("t", "y", "x"))
    change(widget)
    widget.choose_scope(Scope.FRAME)
    widget.show_axes()
    widget.menu.copy_command()
    assert f"deblur {tmp_path / 's.tif'} -o" in clipboard()
    assert "--method classical" in clipboard()
    assert "--axes TYX" in clipboard()
    assert "--kernel-per frame" in clipboard()
    widget.menu.copy_script()
    assert "method='classical'" in clipboard()
    assert "kernel_per='frame'" in clipboard()
    widget.choose_scope(Scope.VARYING)
    widget.tiles.setValue(2)
    widget.menu.copy_command()
    assert "--tiles 2x2" in clipboard()


def test_of_a_volume_only_what_volumes_use_is_copied(widget, viewer, image, tmp_path):
    with layer_source(path=str(tmp_path / "s.tif")):
        viewer.add_image(
            np.stack([image] * 5), name="s", axis_labels=("z", "y", "x"), scale=(3, 1, 1), units=["um"] * 3
        )
    change(widget)
    widget.choose_scope(Scope.VOLUME)
    widget.show_axes()
    widget.menu.copy_command()
    assert "--mode 3d" in clipboard()
    assert "--kernel-size" not in clipboard()
    assert "--method" not in clipboard()
    widget.menu.copy_script()
    assert "mode='3d', voxel_size_um=(3.0, 1.0, 1.0)" in clipboard()


def test_loaded_settings_bring_their_scope_and_reset_leaves_it(widget, viewer, image, tmp_path):
    viewer.add_image(np.stack([image] * 3), name="s", axis_labels=("c", "y", "x"))
    change(widget)
    widget.choose_scope(Scope.CHANNEL)
    widget.show_axes()
    before = widget.arguments()
    assert before["axes"] == "CYX"
    widget.menu.save(tmp_path / "mine.json")
    widget.menu.reset()
    assert widget.chosen_scope is Scope.IMAGE
    widget.menu.load(tmp_path / "mine.json")
    assert widget.chosen_scope is Scope.CHANNEL
    assert widget.arguments() == before
