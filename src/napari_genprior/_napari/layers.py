"""Between napari's layers and plain arrays. Knows napari's layer model, but neither Qt nor widgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Image
from napari.utils.transforms import Affine

from ..core.result import SPREAD

KEY = "genprior"  # of our entry in a layer's metadata
UNFINISHED = {"status": {"code": "running", "sentence": "Not finished: an image on the way."}}
CHEAP_PIXELS = 4_000_000  # up to here an image is checked in some 10 ms, short enough for the GUI thread

LayerData = tuple[np.ndarray, dict[str, Any]]


@dataclass(frozen=True)
class Picked:
    """The image a user chose, and all of its layer that the results shall have too.

    Parameters
    ----------
    name : str
        Of the layer, with the plane of a stack.
    image : array-like [Y, X] or [Y, X, 3 or 4]
        Maybe lazy: not yet computed.
    place : dict
        scale, translate, units, axis_labels and so on: where the image lies.
    look : dict
        contrast_limits, colormap, gamma; empty for RGB.
    note : str
        What the user should know about the choice; may be empty.
    index : tuple of int
        Of the plane in its stack; () for all of a layer.
    """

    name: str
    image: Any
    rgb: bool
    place: dict[str, Any]
    look: dict[str, Any]
    note: str = ""
    index: tuple[int, ...] = ()

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self.image.dtype)

    @property
    def cheap(self) -> bool:
        """Whether looking at every pixel takes next to no time: in memory, and not large."""
        return isinstance(self.image, np.ndarray) and self.image.size <= CHEAP_PIXELS


def is_image(layer: Any) -> bool:
    """Whether a layer may be offered as an image (Labels and all others may not)."""
    return isinstance(layer, Image)


def is_kernel(layer: Any, axes: int = 2) -> bool:
    """Whether a layer may be offered as a kernel: grey values, a single plane or with more ``axes``."""
    return isinstance(layer, Image) and not layer.rgb and layer.ndim == axes


def looks_like_kernel(layer: Image) -> bool:
    """Whether a layer's name says that it is a kernel: a first guess for the choices, no more."""
    return not layer.rgb and any(word in layer.name.lower() for word in ("kernel", "psf"))


def looks_like_image(layer: Image) -> bool:
    """Whether nothing speaks against a layer as an image."""
    return not looks_like_kernel(layer)


def pick(layer: Image, point: Sequence[float] = ()) -> Picked:
    """Take the image out of a layer: the full resolution of a pyramid, the displayed plane of a stack.

    Parameters
    ----------
    layer : napari.layers.Image
    point : sequence of float
        World coordinates of the viewer's sliders (``viewer.dims.point``); they choose the plane.
    """
    axes = stack_shape(layer)
    seen = axes and len(point) >= layer.ndim
    return pick_plane(layer, plane_index(axes, layer.world_to_data(point)) if seen else (0,) * len(axes))


def pick_plane(layer: Image, index: tuple[int, ...]) -> Picked:
    """Take a plane out of a stack; ``index`` () is all of a single image."""
    data, axes = _data(layer), stack_shape(layer)
    labels = tuple(layer.axis_labels)
    place = _place(layer, 2)
    if not axes:  # a rotation of a stack may mix its planes: there is no such rotation of one of them
        place |= {"rotate": layer.rotate, "shear": layer.shear, "affine": layer.affine.affine_matrix}
    where = ", ".join(f"{labels[axis]} {i}" for axis, i in enumerate(index))
    sizes = " x ".join(map(str, axes))
    return Picked(
        name=f"{layer.name} [{where}]" if index else layer.name,
        image=data[index] if index else data,
        rgb=bool(layer.rgb),
        place=place,
        look=_look(layer),
        note=f"The displayed plane of the stack is used: {where} (of {sizes})." if index else "",
        index=index,
    )


def pick_all(layer: Image) -> Picked:
    """All of a layer: a stack as it is."""
    return Picked(layer.name, _data(layer), bool(layer.rgb), _place(layer, layer.ndim), _look(layer))


def stack_shape(layer: Image) -> tuple[int, ...]:
    """How many planes along each axis; () for a single image."""
    return tuple(_data(layer).shape[: layer.ndim - 2])


