"""*Untrained-prior deblurring*: picture and kernel from networks that have seen nothing but this picture."""

from __future__ import annotations

from ..methods.registry import Method
from .deblur_widget import DeblurWidget


class UntrainedWidget(DeblurWidget):
    """Deblur with untrained networks: for any picture, in minutes, or what a time budget allows.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def offers(self, method: Method) -> bool:
        return method.untrained
