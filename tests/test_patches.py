"""A generator smaller than the image: patches that share a kernel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

import napari_genprior as gp
from images import blocks
from napari_genprior import metrics
from napari_genprior.core.arrays import cpu_generator
from napari_genprior.core.errors import InputError
from napari_genprior.methods.patches import LAYER, PatchGrid
from napari_genprior.operators.convolution import convolve

PRIORS = {"image_prior": "nuclei-64-linear", "kernel_prior": "motion-28"}


@pytest.mark.parametrize("scene", [(64, 64), (65, 130), (100, 97), (128, 64)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_scene_cut_and_blended_is_the_scene(scene, channels):
    grid = PatchGrid((64, 48), scene, torch.device("cpu"))
    image = torch.rand(1, channels, *scene, generator=cpu_generator(0))
    pieces = grid.cut(image)
    assert pieces.shape == (grid.count, channels, 64, 48)
    torch.testing.assert_close(grid.blend(pieces), image)


def test_patches_that_differ_are_blended_without_a_seam():
    grid = PatchGrid((16, 16), (16, 40), torch.device("cpu"))
    levels = torch.arange(grid.count, dtype=torch.float32)[:, None, None, None].expand(-1, 1, 16, 16)
    row = grid.blend(levels)[0, 0, 8]
    assert (row.diff() >= -1e-6).all()
    assert row.diff().max() < 0.3


@pytest.fixture(scope="module")
def scene():
    """Make soft bright disks, like nuclei: the sharp image under the data, the data, and the kernel."""
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:123, :137]
    sharp = np.full(y.shape, 0.05)
    for _ in range(22):
        top, left, tall, wide = *rng.uniform(0, (123, 137)), *rng.uniform(5, 10, 2)
        sharp[((y - top) / tall) ** 2 + ((x - left) / wide) ** 2 < 1] = rng.uniform(0.4, 1)
    sharp = gaussian_filter(sharp, 0.8).astype(np.float32)
    motion = gp.blur.motion(11, 30)
    kernel = np.zeros((28, 28), np.float32)
    start = 14 - motion.shape[0] // 2
    kernel[start : start + motion.shape[0], start : start + motion.shape[1]] = motion
    blurred = convolve(torch.from_numpy(sharp)[None, None], torch.from_numpy(kernel)[None, None], "valid")[0, 0].numpy()
    inside = sharp[13 : 13 + blurred.shape[0], 13 : 13 + blurred.shape[1]]
    return inside, np.clip(blurred + 0.01 * rng.standard_normal(blurred.shape), 0, 1).astype(np.float32), kernel


def decibels(image, sharp):
    return metrics.psnr(np.clip(image, 0, 1), sharp, align=True, peak=1, crop=12, max_shift=6)


@pytest.mark.slow
def test_an_image_larger_than_its_generator_is_deblurred(scene):
    sharp, blurred, kernel = scene
    run = gp.iter_deblur(blurred, "patches", steps=60, **PRIORS)
    stages = []
    while True:
        try:
            progress = next(run)
        except StopIteration as end:
            result = end.value
            break
        stages.append(progress.stage)
        assert progress.kernel.shape == (28, 28)
    assert progress.image.shape == blurred.shape
    assert stages[-1] == "Patches and kernel"
    assert decibels(result.found, sharp) > decibels(blurred, sharp) + 6
    assert decibels(result.extra_images[LAYER], sharp) > decibels(blurred, sharp) + 4
    assert metrics.kernel_error(result.kernel, kernel) < 0.5
    assert len(result.candidates) == 2


def test_only_priors_no_larger_than_the_image_and_of_its_channels_are_accepted():
    for image in (blocks(60, 100), np.stack([blocks(80, 80)] * 3, -1)):
        with pytest.raises(InputError, match="nuclei-64-linear is a prior of images"):
            gp.deblur(image, "patches", **PRIORS)
    with pytest.raises(InputError, match="nuclei-64"):
        gp.deblur(blocks(80, 80), "patches")
