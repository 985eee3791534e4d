"""Microscope kernels agree with textbook values; impossible parameters are refused."""

from itertools import islice

import numpy as np
import pytest

from napari_genprior import blur
from napari_genprior.blur import microscope as optics
from napari_genprior.blur import random_microscope as objectives
from napari_genprior.cli import main
from napari_genprior.core.errors import InputError
from napari_genprior.training import kernel_simulators
from napari_genprior.training import psf_3d as volumes
from napari_genprior.zoo.store import load_prior


def spread(kernel):
    """Compute the root mean square distance of the light from the axis, in pixels."""
    axis = np.arange(len(kernel)) - (len(kernel) - 1) / 2
    return float(np.sqrt((kernel * (axis[:, None] ** 2 + axis**2)).sum()))


@pytest.mark.parametrize("na", [0.3, 0.5, 0.7])
def test_the_first_dark_ring_is_airys(na):
    per_radius = 25
    airy_nm = 0.61 * 550 / na
    psf = blur.microscope_psf(na=na, wavelength_nm=550, pixel_size_nm=airy_nm / per_radius, size=101)
    row = psf[50, 50:]
    dark = next(i for i in range(1, 50) if row[i] < row[i - 1] and row[i] <= row[i + 1])
    assert dark == pytest.approx(per_radius, rel=0.08)


def test_defocus_widens_and_a_pinhole_narrows():
    widefield = [spread(blur.microscope_psf(defocus_um=z, pixel_size_nm=100)) for z in (0, 1, 2)]
    assert widefield == sorted(widefield)
    assert widefield[2] > 2 * widefield[0]
    confocal = [blur.microscope_psf("confocal", pixel_size_nm=100, pinhole_au=p) for p in (0.5, 1, 3)]
    assert [spread(k) for k in confocal] == sorted(spread(k) for k in confocal)
    assert spread(confocal[2]) < widefield[0]


@pytest.mark.parametrize("kind", optics.KINDS)
@pytest.mark.parametrize("size", [33, 28])
def test_kernels_are_kernels(kind, size):
    psf = blur.microscope_psf(kind, size=size, na=1.2, immersion_index=1.333, depth_um=3, pixel_size_nm=70)
    assert psf.shape == (size, size)
    assert psf.dtype == np.float32
    assert psf.min() >= 0
    assert psf.sum() == pytest.approx(1, abs=1e-5)
    for turned in (psf[::-1], psf[:, ::-1], psf.T):
        np.testing.assert_allclose(psf, turned, atol=1e-7)
    assert psf.max() == psf[size // 2, size // 2]


def test_a_volume_is_sharpest_in_its_middle_even_below_a_mismatch():
    options = {"na": 1.3, "immersion_index": 1.515, "sample_index": 1.36, "depth_um": 5, "pixel_size_nm": 80}
    widefield = blur.microscope_psf_3d(shape=(9, 25, 25), step_z_nm=250, **options)
    assert widefield.sum() == pytest.approx(1, abs=1e-5)
    assert np.unravel_index(widefield.argmax(), widefield.shape) == (4, 12, 12)
    assert not np.allclose(widefield, widefield[::-1], rtol=0.05)  # spherical aberration: above is not below
    confocal = blur.microscope_psf_3d("confocal", shape=(9, 25, 25), step_z_nm=250, **options)
    # optical sections: the confocal volume holds more of its light in the middle plane
    assert confocal[4].sum() > 1.5 * widefield[4].sum()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"na": 1.2}, "immersion"),
        ({"na": 0}, "na from"),
        ({"wavelength_nm": float("nan")}, "wavelength_nm"),
        ({"pixel_size_nm": -1}, "pixel_size_nm"),
        ({"depth_um": "deep"}, "depth_um"),
        ({"kind": "holographic"}, "widefield, confocal, spinning-disk"),
        ({"colour": 1}, "no colour"),
        ({"size": 0}, "pixels a side"),
        ({"excitation_nm": 10}, "excitation_nm"),
    ],
)
def test_impossible_parameters_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        blur.microscope_psf(**wrong)


@pytest.mark.slow
def test_drawn_microscopes_repeat_differ_and_fit():
    first, again = (list(islice(kernel_simulators.draw_kernels("microscope", 33, 4), 6)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert len({float(kernel.max()) for kernel in first}) == 6
    rng = np.random.default_rng(0)
    for _ in range(5):
        drawn = vars(objectives.random_microscope(rng, 33))
        wide = blur.microscope_psf(**drawn, size=99)
        assert wide[33:66, 33:66].sum() > 0.75


def test_a_volume_generator_is_trained_stored_and_decodes(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(volumes, "SHAPE", (5, 11, 11))
    command = ["train", "--simulate", "microscope-3d", "--arch", "linear", "--latent", "4", "--kernels", "24"]
    assert main([*command, "-o", "tiny-3d", "--out-folder", str(tmp_path), "--quiet"]) == 0
    assert "relative_error_encoder" in capsys.readouterr().out
    prior = load_prior(tmp_path / "tiny-3d.json")
    assert prior.card.size == (5, 11, 11)
    decoded = prior.decode(prior.net.encode(prior.net.mean.view(1, 1, 5, 11, 11))[0])
    assert decoded.shape == (1, 1, 5, 11, 11)
    assert float(decoded.sum()) == pytest.approx(1, abs=1e-4)
    given = np.stack(list(islice(volumes.draw_volumes((5, 11, 11), 0), 3)))
    found = prior.project(given)
    assert found.images.shape == given.shape
    assert found.errors.max() < 0.6
    assert (
        main([*command[:3], "--arch", "vae", "-o", "x", "--out-folder", str(tmp_path), "--quiet", "--kernels", "8"])
        == 2
    )
    assert "linear" in capsys.readouterr().err


@pytest.mark.parametrize(("na", "index"), [(0.9, 1.0), (1.2, 1.333), (1.49, 1.515), (1.6, 2.0)])
def test_an_aperture_determines_its_immersion(na, index):
    assert objectives.with_known(optics.Microscope(), {"na": na}).immersion_index == index


def test_known_parameters_stay_and_contradictions_are_refused():
    known = {"kind": "confocal", "immersion_index": 1.515, "pixel_size_nm": 60}
    drawn = objectives.random_microscope(np.random.default_rng(0), known=known, ratio=3.0)
    assert {name: getattr(drawn, name) for name in known} == known
    assert drawn.na < 1.515
    least, most = objectives.STEP_RANGE
    assert 0.7 * least < 180 / objectives.nyquist_step_nm(drawn) < 1.4 * most
    with pytest.raises(InputError, match="immersion"):
        objectives.with_known(drawn, {"na": 1.4, "immersion_index": 1.333})
