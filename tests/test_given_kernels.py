"""Kernels as users have them: with background, noise, even sides, FFT order or other pixels; exact ones are kept."""

from itertools import product

import numpy as np
import pytest
import tifffile
from scipy import ndimage

import napari_genprior as gp
from napari_genprior import cli
from napari_genprior.blur.given_kernel import clean_kernel, resample_axes
from napari_genprior.core.errors import InputError
from napari_genprior.core.image_io import write_image
from napari_genprior.pipeline.plan import make_plan

SIDE = 65  # of the grid on which kernels are compared


def spot(kind, side, centre):
    """Sample a spot: its brightest value is near 1."""
    y, x = np.mgrid[:side, :side].astype(float)
    y, x = y - centre[0], x - centre[1]
    if kind == "elliptical":
        return np.exp(-0.5 * (y**2 / 1.5**2 + x**2 / 2.1**2))
    squared = y**2 + x**2
    return np.exp(-0.5 * squared / 1.8**2) if kind == "gaussian" else (1 + squared / 2.5**2) ** -2.5


def on_grid(kernel):
    """Place a kernel with its centre pixel in the middle of a large plane, sum 1."""
    plane = np.zeros((SIDE, SIDE))
    plane[tuple(slice(SIDE // 2 - n // 2, SIDE // 2 - n // 2 + n) for n in kernel.shape)] = kernel / kernel.sum()
    return plane


def error(kernel, truth):
    return np.linalg.norm(on_grid(kernel) - on_grid(truth)) / np.linalg.norm(on_grid(truth))


def as_recorded(values, kind):
    """Store values as a camera or a program does."""
    if kind == "uint8":
        return np.clip(np.round(values / values.max() * 250), 0, 255).astype(np.uint8)
    return np.clip(np.round(values * 3000), 0, 65535).astype(np.uint16) if kind == "uint16" else values.astype(kind)


@pytest.mark.parametrize("kind", ["gaussian", "elliptical", "moffat"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_measured_kernels_come_close_to_the_truth(kind, dtype):
    rng = np.random.default_rng(0)
    for side, level, noise, shift, fft in product(
        (24, 31, 32), (0.03, 0.3), (0, 0.003, 0.01), ((0, 0), (1.3, -0.6)), (False, True)
    ):
        middle = side // 2 if fft else (side - 1) / 2 + np.array(shift)
        values = spot(kind, side, np.broadcast_to(middle, 2)) + level + noise * rng.standard_normal((side, side))
        given = as_recorded(np.fft.ifftshift(values) if fft else values, dtype)
        clean, notes = clean_kernel(given)
        truth = spot(kind, 31, (15, 15))
        case = (side, level, noise, shift, fft)
        assert error(clean, truth) < 0.1 + 9 * noise, case
        assert any("background" in note for note in notes), case
        assert any("FFT" in note for note in notes) == fft, case
        core = np.clip(on_grid(clean) / on_grid(clean).max() - 0.1, 0, None)
        assert np.abs(np.array(ndimage.center_of_mass(core)) - SIDE // 2).max() < 0.1, case


def exact_kernels():
    blur = gp.blur
    for size in (7, 13, 21, 33):
        yield from (blur.gaussian(size / 4, size=size), blur.gaussian(size / 2, size=size))
        yield from (
            blur.defocus(size / 2, size),
            blur.defocus(size / 2 + 4, size),
            blur.box(size),
            np.ones((size, size)),
        )
    for angle in range(0, 180, 20):
        yield from (blur.motion(9, angle), blur.motion(21, angle), blur.asim_a(angle), blur.asim_b(angle, 1.0))
    for seed in range(40):
        yield from (blur.shake(15, seed), blur.shake(40, seed), blur.shake(20, seed, size=28))
    for defocus, pixel in product((0, 1, 3), (65, 160)):
        for kind in ("widefield", "confocal"):
            yield blur.microscope_psf(kind, size=33, defocus_um=defocus, pixel_size_nm=pixel)
    for kind, depth in product(("widefield", "confocal"), (0, 10)):
        yield blur.microscope_psf_3d(
            kind, shape=(17, 21, 21), na=1.2, immersion_index=1.515, depth_um=depth, pixel_size_nm=100
        )
    y, x = np.mgrid[-15:16, -15:16]
    yield (1 + (y**2 + x**2) / 4) ** -1.0  # long tails, cut off by the window
    yield np.array([[1, 1, 1], [1, 8, 1], [1, 1, 1]])


def test_exact_kernels_are_left_alone():
    for number, kernel in enumerate(exact_kernels()):
        clean, notes = clean_kernel(kernel)
        assert clean is kernel, (number, kernel.shape, notes)
        assert not notes or (kernel.shape[-1] % 2 == 0 and "off its centre" in notes[0])


def test_a_kernel_far_from_its_centre_is_told():
    """Its shape does not tell its centre: nothing is changed."""
    shake = np.pad(gp.blur.shake(length=9, size=11, seed=0), ((20, 0), (0, 14)))
    clean, notes = clean_kernel(shake)
    assert clean is shake
    assert len(notes) == 1
    assert "y +10" in notes[0]
    assert "x -7" in notes[0]


def test_noise_that_was_cut_off_at_zero_is_removed():
    rng = np.random.default_rng(0)
    truth = spot("gaussian", 31, (15, 15))
    noisy = truth + 0.02 * rng.standard_normal(truth.shape)
    for given in (noisy, noisy.clip(0)):  # negative values are no error
        clean, notes = clean_kernel(given)
        assert error(clean, truth) < 0.5 * error(given.clip(0), truth)
        assert any("Noise" in note for note in notes)


@pytest.mark.parametrize("shape", [(16, 32, 32), (17, 32, 33), (16, 33, 33)])
def test_volumes_on_even_grids_are_centred(shape):
    z, y, x = np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in shape), indexing="ij")
    clean, notes = clean_kernel(np.exp(-0.5 * (z**2 / 9 + (y**2 + x**2) / 4)))
    assert all(n % 2 for n in clean.shape)
    assert np.abs(np.array(ndimage.center_of_mass(clean)) - np.array(clean.shape) // 2).max() < 0.02
    assert len(notes) == 1


def test_a_volume_in_fft_order_is_reordered_exactly():
    psf = gp.blur.microscope_psf_3d("confocal", shape=(17, 33, 33))
    for axes in (None, (1, 2)):
        clean, notes = clean_kernel(np.fft.ifftshift(psf, axes))
        np.testing.assert_allclose(clean / clean.sum(), psf / psf.sum(), atol=1e-7)
        assert "FFT order" in notes[0]


def test_an_image_of_beads_is_refused_with_the_command_that_helps():
    rng = np.random.default_rng(0)
    points = np.zeros((128, 128))
    points[tuple(rng.integers(8, 120, (2, 15)))] = 1
    beads = 1000 * ndimage.gaussian_filter(points, 1.5) + 20 + rng.standard_normal(points.shape)
    with pytest.raises(InputError, match="genprior kernel beads"):
        make_plan(np.random.default_rng(1).random((150, 150)), kernel=beads)


@pytest.mark.parametrize("factor", [0.4, 0.7, 1.6, 3.0])
def test_resampling_keeps_the_blur(factor):
    a = np.arange(-20, 21)
    sigma = 2.5
    kernel = np.exp(-0.5 * (a[:, None] ** 2 + a**2) / sigma**2)
    new = resample_axes(kernel, [factor, 1.0])
    rows = np.arange(new.shape[0]) - new.shape[0] // 2
    profile = new.sum(1) / new.sum()
    assert float(profile @ rows) == pytest.approx(0, abs=1e-6)
    # pixels of the image integrate the light on them
    assert float(profile @ rows**2) == pytest.approx((sigma * factor) ** 2 + 1 / 12, rel=0.02)
    assert new.shape[1] == kernel.shape[1]


# through the front doors

TRUTH = gp.samples.cells()[:96, :96].astype(np.float32)
KERNEL = gp.blur.gaussian(1.8, size=17)
BLURRED = gp.simulate(TRUTH, KERNEL, noise=0.005, seed=0, clip=False).blurred


def psnr(image):
    return gp.metrics.psnr(image[8:-8, 8:-8], TRUTH[8:-8, 8:-8])


def write_sized(path, values, size, unit="nm", **metadata):
    sizes = {f"PhysicalSize{axis}": size for axis in "YX"} | {f"PhysicalSize{axis}Unit": unit for axis in "YX"}
    tifffile.imwrite(path, values, metadata={"axes": "YX", **sizes, **metadata})


def test_a_kernel_with_camera_offset_restores_as_the_exact_one():
    exact = gp.deblur(BLURRED, kernel=KERNEL)
    measured = np.round(100 + 3000 * spot("gaussian", 31, (15, 15))).astype(np.uint16)
    result = gp.deblur(BLURRED, kernel=measured)
    assert psnr(result.found) > psnr(exact.found) - 0.2 > psnr(BLURRED) + 1
    assert "background" in result.status.sentence
    assert result.provenance.arguments["kernel_notes"]
    assert exact.status.sentence == "Completed."
    assert np.array_equal(exact.kernel, KERNEL)


def test_a_kernel_on_an_even_grid_does_not_shift_the_result():
    exact = gp.deblur(BLURRED, kernel=KERNEL).found
    even = gp.deblur(BLURRED, kernel=spot("gaussian", 16, (7.5, 7.5))).found
    assert np.abs(even - exact).max() < 0.02 * np.ptp(TRUTH)
    moved = ndimage.shift(exact, (0.05, 0), order=3, mode="nearest")
    assert np.abs(even - exact)[8:-8, 8:-8].max() < np.abs(moved - exact)[8:-8, 8:-8].max()


def test_kernels_of_this_package_are_taken_as_they_are(tmp_path):
    off_centre = spot("gaussian", 16, (7.5, 7.2)).astype(np.float32)
    off_centre /= off_centre.sum()
    write_image(tmp_path / "own.tif", off_centre)
    tifffile.imwrite(tmp_path / "other.tif", off_centre)
    own, other = (make_plan(BLURRED, kernel=tmp_path / name) for name in ("own.tif", "other.tif"))
    np.testing.assert_allclose(own.kernels, off_centre, rtol=1e-6)
    assert own.kernel_notes == ()
    assert other.kernels.shape == (17, 17)


def test_a_kernel_as_large_as_the_image_fits_after_it_was_centred():
    plan = make_plan(BLURRED, kernel=spot("gaussian", 96, (47.5, 47.5)))
    assert max(plan.kernels.shape) < 40
    assert make_plan(BLURRED, kernel=spot("gaussian", 120, (59.5, 59.5))).kernels.shape == plan.kernels.shape


def test_other_pixels_are_resampled_and_unknown_ones_told(tmp_path):
    write_sized(tmp_path / "image.ome.tif", BLURRED, 0.1, "µm")
    a = np.arange(-15, 16)
    finer = np.exp(-0.5 * (a[:, None] ** 2 + a**2) / 3.6**2).astype(np.float32)
    write_sized(tmp_path / "finer.ome.tif", finer, 50)
    write_sized(tmp_path / "wrong.ome.tif", finer, 50, "mm")
    tifffile.imwrite(tmp_path / "unknown.tif", KERNEL)
    result = gp.deblur(tmp_path / "image.ome.tif", kernel=tmp_path / "finer.ome.tif")
    assert "resampled" in result.status.sentence
    assert psnr(result.found) > psnr(gp.deblur(BLURRED, kernel=KERNEL).found) - 0.3
    told = gp.deblur(tmp_path / "image.ome.tif", kernel=tmp_path / "unknown.tif")
    assert "taken as equal" in told.status.sentence
    assert np.array_equal(told.kernel, KERNEL)
    with pytest.raises(InputError, match="correct the size or its unit"):
        gp.deblur(tmp_path / "image.ome.tif", kernel=tmp_path / "wrong.ome.tif")


def test_the_planes_of_a_measured_volume_kernel_are_resampled(tmp_path):
    psf = gp.blur.microscope_psf_3d("confocal", shape=(17, 15, 15), step_z_nm=100.0)
    tifffile.imwrite(
        tmp_path / "psf.ome.tif",
        psf,
        metadata={"axes": "ZYX", "PhysicalSizeZ": 0.1, "PhysicalSizeY": 0.16, "PhysicalSizeX": 0.16},
    )
    volume = np.random.default_rng(0).random((9, 24, 24))
    plan = make_plan(volume, kernel=tmp_path / "psf.ome.tif", voxel_size_um=(0.3, 0.16, 0.16))
    assert plan.kernels.shape[0] == 7
    assert plan.kernels.shape[1:] == (15, 15)
    with pytest.raises(InputError, match="4 times"):
        make_plan(volume, kernel=np.pad(psf, ((0, 0), (50, 50), (0, 0))), mode="3d")


def test_a_grid_of_kernels_is_cleaned_kernel_by_kernel():
    measured = 100 + 1000 * np.stack([spot("gaussian", 20, (9.5 + d, 9.5)) for d in (0, 1, 0, 2)])
    plan = make_plan(TRUTH, kernel=measured.reshape(2, 2, 20, 20), tiles=(2, 2))
    assert plan.kernels.shape[:2] == (2, 2)
    for kernel in plan.kernels.reshape(4, *plan.kernels.shape[2:]):
        assert error(kernel, KERNEL) < 0.05
    assert plan.kernel_notes[0].startswith("Kernel 1 of 4")


def test_the_command_line_says_what_was_done(tmp_path, capsys):
    tifffile.imwrite(tmp_path / "image.tif", BLURRED)
    tifffile.imwrite(tmp_path / "psf.tif", np.round(100 + 3000 * spot("gaussian", 32, (15.5, 15.5))).astype(np.uint16))
    out = tmp_path / "out.tif"
    command = ["deblur", str(tmp_path / "image.tif"), "-o", str(out), "--kernel", str(tmp_path / "psf.tif"), "--quiet"]
    assert cli.main(command) == 0
    said = capsys.readouterr().err
    assert "background" in said
    assert "y +0.50, x +0.50 px" in said
    assert psnr(tifffile.imread(out)) > psnr(BLURRED) + 1


@pytest.mark.parametrize("kernel", [gp.blur.motion(11, 0), gp.blur.motion(9, 30), gp.blur.shake(10, seed=5)])
def test_motion_in_fft_order_is_put_in_order(kernel):
    """Motion lies in two corners or more, its peak anywhere on its path."""
    wide = np.pad(kernel, 10).astype(np.float64)
    clean, notes = clean_kernel(np.fft.ifftshift(wide))
    assert "FFT order" in notes[0]
    half = clean.shape[0] // 2, clean.shape[1] // 2
    middle = wide.shape[0] // 2, wide.shape[1] // 2
    place = tuple(slice(m - h, m + h + 1) for m, h in zip(middle, half, strict=True))
    np.testing.assert_allclose(clean / clean.sum(), wide[place] / wide.sum(), atol=1e-6)
