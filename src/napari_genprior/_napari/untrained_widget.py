"""*Deblur with deep image prior*: image and kernel are the outputs of networks that are fitted to this image alone."""

from __future__ import annotations

from ..methods.registry import Method
from .deblur_widget import DeblurWidget


class UntrainedWidget(DeblurWidget):
    """Deblur any image with untrained networks, in minutes or within a time limit.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def offers(self, method: Method) -> bool:
        return method.untrained
