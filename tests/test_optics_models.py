"""Point spread functions agree with closed forms, with another implementation, and hold the light that they say."""

import numpy as np
import pytest
from scipy.ndimage import uniform_filter
from scipy.signal import fftconvolve
from scipy.special import j1

from napari_genprior import blur
from napari_genprior.blur import microscope as optics
from napari_genprior.blur.optics_diffraction import Objective, radial_profiles
from napari_genprior.blur.optics_modalities import disk_means
from napari_genprior.blur.optics_support import choose_shape
from napari_genprior.core.errors import InputError

OIL = {"na": 1.4, "immersion_index": 1.515, "sample_index": 1.515, "pixel_size_nm": 65}


def test_low_apertures_give_the_scalar_airy_disk():
    na, wavelength = 0.1, 0.5
    radius = np.linspace(0, 4, 81) * wavelength / na / 2
    v = 2 * np.pi * na * radius[1:] / wavelength
    found = radial_profiles(Objective(na, 1.0, 1.0, 0.0), wavelength, radius, np.zeros(1))[0]
    np.testing.assert_allclose(found[1:] / found[0], (2 * j1(v) / v) ** 2, atol=2e-3)


def test_low_apertures_give_the_axial_sinc_squared():
    na, n, wavelength = 0.15, 1.33, 0.6
    z = np.linspace(-1.5, 1.5, 61) * 2 * n * wavelength / na**2
    found = radial_profiles(Objective(na, n, n, 0.0), wavelength, np.zeros(1), z)[:, 0]
    u = n * (1 - np.cos(np.arcsin(na / n))) * z / wavelength
    np.testing.assert_allclose(found / found.max(), np.sinc(u) ** 2, atol=5e-3)


@pytest.mark.parametrize("sample", [1.515, 1.47])
def test_every_plane_of_a_widefield_microscope_has_the_same_light(sample):
    radius = 0.01 * np.arange(6000)
    profiles = radial_profiles(Objective(1.4, 1.515, sample, 2.0), 0.52, radius, np.array([0, 2.0, 5.0]))
    light = (2 * np.pi * 0.01 * radius * profiles).sum(1)
    np.testing.assert_allclose(light, 1, atol=4e-3)  # the rest is beyond 60 um


@pytest.mark.parametrize(
    ("na", "immersion", "sample", "depth", "wavelength"),
    [
        (1.4, 1.515, 1.515, 0, 520), (1.4, 1.515, 1.47, 5, 520), (1.4, 1.515, 1.33, 5, 520), (0.8, 1.0, 1.33, 10, 650),
        (1.2, 1.333, 1.38, 10, 500), (0.3, 1.0, 1.33, 0, 500),
    ],
)  # fmt: skip
def test_another_implementation_agrees(na, immersion, sample, depth, wavelength):
    psfmodels = pytest.importorskip("psfmodels")
    z = np.linspace(-3, 3, 13)
    other = psfmodels.make_psf(
        list(depth + z), 79, dxy=0.05, pz=depth, NA=na, wvl=wavelength / 1000, ns=sample, ni=immersion, ni0=immersion,
        oversample_factor=1, normalize=False,
    )[:, 39, 39:]  # fmt: skip
    # there the focus is counted from where a paraxial ray of the point is imaged
    focus = z + depth * immersion / sample
    own = radial_profiles(Objective(na, immersion, sample, depth), wavelength / 1000, 0.05 * np.arange(40), focus)
    np.testing.assert_allclose(own / own.max(), other / other.max(), atol=0.011)


def test_pixels_integrate_the_light():
    fine = blur.microscope_psf(size=99, **(OIL | {"pixel_size_nm": 13}))
    coarse = blur.microscope_psf(size=19, **OIL)
    sums = uniform_filter(fine.astype(float), 5, mode="constant")[4:95:5, 4:95:5] * 25
    np.testing.assert_allclose(coarse / coarse.sum(), sums / sums.sum(), atol=2e-3 * coarse.max())


