"""*Train a prior*: train a generator on a layer of sharp images; the other widgets then offer it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QLabel, QLineEdit, QProgressBar, QPushButton, QSpinBox

from ..core.errors import GenPriorError
from ..core.image_io import read_image
from ..core.intensity import Intensity
from ..settings import TrainingSettings
from ..training import data, image_files
from ..training.loop import train
from ..zoo.store import user_folder
from . import layers as _layers
from .common_widgets import LayerCombo, Message, debounced, scrolled
from .field_editors import rich
from .messages import Control, Done, Failed, Live, Work
from .plots import STRIP_PX, to_pixmap
from .preferences import preferences, use_threads
from .prior_texts import metrics_of
from .resolve import NO_IMAGE
from .settings_form import Rows
from .worker_widget import WorkerWidget

ARCHITECTURES = {
    "linear": "Principal components, trained in seconds. The method evidence needs such a prior.",
    "vae": "A residual variational autoencoder, trained in minutes to hours.",
}
CHECKPOINT_INTERVAL_S = 15.0  # a sheet of samples is drawn with each checkpoint
MAX_COMPONENTS = 300  # of a linear prior; at most a third of the number of patches
ENOUGH_PATCHES = 100  # with fewer, the widget says that a prior needs more
NOT_STATED = "not stated"


def training(
    source: Any, rgb: bool, size: int, settings: dict[str, Any], name: str, licence: str, folder: Path, control: Control
) -> Work:
    """Train a prior on patches of a plane or stack; the end is a ``Trained``. Stopped, it can be resumed later."""
    yield Live(0.0, "Reading the images")
    stack = np.asarray(source)
    stack = stack.reshape(-1, *stack.shape[-2 - rgb :])
    patches = image_files.tiles_of(Intensity.of(stack, absolute=True).to_working(stack), size)
    if settings["arch"] == "linear":
        settings = settings | {"latent": max(1, min(MAX_COMPONENTS, len(patches) // 3))}
    checked = TrainingSettings.checked(settings | {"size": size, "checkpoint_seconds": CHECKPOINT_INTERVAL_S})
    images = data.split(patches, "image", f"{len(patches)} patches of layer images", seed=checked.seed)
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
            yield Live(progress.fraction, f"Step {progress.step}{held_out}", image)
            if control.stop.is_set():
                break
    finally:
        running.close()
    yield Done(None)


class TrainWidget(WorkerWidget):
    """Train an image prior on an image layer: a stack of images, or large images that are cut into patches.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self.folder = user_folder()
        self._make_rows(napari_viewer)
        self.sentence, self.stage, self.outcome = Message(), Message(), Message()
        self.button = QPushButton("Train")
        self.button.clicked.connect(self.train_or_stop)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.hide()
        self.sheet = QLabel()
        self.sheet.setToolTip(rich("Random images of the prior; below them held-out images and their reconstructions."))
        _, column = scrolled(self)
        for widget in (self.rows, self.sentence, self.button, self.bar, self.stage, self.sheet, self.outcome):
            column.addWidget(widget)
        column.addStretch(1)
        timer = debounced(self, self.refresh)
        self.image.changed.connect(timer.start)
        self.arch.currentIndexChanged.connect(timer.start)
        self.patch_size.valueChanged.connect(timer.start)
        self.refresh()

    def _make_rows(self, viewer: ViewerModel) -> None:
        self.image = LayerCombo(viewer, _layers.is_image, _layers.looks_like_image)
        self.name = QLineEdit("my-prior")
        self.arch = QComboBox()
        for arch in ARCHITECTURES:
            self.arch.addItem(arch, arch)
        self.patch_size = QSpinBox()
        self.patch_size.setRange(16, 256)
        self.patch_size.setValue(64)
        self.patch_size.setSuffix(" px")
        self.minutes = QDoubleSpinBox()
        self.minutes.setRange(0.1, 10_000)
        self.minutes.setValue(10)
        self.minutes.setSuffix(" min")
        self.licence = QLineEdit(NOT_STATED)
        self.rows = Rows()
        for name, title, editor, tip in (
            ("image", "Images", self.image, "A layer of sharp images: a stack, or a large image."),
            ("name", "Name", self.name, "Name of the prior: lower-case letters, digits, points and dashes."),
            ("arch", "Architecture", self.arch, " ".join(f"{k}: {v}" for k, v in ARCHITECTURES.items())),
            ("patch_size", "Patch size", self.patch_size, "Side of the square patches, and of images of the prior."),
            ("minutes", "Training time", self.minutes, "Time after which the training ends."),
            ("licence", "Licence", self.licence, "Licence of the images; it is stored in the card of the prior."),
        ):
            self.rows.add(name, title, editor, tip)

    def refresh(self) -> None:
        """Say what a training would do, or why it cannot be started."""
        if self.running:
            return
        self.rows.show_row("minutes", self.arch.currentData() != "linear")
        layer = self.image.layer
        if layer is None:
            self.sentence.say(NO_IMAGE)
            self.button.setEnabled(False)
            return
        shape, side = _layers.select_all(layer).image.shape, self.patch_size.value()
        planes = int(np.prod(shape[: layer.ndim - 2]))
        patches = planes * (shape[layer.ndim - 2] // side) * (shape[layer.ndim - 1] // side)
        need = f"; at least {data.MIN_IMAGES} are needed, and some hundreds for a useful prior"
        self.sentence.say(
            f"{patches} patches of {side}x{side} px{need if patches < ENOUGH_PATCHES else ''}.",
            "doubt" if patches < data.MIN_IMAGES else "plain",
        )
        self.button.setEnabled(patches >= data.MIN_IMAGES)

    def train_or_stop(self) -> None:
        """Start a training, or stop the one that is running."""
        if self.running:
            self.button.setText("Stopping...")
            self.button.setEnabled(False)
            self.stop()
            return
        layer = self.image.layer
        if layer is None:
            return
        selected = _layers.select_all(layer)
        settings = {
            "arch": self.arch.currentData(), "minutes": self.minutes.value(), "device": preferences().device,
        }  # fmt: skip
        self.outcome.say("")
        self.sheet.clear()
        self._show_running(True)
        use_threads()
        self.begin(
            training, selected.image, selected.rgb, self.patch_size.value(), settings, self.name.text().strip(),
            self.licence.text().strip() or NOT_STATED, self.folder,
        )  # fmt: skip

    def live(self, message: Live) -> None:
        self.bar.setValue(round(1000 * message.fraction))
        self.stage.say(message.stage)
        if message.image is not None:
            self.sheet.setPixmap(to_pixmap(message.image / 255, STRIP_PX))

    def ended(self, message: Done | Failed) -> None:
        self._show_running(False)
        if isinstance(message, Failed):
            self.outcome.say(message.sentence, "bad")
            if not isinstance(message.error, GenPriorError):
                show_error(message.sentence)
        elif message.value is None:
            self.outcome.say("Stopped. Train with the same choices resumes from here.", "doubt")
        else:
            card, path = message.value.card, message.value.path
            self.sheet.setPixmap(to_pixmap(read_image(path.with_suffix(".png")) / 255, STRIP_PX))
            quality = "; ".join(["is ready", *metrics_of(card)])
            self.outcome.say(f"{card.name} {quality}. The other widgets offer it where it fits.", "good")

    def _show_running(self, running: bool) -> None:
        self.button.setText("Stop" if running else "Train")
        self.button.setEnabled(True)
        self.rows.setEnabled(not running)
        self.bar.setVisible(running)
        self.bar.setValue(0)
        if not running:
            self.stage.say("")
            self.refresh()
