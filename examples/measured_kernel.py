"""Measure the point spread function on beads, then deconvolve an image of the same microscope with it.

    python examples/measured_kernel.py -o OUT_FOLDER

Beads and image are simulated here, so that the true image is known; read your own files with
napari_genprior.core.image_io.read_image.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import napari_genprior as gp
from napari_genprior import samples
from napari_genprior.core.image_io import write_image

PSF = gp.blur.gaussian(2.2, aspect=0.8, angle_deg=20, size=21)  # of the simulated microscope


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="output folder")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    points = np.zeros((200, 200))
    points[30::40, 30::40] = 1000
    bead_image = gp.simulate(points, PSF, noise=0.002, seed=0).blurred
    beads = gp.blur.from_beads(bead_image, size=21)
    shape = gp.blur.measure_kernel(beads.kernel)
    print(f"{len(beads.used)} beads: {shape.fwhm_long:.2f} x {shape.fwhm_short:.2f} px at half maximum")
    cells = samples.cells() / samples.cells().max()
    blurred = gp.simulate(cells, PSF, noise=0.005, seed=1).blurred
    result = gp.known_kernel(blurred, beads.kernel)
    gain = gp.metrics.psnr(result.image, cells, crop=10) - gp.metrics.psnr(blurred, cells, crop=10)
    print(f"The PSNR increased by {gain:.1f} dB. {result.verdict.sentence}")
    write_image(folder / "psf.tif", beads.kernel)
    write_image(folder / "restored.tif", result.image)


if __name__ == "__main__":
    main()
