"""Convert between napari's layers and plain arrays. Knows napari's layer model, but neither Qt nor widgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Image
from napari.utils.transforms import Affine

from ..blur.given_kernel import GivenKernel, is_normalized
from ..core.result import RESTART_STD
from ..core.units import MICROMETRES, lengths_um

KEY = "genprior"  # of our entry in a layer's metadata
UNFINISHED = {"status": {"code": "running", "sentence": "Not finished: a preview."}}
CHEAP_PIXELS = 4_000_000  # up to here an image is checked in some 10 ms, short enough for the GUI thread

LayerData = tuple[np.ndarray, dict[str, Any]]


@dataclass(frozen=True)
class SelectedImage:
    """The image that a user chose, and the properties of its layer that the results get too.

    Parameters
    ----------
    name : str
        Name of the layer, and of the plane of a stack.
    image : array-like [..., Y, X] or [..., Y, X, 3 or 4]
        Numpy, or lazy and not yet computed.
    place : dict
        scale, translate, units, axis_labels and so on: position of the image in the world.
    look : dict
        contrast_limits, colormap, gamma; empty for RGB.
    note : str
        What the user should know about the choice, or "".
    index : tuple of int
        Index of the plane in its stack; () for a whole layer.
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
        """Data type of the image."""
        return np.dtype(self.image.dtype)

    @property
    def axes(self) -> int:
        """Number of axes, without colours."""
        return len(self.place["scale"])

    @property
    def cheap(self) -> bool:
        """Return whether every pixel can be read in next to no time: the image is in memory and not large."""
        return isinstance(self.image, np.ndarray) and self.image.size <= CHEAP_PIXELS


def is_image(layer: Any) -> bool:
    """Return whether a layer may be offered as an image (Labels and all others may not)."""
    return isinstance(layer, Image)


def is_kernel(layer: Any, axes: int = 2) -> bool:
    """Return whether a layer may be offered as a kernel: grey values, and as many ``axes``."""
    return isinstance(layer, Image) and not layer.rgb and layer.ndim == axes


def given_kernel(layer: Image, image: Image | None) -> GivenKernel:
    """Return the kernel or kernels of a layer, with the pixel sizes of both layers where these are known.

    A kernel layer that a run added is taken as it is.
    """
    sizes = {} if image is None else _pixel_size_um(image)
    values = np.asarray(_data(layer))
    own = KEY in layer.metadata and is_normalized(values)
    return GivenKernel(values, _pixel_size_um(layer), sizes, exact=own, carrier="layer")


def _pixel_size_um(layer: Image) -> dict[str, float]:
    """Return the pixel size of a layer's last axes (z, y, x) in um; a scale without a unit of length counts as um.

    A scale of 1 says nothing: layers without a pixel size have it.
    """
    axes = "ZYX"[-min(layer.ndim, 3) :]
    scale = dict(zip(axes, map(float, layer.scale[-3:]), strict=True))
    if set(scale.values()) == {1.0}:
        return {}
    units = [str(unit) for unit in layer.units[-3:]]
    named = [unit if unit in MICROMETRES else "micrometer" for unit in units]
    return lengths_um(scale, dict(zip(axes, named, strict=True)))


def looks_like_kernel(layer: Image) -> bool:
    """Return whether the name of a layer says that it is a kernel; only the first choice of a list depends on it."""
    return not layer.rgb and any(word in layer.name.lower() for word in ("kernel", "psf"))


def looks_like_image(layer: Image) -> bool:
    """Return whether the name of a layer does not say that it is a kernel."""
    return not looks_like_kernel(layer)


def select_displayed(layer: Image, point: Sequence[float] = ()) -> SelectedImage:
    """Take the displayed image from a layer: the plane of a stack, of a pyramid at full resolution.

    Parameters
    ----------
    layer : napari.layers.Image
    point : sequence of float
        World coordinates of the viewer's sliders (``viewer.dims.point``), which choose the plane.
    """
    axes = stack_shape(layer)
    displayed = axes and len(point) >= layer.ndim
    return select_plane(layer, plane_index(axes, layer.world_to_data(point)) if displayed else (0,) * len(axes))


