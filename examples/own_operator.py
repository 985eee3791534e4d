"""A forward model of one's own: blur of unknown shape, then a camera whose pixels are twice as coarse.

    python examples/own_operator.py

Blind super-resolution in small: y = D (k * x), with D the mean of 2x2 pixels. Both priors are linear generators and
the truth lies in their ranges, so that the answer is known: image and kernel come back exactly, to rounding.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn.functional import avg_pool2d

import napari_genprior as gp
from napari_genprior.nets.linear_gaussian import LinearGenerator, fit
from napari_genprior.operators.bilinear import Bilinear
from napari_genprior.operators.convolution import convolve

SIDE, KERNEL = 32, 9  # px


class CoarseBlur(Bilinear):
    """``y = D (k * x)``: circular blur, then the mean of 2x2 pixels.

    Linear in k, linear in x, made of torch functions, and the first axis (restarts) goes through untouched: that is
    all an operator must be. Adjoints and gradients follow by themselves.
    """

    def __call__(self, kernel: Tensor, image: Tensor) -> Tensor:
        return avg_pool2d(convolve(image, kernel, "circular"), 2)


def image_prior(rng: np.random.Generator) -> LinearGenerator:
    """Smooth images in 30 latents."""
    white = rng.standard_normal((1000, 1, SIDE, SIDE))
    smooth = gaussian_filter(white, (0, 0, 1.5, 1.5), mode="wrap")
    return fit(torch.from_numpy((0.5 + 0.2 * smooth / smooth.std()).astype(np.float32)), latent=30)


def kernel_prior(rng: np.random.Generator) -> LinearGenerator:
    """Gaussian blurs of all widths and directions in 4 latents; ``kernel=True`` makes their sum 1: no scale is open."""
    made = [
        gp.blur.gaussian(rng.uniform(1.5, 2.5), rng.uniform(0.4, 1), rng.uniform(0, 180), size=KERNEL)
        for _ in range(1000)
    ]
    return fit(torch.from_numpy(np.array(made))[:, None], latent=4, kernel=True)


def main() -> None:
    rng = np.random.default_rng(0)
    images, kernels = image_prior(rng), kernel_prior(rng)
    random = torch.Generator().manual_seed(0)
    image = images(torch.randn(1, images.latent, generator=random))
    kernel = kernels(torch.randn(1, kernels.latent, generator=random))

    operator = CoarseBlur(kernel_shape=(1, KERNEL, KERNEL), image_shape=(1, SIDE, SIDE))
    data = operator(kernel, image)[0]

    found = gp.solve_bilinear(operator, data, images, kernels, ridge=0)  # no noise: the ranges are prior enough

    print(f"data {tuple(data.shape)}, misfit {found.residuals[found.chosen]:.1e} after {found.steps} updates")
    print(f"relative error: image {error(found.image, image):.1e}, kernel {error(found.kernel, kernel):.1e}")


def error(found: np.ndarray, truth: Tensor) -> float:
    """``|found - truth| / |truth|``."""
    return float(np.linalg.norm(found - truth[0].numpy()) / np.linalg.norm(truth))


if __name__ == "__main__":
    main()
