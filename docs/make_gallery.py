"""Images for the gallery page: blurred and restored side by side, and the kernel.

.venv/bin/python docs/make_gallery.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from scipy.ndimage import zoom

import napari_genprior as gp
from napari_genprior import samples
from napari_genprior.core.image_io import write_image

GAP = 6  # px between images
KERNEL_SHARE = 0.3  # of the height, for the kernel in the corner


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    clock = samples.clock()
    write_image(folder / "gallery-clock.png", beside(clock, gp.deblur(clock)))
    cat = gp.simulate(samples.cat(), gp.blur.shake(21, 7), noise=0.01, seed=7).blurred
    cat = np.clip(np.rint(cat), 0, 255).astype(np.uint8)
    write_image(folder / "gallery-cat.png", beside(cat, gp.deblur(cat)))
    cells = samples.cells().astype(np.float64)
    blurred = gp.simulate(cells / cells.max(), gp.blur.gaussian(2.5), noise=0.01, seed=0).blurred
    write_image(folder / "gallery-cells.png", beside(blurred, gp.known_kernel(blurred, gp.blur.gaussian(2.5))))


def beside(blurred: np.ndarray, result: gp.DeblurResult) -> np.ndarray:
    """Blurred | restored, uint8, the kernel in the corner of the restored one."""
    low, high = float(blurred.min()), float(blurred.max())
    images = [np.clip((np.asarray(p, float) - low) / (high - low), 0, 1) for p in (blurred, result.image)]
    kernel = result.kernel / result.kernel.max()
    side = KERNEL_SHARE * blurred.shape[0]
    kernel = np.clip(zoom(kernel, max(1, int(side // max(kernel.shape))), order=0), 0, 1)
    corner = (slice(-kernel.shape[0], None), slice(-kernel.shape[1], None))
    images[1][corner] = kernel if blurred.ndim == 2 else kernel[..., None]
    gap = np.ones((blurred.shape[0], GAP, *blurred.shape[2:]))
    return np.rint(255 * np.concatenate([images[0], gap, images[1]], axis=1)).astype(np.uint8)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images"))
