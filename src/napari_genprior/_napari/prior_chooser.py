"""Choose a pretrained prior: only those that fit, each with samples and its limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from napari.qt.threading import create_worker
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from ..core.arrays import cpu_generator
from ..methods.registry import Method
from ..pipeline.prior_choice import fitting_priors
from ..zoo.card import Card
from ..zoo.store import load_prior
from .field_editors import CompactCombo, rich
from .plots import SampleStrip
from .prior_texts import limits
from .settings_form import Rows

SAMPLES = 4


def sample(card: Card) -> tuple[str, np.ndarray | str]:
    """Return the hash of the weights, and images from 0 to 1, [N, Y, X] or [N, Y, X, 3], or why there are none.

    Never raises: napari's worker would lose a RuntimeError.
    """
    try:
        decoded = load_prior(card.name).decode(torch.randn(SAMPLES, card.latent, generator=cpu_generator(0)))
        if card.kind == "kernel":
            decoded = decoded / decoded.amax((1, 2, 3), keepdim=True).clamp(min=1e-12)
        else:
            low, high = card.output_range
            decoded = (decoded - low) / (high - low)
        images = decoded.movedim(1, -1).numpy()
        return card.sha256, images[..., 0] if card.channels == 1 else images
    except Exception as error:
        return card.sha256, f"No samples: {error}"


class PriorChooser(QWidget):
    """Choice of a prior, with samples and limits below it.

    Parameters
    ----------
    kind : "image" or "kernel"
    title, tip : str
        Label and tooltip of the row.
    """

    changed = Signal()

    def __init__(self, kind: Literal["image", "kernel"], title: str, tip: str) -> None:
        super().__init__()
        self.kind = kind
        self._cards: list[Card] = []
        self._sampled_by_hash: dict[str, np.ndarray | str] = {}
        self.combo = CompactCombo()
        self.combo.setPlaceholderText("none fits")
        self.samples, self.limits = SampleStrip(), QLabel()
        self.limits.setWordWrap(True)
        self.limits.setStyleSheet("font-size: 11px;")  # long, and read once
        self.limits.setTextFormat(Qt.TextFormat.PlainText)
        self.limits.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        rows = Rows()
        rows.add("prior", title, self.combo, rich(tip))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (rows, self.samples, self.limits):
            column.addWidget(widget)
        self.combo.currentIndexChanged.connect(self._chosen)
        self._chosen()

    @property
    def card(self) -> Card | None:
        """Card of the chosen prior; None where none fits."""
        index = self.combo.currentIndex()
        return None if index < 0 else self._cards[index]

    @property
    def name(self) -> str:
        """Name of the chosen prior; "" where none fits."""
        return "" if self.card is None else self.card.name

    def choose(self, name: str) -> None:
        """Choose a prior by program; one that is not offered changes nothing."""
        index = self.combo.findData(name)
        if index >= 0:
            self.combo.setCurrentIndex(index)

    def offer(self, shape: Sequence[int], method: Method, prefers: str) -> None:
        """Offer the priors that fit image and method; the chosen one stays if it fits, else ``prefers`` or the first.

        Raises
        ------
        ModelError
            An installed card cannot be read; then no prior is offered.
        """
        before, cards = self.card, []
        try:
            cards = fitting_priors(self.kind, shape, method)
        finally:
            if cards != self._cards:
                names = [card.name for card in cards]
                kept = next((name for name in (self.name, prefers) if name in names), None)
                self.combo.blockSignals(True)
                self._cards = cards
                self.combo.clear()
                for name in names:
                    self.combo.addItem(name, name)
                self.combo.setCurrentIndex(names.index(kept) if kept else min(0, len(names) - 1))
                self.combo.blockSignals(False)
                if self.card != before:
                    self._chosen()

    def _chosen(self, *_: object) -> None:
        card = self.card
        self.combo.setEnabled(card is not None)
        for widget in (self.samples, self.limits):
            widget.setVisible(card is not None)
        if card is not None:
            self.limits.setText(limits(card))
            self._show_samples(card)
        self.changed.emit()

    def _show_samples(self, card: Card) -> None:
        images = self._sampled_by_hash.get(card.sha256)
        if isinstance(images, np.ndarray):
            self.samples.show_images(images)
            return
        self.samples.say("Drawing samples..." if images is None else images)
        if images is None:
            worker = create_worker(sample, card, _start_thread=False)
            worker.returned.connect(self._sampled)
            worker.start()

    def _sampled(self, made: tuple[str, np.ndarray | str]) -> None:
        self._sampled_by_hash[made[0]] = made[1]
        if self.card is not None and self.card.sha256 == made[0]:
            self._show_samples(self.card)
