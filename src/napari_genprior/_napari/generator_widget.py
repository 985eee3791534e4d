"""*Deblur with generative priors*: image and kernel are each constrained to the range of a pretrained generator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtWidgets import QVBoxLayout

from ..methods.registry import Method
from .deblur_base import DeblurBase
from .layers import SelectedImage
from .prior_chooser import PriorChooser
from .prior_texts import uses_image_prior


class GeneratorWidget(DeblurBase):
    """Deblur with pretrained priors; only those that fit the image are offered.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    basic_fields = ("restarts", "range_weight")
    custom_fields = ("image_prior", "kernel_prior")

    def offers(self, method: Method) -> bool:
        return uses_image_prior(method)

    def add_choices(self, column: QVBoxLayout) -> None:
        self.image_prior = PriorChooser(
            "image", "Image prior", "A generator of images like the sharp one, and of its size."
        )
        self.kernel_prior = PriorChooser("kernel", "Kernel prior", "A generator of kernels like the unknown one.")
        self._choosers = {"image_prior": self.image_prior, "kernel_prior": self.kernel_prior}
        for chooser in self._choosers.values():
            column.addWidget(chooser)
            chooser.changed.connect(self.schedule_refresh)

    def choices(self) -> dict[str, Any]:
        return {field: chooser.name for field, chooser in self._used().items()}

    def set_choices(self, request: Mapping[str, Any]) -> None:
        for field, chooser in self._choosers.items():
            if request.get(field):
                chooser.choose(request[field])

    def show_choices(self) -> None:
        self.kernel_prior.setVisible("kernel_prior" in self._used())

    def offer_choices(self, selected: SelectedImage) -> None:
        for field, chooser in self._used().items():
            default = self.chosen.settings.model_fields[field].default
            chooser.offer(selected.image.shape, self.chosen, prefers=default)

    def _used(self) -> dict[str, PriorChooser]:
        """Return the choosers of the priors that the method uses."""
        fields = self.chosen.settings.model_fields
        return {field: chooser for field, chooser in self._choosers.items() if field in fields}