def _data(layer: Image) -> Any:
    return layer.data[0] if layer.multiscale else layer.data


def _place(layer: Image, axes: int) -> dict[str, Any]:
    return {
        "scale": tuple(float(s) for s in layer.scale[-axes:]),
        "translate": tuple(float(t) for t in layer.translate[-axes:]),
        "units": tuple(layer.units)[-axes:],
        "axis_labels": tuple(layer.axis_labels)[-axes:],
    }


def _look(layer: Image) -> dict[str, Any]:
    if layer.rgb:
        return {}
    return {"contrast_limits": list(layer.contrast_limits), "colormap": layer.colormap, "gamma": layer.gamma}


def plane_index(planes: Sequence[int], position: Sequence[float]) -> tuple[int, ...]:
    """Indices of a stack's axes at a position in data coordinates, kept inside the stack."""
    return tuple(int(np.clip(round(float(p)), 0, n - 1)) for p, n in zip(position, planes, strict=False))


def moved(place: dict[str, Any], offset: Sequence[float]) -> dict[str, Any]:
    """The place of an image whose first pixel is pixel ``offset`` (may be fractional) of the one at ``place``."""
    axes = len(place["scale"])
    affine = Affine(scale=place["scale"], rotate=place.get("rotate"), shear=place.get("shear"), ndim=axes)
    shift = affine.linear_matrix @ np.array([0.0] * (axes - 2) + [float(o) for o in offset])
    return place | {"translate": tuple(float(t) for t in np.asarray(place["translate"]) + shift)}


def kernel_place(picked: Picked) -> dict[str, Any]:
    """Right of the image, so that neither hides the other; same scale and units, as napari wants them equal."""
    width = picked.image.shape[len(picked.place["scale"]) - 1]
    return moved(picked.place, (0, width + max(2, width // 50)))


def result_layer(picked: Picked, image: np.ndarray, report: dict[str, Any], what: str = "deblurred") -> LayerData:
    """Data and ``add_image`` arguments of a restored or blurred image: place and look of its source."""
    arguments = {
        "name": f"{picked.name} {what}",
        "rgb": picked.rgb,
        "metadata": {KEY: report},
        **picked.place,
        **picked.look,
    }
    return image, arguments


def extra_layer(picked: Picked, data: np.ndarray, report: dict[str, Any], name: str) -> LayerData:
    """Data and ``add_image`` arguments of what a method shows beside its result."""
    _, arguments = result_layer(picked, data, report, name)
    if name == SPREAD:  # no image, but a map of uncertainty
        arguments |= {"rgb": False, "colormap": "magma", "gamma": 1.0, "contrast_limits": kernel_limits(data)}
    return data, arguments


def kernel_layer(picked: Picked, kernel: np.ndarray, report: dict[str, Any], what: str = "kernel") -> LayerData:
    """Data and ``add_image`` arguments of a kernel."""
    return kernel, {
        "name": f"{picked.name} {what}",
        "metadata": {KEY: report},
        "contrast_limits": kernel_limits(kernel),
        "colormap": "inferno",
        **kernel_place(picked),
    }


def kernel_limits(kernel: np.ndarray) -> tuple[float, float]:
    """Contrast limits that show all of a kernel, or of another map of values >= 0."""
    largest = float(kernel.max())
    return 0.0, largest if largest > 0 else 1.0


def update_kernel(layer: Image, kernel: np.ndarray) -> None:
    """Show another kernel, maybe of another size, in a kernel layer."""
    layer.data = kernel
    layer.contrast_limits = kernel_limits(kernel)


def blurred_layer(
    picked: Picked, blurred: np.ndarray, kernel_shape: tuple[int, int], report: dict[str, Any]
) -> LayerData:
    """As :func:`result_layer` for a simulation, which is smaller than its source where the border was left out."""
    data, arguments = result_layer(picked, blurred, report, "blurred")
    if blurred.shape[:2] != tuple(picked.image.shape[:2]):
        kh, kw = kernel_shape
        arguments |= moved(picked.place, (kh - 1 - kh // 2, kw - 1 - kw // 2))
    return data, arguments
