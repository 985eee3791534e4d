"""Small widgets that all widgets of the plugin share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtCore import QObject, Qt, QTimer, Signal
from qtpy.QtGui import QIcon, QPixmap
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible, QLabeledSlider

from .field_editors import INT_MAX, CompactCombo, NullableEditor, rich

MIN_FRACTION = 0.05  # of a run; less of it says little about the rest
DOCK_WIDTH = 300  # px, the least at which no text of the forms is cut
MAX_TIME_LIMIT_S, DEFAULT_TIME_LIMIT_S = 600, 60  # of the slider; the default is shown once it is switched on
WATCHED = ("data", "labels_update", "scale", "translate", "rotate", "shear", "affine")  # events of a chosen layer
# strong enough on napari's dark and light themes alike
COLOURS = {"plain": "#7a869a", "good": "#2e9e5b", "doubt": "#d98e04", "bad": "#d1495b"}


class LayerCombo(CompactCombo):
    """Choice of a layer that follows the layer list.

    Parameters
    ----------
    viewer : ViewerModel
    accepts : callable
        Tells whether a layer is offered.
    prefers : callable
        Tells which offered layers may be chosen without the user: the active one if it is among them, else the topmost.
    none : str
        Text of a first entry that stands for no layer; "" for no such entry.
    """

    changed = Signal()  # another layer, or other data or another place in it

    def __init__(
        self,
        viewer: ViewerModel,
        accepts: Callable[[Any], bool],
        prefers: Callable[[Image], bool],
        none: str = "",
    ) -> None:
        super().__init__()
        self._viewer, self._accepts, self._prefers, self._none = viewer, accepts, prefers, none
        self._watched: Image | None = None
        self.setMinimumContentsLength(8)  # a long layer name must not widen the dock
        events = viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered, events.renamed):
            event.connect(self.refresh)
        self.currentIndexChanged.connect(self._chosen)
        self.setPlaceholderText("choose a layer")
        self.refresh()

    @property
    def layer(self) -> Image | None:
        """The chosen layer, or None."""
        return self.currentData()

    def choose(self, layer: Image) -> None:
        """Choose a layer by program."""
        self.setCurrentIndex(self._index(layer))

    def refresh(self, event: Any = None) -> None:
        """Update the offered layers: the layer list has changed, or what is accepted."""
        offered = [layer for layer in reversed(self._viewer.layers) if self._accepts(layer)]
        before = kept = self.layer
        if not any(layer is kept for layer in offered):
            kept = None
        if kept is None:
            kept = self._first([layer for layer in offered if self._prefers(layer)])
        self.blockSignals(True)
        self.clear()
        if self._none:
            self.addItem(self._none, None)
        for layer in offered:
            self.addItem(layer.name, layer)
        self.setCurrentIndex(self._index(kept))
        self.blockSignals(False)
        if kept is not before or getattr(event, "type", "") == "renamed":
            self._chosen()

    def _first(self, preferred: list[Image]) -> Image | None:
        active = self._viewer.layers.selection.active
        if any(layer is active for layer in preferred):
            return active
        return preferred[0] if preferred else None

    def _index(self, layer: Image | None) -> int:
        # not findData: it compares by value, and Qt's idea of equal Python objects differs between bindings
        return next((i for i in range(self.count()) if self.itemData(i) is layer), -1)

    def _chosen(self, *_: Any) -> None:
        for event in self._events():
            event.disconnect(self._data_changed)
        self._watched = self.layer
        for event in self._events():
            event.connect(self._data_changed)
        self.setToolTip("" if self._watched is None else rich(self._watched.name))
        self.changed.emit()

    def _events(self) -> list[Any]:
        """List the events of the watched layer that change what a run would do."""
        return [] if self._watched is None else [e for n, e in self._watched.events.emitters.items() if n in WATCHED]

    def _data_changed(self, event: Any = None) -> None:
        self.changed.emit()


class AxesCombo(CompactCombo):
    """Choice of what the axes of a layer mean; of several interpretations none is chosen at first."""

    def __init__(self) -> None:
        super().__init__()
        self.setPlaceholderText("choose what they mean")

    def offer(self, labels: Mapping[str, str]) -> None:
        """Offer these axes, each with its label; the chosen ones stay chosen if they are among them."""
        options = list(labels)
        if [self.itemData(i) for i in range(self.count())] == options:
            return
        before = self.currentData()
        self.blockSignals(True)
        self.clear()
        for axes, label in labels.items():
            self.addItem(label, axes)
        first = 0 if len(options) == 1 else -1
        self.setCurrentIndex(options.index(before) if before in options else first)
        self.blockSignals(False)


class Message(QLabel):
    """A sentence with a coloured edge, hidden while it is empty. The text can be selected and copied."""

    def __init__(self) -> None:
        super().__init__()
        self.kind = "plain"
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        self.say("")

    def say(self, text: str, kind: str = "plain") -> None:
        """Show ``text``; ``kind`` is "plain", "good", "doubt" or "bad"."""
        self.kind = kind
        self.setStyleSheet(f"QLabel {{ border-left: 4px solid {COLOURS[kind]}; padding: 2px 0px 2px 8px; }}")
        self.setText(text)
        self.setVisible(bool(text))


class Advanced(QCollapsible):
    """A part of the form that is folded away at first."""

    def __init__(self) -> None:
        nothing = QPixmap(1, 1)  # an empty QIcon is none at all to PySide6
        nothing.fill(Qt.GlobalColor.transparent)
        super().__init__("", expandedIcon=QIcon(nothing), collapsedIcon=QIcon(nothing))
        self.setDuration(0)
        # napari paints a checked button blue, which would make a headline of it
        self.toggleButton().setStyleSheet("text-align: left; border: none; background: transparent;")
        layout = self.layout()
        assert layout is not None
        layout.setContentsMargins(0, 0, 0, 0)
        self.toggled.connect(self._turn_arrow)
        self._turn_arrow(False)

    def _turn_arrow(self, expanded: bool) -> None:
        # an arrow of text: superqt's are drawn once, in the colour of the theme before napari's
        self.setText(f"{'▼' if expanded else '▶'}  Advanced")


def scrolled(owner: QWidget) -> tuple[QScrollArea, QVBoxLayout]:
    """Give ``owner`` a column that scrolls when the window is too low for it."""
    inner = QWidget()
    column = QVBoxLayout(inner)
    column.setContentsMargins(6, 6, 6, 6)
    scroll = QScrollArea()
    scroll.setWidgetResizable(True)
    scroll.setFrameShape(QFrame.Shape.NoFrame)
    scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    scroll.setWidget(inner)
    whole = QVBoxLayout(owner)
    whole.setContentsMargins(0, 0, 0, 0)
    whole.addWidget(scroll)
    owner.setMinimumWidth(DOCK_WIDTH)
    return scroll, column


def side_by_side(left: QWidget, right: QWidget) -> QHBoxLayout:
    """Lay out a drawing, and right of it a text that takes the remaining width."""
    row = QHBoxLayout()
    row.addWidget(left, 0, Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
    row.addWidget(right, 1, Qt.AlignmentFlag.AlignTop)
    return row


def stretched(left: QWidget, *others: QWidget) -> QHBoxLayout:
    """Lay out a widget that takes the remaining width, and others that take what they need."""
    row = QHBoxLayout()
    row.addWidget(left, 1)
    for widget in others:
        row.addWidget(widget, 0)
    return row


def seed_box() -> QSpinBox:
    """Make the editor of a seed."""
    box = QSpinBox()
    box.setRange(0, INT_MAX)
    return box


def time_limit_slider() -> NullableEditor:
    """Make the editor of a time limit in seconds; None for no limit."""
    slider = QLabeledSlider(Qt.Orientation.Horizontal)
    slider.setRange(1, MAX_TIME_LIMIT_S)
    slider.setValue(DEFAULT_TIME_LIMIT_S)
    return NullableEditor(slider, "no limit")


def remaining(fraction: float, seconds: float, time_limit_s: float | None) -> str:
    """Format the time that a run has taken, and an estimate of the rest once there is one."""
    left = seconds * (1 - fraction) / fraction if fraction > MIN_FRACTION else None
    if time_limit_s is not None:
        left = max(0.0, min(time_limit_s - seconds, left if left is not None else time_limit_s))
    return f"{seconds:.0f} s" if left is None else f"{seconds:.0f} s, about {left:.0f} s left"


def size_text(shape: Sequence[int]) -> str:
    """Format height and width."""
    return f"{shape[0]}x{shape[1]} px"


def debounced(owner: QObject, slot: Callable[[], None], milliseconds: int = 80) -> QTimer:
    """Make a timer whose ``start`` calls ``slot`` once, a little later: many changes at a time cost one call."""
    timer = QTimer(owner)
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.timeout.connect(slot)
    return timer
