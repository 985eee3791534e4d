"""Train an image prior on your own images, and deblur an image of that kind with it.

    python examples/own_prior.py

The images are simulated here (bright rings of all sizes), and the last one is excluded from the training. With your
own images, `genprior train --data FOLDER --arch linear -o NAME` does the first half.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

import napari_genprior as gp
from napari_genprior.core.iteration import run_to_end
from napari_genprior.settings import TrainingSettings
from napari_genprior.training import data
from napari_genprior.training.loop import train
from napari_genprior.zoo.store import load_prior

SIDE, COUNT = 32, 1500
NAME = "rings-32"


def ring(rng: np.random.Generator) -> np.ndarray:
    """Draw a ring of random centre and radius, float32 ``[SIDE, SIDE]``."""
    y, x = np.indices((SIDE, SIDE)) - rng.uniform(10, SIDE - 10, 2)[:, None, None]
    distance = np.abs(np.hypot(y, x) - rng.uniform(3, 9))
    return (0.1 + 0.8 * np.clip(1.5 - distance, 0, 1)).astype(np.float32)


def main() -> None:
    """Run the example."""
    rng = np.random.default_rng(0)
    *images, sharp = [ring(rng) for _ in range(COUNT)]
    stack = data.split(np.stack(images)[:, None], "image", "simulated rings")
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingSettings(arch="linear", latent=200)
        trained = run_to_end(train(stack, settings, NAME, Path(folder), license_data="CC0"))
        print(f"PSNR of held-out images projected onto the range: {trained.card.metrics['psnr_range_db']:.1f} dB")
        prior = load_prior(trained.path)
        blurred = gp.simulate(sharp, gp.blur.motion(7, 40, size=28), noise=0.01, boundary="circular", seed=0).blurred
        result = gp.deblur(blurred, "evidence", image_prior=str(trained.path), kernel_prior="motion-28")
    before, after = (gp.metrics.psnr(image, sharp, align=True) for image in (blurred, result.image))
    print(f"{prior.card.name}: {before:.1f} dB -> {after:.1f} dB. {result.verdict.sentence}")


if __name__ == "__main__":
    main()
