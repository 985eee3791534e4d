"""Define a custom forward model: an unknown kernel, then a camera whose pixels are twice as large.

    python examples/own_operator.py

The example is a small blind super-resolution: y = D (k * x), with D the mean of 2x2 pixels. Both priors are linear
generators whose ranges hold the true image and kernel, so both are recovered up to rounding errors.
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
    """``y = D (k * x)``: periodic convolution, then the mean of 2x2 pixels.

    An operator must be linear in k and in x, consist of torch functions, and leave the first axis (restarts) as it is.
    Adjoints and gradients are derived automatically.
    """

    def __call__(self, kernel: Tensor, image: Tensor) -> Tensor:
        return avg_pool2d(convolve(image, kernel, "circular"), 2)


def image_prior(rng: np.random.Generator) -> LinearGenerator:
    """Fit a linear generator of smooth images, with 30 latents."""
    white = rng.standard_normal((1000, 1, SIDE, SIDE))
    smooth = gaussian_filter(white, (0, 0, 1.5, 1.5), mode="wrap")
    return fit(torch.from_numpy((0.5 + 0.2 * smooth / smooth.std()).astype(np.float32)), latent=30)


def kernel_prior(rng: np.random.Generator) -> LinearGenerator:
    """Fit a linear generator of Gaussian kernels, with 4 latents.

    ``kernel=True`` normalizes their sum to 1, which removes the scale ambiguity between image and kernel.
    """
    kernels = [
        gp.blur.gaussian(rng.uniform(1.5, 2.5), rng.uniform(0.4, 1), rng.uniform(0, 180), size=KERNEL)
        for _ in range(1000)
    ]
    return fit(torch.from_numpy(np.array(kernels))[:, None], latent=4, kernel=True)


def main() -> None:
    """Run the example."""
    rng = np.random.default_rng(0)
    images, kernels = image_prior(rng), kernel_prior(rng)
    random = torch.Generator().manual_seed(0)
    image = images(torch.randn(1, images.latent, generator=random))
    kernel = kernels(torch.randn(1, kernels.latent, generator=random))

    operator = CoarseBlur(kernel_shape=(1, KERNEL, KERNEL), image_shape=(1, SIDE, SIDE))
    data = operator(kernel, image)[0]

    result = gp.solve_bilinear(operator, data, images, kernels, ridge=0)  # without noise no further penalty is needed

    print(f"data {tuple(data.shape)}, residual {result.residuals[result.chosen]:.1e} after {result.steps} updates")
    print(f"relative error: image {error(result.image, image):.1e}, kernel {error(result.kernel, kernel):.1e}")


def error(estimate: np.ndarray, truth: Tensor) -> float:
    """Compute ``|estimate - truth| / |truth|``."""
    return float(np.linalg.norm(estimate - truth[0].numpy()) / np.linalg.norm(truth))


if __name__ == "__main__":
    main()
