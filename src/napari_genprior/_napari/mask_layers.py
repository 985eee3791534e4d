"""Take the mask of an image from a layer. Knows napari's layer model, but neither Qt nor widgets."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer, Shapes

from ..core.errors import InputError

AGREE_PX = 0.5  # between the pixels of two layers, anywhere: then they are the same pixels


def is_mask(layer: Any) -> bool:
    """Return whether a layer may be offered as a mask: labels, shapes, or an image of grey values."""
    return isinstance(layer, Labels | Shapes) or (isinstance(layer, Image) and not layer.rgb and layer.ndim > 1)


def mask_over(layer: Layer, image: Image, index: tuple[int, ...] = ()) -> Any:
    """Return the mask of an image layer, or of a plane of it.

    Parameters
    ----------
    layer : Layer
        One that :func:`is_mask` accepts.
        It may have fewer axes than the image layer: its axes are the last ones of the image, as napari draws them.
    image : Image
    index : tuple of int
        Of the plane; () takes all of the layer.

    Returns
    -------
    array-like [..., Y, X]
        Not 0 (True) at pixels that are left out; a view of the layer's data, or newly filled shapes.

    Raises
    ------
    InputError
        The layer has another size than the image, or its pixels do not lie on those of the image.
    """
    shape = tuple(_data(image).shape[: image.ndim])[-layer.ndim :]
    own = index[len(index) - (layer.ndim - 2) :] if layer.ndim > 2 else ()
    if layer.ndim > image.ndim or (not isinstance(layer, Shapes) and tuple(_data(layer).shape) != shape):
        size = f"{layer.ndim} axes" if isinstance(layer, Shapes) else f"{_size(_data(layer).shape)} px"
        raise InputError(
            f"The mask {layer.name!r} has {size}, the image {image.name!r} {_size(_data(image).shape[: image.ndim])} "
            "px; choose a layer of the same size, or make one with the image selected."
        )
    if isinstance(layer, Shapes):
        return _filled(layer, image, shape, own)
    _check_place(layer, image, shape)
    return _data(layer)[own] if own else _data(layer)


def _check_place(layer: Layer, image: Image, shape: tuple[int, ...]) -> None:
    """Refuse a mask whose pixels do not lie on those of the image."""
    corners = np.array(list(product(*((0, n - 1) for n in shape))), float)
    apart = float(np.abs(_to_pixels(corners, layer, image) - corners).max())
    if not apart <= AGREE_PX:
        raise InputError(
            f"The mask {layer.name!r} does not lie on the image {image.name!r}: scale, translation or rotation differ, "
            f"which moves it by up to {apart:.3g} px. Give both layers the same."
        )


def _to_pixels(points: np.ndarray, layer: Layer, image: Image) -> np.ndarray:
    """Turn points ``[n, axes]`` of a layer into pixel coordinates of the last axes of an image."""
    leading = np.asarray(image.data_to_world(np.zeros(image.ndim)))[: image.ndim - layer.ndim]
    basis = np.vstack([np.zeros(layer.ndim), np.eye(layer.ndim)])
    images = np.array([image.world_to_data([*leading, *layer.data_to_world(each)])[-layer.ndim :] for each in basis])
    return points @ (images[1:] - images[0]) + images[0]


def _filled(layer: Shapes, image: Image, shape: tuple[int, ...], index: tuple[int, ...]) -> np.ndarray:
    """Fill shapes in the planes in which they were drawn: bool, of ``shape`` or, with an index, of a plane."""
    drawn: dict[tuple[tuple[int, int], ...], list[tuple[np.ndarray, str]]] = {}  # by their first and last planes
    for vertices, kind in zip(layer.data, layer.shape_type, strict=True):
        points = _to_pixels(np.asarray(vertices, float), layer, image)
        planes = np.rint([points[:, :-2].min(0), points[:, :-2].max(0)]).astype(int)
        drawn.setdefault(tuple((int(a), int(b)) for a, b in planes.T), []).append((points[:, -2:], str(kind)))
    mask = np.zeros(shape[-2:] if index else shape, bool)
    for spans, shapes in drawn.items():
        if index and not all(first <= at <= last for at, (first, last) in zip(index, spans, strict=True)):
            continue
        where = () if index else tuple(slice(max(0, first), max(0, last + 1)) for first, last in spans)
        flat = Shapes([points for points, _ in shapes], shape_type=[kind for _, kind in shapes])
        mask[where] |= flat.to_labels(shape[-2:]) != 0  # of a layer of two axes: whatever the viewer displays now
    return mask


def _data(layer: Any) -> Any:
    return layer.data[0] if layer.multiscale else layer.data


def _size(shape: Any) -> str:
    return "x".join(map(str, shape))