def select_plane(layer: Image, index: tuple[int, ...]) -> SelectedImage:
    """Take a plane from a stack; ``index`` () takes all of a single image."""
    data, axes = _data(layer), stack_shape(layer)
    labels = tuple(layer.axis_labels)
    place = _place(layer, 2)
    if not axes:  # a rotation of a stack may mix its planes: there is no such rotation of one of them
        place |= {"rotate": layer.rotate, "shear": layer.shear, "affine": layer.affine.affine_matrix}
    where = ", ".join(f"{labels[axis]} {i}" for axis, i in enumerate(index))
    sizes = " x ".join(map(str, axes))
    return SelectedImage(
        name=f"{layer.name} [{where}]" if index else layer.name,
        image=data[index] if index else data,
        rgb=bool(layer.rgb),
        place=place,
        look=_look(layer),
        note=f"The displayed plane of the stack is used: {where} (of {sizes})." if index else "",
        index=index,
    )


def select_all(layer: Image) -> SelectedImage:
    """Take all of a layer."""
    return SelectedImage(layer.name, _data(layer), bool(layer.rgb), _place(layer, layer.ndim), _look(layer))


def stack_shape(layer: Image) -> tuple[int, ...]:
    """Return the number of planes along each axis; () for a single image."""
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
    """Return the index of the plane of a stack nearest to a position in data coordinates."""
    return tuple(int(np.clip(round(float(p)), 0, n - 1)) for p, n in zip(position, planes, strict=False))


def moved(place: dict[str, Any], offset: Sequence[float]) -> dict[str, Any]:
    """Return the place of an image whose first pixel is pixel ``offset``, also a fraction, of the one at ``place``."""
    axes = len(place["scale"])
    affine = Affine(scale=place["scale"], rotate=place.get("rotate"), shear=place.get("shear"), ndim=axes)
    shift = affine.linear_matrix @ np.array([0.0] * (axes - 2) + [float(o) for o in offset])
    return place | {"translate": tuple(float(t) for t in np.asarray(place["translate"]) + shift)}


def kernel_place(selected: SelectedImage) -> dict[str, Any]:
    """Return a place right of the image, so that neither hides the other, with the same scale and units."""
    width = selected.image.shape[len(selected.place["scale"]) - 1]
    return moved(selected.place, (0, width + max(2, width // 50)))


def result_layer(
    selected: SelectedImage, image: np.ndarray, report: dict[str, Any], what: str = "deblurred"
) -> LayerData:
    """Return data and ``add_image`` arguments of a restored or blurred image: place and look of its source."""
    arguments = {
        "name": f"{selected.name} {what}",
        "rgb": selected.rgb,
        "metadata": {KEY: report},
        **selected.place,
        **selected.look,
    }
    return image, arguments


def extra_layer(selected: SelectedImage, data: np.ndarray, report: dict[str, Any], name: str) -> LayerData:
    """Return data and ``add_image`` arguments of an image that a method returns beside its result."""
    _, arguments = result_layer(selected, data, report, name)
    if name == RESTART_STD:  # no image, but a map of uncertainty
        arguments |= {"rgb": False, "colormap": "magma", "gamma": 1.0, "contrast_limits": kernel_limits(data)}
    return data, arguments


def kernel_layer(
    selected: SelectedImage, kernel: np.ndarray, report: dict[str, Any], what: str = "kernel"
) -> LayerData:
    """Return data and ``add_image`` arguments of a kernel."""
    return kernel, {
        "name": f"{selected.name} {what}",
        "metadata": {KEY: report},
        "contrast_limits": kernel_limits(kernel),
        "colormap": "inferno",
        **kernel_place(selected),
    }


def kernel_limits(kernel: np.ndarray) -> tuple[float, float]:
    """Return contrast limits for a kernel or another map of values >= 0: from 0 to its maximum."""
    largest = float(kernel.max())
    return 0.0, largest if largest > 0 else 1.0


def update_kernel(layer: Image, kernel: np.ndarray) -> None:
    """Show another kernel, also of another size, in a kernel layer."""
    layer.data = kernel
    layer.contrast_limits = kernel_limits(kernel)


def blurred_layer(
    selected: SelectedImage, blurred: np.ndarray, kernel_shape: tuple[int, int], report: dict[str, Any]
) -> LayerData:
    """Return a layer as :func:`result_layer` does, for a simulation: smaller than its source with boundary "valid"."""
    data, arguments = result_layer(selected, blurred, report, "blurred")
    if blurred.shape[:2] != tuple(selected.image.shape[:2]):
        kh, kw = kernel_shape
        arguments |= moved(selected.place, (kh - 1 - kh // 2, kw - 1 - kw // 2))
    return data, arguments
