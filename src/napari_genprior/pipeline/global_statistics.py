"""Measure a large image before it is tiled: its range, its noise, its most textured part."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np
import torch

from ..core.checks import check_range
from ..core.errors import InputError
from ..core.intensity import Intensity
from ..operators.detail import REGION, detail, most_textured_place

STRIP_BYTES = 1.5e8  # read at once
COLUMNS = 2048  # px, looked at at once
SAMPLES = 4e6  # of noise; small images give all they have


@dataclass
class GlobalStatistics:
    """Range, noise and most textured part of a large image, updated plane by plane.

    Parameters
    ----------
    dtype, shape
        Of all of it.
    region : int
        Side of the part with the most detail.

    Attributes
    ----------
    part : array [region, region] or [region, region, C], or None
        The part with the most detail; None: the image is constant everywhere.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    region: int = REGION
    part: np.ndarray | None = None
    _most: float = -1.0
    _least: float = np.inf
    _largest: float = -np.inf
    _noise: list[np.ndarray] = field(default_factory=list)
    _digest: Any = None

    def __post_init__(self) -> None:
        self._digest = hashlib.sha256(f"{self.dtype.str}{self.shape}".encode())

    @property
    def intensity(self) -> Intensity:
        return Intensity.between(self.dtype, self._least, self._largest)

    @property
    def noise(self) -> float:
        """Standard deviation, fraction of the range (:func:`..operators.noise.noise_std`)."""
        return float(np.mean(np.median(np.concatenate(self._noise), axis=0))) / 0.6745 / self.intensity.scale

    def check_range(self) -> None:
        """Raise InputError where the values of the image do not suit float32."""
        check_range(self.dtype, self._least, self._largest)

    @property
    def sha256(self) -> str:
        """As :func:`..provenance.array_hash` of the whole."""
        return self._digest.hexdigest()

    def update(self, plane: Any) -> Iterator[float]:
        """Take in a plane ``[Y, X]`` or ``[Y, X, 3 or 4]``; yields the fraction that is done.

        Raises
        ------
        InputError
            NaN or infinite values.
        """
        height, width = plane.shape[:2]
        row_bytes = width * int(np.prod(plane.shape[2:])) * self.dtype.itemsize
        side = max(2 * self.region, int(STRIP_BYTES / row_bytes))
        stride = max(1, int(np.prod(self.shape) / SAMPLES))
        above: np.ndarray | None = None  # the row above the strip: noise is measured between rows
        for top, bottom in _evenly(height, side):
            strip = np.asarray(plane[top:bottom])
            self._digest.update(np.ascontiguousarray(strip).data)
            if self.dtype.kind == "f" and not np.isfinite(strip).all():
                bad = int((~np.isfinite(strip)).sum())
                raise InputError(
                    f"Rows {top} to {bottom - 1} of the image hold {bad} NaN or infinite values; "
                    "replace them (numpy.nan_to_num) first."
                )
            colours = strip[..., :3] if strip.ndim == 3 else strip
            self._least = min(self._least, float(colours.min()))
            self._largest = max(self._largest, float(colours.max()))
            joined = colours if above is None else np.concatenate([above, colours])
            above = colours[-1:]
            for left, right in _evenly(width, COLUMNS):
                self._sample(joined[:, left : right + 1], stride)
                self._find_detail(strip[:, left:right])
            yield bottom / height

    def _sample(self, block: np.ndarray, stride: int) -> None:
        if min(block.shape[:2]) < 2:
            return
        b = block.astype(np.float32)
        corner = np.abs(b[:-1, :-1] - b[1:, :-1] - b[:-1, 1:] + b[1:, 1:]) / 2
        self._noise.append(corner.reshape(-1, *block.shape[2:])[::stride].copy())

    def _find_detail(self, block: np.ndarray) -> None:
        if block.min() == block.max():
            return
        planes = block[None] if block.ndim == 2 else np.moveaxis(block[..., :3], -1, 0)
        tensor = torch.from_numpy(np.ascontiguousarray(planes, dtype=np.float32))[None]
        part = block[most_textured_place(tensor, self.region)]
        if (found := detail(part)) > self._most:
            self.part, self._most = part.copy(), found


def _evenly(length: int, most: int) -> list[tuple[int, int]]:
    """Cut an axis into pieces of about the same length, none longer than ``most``: (first, one past the last)."""
    ends = np.linspace(0, length, ceil(length / most) + 1).round().astype(int).tolist()
    return list(pairwise(ends))
