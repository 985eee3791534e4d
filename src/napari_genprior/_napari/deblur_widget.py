"""*Deblur*: a blurred layer in, a sharp layer and its kernel out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari.layers import Image
from qtpy.QtWidgets import QComboBox, QSpinBox, QVBoxLayout

from ..methods.registry import Method
from ..settings import ClassicalSettings
from . import layers as _layers
from .common_widgets import LayerCombo
from .deblur_base import DeblurBase
from .field_editors import NullableEditor, get_value, help_text, set_value
from .prior_texts import kernel_priors, uses_image_prior
from .resolve import Scope

DEFAULT_KERNEL_PX = 21  # shown by the spin box once "auto" is switched off
KERNEL_TIP = (
    "The layer with the blur kernel, values >= 0: [y, x]; for volumes [z, y, x]; for spatially varying blur a kernel "
    "per tile, [rows, columns, y, x]."
)
SIZE_TIP = "Side of the unknown kernel: at least the length of the blur in pixels. Raised to an odd number."


class DeblurWidget(DeblurBase):
    """Deblur without a pretrained generator of images: the kernel is unknown, or taken from a layer.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    custom_fields = ("kernel_prior",)

    def offers(self, method: Method) -> bool:
        return not uses_image_prior(method) and not method.untrained

    def add_choices(self, column: QVBoxLayout) -> None:
        self.kernel = LayerCombo(
            self._viewer,
            lambda layer: _layers.is_kernel(layer, self.chosen_scope.kernel_axes),
            _layers.looks_like_kernel,
        )
        self.scope.currentIndexChanged.connect(self.kernel.refresh)
        side = QSpinBox()
        side.setRange(1, 999)
        side.setSingleStep(2)
        side.setSuffix(" px")
        side.setValue(DEFAULT_KERNEL_PX)
        self.kernel_size = NullableEditor(side)
        self.form.add("kernel", "Kernel", self.kernel, KERNEL_TIP)
        self.form.add("kernel_size", "Kernel size", self.kernel_size, SIZE_TIP)
        self.kernel_prior = QComboBox()
        self._priors_of: str | None = None  # the method that the list is for
        field = ClassicalSettings.model_fields["kernel_prior"]
        self.form.add("kernel_prior", field.title or "", self.kernel_prior, help_text(field))
        self.kernel_prior.currentIndexChanged.connect(self._prior_chosen)
        for choice in (self.kernel, self.kernel_size):
            choice.changed.connect(self.schedule_refresh)

    def choices(self) -> dict[str, Any]:
        if self.chosen.needs_kernel:
            kernel, image = self.kernel.layer, self.image.layer
            return {"kernel": None if kernel is None else _layers.given_kernel(kernel, image)}
        if self._takes_prior() and get_value(self.kernel_prior):
            return {"kernel_prior": get_value(self.kernel_prior)}
        return {"kernel_size": get_value(self.kernel_size) or "auto"}

    def layers(self) -> dict[str, Image | None]:
        return {**super().layers(), **({"kernel": self.kernel.layer} if self.chosen.needs_kernel else {})}

    def set_choices(self, request: Mapping[str, Any]) -> None:
        size = request["kernel_size"]
        # the widget has one side for both; the larger one is enough for the other
        set_value(self.kernel_size, None if size == "auto" else max(size) if isinstance(size, list | tuple) else size)
        self.kernel_prior.setCurrentIndex(max(0, self.kernel_prior.findData(request.get("kernel_prior"))))

    def show_choices(self) -> None:
        method, planes = self.chosen, self.chosen_scope is not Scope.VOLUME  # volumes have settings of their own
        self._offer_priors(method)
        has_prior = self._takes_prior() and bool(get_value(self.kernel_prior))
        self.form.show_row("kernel", method.needs_kernel)
        self.form.show_row("kernel_prior", planes and self._takes_prior())
        self.form.show_row("kernel_size", planes and not method.needs_kernel and not has_prior)

    def _takes_prior(self) -> bool:
        return "kernel_prior" in self.chosen.settings.model_fields

    def _offer_priors(self, method: Method) -> None:
        """Fill the list of kernel priors: with "none" only where the method can do without."""
        if self._priors_of == method.name or not self._takes_prior():
            return
        self._priors_of = method.name
        default = method.settings.model_fields["kernel_prior"].default
        self.kernel_prior.blockSignals(True)
        self.kernel_prior.clear()
        if default is None:
            self.kernel_prior.addItem("none", None)
        for card in kernel_priors():
            self.kernel_prior.addItem(card.name, card.name)
        self.kernel_prior.setCurrentIndex(max(0, self.kernel_prior.findData(default)))
        self.kernel_prior.blockSignals(False)

    def _prior_chosen(self, *_: Any) -> None:
        self.show_choices()  # a prior has a size of its own
        self.schedule_refresh()
