"""Misfits: one value per restart, right values, right gradients."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity as reference

from napari_genprior.operators.data_fidelity import (
    dissimilarity,
    squared_error,
    structural_similarity,
    summed_squared_error,
)


def draw(*shape, seed=0):
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_squared_errors_keep_restarts_apart():
    data, model = draw(1, 3, 6, 5), draw(4, 3, 6, 5, seed=1)
    expected = [np.mean((model[r].numpy() - data[0].numpy()) ** 2) for r in range(4)]
    np.testing.assert_allclose(squared_error(model, data), expected)
    np.testing.assert_allclose(summed_squared_error(model, data), np.multiply(expected, 3 * 6 * 5))


@pytest.mark.parametrize(("height", "width"), [(32, 41), (11, 12)])
@pytest.mark.parametrize("data_range", [1.0, 255.0])
def test_ssim_agrees_with_skimage(height, width, data_range):
    data = data_range * draw(1, 2, height, width)
    noise = data_range * draw(3, 2, height, width, seed=1)
    model = data + torch.tensor([0.02, 0.2, 1.0])[:, None, None, None] * noise
    expected = [
        reference(
            data[0].numpy(), one.numpy(), channel_axis=0, data_range=data_range,
            gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        )
        for one in model
    ]  # fmt: skip
    np.testing.assert_allclose(structural_similarity(model, data, data_range), expected, atol=1e-6)
    single = structural_similarity(model.float(), data.float(), data_range)
    np.testing.assert_allclose(single, expected, atol=1e-4)


@pytest.mark.parametrize("side", [8, 9, 10, 24])
def test_dissimilarity_is_zero_for_equal_images_of_any_size(side):
    image = draw(2, 1, side, side + 1)
    torch.testing.assert_close(dissimilarity(image, image), torch.zeros(2, dtype=torch.float64), atol=1e-12, rtol=0)
    assert (dissimilarity(image, image.flip(-1)) > 0.1).all()


@pytest.mark.parametrize("misfit", [squared_error, summed_squared_error, dissimilarity])
def test_gradients(misfit):
    data = draw(1, 1, 12, 8)
    assert torch.autograd.gradcheck(lambda m: misfit(m, data), draw(2, 1, 12, 8, seed=1).requires_grad_())
