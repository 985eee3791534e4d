"""The golden cases. The helpers at the top are all that calls the package: when its names change, change them here."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import drawing
import napari_genprior as gp
from drawing import LINE, LONG_SHAKE, POINT, SHAKE
from napari_genprior.core.image_io import read_image
from napari_genprior.operators.noise import noise_std
from napari_genprior.operators.photon_noise import estimate_noise_model
from scenes import (
    Case,
    Scene,
    changing,
    coded_light,
    in_8_bits,
    in_counts,
    observe,
    of_blocks,
    of_lamps,
    periodic,
    planes,
    volume,
    wide_range,
    with_defects,
)


@dataclass(frozen=True)
class Outcome:
    """Hold what a run estimated: the image whatever the verdict says of it, the kernel or kernels, the verdict."""

    image: np.ndarray
    kernel: np.ndarray
    verdict: str


def package_folder() -> Path:
    return Path(gp.__file__).parent


def deblur(image: np.ndarray, method: str = "auto", **arguments: Any) -> Outcome:
    result = gp.deblur(image, method, device="cpu", **arguments)
    return Outcome(np.asarray(result.found), result.kernels, result.verdict.label.value)


def deblur_stack(stack: np.ndarray, axes: str, **arguments: Any) -> Outcome:
    result = gp.deblur(stack, axes=axes, device="cpu", **arguments)
    labels = sorted({verdict.label.value for verdict in result.verdicts.values()})
    return Outcome(np.asarray(result.image), result.kernels, ", ".join(labels))


def deblur_3d(volume: np.ndarray, kernel: np.ndarray | None = None, **arguments: Any) -> Outcome:
    return deblur(volume, kernel=kernel, mode="3d", **arguments)


def deblur_tiles(image: np.ndarray, **arguments: Any) -> Outcome:
    grid = {"tiles": arguments["kernel"].shape[:2]} if "kernel" in arguments else {}
    return deblur(image, **grid, **arguments)


def deblur_file(image: np.ndarray, **arguments: Any) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        result = gp.deblur(image, out=Path(folder) / "out.tif", device="cpu", **{"tile_size": "auto", **arguments})
        return Outcome(read_image(result.path), result.kernel, result.verdict.label.value)


def noise_of(image: np.ndarray, volume: bool) -> float:
    """Estimate the noise of an observed image, volume or stack as the package does, in the image's own units."""
    tensor = torch.from_numpy(np.asarray(image, np.float32))
    if volume:
        return estimate_noise_model(tensor[None, None]).mean_variance(tensor[None, None]) ** 0.5
    planes = tensor.movedim(-1, 0)[None] if image.shape[-1] == 3 else tensor.view(-1, 1, *image.shape[-2:])
    return float(noise_std(planes).mean())


def psnr(estimate: np.ndarray, scene: Scene) -> float:
    if scene.observed.dtype.kind == "u":  # as a file of this type shows it: lamps are white
        estimate = estimate.clip(0, np.iinfo(scene.observed.dtype).max)
    options = {"align": True, "peak": scene.peak, "crop": scene.crop, "max_shift": 4}
    if estimate.ndim == 2 or estimate.shape[-1] == 3:
        return gp.metrics.psnr(estimate, scene.sharp, **options)
    return float(np.mean([gp.metrics.psnr(*pair, **options) for pair in zip(estimate, scene.sharp, strict=True)]))


