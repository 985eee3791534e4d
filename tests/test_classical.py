"""Classical estimation: each step compared with dense algebra or a known answer, then the whole."""

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d

from images import blocks
from napari_genprior import blur, metrics
from napari_genprior.blur import support as kernel_shape
from napari_genprior.blur.support import crop_to_mass, trim_empty
from napari_genprior.deconvolution.total_variation import deconvolve, strength_for
from napari_genprior.estimation import l0_gradient as kernel_l0
from napari_genprior.estimation.multi_start import (
    ADDITIONAL_CONFIGS,
    MultiStartSearch,
    candidate_sizes,
    find_size,
    largest_kernel,
)
from napari_genprior.methods import Problem
from napari_genprior.methods.classical import classical
from napari_genprior.operators.boundary import fast_side, smooth_wrap
from napari_genprior.operators.convolution import convolve
from napari_genprior.operators.detail import most_textured
from napari_genprior.operators.finite_differences import (
    add_differences,
    add_differences_adjoint,
    differences,
    differences_adjoint,
)
from napari_genprior.operators.noise import KERNEL_NOISE, noise_std
from napari_genprior.quality.kernel_criteria import finest_detail, is_sharp, kernel_cost
from napari_genprior.samples import clock as clock_photograph
from napari_genprior.settings import ClassicalSettings
from napari_genprior.simulation import simulate

SHARP = blocks(128, 144, seed=2)
KERNEL = blur.shake(15, 3, 17)


def tensor(array):
    return torch.from_numpy(np.asarray(array, np.float32))[None, None]


def drained(generator):
    levels = []
    while True:
        try:
            levels.append(next(generator))
        except StopIteration as end:
            return levels, end.value


@pytest.fixture(scope="module")
def blurred():
    return tensor(simulate(SHARP, KERNEL, noise=0.005, seed=0).blurred)


# --- building blocks


def test_differences_and_their_adjoint_agree():
    random = torch.Generator().manual_seed(0)
    x = torch.randn(1, 2, 9, 8, generator=random, dtype=torch.float64)
    g = torch.randn(2, 1, 2, 9, 8, generator=random, dtype=torch.float64)
    torch.testing.assert_close((differences(x) * g).sum(), (x * differences_adjoint(g)).sum())


def test_differences_of_both_orders_and_their_adjoint_agree():
    random = torch.Generator().manual_seed(0)
    x, g1, g2 = (torch.randn(n, 1, 2, 9, 8, generator=random, dtype=torch.float64) for n in (1, 2, 3))
    first, second, scratch = torch.zeros_like(g1), torch.zeros_like(g2), torch.empty_like(g2)
    add_differences(x[0], first, second, scratch)
    torch.testing.assert_close(first, differences(x[0]))
    torch.testing.assert_close(second[1], x[0].roll(-1, -1) + x[0].roll(1, -1) - 2 * x[0])
    expected = (first * g1).sum() + (second * g2).sum()
    torch.testing.assert_close((x[0] * add_differences_adjoint(g1, g2, scratch)).sum(), expected)


def test_the_gradient_and_its_divergence_agree():
    random = torch.Generator().manual_seed(0)
    x, g = torch.randn(1, 1, 9, 8, generator=random), torch.randn(1, 2, 9, 8, generator=random)
    torch.testing.assert_close((kernel_l0.gradients(x) * g).sum(), (x * kernel_l0.gradients_adjoint(g)).sum())


