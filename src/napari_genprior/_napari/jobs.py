"""List the runs that a scope asks for: one image, all selected layers, or a stack plane by plane."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from napari.layers import Image

from . import layers as _layers
from .layers import SelectedImage
from .resolve import Scope


@dataclass(frozen=True)
class Job:
    """One run: the layer, and the image taken from it."""

    layer: Image
    selected: SelectedImage


def select(scope: Scope, layer: Image, point: Sequence[float]) -> SelectedImage:
    """Take the image that a scope means from a layer: all of it, or the plane displayed at ``point``."""
    return _layers.select_all(layer) if scope.whole_layer else _layers.select_displayed(layer, point)


def jobs_for(scope: Scope, layer: Image, layers: Iterable[Any], point: Sequence[float]) -> list[Job]:
    """List the runs of a scope; ``layers`` are the selected ones in their order."""
    if scope is Scope.PLANES:
        return [Job(layer, _layers.select_plane(layer, index)) for index in np.ndindex(_layers.stack_shape(layer))]
    chosen = [each for each in layers if _layers.is_image(each)] if scope is Scope.SELECTED else [layer]
    return [Job(each, select(scope, each, point)) for each in chosen]


def count_jobs(scope: Scope, layer: Image, layers: Iterable[Any]) -> int:
    """Count the runs of :func:`jobs_for`, without cutting a long stack into planes."""
    if scope is Scope.PLANES:
        return prod(_layers.stack_shape(layer))
    return sum(map(_layers.is_image, layers)) if scope is Scope.SELECTED else 1
