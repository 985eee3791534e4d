"""*Train a prior*: a layer of sharp images becomes a generator that the other widgets offer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QLabel, QLineEdit, QProgressBar, QPushButton, QSpinBox

from ..core.arrays import Intensity
from ..core.errors import GenPriorError
from ..core.image_io import read_image
from ..settings import TrainingSettings
from ..training import data
from ..training.loop import train
from ..zoo.store import user_folder
from . import layers as _layers
from .common_widgets import NO_IMAGE, LayerCombo, Message, debounced, scrolled
from .plots import STRIP, sample_candidates
from .preferences import preferences, use_threads
from .settings_form import Rows
from .workers import Control, Done, Failed, Live, Running, Work

ARCHITECTURES = {
    "linear": "Principal components: seconds, and by far the best for its time. Method 'evidence' needs it.",
    "vae": "A residual autoencoder: minutes to hours.",
}
SHEET_EVERY = 15.0  # s; a sheet of samples is drawn with each checkpoint
LATENT = 300  # principal components, at most a third of the images
NOT_STATED = "not stated"


def training(
    source: Any, rgb: bool, size: int, settings: dict[str, Any], name: str, licence: str, folder: Path, control: Control
) -> Work:
    """Train a prior on the squares of a plane or stack; the end is a ``Trained``. Stopped, it can go on later."""
    yield Live(0.0, "reading the images")
    stack = np.asarray(source)
    stack = stack.reshape(-1, *stack.shape[-2 - rgb :])
    tiles = data.tiles_of(Intensity.of(stack, absolute=True).to_working(stack), size)
    if settings["arch"] == "linear":
        settings = settings | {"latent": max(1, min(LATENT, len(tiles) // 3))}
    checked = TrainingSettings.checked(settings | {"size": size, "checkpoint_seconds": SHEET_EVERY})
    images = data.split(tiles, "image", f"{len(tiles)} squares of layer images", seed=checked.seed)
    folder.mkdir(parents=True, exist_ok=True)
    running = train(images, checked, name, folder, license_data=licence)
    sheet, drawn_at = folder / f"{name}.png", 0.0
    try:
        while True:
            try:
                progress = next(running)
            except StopIteration as end:
                yield Done(end.value)
                return
            held_out = "" if progress.held_out is None else f", held-out loss {progress.held_out:.4g}"
            image = None
            if sheet.exists() and sheet.stat().st_mtime > drawn_at:
                drawn_at, image = sheet.stat().st_mtime, read_image(sheet)
            yield Live(progress.fraction, f"step {progress.step}{held_out}", image)
            if control.stop.is_set():
                break
    finally:
        running.close()
    yield Done(None)


class TrainWidget(Running):
    """Train an image prior on an image layer: a stack of images, or large images cut into squares.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self.folder = user_folder()
        self.image = LayerCombo(napari_viewer, _layers.is_image, _layers.looks_like_image)
        self.name = QLineEdit("my-prior")
        self.arch = QComboBox()
        self.arch.addItems(list(ARCHITECTURES))
        self.size = QSpinBox()
        self.size.setRange(16, 256)
        self.size.setValue(64)
        self.size.setSuffix(" px")
        self.minutes = QDoubleSpinBox()
        self.minutes.setRange(0.1, 10_000)
        self.minutes.setValue(10)
        self.minutes.setSuffix(" min")
        self.licence = QLineEdit(NOT_STATED)
        self.rows = Rows()
        self.rows.add("image", "Images", self.image, "A layer of sharp images: a stack, or a large one.")
        self.rows.add("name", "Name", self.name, "Of the prior: lower-case letters, digits, points and dashes.")
        self.rows.add("arch", "Architecture", self.arch, " ".join(f"{k}: {v}" for k, v in ARCHITECTURES.items()))
        self.rows.add("size", "Side", self.size, "The images are cut into squares of this side.")
        self.rows.add("minutes", "Time", self.minutes, "Of the training; linear priors need none.")
        self.rows.add("licence", "Licence", self.licence, "Of the images; it is kept in the prior's card.")
        self.sentence, self.stage, self.outcome = Message(), Message(), Message()
        self.button = QPushButton("Train")
        self.button.clicked.connect(self.train_or_stop)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.hide()
        self.sheet = QLabel()
        self.sheet.setToolTip("Random images of the prior; below them held-out images and what it makes of them.")
        _, column = scrolled(self)
        for widget in (self.rows, self.sentence, self.button, self.bar, self.stage, self.sheet, self.outcome):
            column.addWidget(widget)
        column.addStretch(1)
        timer = debounced(self, self.refresh)
        self.image.changed.connect(timer.start)
        self.arch.currentIndexChanged.connect(timer.start)
        self.size.valueChanged.connect(timer.start)
        self.refresh()

    def refresh(self) -> None:
        """Say what a training would do, or why it cannot be done."""
        if self.running:
            return
        self.rows.show_row("minutes", self.arch.currentText() != "linear")
        layer = self.image.layer
        if layer is None:
            self.sentence.say(NO_IMAGE)
        else:
            shape = _layers.pick_all(layer).image.shape
            planes = int(np.prod(shape[: layer.ndim - 2]))
            side = self.size.value()
            tiles = planes * (shape[layer.ndim - 2] // side) * (shape[layer.ndim - 1] // side)
            few = tiles < data.FEWEST
            need = f"; {data.FEWEST} are needed, some hundreds make a prior" if tiles < 100 else ""
            self.sentence.say(f"{tiles} squares of {side}x{side} px{need}.", "doubt" if few else "plain")
        self.button.setEnabled(layer is not None and not (layer is not None and few))

    def train_or_stop(self) -> None:
        """What the button does."""
        if self.running:
            self.button.setText("Stopping...")
            self.button.setEnabled(False)
            self.stop()
            return
        layer = self.image.layer
        if layer is None:
            return
        picked = _layers.pick_all(layer)
        settings = {
            "arch": self.arch.currentText(), "minutes": self.minutes.value(), "device": preferences().device,
        }  # fmt: skip
        self.outcome.say("")
        self.sheet.clear()
        self._show_running(True)
        use_threads()
        self.begin(
            training, picked.image, picked.rgb, self.size.value(), settings, self.name.text().strip(),
            self.licence.text().strip() or NOT_STATED, self.folder,
        )  # fmt: skip

    def live(self, message: Live) -> None:
        self.bar.setValue(round(1000 * message.fraction))
        self.stage.say(message.stage)
        if message.image is not None:
            self.sheet.setPixmap(sample_candidates(message.image / 255, STRIP))

    def ended(self, message: Done | Failed) -> None:
        self._show_running(False)
        if isinstance(message, Failed):
            self.outcome.say(message.sentence, "bad")
            if not isinstance(message.error, GenPriorError):
                show_error(message.sentence)
        elif message.value is None:
            self.outcome.say("Stopped; Train with the same choices goes on from here.", "doubt")
        else:
            card, path = message.value.card, message.value.path
            self.sheet.setPixmap(sample_candidates(read_image(path.with_suffix(".png")) / 255, STRIP))
            figures = ", ".join(f"{name} {value:g}" for name, value in card.metrics.items())
            self.outcome.say(f"{card.name} is ready: {figures}. The other widgets offer it where it fits.", "good")

    def _show_running(self, running: bool) -> None:
        self.button.setText("Stop" if running else "Train")
        self.button.setEnabled(True)
        self.rows.setEnabled(not running)
        self.bar.setVisible(running)
        self.bar.setValue(0)
        if not running:
            self.stage.say("")
            self.refresh()
