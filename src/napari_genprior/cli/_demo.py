"""Run the demonstration: deblur a real photograph of unknown kernel, and write all results to a folder."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np

from ..core.errors import FileError
from ..core.image_io import as_type, write_image, write_json
from ..core.result import DeblurResult, Progress
from ..pipeline.plan import make_plan
from ..pipeline.run import run
from ..samples import clock

Follow = Callable[[Generator[Progress, None, DeblurResult], str], DeblurResult]


def write_demo(folder: Path, follow: Follow) -> list[str]:
    """Deblur the sample photograph (kernel and kernel size unknown) and write the results to ``folder``.

    Parameters
    ----------
    folder : Path
        Output folder; created where it is missing.
    follow : callable
        Runs the generator to its end while it shows the progress, and returns the result.

    Returns
    -------
    list of str
        Human-readable lines: the files and the verdict.

    Raises
    ------
    FileError
        The folder cannot be created or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"The folder {folder} cannot be created: {error.strerror or error}.") from error
    blurred = clock()
    plan = make_plan(blurred, seed=0)
    result = follow(run(plan), plan.sentence)
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
    """Arrange input, result and kernel (magnified by an integer, brightest pixel white) in one uint8 grey image."""
    height = before.shape[0]
    zoom = max(1, height // max(kernel.shape))
    shown = np.kron(kernel / kernel.max() * 255, np.ones((zoom, zoom))).astype(np.uint8)
    panel = np.zeros((height, max(shown.shape[1], zoom)), np.uint8)
    top = (height - shown.shape[0]) // 2
    panel[top : top + shown.shape[0], : shown.shape[1]] = shown
    gap = np.full((height, 8), 255, np.uint8)
    return np.concatenate([before, gap, after, gap, panel], axis=1)
