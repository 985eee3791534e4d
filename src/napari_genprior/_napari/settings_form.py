"""A form from a settings class: one row per field, with its title, help text, bounds and unit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import QAbstractSpinBox, QComboBox, QFormLayout, QLabel, QVBoxLayout, QWidget
from superqt import QCollapsible

from .field_editors import get_value, help_text, make_editor, notifier, set_value

logger = logging.getLogger(__name__)

LABEL_WIDTH = 120  # px; the same in all forms, so that forms below each other line up


class _WheelGuard(QObject):
    """Lets the wheel scroll the form instead of changing the number that happens to lie under the pointer."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return False


class Rows(QWidget):
    """Named rows of label and editor that can be hidden one by one."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._guard = _WheelGuard(self)
        self._rows: dict[str, tuple[QLabel, QWidget]] = {}
        self._layout = QFormLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)

    @property
    def names(self) -> list[str]:
        """Of all rows, in order."""
        return list(self._rows)

    def add(self, name: str, title: str, editor: QWidget, tip: str) -> None:
        """Append a row; ``tip`` is shown where the pointer rests on either of its parts."""
        label = QLabel(title)
        label.setFixedWidth(LABEL_WIDTH)
        label.setWordWrap(True)
        for widget in (label, editor):
            widget.setToolTip(tip)
        for widget in (editor, *editor.findChildren(QWidget)):
            if isinstance(widget, QAbstractSpinBox | QComboBox):
                widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
                widget.installEventFilter(self._guard)
        self._layout.addRow(label, editor)
        self._rows[name] = (label, editor)

    def show_row(self, name: str, shown: bool) -> None:
        for widget in self._rows[name]:
            widget.setVisible(shown)

    def editor(self, name: str) -> QWidget:
        return self._rows[name][1]

    def _emit(self, *_: Any) -> None:
        self.changed.emit()


class SettingsForm(Rows):
    """Editors for the fields of a settings class.

    Parameters
    ----------
    settings : settings class, or instance
        An instance gives the start values; a class its defaults.
    include : names, optional
        Only these fields, in the order of the class.
    exclude : names
        Not these.
    """

    def __init__(
        self,
        settings: type[BaseModel] | BaseModel,
        include: Collection[str] | None = None,
        exclude: Collection[str] = (),
    ) -> None:
        super().__init__()
        model = settings if isinstance(settings, type) else type(settings)
        for name, field in model.model_fields.items():
            if name in exclude or (include is not None and name not in include):
                continue
            editor = make_editor(field)
            if editor is None:
                logger.warning("%s.%s has a type the form does not know; its default is used", model.__name__, name)
                continue
            self.add(name, field.title or name, editor, help_text(field))
            default = field.get_default(call_default_factory=True)
            set_value(editor, default if settings is model else getattr(settings, name))
            notifier(editor).connect(self._emit)

    def values(self) -> dict[str, Any]:
        """Plain values by field name, ready for the settings class."""
        return {name: get_value(editor) for name, (_, editor) in self._rows.items()}

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Show these values; names that are not in the form are passed over."""
        for name, value in values.items():
            if name in self._rows:
                set_value(self.editor(name), value)

    def show_only(self, names: Iterable[str]) -> None:
        """Hide the rows of all other fields; their values stay."""
        shown = set(names)
        for name in self._rows:
            self.show_row(name, name in shown)


class FormPairs(QWidget):
    """For each of many settings classes two forms, made when first asked for: one in sight, one folded away.

    Parameters
    ----------
    in_sight : names
        Fields of the forms in this widget.
    left_out : names
        Fields that are in neither form.
    folded : QCollapsible
        Takes the forms of all other fields.
    changed : callable
        Called when any value changes.
    """

    def __init__(
        self,
        in_sight: Collection[str],
        left_out: Collection[str],
        folded: QCollapsible,
        changed: Callable[[], None],
    ) -> None:
        super().__init__()
        self._in_sight, self._left_out = in_sight, left_out
        self._folded, self._changed = folded, changed
        self._pairs: dict[str, tuple[SettingsForm, SettingsForm]] = {}
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)

    def pair(self, name: str, settings: type[BaseModel]) -> tuple[SettingsForm, SettingsForm]:
        """The forms filed under ``name``."""
        if name not in self._pairs:
            fields = [field for field in settings.model_fields if field not in self._left_out]
            in_sight = SettingsForm(settings, [field for field in fields if field in self._in_sight])
            rest = SettingsForm(settings, [field for field in fields if field not in self._in_sight])
            self.layout().addWidget(in_sight)
            self._folded.content().layout().addWidget(rest)
            for form in (in_sight, rest):
                form.changed.connect(self._changed)
            self._pairs[name] = in_sight, rest
        return self._pairs[name]

    def show_only(self, shown: tuple[SettingsForm, SettingsForm]) -> None:
        """Show this pair; with nothing to fold away, the fold goes too."""
        for forms in self._pairs.values():
            for form, own in zip(forms, shown, strict=True):
                form.setVisible(form is own and bool(form.names))
        self._folded.setVisible(bool(shown[1].names))
