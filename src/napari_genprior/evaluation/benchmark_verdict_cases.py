"""Simulate blurred images whose true image is known, for the calibration of the verdict.

The images are from training sets and from scikit-image: photographs, nuclei, faces and digits under simulated kernels
and noise from 0.2% to 10%. Some cases violate the model of a method: an image without blur, a kernel that varies over
the image or is larger than the given size, saturation, a wrong kernel, a generator of another class, a photograph as
saved by a camera.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from skimage.transform import resize

from .. import blur
from ..simulation import simulate
from .benchmark_verdict_images import Draw, Sets

SEED = 20_261_121
NOISE_STD = (0.002, 0.1)  # fraction of the range, drawn log-uniformly
SIDE_PX = 96  # of blurred photographs and nuclei
BLURS = ("motion", "shake", "defocus", "gaussian")
GENERATORS = {"digits": "digits-28", "nuclei tile": "nuclei-64", "face": "faces-64"}


@dataclass(frozen=True)
class Case:
    """A blurred image, float32 in [0, 1], its true image, and the arguments with which it is deblurred.

    ``group`` names the property that is tested; all cases of one ``image`` belong to the same half of the calibration.
    """

    name: str
    group: str
    image: str
    blurred: np.ndarray
    truth: np.ndarray
    method: str
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def max_shift(self) -> int:
        """Largest shift between result and true image, and width of the cropped border, px."""
        return min(8, max(4, min(self.truth.shape[:2]) // 14))


@dataclass(frozen=True)
class Kind:
    """``count`` cases of a ``group``, with alternating subjects and methods."""

    count: int
    group: str
    subjects: tuple[str, ...]
    methods: tuple[str, ...]


CAMERA_FILE = "camera file"
GAMMA = 2.2
JPEG_QUALITY = (75, 97)

KINDS = (
    Kind(150, "blind", ("photograph", "nuclei", "photograph", "nuclei", "face"), ("classical",)),
    Kind(45, "not blurred", ("photograph", "nuclei", "face"), ("classical",)),
    Kind(24, "varying blur", ("photograph", "nuclei"), ("classical",)),
    Kind(24, "larger than the size", ("photograph", "nuclei"), ("classical",)),
    Kind(24, "saturated", ("photograph", "nuclei"), ("classical",)),
    Kind(36, "kernel known", ("photograph", "nuclei", "face"), ("known-kernel",)),
    Kind(48, "wrong kernel", ("photograph", "nuclei", "face"), ("known-kernel",)),
    Kind(72, "generator", ("digits", "digits", "nuclei tile", "digits", "digits", "face"),
         ("relaxed", "generator", "evidence", "evidence")),
    Kind(72, "other class", ("digits", "digits", "nuclei tile", "digits", "digits", "face"),
         ("relaxed", "generator", "evidence", "evidence")),
    Kind(16, "not blurred, generator", ("digits", "nuclei tile"), ("relaxed", "evidence", "generator", "relaxed")),
    Kind(60, CAMERA_FILE, ("large photograph", "photograph"), ("classical",)),
)  # fmt: skip


def cases(folder: Path) -> Iterator[Callable[[], Case]]:
    """Yield a function that makes each case, kinds evenly mixed: the first cases are a representative sample."""
    sets = Sets(folder)
    order = sorted(
        (index / kind.count, number, index) for number, kind in enumerate(KINDS) for index in range(kind.count)
    )
    for _, number, index in order:
        yield partial(_make, sets, number, index)


def _make(sets: Sets, number: int, index: int) -> Case:
    kind, rng = KINDS[number], np.random.default_rng([SEED, number, index])
    subject = kind.subjects[index % len(kind.subjects)]
    method = kind.methods[index % len(kind.methods)]
    noise = float(np.exp(rng.uniform(*np.log(NOISE_STD))))
    seed = int(rng.integers(2**31))
    arguments: dict[str, Any] = {}
    if "generator" in kind.group or kind.group == "other class":
        linear = "-linear" if method == "evidence" else ""
        arguments["image_prior"] = GENERATORS[subject] + linear
        side = 28 if subject == "digits" else 64
        drawn_subject = subject
        if kind.group == "other class":
            drawn_subject = str(
                rng.choice([s for s in ("photograph", "nuclei", "digits", "face") if s != subject[: len(s)]])
            )
        name, sharp = sets.draw(drawn_subject, side, rng)
        sharp = _like(sharp, side, subject == "face")
        kernel_name, kernel = (
            ("none", np.ones((1, 1))) if "not" in kind.group else _kernel("shake", 24 if side == 28 else 28, rng)
        )
        blurred = simulate(sharp.astype(np.float32), kernel, noise, seed, boundary="circular").blurred
        truth = sharp
    elif kind.group == CAMERA_FILE:
        noise = min(noise, 0.01)
        name, sharp = sets.draw(subject, 3 * SIDE_PX, rng)
        kernel_name, kernel = _kernel(str(rng.choice(BLURS)), min(sharp.shape[:2]) // 10, rng)
        if index % 6 == 5:
            kernel_name, kernel = "none", np.ones((1, 1))
        blurred, truth = _camera_file(sharp, kernel, noise, seed)
    else:
        side = SIDE_PX + 64 if subject != "face" else 64
        name, sharp = sets.draw(subject, side, rng)
        longest = 40 if kind.group == "larger than the size" else 25 if subject != "face" else 15
        kernel_name, kernel = _kernel(str(rng.choice(BLURS)), longest, rng, least=0.6 if longest == 40 else 0.15)
        if kind.group == "not blurred":
            kernel_name, kernel = "none", np.ones((1, 1))
        if kind.group == "saturated":
            kernel_name, sharp = f"{kernel_name}, saturated", sharp * rng.uniform(1.5, 3)
        blurred = _blurred(sharp, kernel, noise, seed)
        if kind.group == "varying blur":
            _, other = _kernel(str(rng.choice(BLURS)), longest, rng)
            weight = np.linspace(0, 1, sharp.shape[1])
            blurred = (1 - weight) * blurred + weight * _blurred(sharp, other, noise, seed)
        edge = (sharp.shape[0] - SIDE_PX) // 2 if subject != "face" else 0
        inside = slice(edge, sharp.shape[0] - edge)
        blurred, truth = (np.clip(image, 0, 1)[inside, inside] for image in (blurred, sharp))
        if kind.group == "larger than the size":
            arguments["kernel_size"] = int(max(5, max(kernel.shape) * rng.uniform(0.2, 0.6)))
        if kind.group == "kernel known":
            arguments["kernel"] = kernel
        if kind.group == "wrong kernel":
            kernel_name, arguments["kernel"] = _wrong(kernel_name, kernel, longest, rng)
    return Case(
        f"{number}-{index:03} {kind.group}, {name}, {kernel_name}, noise {noise:.3f}, {method}",
        kind.group, name, blurred.astype(np.float32), truth.astype(np.float32), method, arguments,
    )  # fmt: skip


def _like(image: np.ndarray, side: int, colour: bool) -> np.ndarray:
    """Convert an image to the size and colours that a generator takes."""
    if image.shape[0] != side:
        image = resize(image, (side, side, *image.shape[2:]), anti_aliasing=True)
    if colour and image.ndim == 2:
        return np.repeat(image[..., None], 3, -1)
    return image if colour or image.ndim == 2 else image.mean(-1)


def _kernel(kind: str, longest: int, rng: Draw, least: float = 0.15) -> tuple[str, np.ndarray]:
    extent = longest * rng.uniform(least, 1)
    if kind == "motion":
        return kind, blur.motion(extent, rng.uniform(0, 180))
    if kind == "shake":
        return kind, blur.shake(extent, rng)
    if kind == "defocus":
        return kind, blur.defocus(extent / 3)
    return kind, blur.gaussian(max(0.6, extent / 7), rng.uniform(0.4, 1), rng.uniform(0, 180))


def _wrong(kernel_name: str, kernel: np.ndarray, longest: int, rng: Draw) -> tuple[str, np.ndarray]:
    """Return a wrong kernel and its name: one of any kind, or the given one rotated or scaled."""
    how = rng.choice(["other", "rotated", "scaled"])
    if how == "other":
        return f"{kernel_name} replaced by another", _kernel(str(rng.choice(BLURS)), longest, rng)[1]
    if how == "rotated":
        return f"{kernel_name} rotated", np.rot90(kernel).copy()
    factor = rng.choice([0.6, 0.8, 1.25, 1.6])
    sides = tuple(max(1, round(side * factor)) | 1 for side in kernel.shape)
    return f"{kernel_name} {factor:g} times as large", np.clip(resize(kernel.astype(float), sides), 0, None) + 1e-9


def _camera_file(sharp: np.ndarray, kernel: np.ndarray, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Simulate the JPEG of a camera: blur linear light, expose, encode with gamma, and compress.

    Returns the decoded JPEG and the sharp image with the same gamma, in [0, 1].
    """
    rng = np.random.default_rng(seed)
    light = sharp**GAMMA * rng.uniform(0.8, 1.3)
    blurred = simulate(light.astype(np.float32), kernel, 0.0, seed, boundary="valid", clip=False).blurred
    blurred = blurred + noise * np.sqrt(np.clip(blurred, 0, 1) + 0.05) * rng.standard_normal(blurred.shape)
    top, left = ((whole - valid) // 2 for whole, valid in zip(light.shape[:2], blurred.shape[:2], strict=True))
    valid_light = light[top : top + blurred.shape[0], left : left + blurred.shape[1]]
    coded, truth = (np.clip(each, 0, 1) ** (1 / GAMMA) for each in (blurred, valid_light))
    file = imagecodecs.jpeg8_encode(np.rint(255 * coded).astype(np.uint8), level=int(rng.integers(*JPEG_QUALITY)))
    return imagecodecs.jpeg8_decode(file) / 255, truth


def _blurred(sharp: np.ndarray, kernel: np.ndarray, noise: float, seed: int) -> np.ndarray:
    top = max(1.0, float(sharp.max()))  # `simulate` takes the noise as a fraction of the range of the sharp image
    return simulate(sharp.astype(np.float32), kernel, noise / top, seed, clip=False).blurred
