"""Correct shading: estimate an image and its unknown smooth illumination together, y = w x + n.

    python examples/shading.py -o shading.png
    python examples/shading.py --prior digits-28       # with an installed prior (genprior models)

Only the product is measured: there is no reference image and no second exposure. The priors of two generators separate
the factors: images here have two levels (cells on a dark background), illuminations are smooth and of mean 1.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

import napari_genprior as gp
from napari_genprior.core.image_io import write_image
from napari_genprior.nets.linear_gaussian import LinearGenerator, fit
from napari_genprior.operators.bilinear import Pointwise

SIDE = 40  # px
CELL = 2.5  # px, Gaussian width of the random fields whose peaks are the cells
NOISE = 0.01  # standard deviation; the brightest pixels are about 1
SEED = 0


class Cells(nn.Module):
    """A custom prior: a smooth random field, mapped to two levels. From ``[R, latent]`` to ``[R, 1, Y, X]``."""

    def __init__(self, latent: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.latent = latent  # solve_bilinear needs this attribute of a module
        self.field = fit(fields(1500, rng), latent)

    def forward(self, z: Tensor) -> Tensor:
        """Decode latents."""
        return two_levels(self.field(z))


def fields(count: int, rng: np.random.Generator) -> Tensor:
    """Draw smooth random fields of variance 1, ``[count, 1, SIDE, SIDE]``."""
    white = rng.standard_normal((count, 1, SIDE, SIDE))
    smooth = gaussian_filter(white, (0, 0, CELL, CELL), mode="wrap")
    return torch.from_numpy((smooth / smooth.std()).astype(np.float32))


def two_levels(field: Tensor) -> Tensor:
    """Map a field to cells (0.9) where it is high and background (0.1) elsewhere."""
    return 0.1 + 0.8 * torch.sigmoid(6 * (field - 0.5))


def illuminations(count: int, height: int, width: int, rng: np.random.Generator) -> Tensor:
    """Draw illuminations, each a wide off-centre spot of light with a tilt: ``[count, 1, height, width]``.

    Each is scaled to mean 1, which resolves the scale ambiguity: (c w) (x / c) explains the data as well as w x.
    """
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    lights = []
    for _ in range(count):
        (top, left), (down, right) = rng.uniform(-1, 1, 2), rng.uniform(-0.4, 0.4, 2)
        spot = np.exp(-((y - top) ** 2 + (x - left) ** 2) / (2 * rng.uniform(1, 2) ** 2))
        light = spot * (1 + down * y + right * x)
        lights.append(light / light.mean())
    return torch.from_numpy(np.array(lights, dtype=np.float32))[:, None]


def illumination_prior(height: int, width: int, rng: np.random.Generator) -> LinearGenerator:
    """Fit a linear generator of illuminations; eight principal components represent them to within 1%."""
    return fit(illuminations(2000, height, width, rng), latent=8)


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prior", help="name of an installed image prior; by default a prior of cells is made")
    parser.add_argument("-o", "--output", help="PNG: true image, data, estimate; true and estimated illumination")
    options = parser.parse_args()
    rng = np.random.default_rng(SEED)

    if options.prior:
        image_prior = gp.load_prior(options.prior)
        truth = image_prior.decode(torch.randn(1, image_prior.card.latent, generator=torch.Generator().manual_seed(1)))
    else:
        image_prior = Cells(120, rng)
        truth = two_levels(fields(1, rng))  # a new image: near the prior's range, but not in it
    height, width = truth.shape[-2:]
    kernel_prior = illumination_prior(height, width, rng)
    light = illuminations(1, height, width, rng)

    operator = Pointwise(kernel_shape=light.shape[1:], image_shape=truth.shape[1:])
    clean = operator(light, truth)[0].numpy()
    data = clean + NOISE * rng.standard_normal(clean.shape)

    result = gp.solve_bilinear(operator, data, image_prior, kernel_prior, restarts=4, ridge=NOISE**2, seed=SEED)

    image, true_light = truth[0].numpy(), light[0].numpy()
    error = np.linalg.norm(result.kernel - true_light) / np.linalg.norm(true_light)
    print(f"image: PSNR before {psnr(data, image):.1f} dB, after {psnr(result.image, image):.1f} dB")
    print(f"illumination: relative error {error:.3f}; residuals of the restarts {np.round(result.residuals, 4)}")
    if options.output:
        panels = [image, data, result.image, true_light / 2, result.kernel / 2]
        print(f"written: {write_image(options.output, side_by_side(panels))}")


def psnr(estimate: np.ndarray, truth: np.ndarray) -> float:
    """Compute the PSNR in dB of images ``[C, Y, X]`` with peak 1."""
    return gp.metrics.psnr(np.moveaxis(estimate, 0, -1), np.moveaxis(truth, 0, -1), peak=1)


def side_by_side(images: list[np.ndarray], zoom: int = 4) -> np.ndarray:
    """Arrange images ``[C, Y, X]`` of about [0, 1] in one row, uint8 ``[Y, X, 3]``."""
    colours = [np.broadcast_to(image, (3, *image.shape[1:])).clip(0, 1) for image in images]
    gapped = [np.pad(np.kron(c, np.ones((1, zoom, zoom))), ((0, 0), (0, 0), (0, zoom))) for c in colours]
    return np.rint(255 * np.moveaxis(np.concatenate(gapped, axis=2), 0, -1)).astype(np.uint8)


if __name__ == "__main__":
    main()
