"""Combine scenes, blur, data types, noise and faults to inputs whose true image is known, for the benchmark of inputs.

Each seed is one combination. The draws of a fault do not depend on the others, so that a case can be made again
without one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.signal import fftconvolve

from .. import blur
from ..blur.support import pad_to
from .benchmark_input_faults import KERNEL_FAULTS, MARKS, OUTLIERS, Ends, add_marks, add_outliers, spoil_kernel
from .benchmark_input_scenes import SCENES, Draw, scene

SIDES_PX = (64, 80, 96)
BLIND_EVERY = 20  # cases
BLIND_SIDE_PX = 96
FAR_PX = 8  # from faults; a kernel reaches at most so far
LEAST_FAR = 0.25  # share of the pixels that are far from faults; of others all sound pixels are measured
FREE = 0.4  # chance that an ingredient of faults is left out
TYPES = {"8 bits": 255, "10 bits": 1023, "12 bits": 4095, "14 bits": 16383, "16 bits": 65535, "int16": 32767}
FLOATS = ("float in [0, 1]", "float", "float with negative values")
COLOUR_TYPES = ("8 bits", "16 bits", "float in [0, 1]", "float")
BLURS = ("motion", "shake", "gaussian", "defocus")
CHANNELS = ("grey", "grey", "grey", "colour", "one colour", "with alpha")
CLIPPING = ("none", "at the end", "below the end", "per channel")
NOISE = (0.001, 0.003, 0.01, 0.03)  # standard deviation, fraction of the range
PHOTONS = (30, 300, 3000)  # at full scale
HEADROOM = 1.1  # of light below the end of a data type
CLIPPED_NEAR = 0.02  # of light, below the level of clipping: noise may have clipped it
FAULTS = ("outliers", "marks", "clipping", "kernel")


@dataclass(frozen=True)
class InputCase:
    """An input of :func:`~..pipeline.front_door.deblur`, and what it should have shown.

    Attributes
    ----------
    seed : int
    ingredients : dict of str to str
    image : array [Y, X] or [Y, X, 3 or 4]
        Native units.
    kernel : array or None
        As given; None for blind.
    truth : float64 array [Y, X] or [Y, X, 3]
        Native units.
    sound : bool array [Y, X]
        Pixels without faults, and far from them.
    signal : float
        Range of the scene, native units.
    """

    seed: int
    ingredients: dict[str, str]
    image: np.ndarray
    kernel: np.ndarray | None
    truth: np.ndarray
    sound: np.ndarray
    signal: float

    @property
    def description(self) -> str:
        """The ingredients in one line."""
        return ", ".join(f"{key} {value}" for key, value in self.ingredients.items() if value not in ("none", "exact"))


@dataclass(frozen=True)
class Range:
    """Native values ``offset + signal * light``, up to ``end`` of a data type; None: unbounded."""

    offset: float
    signal: float
    end: float | None
    dtype: np.dtype

    def ends(self) -> Ends:
        """Return what dead and hot pixels and marks have."""
        top = self.offset + self.signal
        hot = top + 20 * self.signal if self.end is None else self.end
        dead = self.offset - self.signal if self.offset < 0 else 0.0
        return Ends(dead, hot, dead, top if self.end is None else self.end)

    def store(self, native: np.ndarray) -> np.ndarray:
        """Convert to the data type."""
        if self.dtype.kind == "f":
            return (native if self.end is None else np.clip(native, 0, self.end)).astype(self.dtype)
        info = np.iinfo(self.dtype)
        return np.clip(np.rint(native), info.min, self.end).astype(self.dtype)


def make_case(seed: int, photos: Sequence[np.ndarray] = (), without: Sequence[str] = ()) -> InputCase:
    """Make the combination of a seed; ``without`` names :data:`FAULTS` that are left out."""
    draws = {name: np.random.default_rng([seed, number]) for number, name in enumerate(("case", "scene", *FAULTS))}
    chosen = _choose(seed, draws["case"])
    for name in without:
        chosen[name] = "exact" if name == "kernel" else "none"
    side = BLIND_SIDE_PX if chosen["kernel"] == "blind" else int(chosen["side"])
    rng = draws["scene"]
    kernel = blur_kernel(chosen["blur"], rng)
    light = scene(chosen["scene"], side + 2 * FAR_PX, rng, photos)
    light = _with_channels(light, chosen["channels"], rng)
    wide = pad_to(kernel, (2 * FAR_PX + 1,) * 2)
    blurred = fftconvolve(light, wide.reshape(*wide.shape, *[1] * (light.ndim - 2)), "valid", axes=(0, 1))
    noisy = _noisy(np.maximum(blurred, 0), chosen["noise"], rng)
    levels = _clipping_levels(blurred, chosen["clipping"], draws["clipping"])
    values = _range(chosen, _finite_top(levels), rng)
    native = values.offset + values.signal * np.minimum(noisy, levels)
    clipped = blurred > levels - CLIPPED_NEAR
    ends = values.ends()
    spoiled = add_outliers(native, chosen["outliers"], ends, draws["outliers"])
    marked = add_marks(native, chosen["marks"], ends, draws["marks"])
    image = values.store(native)
    if chosen["channels"] == "with alpha":
        image = _with_alpha(image, marked if chosen["marks"] == "transparent part" else None)
    faults = marked | (clipped.any(-1) if clipped.ndim == 3 else clipped)
    given = None if chosen["kernel"] == "blind" else spoil_kernel(kernel, chosen["kernel"], draws["kernel"])
    truth = values.offset + values.signal * light[FAR_PX:-FAR_PX, FAR_PX:-FAR_PX]
    return InputCase(seed, chosen, image, given, truth, _sound(faults, spoiled), values.signal)


def _choose(seed: int, rng: Draw) -> dict[str, str]:
    """Draw the ingredients of a case; of those that do not fit together the later ones give way."""

    def fault(kinds: Sequence[str]) -> str:
        return kinds[0] if rng.random() < FREE else str(rng.choice(kinds[1:]))

    chosen = {"scene": str(rng.choice(SCENES)), "blur": str(rng.choice(BLURS)), "side": str(rng.choice(SIDES_PX))}
    chosen["type"] = str(rng.choice([*TYPES, *FLOATS]))
    chosen["offset"] = str(rng.choice(["0", "1", "10"], p=[0.5, 0.25, 0.25]))
    chosen["noise"] = str(rng.choice([*(f"{std:g}" for std in NOISE), *(f"{count} photons" for count in PHOTONS)]))
    chosen["channels"] = str(rng.choice(CHANNELS))
    chosen["outliers"], chosen["marks"] = fault(OUTLIERS), fault(MARKS)
    chosen["clipping"], chosen["kernel"] = fault(CLIPPING), fault(KERNEL_FAULTS)
    if chosen["kernel"] == "off centre" and chosen["blur"] in ("motion", "shake"):
        chosen["blur"] = "defocus"  # where a path has its centre is not known
    if seed % BLIND_EVERY == BLIND_EVERY - 1:
        chosen["kernel"] = "blind"
    if chosen["marks"] == "transparent part":
        chosen["channels"] = "with alpha"
    if chosen["channels"] != "grey" and chosen["type"] not in COLOUR_TYPES:
        chosen["type"] = COLOUR_TYPES[seed % len(COLOUR_TYPES)]
    if chosen["outliers"].startswith("NaN") and not chosen["type"].startswith("float"):
        chosen["type"] = "float"
    if "negative" in chosen["type"] or (chosen["type"] == "int16" and seed % 2):
        chosen["offset"] = "negative"
    if chosen["channels"] == "one colour":
        chosen["offset"] = "0"  # the empty channels are black
    return chosen


def blur_kernel(kind: str, rng: Draw) -> np.ndarray:
    """Draw a kernel of one of :data:`BLURS`, at most 17 px wide."""
    if kind == "motion":
        return blur.motion(rng.uniform(4, 12), rng.uniform(0, 180))
    if kind == "shake":
        return blur.shake(rng.uniform(5, 12), int(rng.integers(1000)), size=15)
    if kind == "gaussian":
        return blur.gaussian(rng.uniform(0.8, 2.2), rng.uniform(0.65, 1), rng.uniform(0, 180), size=15)
    return blur.defocus(rng.uniform(1.5, 5))


def _with_channels(light: np.ndarray, channels: str, rng: Draw) -> np.ndarray:
    if channels == "grey":
        return light.mean(-1) if light.ndim == 3 else light
    if light.ndim == 2:
        tint = rng.uniform(0.5, 1, 3)
        light = light[..., None] * (tint / tint.max())
    if channels == "one colour":
        light = light * (np.arange(3) == rng.integers(3))
    return light


def _noisy(light: np.ndarray, noise: str, rng: Draw) -> np.ndarray:
    if noise.endswith("photons"):
        count = float(noise.split()[0])
        return rng.poisson(light * count) / count
    return light + float(noise) * rng.standard_normal(light.shape) * (light.max((0, 1)) > 0)


def _clipping_levels(blurred: np.ndarray, clipping: str, rng: Draw) -> np.ndarray:
    """Return the light from which on each channel is clipped, ``[]`` or ``[C]``; infinite where none is."""
    channels = blurred.shape[2:]
    if clipping == "none":
        return np.full(channels, np.inf)
    if clipping == "per channel" and channels:
        return np.array([_level(blurred[..., channel], rng) for channel in range(channels[0])])
    return np.full(channels, _level(blurred, rng))


def _finite_top(levels: np.ndarray) -> float:
    """Return the highest level of a clipped channel, infinite where none is clipped."""
    finite = levels[np.isfinite(levels)]
    return float(finite.max()) if finite.size else np.inf


def _level(light: np.ndarray, rng: Draw) -> float:
    share, height = rng.uniform(0.9, 0.995), rng.uniform(0.3, 0.9)
    low, high = float(light.min()), float(light.max())
    level = max(float(np.quantile(light, share)), low + height * (high - low))
    return level if high > 0 else np.inf


def _range(chosen: Mapping[str, str], top: float, rng: Draw) -> Range:
    """Draw offset and signal, so that light up to ``top`` has room in the data type."""
    kind, offset = chosen["type"], chosen["offset"]
    ratio = -rng.uniform(0.2, 1) if offset == "negative" else float(offset)
    if kind.startswith("float") and kind != "float in [0, 1]":
        signal = 10 ** rng.uniform(-4, 5)
        return Range(ratio * signal, signal, None, np.dtype(np.float32))
    end = float(TYPES.get(kind, 1))
    dim = 0.95 if kind == "8 bits" and ratio > 1 else float(rng.choice([0.95, 0.95, 0.5, 0.15]))
    if np.isfinite(top):
        dim = rng.uniform(0.3, 0.9) if chosen["clipping"] == "below the end" else 1.0
    signal = min(dim * end / (max(ratio, 0) + (top if np.isfinite(top) else HEADROOM)), end)
    dtypes = {"8 bits": np.uint8, "int16": np.int16, "float in [0, 1]": np.float32}
    return Range(ratio * signal, signal, end, np.dtype(dtypes.get(kind, np.uint16)))


def _with_alpha(image: np.ndarray, hidden: np.ndarray | None) -> np.ndarray:
    opaque = 1 if image.dtype.kind == "f" else np.iinfo(image.dtype).max
    alpha = np.full((*image.shape[:2], 1), opaque, image.dtype)
    if hidden is not None:
        alpha[hidden] = 0
    return np.concatenate([image, alpha], -1)


def _sound(faults: np.ndarray, spoiled: np.ndarray) -> np.ndarray:
    """Return the pixels that are measured: far from faults and borders, or just sound where few are far."""
    sound = ~(faults | spoiled)
    edge = np.ones(sound.shape, bool)
    edge[FAR_PX:-FAR_PX, FAR_PX:-FAR_PX] = False
    for near in (faults | spoiled, faults):
        far = ~ndimage.maximum_filter(near, 2 * FAR_PX + 1) & sound & ~edge
        if far.mean() > LEAST_FAR:
            return far
    return sound & ~edge
