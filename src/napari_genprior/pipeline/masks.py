"""Check the mask that a user gives: pixels that say nothing of the scene."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.errors import InputError, short_repr
from ..core.layout import Layout
from .request_checks import is_path, read_array

LEAST_VALID = 0.05  # share of the pixels that a mask must leave


def read_mask(mask: Any) -> np.ndarray | None:
    """Return a mask given as an array or a path: bool, True where it is not 0; its shape is checked later."""
    if mask is None:
        return None
    array = read_array(mask) if is_path(mask) else np.asarray(mask)
    if array.dtype.kind not in "buif" or array.ndim < 2:
        raise InputError(
            "The mask must be an image of numbers, not 0 at the pixels to leave out; "
            f"got {short_repr(mask) if array.ndim < 2 else array.dtype}."
        )
    return np.nan_to_num(array) != 0 if array.dtype.kind == "f" else array != 0


def fit_mask(mask: np.ndarray | None, data: Any, layout: Layout, hidden: np.ndarray | None = None) -> np.ndarray | None:
    """Return the mask for all pieces: that of the user, and where the data are a masked array, theirs.

    Parameters
    ----------
    mask : bool array or None
        Of the image's shape; without colours; or of one piece or one plane, which serves all.
    data : array-like
        The image, stack or volume.
    hidden : bool array [Y, X], optional
        What transparency hides.

    Returns
    -------
    bool array of the data's shape without colours, or None
        Read-only where one mask serves all pieces.
    """
    axes = layout.axes.replace("S", "")
    shape = layout.sides(axes)
    own = np.ma.getmaskarray(data) if isinstance(data, np.ma.MaskedArray) and data.mask is not np.ma.nomask else None
    whole = None if own is None else _without_colours(own, layout)
    for given in (mask, hidden):
        if given is not None:
            fitted = _broadcast(_without_colours(given, layout), layout, axes, shape)
            whole = fitted if whole is None else whole | fitted
    if whole is not None and 1 - whole.mean() < LEAST_VALID:
        raise InputError(
            f"The mask leaves out {int(whole.sum())} of {whole.size} pixels; too few are left. The mask is not 0 where "
            "pixels are to be left out."
        )
    return whole if whole is not None and whole.any() else None


def _without_colours(mask: np.ndarray, layout: Layout) -> np.ndarray:
    """Mask a pixel where any of its colours is masked."""
    if "S" in layout.axes and mask.shape == layout.shape:
        return np.asarray(mask.any(layout.axes.index("S")))
    return mask


def _broadcast(mask: np.ndarray, layout: Layout, axes: str, shape: tuple[int, ...]) -> np.ndarray:
    """Give the mask of one piece to all."""
    if mask.shape == shape:
        return mask
    if mask.shape == layout.sides(layout.space):
        order = sorted(layout.space, key=axes.index)  # the array may have its spatial axes in another order
        piece = mask.transpose([layout.space.index(axis) for axis in order])
        sides = [layout.sides(axis)[0] if axis in layout.space else 1 for axis in axes]
        return np.broadcast_to(piece.reshape(sides), shape)
    plane = layout.sides("YX") if set("YX") < set(layout.space) else None
    if mask.shape == plane:  # all planes of a volume
        deep = np.broadcast_to(mask, layout.sides(layout.space))
        return _broadcast(deep, layout, axes, shape)
    one = "x".join(map(str, layout.sides(layout.space)))
    raise InputError(
        f"The mask has the shape {'x'.join(map(str, mask.shape))}; the image needs {'x'.join(map(str, shape))}"
        f"{'' if shape == layout.sides(layout.space) else f', or {one} for all planes'}."
    )
