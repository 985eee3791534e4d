"""Choosing a pretrained prior: only those that fit, each with samples and its limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from napari.qt.threading import create_worker
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QLabel, QVBoxLayout, QWidget

from ..core.arrays import cpu_generator
from ..methods.registry import Method
from ..pipeline.plan import fitting_priors
from ..zoo.card import Card
from ..zoo.store import list_priors, load_prior
from .field_editors import rich
from .plots import SampleStrip
from .settings_form import Rows

SAMPLES = 4
FIGURES = {  # of a card's metrics, those that tell a user something
    "psnr_range_db": "reaches unseen images to {:.1f} dB",
    "relative_range_error": "misses unseen kernels by {:.1%}",
}


def uses_image_prior(method: Method) -> bool:
    """Whether a method works with a pretrained generator of images."""
    return "image_prior" in method.settings.model_fields


def kernel_priors() -> list[Card]:
    """The installed priors of plane kernels."""
    return [card for card in list_priors() if card.kind == "kernel" and len(card.size) == 2]


def sample(card: Card) -> tuple[str, np.ndarray | str]:
    """The weights' hash, and images of random latents from 0 to 1: [N, Y, X] or [N, Y, X, 3], or why there are none.

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


def limits(card: Card) -> str:
    """What a user should know before trusting a prior."""
    size = "x".join(map(str, card.size))
    fits = f"Kernels of {size} px" if card.kind == "kernel" else f"Images of {size_and_colour(card)}"
    figures = [text.format(card.metrics[name]) for name, text in FIGURES.items() if name in card.metrics]
    return (
        f"{', '.join([fits, *figures])}.\n"
        f"Trained on: {card.data}.\n"
        f"Licence: {card.license_weights}; of the data: {card.license_data}."
    )


def size_and_colour(card: Card) -> str:
    """For a person: 64x64 px, colour."""
    return f"{card.size[0]}x{card.size[1]} px, {'grey' if card.channels == 1 else 'colour'}"


def no_image_prior(shape: Sequence[int]) -> str:
    """Why the list of image priors is empty, and what to do."""
    by_size: dict[str, list[str]] = {}
    for card in list_priors():
        if card.kind == "image":
            by_size.setdefault(size_and_colour(card), []).append(card.name)
    here = f"{shape[0]}x{shape[1]} px, {'colour' if len(shape) == 3 else 'grey'}"
    if not by_size:
        return f"No image prior is installed (this image: {here}). `genprior train` makes one."
    sizes = "; ".join(f"{size} ({', '.join(names)})" for size, names in by_size.items())
    return (
        f"No image prior fits {here}. There are priors for {sizes}. "
        "Crop or scale the image, take method patches if it is larger, or make a prior with `genprior train`."
    )


class PriorChooser(QWidget):
    """Choice of a prior, with samples and limits below it.

    Parameters
    ----------
    kind : "image" or "kernel"
    title, tip : str
        Of the row.
    """

    changed = Signal()

    def __init__(self, kind: Literal["image", "kernel"], title: str, tip: str) -> None:
        super().__init__()
        self.kind = kind
        self._cards: list[Card] = []
        self._seen: dict[str, np.ndarray | str] = {}  # samples by the hash of their weights
        self.combo = QComboBox()
        self.combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
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
        """Of the chosen prior."""
        index = self.combo.currentIndex()
        return None if index < 0 else self._cards[index]

    @property
    def name(self) -> str:
        """Of the chosen prior; empty where none fits."""
        return "" if self.card is None else self.card.name

    def choose(self, name: str) -> None:
        """Choose a prior from the program's side; one that is not offered changes nothing."""
        index = self.combo.findText(name)
        if index >= 0:
            self.combo.setCurrentIndex(index)

    def offer(self, shape: Sequence[int], method: Method, prefers: str) -> None:
        """List the priors that fit image and method; the chosen one stays if it does, else ``prefers`` or the first.

        Raises
        ------
        ModelError
            An installed card that cannot be read; then none is offered.
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
                self.combo.addItems(names)
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
        seen = self._seen.get(card.sha256)
        if isinstance(seen, np.ndarray):
            self.samples.show_images(seen)
            return
        self.samples.say("Drawing samples..." if seen is None else seen)
        if seen is None:
            worker = create_worker(sample, card, _start_thread=False)
            worker.returned.connect(self._sampled)
            worker.start()

    def _sampled(self, made: tuple[str, np.ndarray | str]) -> None:
        self._seen[made[0]] = made[1]
        if self.card is not None and self.card.sha256 == made[0]:
            self._show_samples(self.card)
