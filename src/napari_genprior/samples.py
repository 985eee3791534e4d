"""Images that come with the package, for the demo, the tests and napari's *File > Open Sample* menu."""

from __future__ import annotations

from importlib.resources import as_file, files

import numpy as np

from .core.image_io import read_image

LayerData = tuple[np.ndarray, dict, str]
SYNTHETIC_SEED = 7


def _read(name: str) -> np.ndarray:
    with as_file(files("napari_genprior") / "data" / name) as path:
        return read_image(path)


def clock() -> np.ndarray:
    """A photograph of a clock taken with a moving camera: real blur, kernel unknown. uint8 [300, 400]."""
    return _read("clock.png")


def cat() -> np.ndarray:
    """A sharp photograph of a cat. uint8 [300, 451, 3]."""
    return _read("cat.png")


def cells() -> np.ndarray:
    """Cells under a widefield microscope. uint16 [256, 256]."""
    return _read("cells.tif")


def clock_layers() -> list[LayerData]:
    """napari layers of :func:`clock`."""
    return [(clock(), {"name": "clock (real camera motion)"}, "image")]


def cells_layers() -> list[LayerData]:
    """napari layers of :func:`cells`."""
    image = cells()
    return [(image, {"name": "cells (widefield)", "contrast_limits": (int(image.min()), int(image.max()))}, "image")]


def synthetic_layers() -> list[LayerData]:
    """napari layers of a seeded pair: the sharp cat, the cat under camera shake and 1% noise, and the kernel."""
    from . import blur  # loads torch, which listing the samples must not
    from .simulation import simulate

    sharp = cat()
    made = simulate(sharp, blur.shake(21, SYNTHETIC_SEED), noise=0.01, seed=SYNTHETIC_SEED)
    blurred = np.rint(made.blurred).astype(np.uint8)
    return [
        (sharp, {"name": "cat (sharp)", "rgb": True, "visible": False}, "image"),
        (made.kernel, {"name": "cat (true kernel)", "visible": False}, "image"),
        (blurred, {"name": "cat (simulated shake)", "rgb": True}, "image"),
    ]
