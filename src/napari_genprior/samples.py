"""Sample images of the package, for the demo, the tests and napari's *File > Open Sample* menu."""

from __future__ import annotations

from importlib.resources import as_file, files

import numpy as np

from .core.image_io import read_image

LayerData = tuple[np.ndarray, dict, str]
SYNTHETIC_SEED = 7


def _read(name: str) -> np.ndarray:
    """Read a file of the package's data folder."""
    with as_file(files("napari_genprior") / "data" / name) as path:
        return read_image(path)


def clock() -> np.ndarray:
    """Load a photograph of a clock with real camera motion and unknown kernel, uint8 [300, 400].

    Examples
    --------
    >>> import napari_genprior as gp
    >>> gp.samples.clock().shape
    (300, 400)
    """
    return _read("clock.png")


def cat() -> np.ndarray:
    """Load a sharp photograph of a cat, uint8 [300, 451, 3].

    Examples
    --------
    >>> import napari_genprior as gp
    >>> gp.samples.cat().shape
    (300, 451, 3)
    """
    return _read("cat.png")


def cells() -> np.ndarray:
    """Load a widefield micrograph of cells, uint16 [256, 256].

    Examples
    --------
    >>> import napari_genprior as gp
    >>> gp.samples.cells().shape
    (256, 256)
    """
    return _read("cells.tif")


def clock_layers() -> list[LayerData]:
    """Make the napari layers of :func:`clock`."""
    return [(clock(), {"name": "clock (real camera motion)"}, "image")]


def cells_layers() -> list[LayerData]:
    """Make the napari layers of :func:`cells`."""
    image = cells()
    return [(image, {"name": "cells (widefield)", "contrast_limits": (int(image.min()), int(image.max()))}, "image")]


def synthetic_layers() -> list[LayerData]:
    """Make the napari layers of a simulation: the sharp cat, the kernel, and the cat with camera shake and 1% noise."""
    from . import blur  # imported here, as it loads torch, which is not needed to list the samples
    from .simulation import simulate

    sharp = cat()
    simulation = simulate(sharp, blur.shake(21, SYNTHETIC_SEED), noise=0.01, seed=SYNTHETIC_SEED)
    blurred = np.rint(simulation.blurred).astype(np.uint8)
    return [
        (sharp, {"name": "cat (sharp)", "rgb": True, "visible": False}, "image"),
        (simulation.kernel, {"name": "cat (true kernel)", "visible": False}, "image"),
        (blurred, {"name": "cat (simulated shake)", "rgb": True}, "image"),
    ]
