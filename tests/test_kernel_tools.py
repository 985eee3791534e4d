"""Kernels from beads, measurements of kernels, and resampling."""

import numpy as np
import pytest
from scipy import ndimage

import napari_genprior as gp
from napari_genprior import cli
from napari_genprior.core.errors import InputError
from napari_genprior.core.image_io import read_image


def bead_image(kernel, places, shape=(160, 180), background=20.0, noise=1.0, brightness=3000.0):
    """Make an image of beads at sub-pixel positions, each of total ``brightness``."""
    image = np.full(shape, background)
    half = np.array(kernel.shape) // 2
    for place in places:
        whole = np.rint(place).astype(int)
        window = tuple(slice(p - h, p + h + 1) for p, h in zip(whole, half, strict=True))
        image[window] += brightness * ndimage.shift(kernel.astype(float), np.asarray(place) - whole, order=3)
    return image + noise * np.random.default_rng(0).standard_normal(shape)


PLACES = [(30.3, 40.7), (35.0, 120.2), (90.5, 60.1), (120.8, 140.4), (125.2, 30.9), (75.1, 110.6)]
PSF = gp.blur.gaussian(2.0, aspect=0.6, angle_deg=30, size=21)


def test_the_mean_of_beads_is_the_kernel():
    found = gp.blur.from_beads(bead_image(PSF, PLACES), size=21)
    assert len(found.used) == len(PLACES)
    assert found.left_out == {}
    assert found.kernel.sum() == pytest.approx(1)
    assert np.linalg.norm(found.kernel - PSF) < 0.06 * np.linalg.norm(PSF)


def test_unusable_beads_are_left_out_of_the_mean():
    image = bead_image(PSF, [*PLACES, (12.0, 90.0), (15.5, 97.0)])  # two near each other
    image += bead_image(PSF, [(60.0, 25.0)], background=0.0, noise=0.0, brightness=9000)  # a clump
    image[2, 2] += 3000  # at the border
    found = gp.blur.from_beads(image, size=21)
    assert len(found.used) == len(PLACES)
    assert found.left_out == {"too near each other": 2, "brighter than one bead": 1, "at the border": 1}
    assert np.linalg.norm(found.kernel - PSF) < 0.06 * np.linalg.norm(PSF)


def test_a_stack_of_beads_gives_a_volume():
    z = np.exp(-0.5 * (np.arange(-4, 5) / 1.5) ** 2)
    psf = z[:, None, None] * PSF[None, 5:-5, 5:-5]
    psf /= psf.sum()
    places = [(10.2, 20.4, 30.1), (12.0, 45.3, 60.8), (9.6, 60.2, 20.5)]
    found = gp.blur.from_beads(bead_image(psf, places, (22, 80, 90), brightness=8000.0), size=(9, 11, 11))
    assert found.kernel.shape == (9, 11, 11)
    assert np.linalg.norm(found.kernel - psf) < 0.1 * np.linalg.norm(psf)


@pytest.mark.parametrize(
    ("image", "size", "words"),
    [
        (np.random.default_rng(0).normal(size=(64, 64)), 9, "No bead"),
        (np.zeros((64, 64)), 9, "nothing stands out"),
        (bead_image(PSF, PLACES[:2]), 2, "at least 3 px"),
        (bead_image(PSF, PLACES[:2]), (9, 9, 9), "each of 2 axes"),
        (np.zeros(50), 9, "plane or a stack"),
        (np.full((20, 20), np.nan), 9, "finite"),
    ],
)
def test_images_without_usable_beads_are_refused(image, size, words):
    with pytest.raises(InputError, match=words):
        gp.blur.from_beads(image, size)


@pytest.mark.parametrize("angle", [0, 30, 90, 150])
def test_motion_is_measured(angle):
    shape = gp.blur.measure_kernel(gp.blur.motion(15, angle))
    assert shape.motion_length == pytest.approx(15, abs=0.7)
    assert abs((shape.angle_deg - angle + 90) % 180 - 90) < 1
    assert shape.elongation > 5


def test_a_gaussian_is_measured():
    shape = gp.blur.measure_kernel(gp.blur.gaussian(3.0, aspect=0.5, angle_deg=70, size=41))
    assert shape.fwhm_long == pytest.approx(2.3548 * 3.0, rel=0.02)
    assert shape.fwhm_short == pytest.approx(2.3548 * 1.5, rel=0.02)
    assert shape.angle_deg == pytest.approx(70, abs=0.5)


def test_a_point_is_a_pixel_wide():
    shape = gp.blur.measure_kernel(np.ones((1, 1)))
    assert shape.fwhm_long == pytest.approx(1, abs=0.15)
    assert shape.motion_length == 1


def test_faint_noise_far_out_does_not_widen_a_spot():
    noisy = gp.blur.gaussian(2.0, size=41) + 5e-4 * np.random.default_rng(0).random((41, 41))
    assert gp.blur.measure_kernel(noisy).fwhm_long == pytest.approx(2.3548 * 2, rel=0.05)


@pytest.mark.parametrize("factor", [0.4, 0.5, 1.5, 2.0])
def test_resampling_scales_the_width_and_keeps_the_centre(factor):
    kernel = gp.blur.gaussian(4.0, size=31)
    other = gp.blur.resample(kernel, factor)
    assert gp.blur.measure_kernel(other).fwhm_long == pytest.approx(
        factor * gp.blur.measure_kernel(kernel).fwhm_long, rel=0.05
    )
    np.testing.assert_allclose(other, other[::-1, ::-1], atol=1e-6)
    assert other.sum() == pytest.approx(1)


def test_the_same_pixel_size_changes_nothing():
    kernel = gp.blur.motion(9, 20)
    np.testing.assert_allclose(gp.blur.resample(kernel, 1.0), kernel, atol=1e-6)


@pytest.mark.parametrize("factor", [0, -1, float("nan"), float("inf")])
def test_invalid_factors_are_refused(factor):
    with pytest.raises(InputError, match="factor > 0"):
        gp.blur.resample(PSF, factor)


def test_the_same_on_the_command_line(tmp_path, capsys):
    np.save(tmp_path / "beads.npy", bead_image(PSF, PLACES))
    assert (
        cli.main(["kernel", "beads", str(tmp_path / "beads.npy"), "-o", str(tmp_path / "k.tif"), "--size", "21"]) == 0
    )
    assert "the mean of 6 beads." in capsys.readouterr().out
    found = read_image(tmp_path / "k.tif")
    np.testing.assert_allclose(found, gp.blur.from_beads(np.load(tmp_path / "beads.npy"), 21).kernel)
    command = ["kernel", "resample", str(tmp_path / "k.tif"), "--factor", "2", "-o", str(tmp_path / "k2.tif")]
    assert cli.main(command) == 0
    np.testing.assert_allclose(read_image(tmp_path / "k2.tif"), gp.blur.resample(found, 2))
    capsys.readouterr()
    assert cli.main(["kernel", "measure", str(tmp_path / "k.tif")]) == 0
    assert f"angle_deg: {gp.blur.measure_kernel(found).angle_deg:.3f}" in capsys.readouterr().out
    assert cli.main(["kernel", "beads", str(tmp_path / "k2.tif"), "-o", str(tmp_path / "none.tif"), "--size", "2"]) == 2
    assert not (tmp_path / "none.tif").exists()
