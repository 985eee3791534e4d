"""Forms made from settings classes keep every value."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import Field
from qtpy.QtCore import QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication

from napari_genprior import settings
from napari_genprior._napari.field_editors import NullableEditor, ScientificSpinBox
from napari_genprior._napari.settings_form import SettingsForm
from napari_genprior._napari.simulate_widget import RELEVANT
from napari_genprior.settings import BlurSettings, Settings
from napari_genprior.simulation import make_kernel

ALL = [
    value
    for value in vars(settings).values()
    if isinstance(value, type) and issubclass(value, Settings) and value is not Settings
]


class Odd(Settings):
    """Everything a form may meet."""

    tiny: float = Field(1e-5, gt=0, le=1)
    count: int | None = Field(None, ge=1, le=9)
    choice: Literal["a", "b"] = "b"
    flag: bool = True
    text: str = "as it is"
    free: float = -2.5
    path: tuple[int, ...] = (1, 2)  # has no editor


@pytest.mark.parametrize("model", ALL, ids=lambda model: model.__name__)
def test_the_form_shows_the_defaults_of_every_field(qtbot, model):
    form = SettingsForm(model)
    qtbot.addWidget(form)
    assert form.values() == model().model_dump()
    assert model.checked(form.values()) == model()


@pytest.mark.parametrize("model", ALL, ids=lambda model: model.__name__)
def test_every_field_has_title_and_help(qtbot, model):
    for name, field in model.model_fields.items():
        assert field.title, name
        assert field.description, name


def test_any_value_goes_through(qtbot, caplog):
    values = {"tiny": 3e-7, "count": 4, "choice": "a", "flag": False, "text": "é", "free": 1e12}
    form = SettingsForm(Odd())
    qtbot.addWidget(form)
    assert form.values() == Odd().model_dump(exclude={"path"})
    assert "path" in caplog.text  # said, not silently left out
    form.set_values(values | {"unknown": 1})
    assert form.values() == values
    assert Odd.checked(form.values())
    form.set_values({"count": None})
    assert form.values()["count"] is None


def test_an_instance_gives_the_start_values(qtbot):
    form = SettingsForm(BlurSettings(kind="defocus", radius_px=7.25))
    qtbot.addWidget(form)
    assert form.values()["radius_px"] == 7.25
    assert form.values()["kind"] == "defocus"


def test_bounds_cannot_be_left(qtbot):
    form = SettingsForm(Odd)
    qtbot.addWidget(form)
    form.set_values({"tiny": -3.0, "count": 99})
    assert Odd.checked(form.values()).count == 9
    assert 0 < form.values()["tiny"] < 1e-9


def test_a_typed_number_counts_without_enter(qtbot):
    form = SettingsForm(Odd, include=("tiny",))
    qtbot.addWidget(form)
    number = form.editor("tiny")
    assert isinstance(number, ScientificSpinBox)
    number.lineEdit().selectAll()
    qtbot.keyClicks(number.lineEdit(), "2.5e-6")
    assert form.values() == {"tiny": 2.5e-6}


def test_a_change_is_announced(qtbot):
    form = SettingsForm(Odd)
    qtbot.addWidget(form)
    for name, value in {"tiny": 0.5, "count": 2, "choice": "a", "flag": False, "text": "x"}.items():
        with qtbot.waitSignal(form.changed):
            form.set_values({name: value})


def test_auto_switches_the_editor_off(qtbot):
    form = SettingsForm(Odd, include=("count",))
    qtbot.addWidget(form)
    editor = form.editor("count")
    assert isinstance(editor, NullableEditor)
    assert not editor.editor.isEnabled()
    editor.auto.setChecked(False)
    assert editor.editor.isEnabled()


def test_the_wheel_changes_no_number_that_was_not_clicked(qtbot):
    form = SettingsForm(Odd, include=("free",))
    qtbot.addWidget(form)
    up = QWheelEvent(
        QPointF(5, 5), QPointF(5, 5), QPointF(0, 120).toPoint(), QPointF(0, 120).toPoint(), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(form.editor("free"), up)
    assert form.values() == {"free": -2.5}


@pytest.mark.parametrize("kind", RELEVANT)
def test_the_hidden_blur_settings_matter_not_and_the_shown_ones_do(kind):
    base = {"kind": kind, "length": 15.0, "angle_deg": 30.0, "sigma_px": 2.0, "aspect": 0.5, "radius_px": 4.0}
    other = {"length": 9.0, "angle_deg": 70.0, "sigma_px": 3.0, "aspect": 0.9, "radius_px": 2.0}
    kernel = make_kernel(BlurSettings(**base))
    for name, value in other.items():
        changed = make_kernel(BlurSettings(**base | {name: value}))
        same = changed.shape == kernel.shape and bool((changed == kernel).all())
        assert same == (name not in RELEVANT[kind]), name


def test_every_blur_is_known_to_the_widget():
    assert set(RELEVANT) == set(BlurSettings.model_fields["kind"].annotation.__args__)
