"""The demonstration: a real photograph of unknown blur made sharp, with everything written to a folder."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np

from ..core.errors import FileError
from ..core.image_io import as_type, write_image, write_json
from ..core.result import DeblurResult, Progress
from ..pipeline import plan as planning
from ..pipeline import run as deblurring
from ..samples import clock

Follow = Callable[[Generator[Progress, None, DeblurResult], str], DeblurResult]


def write_demo(folder: Path, follow: Follow) -> list[str]:
    """Deblur the sample photograph (kernel and its size unknown) into ``folder``; returns lines for a person.

    ``follow`` drains the run, showing its progress.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"The folder {folder} cannot be made: {error.strerror or error}.") from error
    blurred = clock()
    plan = planning.plan(blurred, method="auto", kernel_size="auto", seed=0)
    result = follow(deblurring.run(plan), plan.sentence)
    restored = as_type(result.image, blurred.dtype)
    files = {
        "input": write_image(folder / "input.png", blurred),
        "result": write_image(folder / "result.png", restored),
        "kernel": write_image(folder / "kernel.tif", result.kernel),
        "side by side": write_image(folder / "side_by_side.png", side_by_side(blurred, restored, result.kernel)),
    }
    names = {"input": str(files["input"]), "kernel": None, "output": str(files["result"])}
    files["report"] = write_json(folder / "report.json", {**result.report(), "files": names})
    return [f"{name:>12}: {path}" for name, path in files.items()] + [f"{'verdict':>12}: {result.verdict.sentence}"]


def side_by_side(before: np.ndarray, after: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Input, result and kernel (whole-number magnification, brightest pixel white) in one uint8 grey image."""
    height = before.shape[0]
    zoom = max(1, height // max(kernel.shape))
    shown = np.kron(kernel / kernel.max() * 255, np.ones((zoom, zoom))).astype(np.uint8)
    panel = np.zeros((height, max(shown.shape[1], zoom)), np.uint8)
    top = (height - shown.shape[0]) // 2
    panel[top : top + shown.shape[0], : shown.shape[1]] = shown
    gap = np.full((height, 8), 255, np.uint8)
    return np.concatenate([before, gap, after, gap, panel], axis=1)
