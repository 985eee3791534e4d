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
from ..core.intensity import Intensity
from ..operators.detail import REGION, detail, most_textured_place
from ..operators.noise import FLAT_FRACTION, ROUNDING_STD, any_of_four, flat_areas
from ..operators.pixel_survey import PixelSurvey, merge_counts, spike_level, survey_pixels, upper_part
from .observe import as_planes, type_end, with_levels

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
    part_mask : bool array [region, region] or None
        What the user masked of it.
    counts : dict of str to int
        Pixels that were left out, by what is wrong with them.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    region: int = REGION
    part: np.ndarray | None = None
    part_mask: np.ndarray | None = None
    counts: dict[str, int] = field(default_factory=dict)
    _histograms: np.ndarray | None = None
    _most: float = -1.0
    _least: float = np.inf
    _largest: float = -np.inf
    _noise: list[np.ndarray] = field(default_factory=list)
    _digest: Any = None

    def __post_init__(self) -> None:
        self._digest = hashlib.sha256(f"{self.dtype.str}{self.shape}".encode())

    @property
    def intensity(self) -> Intensity:
        return with_levels(Intensity.between(self.dtype, self._least, self._largest), self._levels)

    @property
    def noise(self) -> float:
        """Standard deviation, fraction of the range (as :func:`..operators.noise.noise_level`)."""
        samples = np.concatenate(self._noise, axis=1)
        median = np.array([np.nanmedian(each) if np.isfinite(each).any() else 0.0 for each in samples])
        textured = median[median > 0]
        measured = float(np.sqrt(np.mean(textured**2))) / 0.6745 if textured.size else 0.0
        rounding = ROUNDING_STD if self.dtype.kind in "ui" else 0.0
        return max(measured, rounding) / self.intensity.scale

    def check_range(self) -> None:
        """Raise InputError where the values of the image do not suit float32."""
        check_range(self.dtype, self._least, self._largest)

    @property
    def sha256(self) -> str:
        """As :func:`..provenance.array_hash` of the whole."""
        return self._digest.hexdigest()

    def update(self, plane: Any, mask: Any = None) -> Iterator[float]:
        """Take in a plane ``[Y, X]`` or ``[Y, X, 3 or 4]`` and its mask; yields the fraction that is done."""
        height, width = plane.shape[:2]
        row_bytes = width * int(np.prod(plane.shape[2:])) * self.dtype.itemsize
        side = max(2 * self.region, int(STRIP_BYTES / row_bytes))
        stride = max(1, int(np.prod(self.shape) / SAMPLES))
        for top, bottom in _evenly(height, side):
            strip = np.asarray(plane[top:bottom])
            self._digest.update(np.ascontiguousarray(strip).data)
            masked = None if mask is None else np.asarray(mask[top:bottom])
            for left, right in _evenly(width, COLUMNS):
                part_mask = None if masked is None else masked[:, left:right]
                self._look_at(strip[:, left:right], part_mask, stride)
            yield bottom / height

    def _look_at(self, block: np.ndarray, mask: np.ndarray | None, stride: int) -> None:
        survey = survey_pixels(as_planes(block), mask)
        self.counts = merge_counts([self.counts, survey.counts])
        if survey.masked.all():
            return
        valid = survey.values[~survey.masked]
        self._least, self._largest = min(self._least, float(valid.min())), max(self._largest, float(valid.max()))
        self._count(survey)
        planes = torch.from_numpy(np.ascontiguousarray(survey.values, np.float32))[None]
        self._sample(planes, torch.from_numpy(survey.masked)[None], stride)
        if planes.min() == planes.max():
            return
        place = most_textured_place(planes, self.region)
        part = block[place]
        if (found := detail(np.moveaxis(survey.values[(slice(None), *place)], 0, -1).squeeze())) > self._most:
            self.part, self._most = part.copy(), found
            self.part_mask = None if mask is None else mask[place].copy()

    def _sample(self, planes: torch.Tensor, masked: torch.Tensor, stride: int) -> None:
        if min(planes.shape[-2:]) < 2:
            return
        corner = (planes.diff(dim=-1).diff(dim=-2).abs() / 2).masked_fill(any_of_four(masked), torch.nan)
        flat = flat_areas(planes)
        if flat.float().mean() >= FLAT_FRACTION:
            corner = corner.masked_fill(flat, torch.nan)
        self._noise.append(corner[0].flatten(1)[:, ::stride].numpy().copy())

    def _count(self, survey: PixelSurvey) -> None:
        """Count the pixels of each value by channel, where a type has few: a camera may clip before its end."""
        if self.dtype.kind != "u" or self.dtype.itemsize > 2:
            return
        size = np.iinfo(self.dtype).max + 1
        counts = np.stack(
            [
                np.bincount(channel[~masked], minlength=size)
                for channel, masked in zip(survey.values, survey.masked, strict=True)
            ]
        )
        self._histograms = counts if self._histograms is None else self._histograms + counts

    @property
    def _levels(self) -> tuple[float, ...]:
        end = type_end(self.dtype, Intensity.between(self.dtype, self._least, self._largest))
        end = np.inf if end is None else end
        if self._histograms is None:
            return () if end == np.inf else (end,)
        levels = []
        for counts in self._histograms:
            values = np.flatnonzero(counts)
            if len(values) == 0:
                levels.append(end)
                continue
            near = values[values >= upper_part(float(values[0]), float(values[-1]), 1.0)]
            levels.append(min(spike_level(near, counts[near], float(values[0]), int(counts.sum())), end))
        return tuple(levels)


def _evenly(length: int, most: int) -> list[tuple[int, int]]:
    """Cut an axis into pieces of about the same length, none longer than ``most``: (first, one past the last)."""
    ends = np.linspace(0, length, ceil(length / most) + 1).round().astype(int).tolist()
    return list(pairwise(ends))
