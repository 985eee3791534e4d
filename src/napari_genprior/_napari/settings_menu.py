"""The menu beside Run: keep what the widget shows as a file, a script or a command, or put it back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from napari.layers import Image
from qtpy.QtWidgets import QApplication, QFileDialog, QMenu, QToolButton

from ..core.errors import GenPriorError
from ..pipeline import request_export as requests

FILES = "Settings (*.json)"
IMAGE, KERNEL = "image.tif", "kernel.tif"  # stand for layers that come from no file
OF_VOLUMES = ("seed", "device")  # what of a request goes for them
SAVE_FIRST = "save the layer {!r} as {} first"


class Requester(Protocol):
    """The widget whose request it is."""

    def arguments(self) -> dict[str, Any]: ...
    def wider_request(self) -> dict[str, Any]: ...
    def show_arguments(self, request: Mapping[str, Any]) -> None: ...
    def layers(self) -> dict[str, Image | None]: ...


class SettingsMenu(QToolButton):
    """Copy as script, copy as command, save, load, reset; ``tell(sentence, kind)`` says how it went."""

    def __init__(self, requester: Requester, tell: Callable[[str, str], None]) -> None:
        super().__init__()
        self._requester, self._tell = requester, tell
        self.setText("⋯")
        self.setToolTip("Copy as script or command, save, load and reset the settings")
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self)
        for title, act in (
            ("Copy as script", self.copy_script),
            ("Copy as command", self.copy_command),
            ("Save settings...", self.ask_and_save),
            ("Load settings...", self.ask_and_load),
            ("Reset", self.reset),
        ):
            menu.addAction(title).triggered.connect(act)
        self.setMenu(menu)

    def copy_script(self, *_: object) -> None:
        """To the clipboard: Python that does the same."""
        self._copy(requests.as_script)

    def copy_command(self, *_: object) -> None:
        """To the clipboard: the command that does the same."""
        self._copy(requests.as_command)

    def save(self, path: Path) -> None:
        """Into a file that ``load`` and ``genprior deblur --settings`` read."""
        self._try(lambda: requests.save(path, self._requester.arguments()), f"The settings were saved: {path}.")

    def load(self, path: Path) -> None:
        """From such a file; a file that does not fit changes nothing."""
        self._try(lambda: self._requester.show_arguments(requests.load(path)), f"The settings were loaded: {path}.")

    def reset(self, *_: object) -> None:
        """All but the layers back to where it was at first, the method included."""
        self._requester.show_arguments({})

    def ask_and_save(self, *_: object) -> None:
        path, _ = QFileDialog.getSaveFileName(self.window(), "Save settings", "settings.json", FILES)
        if path:
            self.save(Path(path))

    def ask_and_load(self, *_: object) -> None:
        path, _ = QFileDialog.getOpenFileName(self.window(), "Load settings", "", FILES)
        if path:
            self.load(Path(path))

    def _copy(self, write: Callable[[Mapping[str, Any], str, str | None, Mapping[str, Any]], str]) -> None:
        layers, wider = self._requester.layers(), self._requester.wider_request()
        files, missing = {}, []
        for role, stand_in in (("image", IMAGE), ("kernel", KERNEL)):
            layer = layers.get(role)
            # a plane of a stack, or a layer that was made here, is no file that could be read again
            whole = layer is not None and (layer.ndim == 2 or bool(wider))
            path = layer.source.path if layer is not None and whole else None
            files[role] = path or stand_in
            if layer is not None and not path:
                missing.append(SAVE_FIRST.format(layer.name, stand_in))
        kernel = files["kernel"] if layers.get("kernel") is not None else None

        def copy() -> None:
            request = self._requester.arguments()
            if wider.get("depth") == "volume":
                request = {name: request[name] for name in OF_VOLUMES}
            QApplication.clipboard().setText(write(request, files["image"], kernel, wider))

        self._try(copy, "; ".join(["Copied", *missing]) + ".")

    def _try(self, act: Callable[[], None], sentence: str) -> None:
        try:
            act()
        except GenPriorError as error:
            self._tell(str(error), "bad")
        else:
            self._tell(sentence, "plain")
