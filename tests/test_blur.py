"""Kernels are valid, centred, and of the requested size and orientation."""

import numpy as np
import pytest

from napari_genprior import blur
from napari_genprior.blur.camera_noise import add_noise
from napari_genprior.core.errors import InputError

KERNELS = {
    "point": blur.motion(1),
    "motion": blur.motion(15, 30),
    "shake": blur.shake(21, 3),
    "shake-28": blur.shake(28, 3, 28),
    "gaussian": blur.gaussian(2),
    "ellipse": blur.gaussian(3, 0.4, 30),
    "defocus": blur.defocus(4.3),
    "box": blur.box(5),
    "blur-a": blur.asim_a(75),
    "blur-b": blur.asim_b(75, 1.2),
}


def moments(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the centre of mass relative to the array's centre, and covariance, both (x right, y up), in pixels."""
    rows, columns = (np.arange(n) - (n - 1) / 2 for n in kernel.shape)
    x, y = np.meshgrid(columns, -rows)
    k = kernel.astype(np.float64)
    mean = np.array([(k * x).sum(), (k * y).sum()])
    points = np.stack([x - mean[0], y - mean[1]])
    return mean, np.einsum("yx,iyx,jyx->ij", k, points, points)


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_are_kernels_and_centred(name):
    kernel = KERNELS[name]
    assert kernel.dtype == np.float32
    assert kernel.min() >= 0
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(moments(kernel)[0], 0, atol=1e-5)


def test_a_motion_of_one_pixel_is_no_blur():
    assert blur.motion(1).tolist() == [[1.0]]


@pytest.mark.parametrize("angle", [0, 30, 45, 90, 160])
def test_motion_has_the_requested_angle_and_spread(angle):
    _, covariance = moments(blur.motion(21, angle, 41))
    values, vectors = np.linalg.eigh(covariance)
    direction = vectors[:, 1] * np.sign(vectors[:, 1] @ [np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))])
    assert np.rad2deg(np.arctan2(direction[1], direction[0])) % 180 == pytest.approx(angle, abs=0.5)
    assert values[1] == pytest.approx(20**2 / 12, rel=0.02)  # variance of a uniform line 20 px long
    assert values[0] < 0.3


def test_horizontal_motion_is_a_uniform_row():
    kernel = blur.motion(5, 0)
    np.testing.assert_allclose(kernel[2, 1:4], 0.25, atol=2e-3)
    assert kernel[[0, 1, 3, 4]].sum() == 0


def test_gaussian_has_its_standard_deviations_and_angle():
    _, covariance = moments(blur.gaussian(4, 0.5, 30, size=41))
    c, s = np.cos(np.deg2rad(30)), np.sin(np.deg2rad(30))
    turn = np.array([[c, -s], [s, c]])
    np.testing.assert_allclose(covariance, turn @ np.diag([16, 4]) @ turn.T, rtol=0.01, atol=0.02)


def test_defocus_and_box_have_their_areas():
    assert 1 / blur.defocus(6).max() == pytest.approx(np.pi * 36, rel=0.01)
    assert 1 / blur.box(4.5).max() == pytest.approx(4.5**2, rel=0.1)
    np.testing.assert_allclose(blur.box(3), np.full((3, 3), 1 / 9), rtol=1e-5)


def test_shake_repeats_with_its_seed_and_changes_with_it():
    assert np.array_equal(blur.shake(20, 5), blur.shake(20, 5))
    assert not np.array_equal(blur.shake(20, 5, 28), blur.shake(20, 6, 28))


def test_shake_never_reaches_farther_than_its_length():
    for seed in range(30):
        kernel = blur.shake(17, seed, 61)
        rows, columns = np.nonzero(kernel)
        assert np.ptp(rows) <= 17
        assert np.ptp(columns) <= 17


def test_a_path_too_long_for_its_array_is_scaled_down_to_fit():
    kernel = blur.motion(31, 0, 11)
    np.testing.assert_allclose(moments(kernel)[0], 0, atol=1e-5)
    assert (kernel[5] > 0).all()


def test_overlay_is_the_mean_of_both():
    np.testing.assert_allclose(blur.average_kernels(blur.box(1), blur.box(3))[1, 1], (1 + 1 / 9) / 2, rtol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: blur.motion(0.5), lambda: blur.shake(-1, 0), lambda: blur.gaussian(0), lambda: blur.gaussian(1, 0),
        lambda: blur.defocus(-1), lambda: blur.box(0), lambda: blur.motion(float("nan")),
        lambda: blur.normalize_kernel(np.array([[1.0, -0.1]])), lambda: blur.normalize_kernel(np.zeros((3, 3))),
        lambda: blur.normalize_kernel(np.ones(3)), lambda: blur.normalize_kernel(np.array([[np.nan]])),
    ],
)  # fmt: skip
def test_impossible_kernels_are_refused(make):
    with pytest.raises(InputError):
        make()


def test_noise_has_the_requested_strength():
    grey = np.full((400, 400), 0.5)
    gaussian = add_noise(grey, 0.02, 0, np.random.default_rng(0))
    assert gaussian.std() == pytest.approx(0.02, rel=0.02)
    poisson = add_noise(grey, 0, 100, np.random.default_rng(0))
    assert poisson.var() == pytest.approx(0.5 / 100, rel=0.03)
    assert poisson.mean() == pytest.approx(0.5, rel=0.01)
    both = add_noise(grey, 0.02, 100, np.random.default_rng(0))
    assert both.var() == pytest.approx(0.02**2 + 0.5 / 100, rel=0.03)
