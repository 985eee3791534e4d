"""*Untrained-prior deblurring*: image and kernel from networks that have seen nothing but this image."""

from __future__ import annotations

from ..methods.registry import Method
from .deblur_widget import DeblurWidget


class UntrainedWidget(DeblurWidget):
    """Deblur with untrained networks: for any image, in minutes, or what a time budget allows.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def offers(self, method: Method) -> bool:
        return method.untrained
