"""*Deblur*: a blurred layer in, a sharp layer and its kernel out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari.layers import Image
from qtpy.QtWidgets import QSpinBox, QVBoxLayout

from ..methods import Method
from . import _layers
from ._editors import Optional, get_value, set_value
from ._frame import DeblurFrame
from ._layers import Picked
from ._parts import NO_KERNEL, LayerCombo
from ._priors import uses_image_prior

KERNEL_SIZE = 21  # px, where the spin box starts when "auto" is switched off


class DeblurWidget(DeblurFrame):
    """Deblur without a picture prior that is a network: the kernel is unknown, or taken from a layer.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def offers(self, method: Method) -> bool:
        return not uses_image_prior(method) and not method.untrained

    def add_choices(self, column: QVBoxLayout) -> None:
        self.kernel = LayerCombo(self._viewer, _layers.is_kernel, _layers.looks_like_kernel)
        side = QSpinBox()
        side.setRange(1, 999)
        side.setSingleStep(2)
        side.setSuffix(" px")
        side.setValue(KERNEL_SIZE)
        self.kernel_size = Optional(side)
        self.form.add("kernel", "Kernel", self.kernel, "The layer with the blur kernel, of values >= 0.")
        self.form.add(
            "kernel_size",
            "Kernel size",
            self.kernel_size,
            "Side of the unknown kernel: at least the length of the blur in pixels. Raised to an odd number.",
        )
        for choice in (self.kernel, self.kernel_size):
            choice.changed.connect(self.soon)

    def own_arguments(self) -> dict[str, Any]:
        if not self.chosen.needs_kernel:
            return {"kernel_size": get_value(self.kernel_size) or "auto"}
        given = self.kernel.layer
        return {"kernel": None if given is None else _layers.pick(given).image}

    def layers(self) -> dict[str, Image | None]:
        return {**super().layers(), **({"kernel": self.kernel.layer} if self.chosen.needs_kernel else {})}

    def show_own(self, wish: Mapping[str, Any]) -> None:
        size = wish["kernel_size"]
        # the widget has one side for both; the larger one leaves room for all
        set_value(self.kernel_size, None if size == "auto" else max(size) if isinstance(size, list | tuple) else size)

    def show_choices(self, method: Method) -> None:
        self.form.show_row("kernel", method.needs_kernel)
        self.form.show_row("kernel_size", not method.needs_kernel)

    def lacking(self, picked: Picked) -> str:
        return NO_KERNEL if self.chosen.needs_kernel and self.kernel.layer is None else ""