def test_the_kernel_steps_are_dense_least_squares_with_and_without_the_bound():
    from scipy.optimize import nnls

    random = torch.Generator().manual_seed(0)
    edges = torch.randn(1, 2, 24, 20, generator=random, dtype=torch.float64)
    kernel = torch.from_numpy(blur.motion(5, 30)).double()[None, None]
    noisy = convolve(edges, kernel, "circular")
    noisy += 0.3 * torch.randn(noisy.shape, generator=random, dtype=torch.float64)
    ridge = 4.0
    # column s of the dense matrix: the edges moved to where pixel s of the kernel puts them
    columns = [edges.roll((dy - 2, dx - 2), (-2, -1)).flatten().numpy() for dy in range(5) for dx in range(5)]
    dense = np.concatenate([np.stack(columns, 1), np.sqrt(ridge) * np.eye(25)])
    expected, _ = nnls(dense, np.concatenate([noisy.flatten().numpy(), np.zeros(25)]))
    start = torch.full((1, 1, 5, 5), 1 / 25, dtype=torch.float64)
    found = kernel_l0.fit_kernel(edges, torch.fft.rfft2(noisy), start, ridge, steps=500)
    np.testing.assert_allclose(found.flatten().numpy(), expected, atol=1e-8)
    plain = np.linalg.lstsq(dense, np.concatenate([noisy.flatten().numpy(), np.zeros(25)]), rcond=None)[0]
    free = kernel_l0.fit_kernel_unconstrained(edges, torch.fft.rfft2(noisy), start, ridge)
    np.testing.assert_allclose(free.flatten().numpy(), plain.clip(min=0), atol=1e-5)


def test_with_the_true_kernel_the_image_step_sharpens_and_with_the_true_image_the_kernel_step_is_exact():
    sharp, kernel = tensor(SHARP), tensor(KERNEL)
    blurry = convolve(sharp, kernel, "circular")
    restored = kernel_l0.l0_image_step(blurry, kernel, 1e-4)
    assert (restored - sharp).square().mean() < 0.05 * (blurry - sharp).square().mean()
    target = torch.fft.rfft2(kernel_l0.gradients(blurry))
    found = kernel_l0.fit_kernel(kernel_l0.gradients(sharp), target, torch.full_like(kernel, 1 / 289), 0.0, steps=800)
    assert metrics.kernel_error(found[0, 0].numpy(), KERNEL) < 0.05


@pytest.mark.parametrize("side", [1, 7, 50, 255, 331])
def test_fast_sides_are_large_enough(side):
    assert side <= fast_side(side) <= side + 40


def test_wrapping_keeps_the_image_and_leaves_no_jump():
    image = tensor(SHARP + np.linspace(0, 3, 128)[:, None])
    wrapped = smooth_wrap(image, (20, 12))
    assert wrapped.shape[-2] >= 148
    torch.testing.assert_close(wrapped[..., :128, :144], image)
    largest = image.diff(dim=-2).abs().max()
    periodic = torch.cat([wrapped, wrapped[..., :1, :]], dim=-2)
    assert periodic.diff(dim=-2).abs().max() < 1.5 * largest < (image[..., 0, :] - image[..., -1, :]).abs().max()


def test_kernels_are_resized_by_exactly_the_factor():
    kernel = tensor(blur.gaussian(3, size=25))
    grown = kernel_shape.resize(kernel, 2**0.5)[0, 0].numpy()
    rows = np.arange(len(grown)) - len(grown) // 2
    variance = (grown.sum(1) * rows**2).sum()
    assert variance == pytest.approx(2 * 9, rel=0.03)
    assert (grown.sum(1) * rows).sum() == pytest.approx(0, abs=1e-4)


