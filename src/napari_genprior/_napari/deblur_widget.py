"""*Deblur*: a blurred layer in, a sharp layer and its kernel out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari.layers import Image
from qtpy.QtWidgets import QComboBox, QSpinBox, QVBoxLayout

from ..methods.registry import Method
from ..settings import ClassicalSettings
from . import layers as _layers
from .common_widgets import NO_KERNEL, LayerCombo
from .deblur_base import DeblurFrame
from .field_editors import Optional, get_value, help_text, set_value
from .layers import Picked
from .prior_chooser import kernel_priors, uses_image_prior

KERNEL_SIZE = 21  # px, where the spin box starts when "auto" is switched off


class DeblurWidget(DeblurFrame):
    """Deblur without an image prior that is a network: the kernel is unknown, or taken from a layer.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    chosen_apart = ("kernel_prior",)

    def offers(self, method: Method) -> bool:
        return not uses_image_prior(method) and not method.untrained

    def add_choices(self, column: QVBoxLayout) -> None:
        self.kernel = LayerCombo(
            self._viewer, lambda layer: _layers.is_kernel(layer, self.kernel_axes), _layers.looks_like_kernel
        )
        self.scope.currentIndexChanged.connect(self.kernel.refresh)
        side = QSpinBox()
        side.setRange(1, 999)
        side.setSingleStep(2)
        side.setSuffix(" px")
        side.setValue(KERNEL_SIZE)
        self.kernel_size = Optional(side)
        self.form.add(
            "kernel",
            "Kernel",
            self.kernel,
            "The layer with the blur kernel, values >= 0: [y, x]; of volumes [z, y, x]; of tiles, one for each, "
            "[rows, columns, y, x].",
        )
        self.form.add(
            "kernel_size",
            "Kernel size",
            self.kernel_size,
            "Side of the unknown kernel: at least the length of the blur in pixels. Raised to an odd number.",
        )
        self.kernel_prior = QComboBox()
        self._priors_of: str | None = None  # the method that the list is for
        tip = ClassicalSettings.model_fields["kernel_prior"]
        self.form.add("kernel_prior", tip.title or "", self.kernel_prior, help_text(tip))
        self.kernel_prior.currentIndexChanged.connect(self._prior_chosen)
        for choice in (self.kernel, self.kernel_size):
            choice.changed.connect(self.soon)

    def own_arguments(self) -> dict[str, Any]:
        if self.chosen.needs_kernel:
            given = self.kernel.layer
            return {"kernel": None if given is None else _layers.pick_all(given).image}
        if self._takes_prior() and get_value(self.kernel_prior):
            return {"kernel_prior": get_value(self.kernel_prior)}
        return {"kernel_size": get_value(self.kernel_size) or "auto"}

    def layers(self) -> dict[str, Image | None]:
        return {**super().layers(), **({"kernel": self.kernel.layer} if self.chosen.needs_kernel else {})}

    def show_own(self, request: Mapping[str, Any]) -> None:
        size = request["kernel_size"]
        # the widget has one side for both; the larger one leaves room for all
        set_value(self.kernel_size, None if size == "auto" else max(size) if isinstance(size, list | tuple) else size)
        self.kernel_prior.setCurrentIndex(max(0, self.kernel_prior.findData(request.get("kernel_prior"))))

    def show_choices(self, method: Method) -> None:
        self._offer_priors(method)
        self.form.show_row("kernel", method.needs_kernel)
        self.form.show_row("kernel_prior", self._takes_prior())
        self.form.show_row(
            "kernel_size", not (method.needs_kernel or (self._takes_prior() and get_value(self.kernel_prior)))
        )

    def lacking(self, picked: Picked) -> str:
        return NO_KERNEL if self.chosen.needs_kernel and self.kernel.layer is None else ""

    def _takes_prior(self) -> bool:
        return "kernel_prior" in self.chosen.settings.model_fields

    def _offer_priors(self, method: Method) -> None:
        """Fill the list of kernel priors: with "none" only where the method can do without."""
        if self._priors_of == method.name or not self._takes_prior():
            return
        self._priors_of = method.name
        usual = method.settings.model_fields["kernel_prior"].default
        self.kernel_prior.blockSignals(True)
        self.kernel_prior.clear()
        if usual is None:
            self.kernel_prior.addItem("none", None)
        for card in kernel_priors():
            self.kernel_prior.addItem(card.name, card.name)
        self.kernel_prior.setCurrentIndex(max(0, self.kernel_prior.findData(usual)))
        self.kernel_prior.blockSignals(False)

    def _prior_chosen(self, *_: Any) -> None:
        self.show_choices(self.chosen)  # a prior has a size of its own
        self.soon()
