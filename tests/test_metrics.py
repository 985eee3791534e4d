"""Metrics: known answers, shifts undone, and agreement with the published protocol."""

import importlib.util

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from images import blocks
from napari_genprior import blur, metrics
from napari_genprior.core.errors import InputError

TRUTH = blocks(80, 90)


def noisy(strength: float) -> np.ndarray:
    return TRUTH + strength * np.random.default_rng(0).standard_normal(TRUTH.shape)


def test_psnr_of_noise_is_its_textbook_value():
    assert metrics.psnr(noisy(0.1), TRUTH) == pytest.approx(20, abs=0.1)
    assert metrics.psnr(noisy(0.1) * 255, (TRUTH * 255).astype(np.uint8)) == pytest.approx(20, abs=0.1)
    assert metrics.psnr(noisy(0.1) * 50, TRUTH * 50, peak=50) == pytest.approx(20, abs=0.1)
    assert metrics.psnr(TRUTH, TRUTH) == float("inf")


def test_ssim_is_one_for_equal_and_falls_with_noise():
    assert metrics.ssim(TRUTH, TRUTH) == pytest.approx(1)
    assert metrics.ssim(noisy(0.1), TRUTH) < metrics.ssim(noisy(0.02), TRUTH) < 1


@pytest.mark.parametrize("moved", [(0, 0), (3, -2), (-1.25, 0.5)])
def test_alignment_finds_the_shift(moved):
    smooth = gaussian_filter(TRUTH, 2)  # moving by parts of a pixel blurs edges, which would shift the optimum
    aligned, found = metrics.align(shift(smooth, moved, order=1, mode="nearest"), smooth, max_shift=4, crop=6)
    assert found == moved
    assert np.abs(aligned - smooth)[6:-6, 6:-6].mean() < 0.005


def test_colour_is_aligned_as_one_image():
    colour = np.stack([TRUTH, TRUTH[::-1], 1 - TRUTH], axis=-1)
    moved = np.roll(colour, (2, -1), axis=(0, 1))
    assert metrics.align(moved, colour, crop=5)[1] == (2, -1)
    assert metrics.psnr(moved, colour, align=True, crop=5) == float("inf")


def test_kernel_error_ignores_shift_and_size():
    kernel = blur.motion(9, 30)
    padded = np.pad(kernel, ((3, 1), (0, 4)))
    assert metrics.kernel_error(padded * 7, kernel) == pytest.approx(0, abs=1e-6)
    assert metrics.kernel_error(kernel.T, kernel) > 0.5


def test_images_that_cannot_be_compared_are_refused():
    with pytest.raises(InputError, match="differ in shape"):
        metrics.psnr(TRUTH, TRUTH[1:])
    with pytest.raises(InputError, match="border of 40"):
        metrics.psnr(TRUTH, TRUTH, crop=40)


def test_the_levin_score_is_that_of_the_published_protocol(shared):
    path = shared / "tools" / "levin_metric.py"
    spec = importlib.util.spec_from_file_location("levin_metric", path)
    published = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(published)
    estimate = shift(noisy(0.03), (1.5, -2.25), order=1, mode="nearest")
    ours, theirs = metrics.levin_score(estimate, TRUTH), published.score(estimate, TRUTH)
    assert ours[2] == theirs[2]
    assert ours[0] == pytest.approx(theirs[0], abs=1e-6)
    assert ours[1] == pytest.approx(theirs[1], abs=1e-4)