def test_specks_are_removed_and_the_rest_is_centred():
    kernel = np.zeros((11, 11), np.float32)
    kernel[1:4, 2] = 1
    kernel[9, 9] = 0.15  # a separate part, 5% of the mass
    kernel[6, 5] = 0.02
    found = kernel_shape.center(kernel_shape.remove_specks(tensor(kernel), 0.05, 0.1))[0, 0].numpy()
    expected = np.zeros((11, 11))
    expected[4:7, 5] = 1 / 3
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("support", [(5, 9), (11, 3)])
def test_fitting_keeps_the_centre_pixel(support):
    kernel = np.zeros((7, 7), np.float32)
    kernel[3, 3] = 1
    found = kernel_shape.pad_or_crop(tensor(kernel), support)
    assert found.shape[-2:] == support
    assert found[0, 0, support[0] // 2, support[1] // 2] == 1


@pytest.mark.parametrize("level", [0.005, 0.02, 0.1])
def test_the_noise_level_is_estimated(level):
    made = simulate(SHARP, KERNEL, noise=level, seed=1, clip=False)
    assert float(noise_std(tensor(made.blurred))) == pytest.approx(level, rel=0.2)


def test_strength_grows_with_the_noise():
    assert strength_for(0.01) == pytest.approx(3e-4)
    assert strength_for(0.05) > 3 * strength_for(0.02)


# --- deconvolution with a known kernel


@pytest.mark.parametrize("shape", [(128, 144), (101, 80), (64, 37)])
def test_a_known_kernel_restores_up_to_the_border(shape):
    sharp = blocks(shape[0] + 16, shape[1] + 16, seed=4)
    inside = sharp[8:-8, 8:-8]
    blurry = tensor(convolve2d(sharp, KERNEL, mode="valid"))
    restored = deconvolve(blurry, tensor(KERNEL), 3e-5, steps=150)[0, 0].numpy()
    for crop, gain in ((10, 10), (0, 4)):
        before = metrics.psnr(blurry[0, 0].numpy(), inside, crop=crop)
        assert metrics.psnr(restored, inside, crop=crop) > before + gain


def test_a_batch_is_deconvolved_as_its_parts():
    images = torch.cat([tensor(SHARP), tensor(SHARP[::-1].copy())])
    both = deconvolve(images, tensor(KERNEL), 1e-3, steps=5)
    torch.testing.assert_close(both[1:], deconvolve(images[1:], tensor(KERNEL), 1e-3, steps=5))


def test_more_regularization_is_smoother(blurred):
    def variation(strength):
        return deconvolve(blurred, tensor(KERNEL), strength).diff(dim=-1).abs().mean()

    assert variation(3e-3) < variation(3e-4) < variation(3e-5)


# --- the whole


def test_the_kernel_of_a_camera_shake_is_estimated_with_its_size_given(blurred):
    levels, kernel = drained(kernel_l0.estimate_kernel(blurred, (17, 17), lam=8e-3, noise=0.005))
    assert kernel.shape == (1, 1, 17, 17)
    assert metrics.kernel_error(kernel[0, 0].numpy(), KERNEL) < 0.5
    assert [level.index for level in levels] == list(range(levels[0].total))
    sides = [level.kernel.shape[-1] for level in levels]
    assert sides[0] == 3
    assert sides == sorted(sides)


@pytest.mark.slow
def test_the_size_is_estimated_too(blurred):
    size = find_size(blurred, 0.005)
    assert 9 <= max(size) < 40


@pytest.mark.slow
def test_the_best_candidate_is_no_worse_than_a_single_search(blurred):
    search = MultiStartSearch(blurred, (17, 17), 0.005)
    drained(search.run())
    errors = [metrics.kernel_error(one.kernel[0, 0].numpy(), KERNEL) for one in search.candidates]
    assert errors[search.best] < min(errors) + 0.1


@pytest.mark.slow
def test_a_search_that_is_out_of_time_returns_its_candidates(blurred):
    search = MultiStartSearch(blurred, None, 0.005)
    levels, _ = drained(search.run(end=0))
    assert len(search.candidates) == 1 < search.total
    assert [level.index for level in levels] == list(range(len(levels)))  # those of one pyramid
    assert search.candidates[search.best].kernel.sum().item() == pytest.approx(1, abs=1e-5)


def test_the_true_kernel_has_a_lower_cost_than_wrong_ones(blurred):
    def cost(kernel):
        return kernel_cost(blurred, deconvolve(blurred, kernel, 3e-4), kernel)

    point = torch.zeros(1, 1, 17, 17)
    point[..., 8, 8] = 1
    assert cost(tensor(KERNEL)) < min(cost(tensor(KERNEL).flip(-1)), cost(point))


def test_negative_intensities_raise_the_cost_of_a_kernel_and_saturated_ones_do_not(blurred):
    image, kernel = deconvolve(blurred, tensor(KERNEL), 3e-4), tensor(KERNEL)
    base, darker, brighter = (kernel_cost(blurred, image + shift, kernel) for shift in (0, -0.2, 0.2))
    assert darker > base + 0.01
    assert brighter == pytest.approx(base, abs=0.1)


def test_no_candidate_size_is_more_than_half_the_image():
    assert candidate_sizes(largest_kernel((28, 60))) == [(13, 21), (13, 29), (11, 11), (13, 15), (7, 7)]


def test_the_most_textured_part_is_found():
    image = torch.zeros(1, 1, 120, 90)
    image[..., 70:100, 30:70] = tensor(blocks(30, 40))
    part = most_textured(image, 64)
    assert part.shape == (1, 1, 64, 64)
    assert part.diff(dim=-1).abs().sum() > 0.95 * image.diff(dim=-1).abs().sum()
    assert most_textured(image, 200).shape == image.shape


@pytest.mark.parametrize("shape", [(8, 8), (28, 28), (9, 64)])
def test_small_and_narrow_images_work(shape):
    image = tensor(np.random.default_rng(0).random(shape))
    _, kernel = drained(kernel_l0.estimate_kernel(image, largest_kernel(shape), lam=8e-3))
    assert kernel.sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("rule", [kernel_l0.FREE, kernel_l0.NON_NEGATIVE])
def test_the_same_image_twice_gives_the_kernel_of_one(blurred, rule):
    once, twice = (
        drained(kernel_l0.estimate_kernel(x, (17, 17), lam=8e-3, rule=rule))
        for x in (blurred, blurred.repeat(2, 1, 1, 1))
    )
    torch.testing.assert_close(once[1], twice[1], atol=0.01, rtol=0)  # rounding decides where edges are just cut
    assert twice[0][-1].image.shape == (2, *blurred.shape[1:])


@pytest.mark.slow
def test_kernels_that_images_share_are_compared_on_the_first(blurred):
    both = torch.cat([blurred, blurred.flip(-1)])
    search = MultiStartSearch(both, (17, 17), 0.005)
    drained(search.run(end=0))
    candidates = search.candidates
    kernel = candidates[0].kernel
    image = deconvolve(blurred, kernel, strength_for(KERNEL_NOISE))
    torch.testing.assert_close(candidates[0].image, image)
    assert candidates[0].cost == pytest.approx(kernel_cost(blurred, image, kernel), abs=1e-4)


def test_a_trimmed_kernel_shows_whether_it_reached_the_border():
    kernel = torch.zeros(1, 1, 11, 11)
    kernel[..., 4:7, 3:8] = 1
    inside = trim_empty(kernel)
    assert inside.shape == (1, 1, 5, 7)
    assert inside[..., 1:-1, 1:-1].sum() == pytest.approx(1)
    kernel[..., 5, :] = 1
    assert trim_empty(kernel).shape == (1, 1, 5, 11)


def test_an_asymmetric_kernel_is_not_cropped_by_a_support_as_large_as_itself():
    kernel = torch.zeros(1, 1, 13, 13)
    kernel[..., 6, 2:9] = torch.tensor([0.02, 0.02, 0.02, 0.02, 0.92, 0.5, 0.5])  # 7 px long, its mass at one end
    inside = crop_to_mass(kernel, (3, 7))
    assert inside.shape == (1, 1, 3, 7)
    torch.testing.assert_close(inside[0, 0, 1], kernel[0, 0, 6, 2:9] / 2)
    point = torch.zeros(1, 1, 13, 13)
    point[..., 6, 6] = 1
    assert crop_to_mass(point, (5, 7))[0, 0, 2, 3] == 1  # in the middle, though every window holds it
    assert crop_to_mass(point, (15, 21))[0, 0, 7, 10] == 1


@pytest.mark.slow
def test_colour_is_estimated_on_its_mean(blurred):
    colour = torch.cat([blurred * 0, blurred * 2], dim=1)  # their mean is exact
    grey, rgb = (drained(kernel_l0.estimate_kernel(x, (17, 17), lam=8e-3))[1] for x in (blurred, colour))
    torch.testing.assert_close(grey, rgb, atol=1e-4, rtol=1e-3)


@pytest.fixture(scope="module")
def captioned(blurred):
    """Draw white squares on the blurred image, as in a caption."""
    image = blurred.clone()
    for y, x in np.random.default_rng(0).integers(10, 110, (10, 2)):
        image[..., y : y + 4, x : x + 4] = 1
    return image


@pytest.mark.slow
def test_a_kernel_is_not_fitted_to_masked_pixels(captioned):
    def error(mask):
        _, kernel = drained(kernel_l0.estimate_kernel(captioned, (17, 17), 16e-3, 0.005, mask=mask))
        return metrics.kernel_error(kernel[0, 0].numpy(), KERNEL)

    assert error(captioned == 1) < error(None) - 0.2


@pytest.mark.slow
def test_images_with_saturated_pixels_are_searched_with_a_mask_too(captioned, blurred):
    def searches(image):
        search = MultiStartSearch(image, (17, 17), 0.005)
        drained(search.run())
        assert len(search.candidates) == search.total
        return search.total

    assert searches(captioned) > searches(blurred * 0.9) == 1 + len(ADDITIONAL_CONFIGS)


def test_a_search_completes_if_all_pixels_are_masked(blurred):
    _, kernel = drained(
        kernel_l0.estimate_kernel(blurred, (17, 17), lam=8e-3, mask=torch.ones_like(blurred, dtype=torch.bool))
    )
    assert kernel.sum().item() == pytest.approx(1, abs=1e-5)


def test_finest_detail_has_its_known_values_for_smooth_and_stepped_images():
    y, x = np.mgrid[:400, :400]
    waves = np.sin(2 * np.pi * x / 50) + np.sin(2 * np.pi * y / 50)
    expected = (np.sin(np.pi / 50) / np.sin(2 * np.pi / 50)) ** 2  # in every direction
    assert finest_detail(tensor(waves), 0) == pytest.approx(expected, rel=0.02)
    assert finest_detail(tensor((x // 8 + y // 8) % 2), 0) == pytest.approx(0.5, rel=0.2)


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_sharp_images_are_distinguished_from_blurred_ones(blurred, noise):
    sharp = tensor(SHARP) + noise * torch.randn(1, 1, *SHARP.shape, generator=torch.Generator().manual_seed(0))
    assert is_sharp(sharp, float(noise_std(sharp)))
    assert not is_sharp(blurred, float(noise_std(blurred)))


def test_a_blurred_photograph_whose_noise_is_steep_is_not_taken_for_sharp():
    clock = tensor(clock_photograph() / 255)
    noise = float(noise_std(clock))
    assert finest_detail(clock, noise**2) > 0.33
    assert not is_sharp(clock, noise)


@pytest.mark.slow
def test_a_sharp_image_is_returned_unchanged_unless_a_size_is_given():
    settings = ClassicalSettings.checked({})
    _, solution = drained(classical(Problem(tensor(SHARP), settings)))
    assert torch.equal(solution.image, tensor(SHARP))
    assert solution.kernel.max() == 1
    snapshots, _ = drained(classical(Problem(tensor(SHARP), settings, kernel_size=(5, 5))))
    assert "Kernel candidate" in snapshots[0].stage


@pytest.mark.slow
def test_a_colour_image_has_no_fringes():
    paint = np.array([1.0, 0.6, 0.3], np.float32)
    made = simulate(SHARP[..., None] * paint, KERNEL, noise=0.005, seed=0).blurred
    image = torch.from_numpy(made).movedim(-1, 0)[None]
    _, solution = drained(classical(Problem(image, ClassicalSettings.checked({}), kernel_size=(17, 17))))
    own = (solution.image[0].movedim(0, -1).numpy() / paint)[8:-8, 8:-8]  # three images of one grey scene
    grey = own.mean(-1, keepdims=True)
    assert (
        metrics.psnr(grey[..., 0], SHARP[8:-8, 8:-8])
        > metrics.psnr((made / paint).mean(-1)[8:-8, 8:-8], SHARP[8:-8, 8:-8]) + 3
    )
    assert np.sqrt(np.mean((own - grey) ** 2)) < 0.02
