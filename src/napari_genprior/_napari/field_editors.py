"""Make the editor of one field of a settings class."""

from __future__ import annotations

import types
from html import escape
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo
from qtpy.QtCore import QSize, Signal
from qtpy.QtGui import QValidator
from qtpy.QtWidgets import (
    QAbstractSlider,
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLineEdit,
    QSpinBox,
    QWidget,
)

INT_MAX = 2**31 - 1  # of Qt's spin boxes
DECIMALS = 15
NUMBER_WIDTH = 100  # px
SHORT_UNIT = 4  # characters; a longer unit is in the tooltip alone
SYMBOLS = {"degrees": "°"}


class CompactCombo(QComboBox):
    """A list whose long entries do not widen the dock."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)


class ScientificSpinBox(QDoubleSpinBox):
    """A spin box that keeps small numbers: Qt's own shows 1e-5 as 0.00 and then returns 0."""

    def __init__(self) -> None:
        super().__init__()
        self.setDecimals(DECIMALS)
        self.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)

    def textFromValue(self, value: float) -> str:
        return f"{value:.10g}"

    def valueFromText(self, text: str | None) -> float:
        return float(self._bare(text or ""))

    def validate(self, text: str | None, position: int) -> tuple[QValidator.State, str, int]:
        text = text or ""
        try:
            value = float(self._bare(text))
        except ValueError:
            # "1e-" is on the way to 1e-5
            begun = all(c in "0123456789+-.eE" for c in self._bare(text))
            return (QValidator.State.Intermediate if begun else QValidator.State.Invalid), text, position
        inside = self.minimum() <= value <= self.maximum()
        return (QValidator.State.Acceptable if inside else QValidator.State.Intermediate), text, position

    def _bare(self, text: str) -> str:
        return text.removesuffix(self.suffix()).strip()

    def sizeHint(self) -> QSize:  # Qt's hint has room for all the decimals
        return self.minimumSizeHint()

    def minimumSizeHint(self) -> QSize:
        hint = super().minimumSizeHint()
        return QSize(min(hint.width(), NUMBER_WIDTH), hint.height())


class NullableEditor(QWidget):
    """An editor beside a check box that stands for None ("auto")."""

    changed = Signal()

    def __init__(self, editor: QWidget, text: str = "auto") -> None:
        super().__init__()
        self.editor = editor
        self.auto = QCheckBox(text)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.auto)
        row.addWidget(editor, 1)
        self.auto.toggled.connect(editor.setDisabled)
        self.auto.toggled.connect(self._emit)
        notifier(editor).connect(self._emit)
        self.auto.setChecked(True)

    def _emit(self, *_: Any) -> None:
        self.changed.emit()


def help_text(field: FieldInfo) -> str:
    """Format description, unit, bounds and source of a field as a tooltip."""
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    low, high, _ = bounds(field)
    parts = [field.description or ""]
    if "unit" in extra:
        parts.append(f"Unit: {extra['unit']}.")
    if low is not None and high is not None:
        parts.append(f"From {low:g} to {high:g}.")
    if "source" in extra:
        parts.append(f"({extra['source']})")
    return rich(" ".join(p for p in parts if p))


def rich(text: str) -> str:
    """Format plain text as a tooltip that Qt breaks into lines (it does so only for rich text)."""
    return f"<qt>{escape(text)}</qt>"


def bounds(field: FieldInfo) -> tuple[float | None, float | None, bool]:
    """Return the least and greatest value of a field, and whether the least one is itself excluded."""
    low: Any = None
    high: Any = None
    open_low = False
    for limit in field.metadata:
        match limit:
            case Ge(ge=least):
                low = least
            case Gt(gt=least):
                low, open_low = least, True
            case Le(le=most) | Lt(lt=most):
                high = most
    return low, high, open_low


def make_editor(field: FieldInfo) -> QWidget | None:
    """Make the editor of a field; None for a type that has none."""
    kind = field.annotation
    if get_origin(kind) in (Union, types.UnionType):
        inner = [a for a in get_args(kind) if a is not type(None)]
        editor = _editor(inner[0], field) if len(inner) == 1 else None
        return None if editor is None else NullableEditor(editor)
    return _editor(kind, field)


def _editor(kind: Any, field: FieldInfo) -> QWidget | None:
    low, high, open_low = bounds(field)
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    unit = SYMBOLS.get(str(extra.get("unit", "")), str(extra.get("unit", "")))
    suffix = f" {unit}" if unit and len(unit) <= SHORT_UNIT else ""
    if get_origin(kind) is Literal:
        combo = CompactCombo()
        for choice in get_args(kind):
            combo.addItem(str(choice), choice)
        return combo
    if kind is bool:
        return QCheckBox()
    if kind is int:
        spin = QSpinBox()
        least = -INT_MAX if low is None else int(low) + open_low
        spin.setRange(least, INT_MAX if high is None else min(int(high), INT_MAX))
        spin.setSuffix(suffix)
        spin.setKeyboardTracking(False)
        return spin
    if kind is float:
        number = ScientificSpinBox()
        number.setRange(-1e15 if low is None else low + open_low * 10.0**-12, 1e15 if high is None else high)
        number.setSuffix(suffix)
        number.setKeyboardTracking(False)
        return number
    return QLineEdit() if kind is str else None


def get_value(editor: Any) -> Any:
    """Return the value that an editor shows."""
    match editor:
        case NullableEditor():
            return None if editor.auto.isChecked() else get_value(editor.editor)
        case QComboBox():
            return editor.currentData()
        case QCheckBox():
            return editor.isChecked()
        case QLineEdit():
            return editor.text()
        case QAbstractSlider():
            return editor.value()
    editor.interpretText()  # a number may be typed in and not yet entered
    return editor.value()


def set_value(editor: Any, value: Any) -> None:
    """Show a value in an editor."""
    match editor:
        case NullableEditor():
            editor.auto.setChecked(value is None)
            if value is not None:
                set_value(editor.editor, value)
        case QComboBox():
            editor.setCurrentIndex(editor.findData(value))
        case QCheckBox():
            editor.setChecked(bool(value))
        case QLineEdit():
            editor.setText(value)
        case _:
            editor.setValue(value)


def notifier(editor: Any) -> Any:
    """Return the signal that an editor sends when its value changes."""
    match editor:
        case NullableEditor():
            return editor.changed
        case QComboBox():
            return editor.currentIndexChanged
        case QCheckBox():
            return editor.toggled
        case QLineEdit():
            return editor.textChanged
    return editor.valueChanged
