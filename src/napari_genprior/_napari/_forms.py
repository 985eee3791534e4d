"""A form from a settings class: one row per field, with its title, help text, bounds and unit."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import QAbstractSpinBox, QComboBox, QFormLayout, QLabel, QWidget

from ._editors import get_value, help_text, make_editor, notifier, set_value

logger = logging.getLogger(__name__)

LABEL_WIDTH = 110  # px; the same in all forms, so that forms below each other line up


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