def kernel_error(estimate: np.ndarray, truth: np.ndarray) -> float:
    """Compare kernels; of several the mean, of kernels in three dimensions without alignment."""
    if estimate.ndim == truth.ndim == 2:
        return gp.metrics.kernel_error(estimate, truth)
    if truth.ndim == 3:
        pad = [max(0, t - e) for e, t in zip(estimate.shape, truth.shape, strict=True)]
        estimate = np.pad(estimate, [(n // 2, n // 2) for n in pad])
        cut = [slice((e - t) // 2, (e - t) // 2 + t) for e, t in zip(estimate.shape, truth.shape, strict=True)]
        return float(np.linalg.norm(estimate[tuple(cut)] - truth) / np.linalg.norm(truth))
    pairs = [(estimate[place], truth[place]) for place in np.ndindex(truth.shape[:2])]
    return float(np.mean([gp.metrics.kernel_error(*pair) for pair in pairs]))


def cat(top: int, left: int, height: int, width: int, grey: bool = True) -> np.ndarray:
    """Cut a part out of the sharp photograph that comes with the package, values in [0, 1]."""
    part = gp.samples.cat()[top : top + height, left : left + width] / 255
    return part.mean(-1) if grey else part


# ---- nothing below calls the package ----


def photo(kernel: np.ndarray, noise: float, grey: bool = True, side: int = 120) -> Scene:
    margin = len(kernel) - 1
    return observe(cat(60, 120, side + margin, side + 12 + margin, grey), kernel, noise)


def blind(**arguments: Any) -> Callable[[Scene], Outcome]:
    return lambda scene: deblur(scene.observed, "classical", **arguments)


def known(**settings: Any) -> Callable[[Scene], Outcome]:
    return lambda scene: deblur(scene.observed, "known-kernel", kernel=scene.kernel, settings=settings)


def known_3d(**settings: Any) -> Callable[[Scene], Outcome]:
    return lambda scene: deblur_3d(scene.observed, scene.kernel, settings=settings, **scene.known)


def with_priors(method: str, image_prior: str, **arguments: Any) -> Callable[[Scene], Outcome]:
    names = {"image_prior": image_prior, "kernel_prior": "motion-28"}
    return lambda scene: deblur(scene.observed, method, **names, **arguments)


def seven() -> Scene:
    return periodic(drawing.digit(28), SMALL_SHAKE)


def seven_in_noise() -> Scene:
    return periodic(drawing.digit(28), SMALL_SHAKE, 0.05)


SMALL_SHAKE = np.pad(drawing.shake(9, 2), 2)
FEW = {"channels": 8}  # of the untrained networks

CASES = (
    # the kernel is known
    Case("known-grey", lambda: of_blocks(SHAKE, 0.01), known()),
    Case("known-noisy", lambda: photo(SHAKE, 0.03), known()),
    Case("known-clean", lambda: photo(LINE, 0.002), known()),
    Case("known-colour", lambda: in_8_bits(photo(LINE, 0.01, grey=False)), known()),
    Case("known-saturated", lambda: of_lamps(SHAKE), known()),
    Case("known-defects", lambda: with_defects(of_blocks(SHAKE, 0.01, side=96)), known()),
    Case(
        "known-photons",
        lambda: in_counts(observe(drawing.cells(92, 104, 2), drawing.gaussian((11, 11), (1.8, 1.8)), 0.0), 200),
        known(),
    ),
    Case("known-negative-values", wide_range, known()),
    Case("known-periodic", lambda: periodic(drawing.mirrored(drawing.blocks(24, 24, 6)), SHAKE), known()),
    Case("known-linear-light", coded_light, known(transfer_function="srgb")),
    Case("known-wrong", lambda: of_blocks(SHAKE, 0.01), lambda s: deblur(s.observed, "known-kernel", kernel=LINE)),
    Case("learned-grey", lambda: photo(SHAKE, 0.01, side=88), known(deconvolution="network")),
    Case("learned-colour", lambda: photo(SHAKE, 0.01, False, 80), known(deconvolution="network")),
    # the kernel is estimated
    Case("blind-grey", lambda: of_blocks(SHAKE, 0.005, side=88), blind(kernel_size=13)),
    Case("blind-colour", lambda: in_8_bits(photo(LINE, 0.005, False, 96)), blind(kernel_size=13)),
    Case("blind-doubtful", lambda: of_blocks(SHAKE, 0.015, side=88), blind(kernel_size=13)),
    Case("blind-faint", lambda: photo(LINE, 0.005, side=88), blind(kernel_size=13)),
    Case("blind-noisy", lambda: of_blocks(SHAKE, 0.03, 3, 88), blind(kernel_size=13), tolerance_db=0.3),
    Case("blind-rejected", lambda: photo(LINE, 0.04, side=88), blind(kernel_size=13)),
    Case("blind-saturated", lambda: of_lamps(SHAKE, 96), blind(kernel_size=13)),
    Case("blind-defects", lambda: with_defects(of_blocks(SHAKE, 0.005, side=88)), blind(kernel_size=13)),
    Case("blind-sharp", lambda: of_blocks(POINT, 0.01), blind()),
    Case("auto-size-estimated", lambda: of_blocks(LINE, 0.005, side=64), lambda s: deblur(s.observed)),
    Case("auto-long", lambda: of_blocks(LONG_SHAKE, 0.01, 1), lambda s: deblur(s.observed), False, 0.3),
    Case("kernel-prior", lambda: of_blocks(SHAKE, 0.005, 1, 64), blind(kernel_prior="motion-28"), False, 0.3),
    # pretrained generators
    Case("project", seven, lambda s: deblur(s.observed, "project", image_prior="digits-28", restarts=1)),
    Case("generator", seven, with_priors("generator", "digits-28"), tolerance_db=0.3),
    Case("generator-noisy", seven_in_noise, with_priors("generator", "digits-28"), tolerance_db=0.3),
    Case("relaxed", seven_in_noise, with_priors("relaxed", "digits-28"), tolerance_db=0.3),
    Case("evidence", seven, with_priors("evidence", "digits-28"), tolerance_db=0.3),
    Case(
        "evidence-colour",
        lambda: periodic(drawing.house_number(32), SMALL_SHAKE),
        with_priors("evidence", "house-numbers-32-linear"),
        quick=False,
        tolerance_db=0.6,
    ),
    Case(
        "evidence-known-kernel",
        lambda: periodic(drawing.cells(64, 64, 1), SHAKE),
        lambda s: deblur(s.observed, "evidence", image_prior="nuclei-64-linear", kernel=s.kernel),
    ),
    Case(
        "patches",
        lambda: observe(drawing.cells(92, 104, 2), SHAKE, 0.01, clip=True),
        with_priors("patches", "nuclei-64-linear"),
        quick=False,
        tolerance_db=1.0,
    ),
    # networks trained in the run
    Case(
        "untrained",
        lambda: of_blocks(LINE, 0.01, side=40),
        lambda s: deblur(s.observed, "untrained", kernel_prior="motion-28", steps=150),
        quick=False,
        tolerance_db=0.3,
    ),
    Case(
        "selfdeblur",
        lambda: of_blocks(LINE, 0.01, side=40),
        lambda s: deblur(s.observed, "selfdeblur", kernel_size=13, steps=30, settings=FEW | {"schedule": "paper"}),
        tolerance_db=0.3,
    ),
    Case(
        "selfdeblur-multiscale",
        lambda: of_blocks(LINE, 0.01, side=40),
        lambda s: deblur(s.observed, "selfdeblur-multiscale", kernel_size=13, steps=20, settings=FEW),
        quick=False,
        tolerance_db=1.0,
    ),
    # stacks, volumes, kernels that change, files
    Case("stack", planes, lambda s: deblur_stack(s.observed, "TYX", kernel_size=13)),
    Case("volume-known", lambda: volume(0.02), known_3d()),
    Case("volume-photons", lambda: in_counts(volume(0.0), 150), known_3d()),
    Case("volume-tall-voxels", lambda: volume(0.05, tall=4.0), known_3d()),
    Case("volume-richardson-lucy", lambda: volume(0.02), known_3d(solver="richardson-lucy")),
    Case("volume-wiener", lambda: volume(0.01), known_3d(solver="wiener")),
    Case(
        "volume-blind",
        lambda: volume(0.01),
        lambda s: deblur_3d(s.observed, settings={"n_candidates": 8}),
        quick=False,
    ),
    Case("tiles-known", lambda: changing(120, 0.005), lambda s: deblur_tiles(s.observed, kernel=s.kernel)),
    Case(
        "tiles-blind",
        lambda: changing(120, 0.005),
        lambda s: deblur_tiles(s.observed, tiles=(1, 2), kernel_size=13),
        quick=False,
    ),
    Case(
        "file-known",
        lambda: photo(LINE, 0.005, side=160),
        lambda s: deblur_file(s.observed, kernel=s.kernel, tile_size=64),
    ),
    Case(
        "file-blind",
        lambda: of_blocks(SHAKE, 0.005, side=200),
        lambda s: deblur_file(s.observed, kernel_size=13, tile_size=100),
        quick=False,
    ),
)