def test_means_over_disks_are_convolutions():
    step, side = 0.05, 121
    axis = step * (np.arange(side) - side // 2)
    radius = np.hypot(axis[:, None], axis)
    disk = (radius <= 0.8).astype(float)
    exact = fftconvolve(np.exp(-(radius**2)), disk / disk.sum(), mode="same")[side // 2, side // 2 :][:30]
    found = disk_means(np.exp(-((0.01 * np.arange(400)) ** 2))[None], 0.01, 0.8, step, 30)[0]
    np.testing.assert_allclose(found, exact, atol=5e-3)


def axial_profile(kind, **more):
    psf = blur.microscope_psf_3d(kind, shape=(41, 65, 65), step_z_nm=150, **OIL, **more)
    return psf.sum((1, 2)) / psf.sum((1, 2)).max()


def test_optical_sections_are_thin_in_the_order_of_the_microscopes():
    widefield, disk, confocal, narrow, sheet = (
        axial_profile("widefield"), axial_profile("spinning-disk"), axial_profile("confocal"),
        axial_profile("confocal", pinhole_au=0.3), axial_profile("light-sheet", sheet_um=1.5),
    )  # fmt: skip
    assert widefield[10] > 0.5
    assert widefield[10] > disk[10] > confocal[10] > narrow[10]
    assert sheet[25] == pytest.approx(0.5 * widefield[25], rel=0.01)  # half the thickness from the middle


def test_two_photons_square_the_excitation():
    two = blur.microscope_psf("two-photon", size=33, excitation_nm=920, **OIL)
    one = blur.microscope_psf("widefield", size=33, wavelength_nm=920, **OIL)
    np.testing.assert_allclose(two / two.max(), (one / one.max()) ** 2, atol=0.02)


def test_a_spinning_disk_with_wide_pinholes_is_a_widefield_microscope():
    wide = blur.microscope_psf("spinning-disk", size=33, pinhole_au=40, **OIL)
    np.testing.assert_allclose(wide, blur.microscope_psf("widefield", size=33, **OIL), atol=0.02 * wide.max())


@pytest.mark.parametrize("kind", ["widefield", "confocal", "light-sheet"])
def test_the_chosen_shape_holds_the_light_of_a_larger_one(kind):
    options = {"na": 0.8, "immersion_index": 1.0, "pixel_size_nm": 160}
    m = optics.Microscope(kind, **options)
    support = choose_shape(m, 0.5, (7, 200, 200), optics.focus(m))
    assert not support.cut
    assert all(side % 2 for side in support.shape)
    wide = blur.microscope_psf_3d(kind, shape=(13, 399, 399), step_z_nm=500, **options)
    z, y, x = (slice((n - k) // 2, (n + k) // 2) for n, k in zip(wide.shape, support.shape, strict=True))
    assert wide[z, y, x].sum() > support.inside - 0.002 > 0.99


def test_the_shape_follows_the_cone_and_stays_within_twice_the_stack():
    air = optics.Microscope(na=0.8, immersion_index=1.0, pixel_size_nm=160)
    found = [choose_shape(air, 0.5, (planes, 200, 200), optics.focus(air)) for planes in (14, 20, 30)]
    assert not any(each.cut for each in found)
    assert [each.shape[0] for each in found] == [27, 39, 59]
    assert found[0].shape[1] < found[1].shape[1] < found[2].shape[1]
    m = optics.Microscope(**OIL)
    cut = choose_shape(m, 0.2, (24, 96, 64), optics.focus(m))
    assert cut.cut
    assert cut.shape == (47, 191, 127)
    assert "cut" in cut.sentence
    assert blur.microscope_psf_3d(shape="auto", image_shape=(5, 20, 12), step_z_nm=200, **OIL).shape == (9, 39, 23)
    with pytest.raises(InputError, match="image_shape"):
        blur.microscope_psf_3d(shape="auto", **OIL)
