"""Choice of the layer whose pixels are left out."""

from __future__ import annotations

from typing import Any

from napari.components import ViewerModel
from napari.layers import Image, Layer

from .common_widgets import LayerCombo
from .layers import SelectedImage
from .mask_layers import is_mask, mask_over

MASK_TIP = (
    "Pixels to leave out, such as dust or a label: a labels layer or an image, not 0 there, or shapes, which are "
    "filled. A mask of one plane serves all planes. Hot and dead pixels, lines, bars, margins and NaN are found "
    "without it."
)


class MaskCombo(LayerCombo):
    """Choice of a mask, at first none.

    Parameters
    ----------
    viewer : ViewerModel
    image : LayerCombo
        Choice of the image, which is no mask of itself.
    """

    def __init__(self, viewer: ViewerModel, image: LayerCombo) -> None:
        super().__init__(viewer, lambda each: is_mask(each) and each is not image.layer, lambda _: False, none="none")
        image.changed.connect(self.refresh)

    @property
    def chosen(self) -> Layer | None:
        """The chosen layer, or None."""
        return self.currentData()

    def argument(self, layer: Image, selected: SelectedImage) -> dict[str, Any]:
        """Return the mask of an image as an argument of ``deblur``; {} where none is chosen. May raise InputError."""
        return {} if self.chosen is None else {"mask": mask_over(self.chosen, layer, selected.index)}
