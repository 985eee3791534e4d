"""Pixels that cannot be seen: full transparency hides whatever values are stored there."""

from __future__ import annotations

import numpy as np

from .errors import InputError


def fill_hidden(image: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Replace what is hidden by the nearest visible values, so that it does not leak into a result.

    Parameters
    ----------
    image : array [Y, X] or [Y, X, C]
    alpha : array [Y, X]
        0 where nothing is seen.

    Returns
    -------
    image : array
        A copy where something was replaced.
    hidden : bool array [Y, X], or None where everything is visible.

    Raises
    ------
    InputError
        Nothing is visible.
    """
    hidden = alpha == 0
    if not hidden.any():
        return image, None
    if hidden.all():
        raise InputError("The image is transparent everywhere; there is nothing to restore.")
    from scipy.ndimage import distance_transform_edt

    rows, columns = distance_transform_edt(hidden, return_distances=False, return_indices=True)
    return image[rows, columns], hidden


def split_alpha(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Take grey with alpha apart, and fill what is hidden in it or in colours with alpha.

    Parameters
    ----------
    samples : array [..., Y, X, 2 or 4]
        The last sample is alpha, not premultiplied.

    Returns
    -------
    image : array [..., Y, X] or [..., Y, X, 4]
    alpha : array [..., Y, X], or None for colours, which keep theirs.
    hidden : bool array [Y, X] or None
        Of a single image.
    """
    alpha, values = samples[..., -1], samples[..., :-1]
    single, hidden = alpha.ndim == 2, None
    if single:
        values, hidden = fill_hidden(values, alpha)
    elif not alpha.all():
        values = values.copy()
        for index in np.ndindex(alpha.shape[:-2]):
            if alpha[index].any():
                values[index], _ = fill_hidden(values[index], alpha[index])
    if samples.shape[-1] == 2:
        return np.ascontiguousarray(values[..., 0]), alpha, hidden
    return np.concatenate([values, alpha[..., None]], -1), None, hidden


def unpremultiply(samples: np.ndarray) -> np.ndarray:
    """Divide colours ``[..., C]`` by the alpha in their last sample, which they were multiplied with."""
    most = np.iinfo(samples.dtype).max if samples.dtype.kind in "ui" else 1
    alpha = samples[..., -1:].astype(np.float64)
    colours = samples[..., :-1] * (most / np.where(alpha == 0, most, alpha))
    if samples.dtype.kind in "ui":
        colours = np.clip(np.rint(colours), 0, most)
    return np.concatenate([colours.astype(samples.dtype), samples[..., -1:]], -1)
