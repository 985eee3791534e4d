"""The menu beside Run: copy a run as a script or command; save, load and reset the settings; save the mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from napari.layers import Image
from qtpy.QtWidgets import QApplication, QFileDialog, QMenu, QToolButton

from ..core.errors import GenPriorError, InputError
from ..core.image_io import write_image
from ..pipeline import request_export as requests
from .resolve import Scope

FILES = "Settings (*.json)"
IMAGE, KERNEL, MASK = "image.tif", "kernel.tif", "mask.tif"  # names in a script for layers that come from no file


class Requester(Protocol):
    """The widget whose settings are copied, saved and loaded."""

    @property
    def chosen_scope(self) -> Scope: ...
    def arguments(self) -> dict[str, Any]: ...
    def show_arguments(self, request: Mapping[str, Any]) -> None: ...
    def layers(self) -> dict[str, Image | None]: ...


class SettingsMenu(QToolButton):
    """Copy as script or command, save, load, reset, save the mask; ``report(sentence, kind)`` shows how it went."""

    def __init__(self, requester: Requester, report: Callable[[str, str], None]) -> None:
        super().__init__()
        self._requester, self._report = requester, report
        self.setText("⋯")
        self.setToolTip("Copy as script or command, save, load and reset the settings")
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setStyleSheet("QToolButton::menu-indicator { image: none; }")  # which would cover the dots
        menu = QMenu(self)
        for title, act in (
            ("Copy as script", self.copy_script),
            ("Copy as command", self.copy_command),
            ("Save settings...", self.ask_and_save),
            ("Load settings...", self.ask_and_load),
            ("Reset", self.reset),
            ("Save mask...", self.ask_and_save_mask),
        ):
            action = menu.addAction(title)
            assert action is not None
            action.triggered.connect(act)
        self.setMenu(menu)

    def copy_script(self, *_: object) -> None:
        """Copy Python code that repeats the run."""
        self._copy(requests.as_script)

    def copy_command(self, *_: object) -> None:
        """Copy the command that repeats the run."""
        self._copy(requests.as_command)

    def save(self, path: Path) -> None:
        """Write the settings to a file that :meth:`load` and ``genprior deblur --settings`` read."""
        self._try(lambda: requests.save(path, self._requester.arguments()), f"The settings were saved: {path}.")

    def load(self, path: Path) -> None:
        """Read settings from a file; one that does not fit changes nothing."""
        self._try(lambda: self._requester.show_arguments(requests.load(path)), f"The settings were loaded: {path}.")

    def reset(self, *_: object) -> None:
        """Set everything but the layers to its default, the method included."""
        self._requester.show_arguments({})

    def ask_and_save(self, *_: object) -> None:
        """Ask for a file and write the settings to it."""
        chosen, _filter = QFileDialog.getSaveFileName(self.window(), "Save settings", "settings.json", FILES)
        if chosen:
            self.save(Path(chosen))

    def ask_and_load(self, *_: object) -> None:
        """Ask for a file and read settings from it."""
        chosen, _filter = QFileDialog.getOpenFileName(self.window(), "Load settings", "", FILES)
        if chosen:
            self.load(Path(chosen))

    def save_mask(self, path: Path) -> None:
        """Write the mask of the next run, 1 at pixels that are left out, to a file that a copied command reads."""

        def save() -> None:
            mask = self._requester.arguments().get("mask")
            if mask is None:
                raise InputError("No mask is chosen; choose a layer under Mask first.")
            write_image(path, (np.asarray(mask) != 0).astype(np.uint8))

        self._try(save, f"The mask was saved: {path}.")

    def ask_and_save_mask(self, *_: object) -> None:
        """Ask for a file and write the mask to it."""
        chosen, _filter = QFileDialog.getSaveFileName(self.window(), "Save mask", MASK, "Images (*.tif *.png *.npy)")
        if chosen:
            self.save_mask(Path(chosen))

    def _copy(self, write: Callable[[Mapping[str, Any], str, str | None, str | None], str]) -> None:
        layers, scope = self._requester.layers(), self._requester.chosen_scope
        files, missing = {}, []
        for role, name in (("image", IMAGE), ("kernel", KERNEL)):
            layer = layers.get(role)
            # a plane of a stack, or a layer that was made here, is no file that could be read again
            whole = layer is not None and (layer.ndim == 2 or scope.whole_layer or scope is Scope.VARYING)
            path = layer.source.path if layer is not None and whole else None
            files[role] = path or name
            if layer is not None and not path:
                missing.append(f"save the layer {layer.name!r} as {name} first")
        kernel = files["kernel"] if layers.get("kernel") is not None else None
        mask = None if layers.get("mask") is None else MASK  # it may be drawn by hand, or a plane of a stack
        if mask:
            missing.append(f"save the mask as {MASK} first (Save mask...)")

        def copy() -> None:
            text = write(self._requester.arguments(), files["image"], kernel, mask)
            clipboard = QApplication.clipboard()
            assert clipboard is not None
            clipboard.setText(text)

        self._try(copy, "; ".join(["Copied", *missing]) + ".")

    def _try(self, act: Callable[[], None], sentence: str) -> None:
        try:
            act()
        except GenPriorError as error:
            self._report(str(error), "bad")
        else:
            self._report(sentence, "plain")
