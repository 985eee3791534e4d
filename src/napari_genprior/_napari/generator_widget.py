"""*Generator-prior deblurring*: image and kernel each held to the range of a pretrained generator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtWidgets import QVBoxLayout

from ..methods.registry import Method
from .deblur_base import DeblurFrame
from .layers import Picked
from .prior_chooser import PriorChooser, no_image_prior, uses_image_prior


class GeneratorWidget(DeblurFrame):
    """Deblur with pretrained priors: only those are offered that fit the image.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    in_sight = ("restarts", "range_weight")
    chosen_apart = ("image_prior", "kernel_prior")

    def offers(self, method: Method) -> bool:
        return uses_image_prior(method)

    def add_choices(self, column: QVBoxLayout) -> None:
        self.image_prior = PriorChooser(
            "image", "Image prior", "What the sharp image looks like: a generator of such images, of its size."
        )
        self.kernel_prior = PriorChooser("kernel", "Kernel prior", "What blurred it: a generator of such kernels.")
        for chooser in (self.image_prior, self.kernel_prior):
            column.addWidget(chooser)
            chooser.changed.connect(self.soon)

    def own_arguments(self) -> dict[str, Any]:
        choosers = {"image_prior": self.image_prior, "kernel_prior": self.kernel_prior}
        return {field: choosers[field].name for field in choosers if field in self.chosen.settings.model_fields}

    def show_own(self, request: Mapping[str, Any]) -> None:
        for field, chooser in (("image_prior", self.image_prior), ("kernel_prior", self.kernel_prior)):
            if request.get(field):
                chooser.choose(request[field])

    def show_choices(self, method: Method) -> None:
        self.kernel_prior.setVisible("kernel_prior" in method.settings.model_fields)

    def lacking(self, picked: Picked) -> str:
        shape = picked.image.shape
        for field, chooser in (("image_prior", self.image_prior), ("kernel_prior", self.kernel_prior)):
            if field in self.chosen.settings.model_fields:
                chooser.offer(shape, self.chosen, prefers=self.chosen.settings.model_fields[field].default)
        return "" if self.image_prior.name else no_image_prior(shape)
