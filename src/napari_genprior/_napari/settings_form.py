"""Make a form from a settings class: one row per field, with its title, help text, bounds and unit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import QAbstractSpinBox, QComboBox, QFormLayout, QLabel, QVBoxLayout, QWidget
from superqt import QCollapsible

from .field_editors import get_value, help_text, make_editor, notifier, rich, set_value

logger = logging.getLogger(__name__)

LABEL_WIDTH = 100  # px; the same in all forms, so that forms below each other line up


class _WheelGuard(QObject):
    """Let the wheel scroll the form instead of changing the number under the pointer."""

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        wheel = event is not None and event.type() == QEvent.Type.Wheel
        if event is not None and wheel and isinstance(watched, QWidget) and not watched.hasFocus():
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
        """Names of all rows, in order."""
        return list(self._rows)

    def add(self, name: str, title: str, editor: QWidget, tip: str) -> None:
        """Append a row; ``tip`` is the tooltip of its label and its editor."""
        label = QLabel(title)
        label.setFixedWidth(LABEL_WIDTH)
        label.setWordWrap(True)
        for widget in (label, editor):
            widget.setToolTip(tip if tip.startswith("<") else rich(tip))
        for widget in (editor, *editor.findChildren(QWidget)):
            if isinstance(widget, QAbstractSpinBox | QComboBox):
                widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
                widget.installEventFilter(self._guard)
        self._layout.addRow(label, editor)
        self._rows[name] = (label, editor)

    def show_row(self, name: str, shown: bool) -> None:
        """Show or hide a row."""
        for widget in self._rows[name]:
            widget.setVisible(shown)

    def editor(self, name: str) -> Any:
        """Return the editor of a row."""
        return self._rows[name][1]

    def _emit(self, *_: Any) -> None:
        self.changed.emit()


class SettingsForm(Rows):
    """Editors for the fields of a settings class.

    Parameters
    ----------
    settings : settings class, or instance
        An instance gives the initial values; a class its defaults.
    include : names, optional
        Fields to show, in the order of the class; by default all.
    exclude : names
        Fields to leave out.
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
                logger.warning("%s.%s has a type without an editor; its default is used", model.__name__, name)
                continue
            self.add(name, field.title or name, editor, help_text(field))
            default = field.get_default(call_default_factory=True)
            set_value(editor, default if settings is model else getattr(settings, name))
            notifier(editor).connect(self._emit)

    def values(self) -> dict[str, Any]:
        """Return plain values by field name, ready for the settings class."""
        return {name: get_value(editor) for name, (_, editor) in self._rows.items()}

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Show these values; names that are not in the form are ignored."""
        for name, value in values.items():
            if name in self._rows:
                set_value(self.editor(name), value)

    def show_only(self, names: Iterable[str]) -> None:
        """Hide the rows of all other fields; their values stay."""
        shown = set(names)
        for name in self._rows:
            self.show_row(name, name in shown)


class FormPairs(QWidget):
    """Two forms for each settings class, made when first asked for: one in sight, one folded away.

    Parameters
    ----------
    basic : names
        Fields of the forms in this widget.
    custom : names
        Fields in neither form, as the widget has its own editors for them.
    folded : QCollapsible
        Takes the forms of all other fields.
    changed : callable
        Called when any value changes.
    """

    def __init__(
        self,
        basic: Collection[str],
        custom: Collection[str],
        folded: QCollapsible,
        changed: Callable[[], None],
    ) -> None:
        super().__init__()
        self._basic, self._custom = basic, custom
        self._folded, self._changed = folded, changed
        self._pairs: dict[str, tuple[SettingsForm, SettingsForm]] = {}
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)

    def pair(self, name: str, settings: type[BaseModel]) -> tuple[SettingsForm, SettingsForm]:
        """Return the forms stored under ``name``: basic fields, all others."""
        if name not in self._pairs:
            fields = [field for field in settings.model_fields if field not in self._custom]
            basic = SettingsForm(settings, [field for field in fields if field in self._basic])
            rest = SettingsForm(settings, [field for field in fields if field not in self._basic])
            self._column.addWidget(basic)
            folded = self._folded.content().layout()
            assert folded is not None
            folded.addWidget(rest)
            for form in (basic, rest):
                form.changed.connect(self._changed)
            self._pairs[name] = basic, rest
        return self._pairs[name]

    def show_only(self, shown: tuple[SettingsForm, SettingsForm]) -> None:
        """Show this pair of forms, and the fold only where there is something in it."""
        for forms in self._pairs.values():
            for form, own in zip(forms, shown, strict=True):
                form.setVisible(form is own and bool(form.names))
        self._folded.setVisible(bool(shown[1].names))
