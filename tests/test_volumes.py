"""Volumes: forward model, deconvolution for a known kernel, blind search, front door."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
import torch
from scipy.signal import fftconvolve

import napari_genprior as gp
from napari_genprior.blur import microscope as optics
from napari_genprior.cli import main
from napari_genprior.core.errors import InputError
from napari_genprior.core.iteration import run_to_end
from napari_genprior.core.result import DeblurResult, VerdictLabel
from napari_genprior.core.units import voxel_size_um
from napari_genprior.deconvolution.total_variation import tv_weighted
from napari_genprior.estimation import cross_validation as held_out
from napari_genprior.estimation import psf_candidates as microscopes
from napari_genprior.operators.boundary import kernel_reach, periodic_axes
from napari_genprior.operators.convolution import crop_kernel, transfer_function
from napari_genprior.operators.finite_differences import differences, differences_adjoint, slope_power
from napari_genprior.operators.noise import NoiseModel
from napari_genprior.operators.observation import KERNEL_TAIL, pad_zero
from napari_genprior.operators.observed import observe
from napari_genprior.operators.photon_noise import estimate_noise_model
from napari_genprior.pipeline.front_door import deblur, iter_deblur
from napari_genprior.settings import VolumeSettings
from napari_genprior.zoo.store import load_prior


def gaussian(shape, sigmas):
    axes = [np.exp(-((np.arange(n) - n // 2) ** 2) / (2 * s * s)) for n, s in zip(shape, sigmas, strict=True)]
    kernel = axes[0][:, None, None] * axes[1][:, None] * axes[2]
    return (kernel / kernel.sum()).astype(np.float32)


def blocks(shape, seed=0):
    """Bright boxes on a dim ground."""
    rng, volume = np.random.default_rng(seed), np.full(shape, 0.05, np.float32)
    for _ in range(int(np.prod(shape) / 800)):
        corner, sides = (rng.uniform(0, 1, 3) * shape).astype(int), rng.integers(2, 7, 3)
        volume[tuple(slice(c, c + s) for c, s in zip(corner, sides, strict=True))] = rng.uniform(0.3, 1)
    return volume


def scene(kernel, shape=(14, 24, 24), noise=0.0, seed=0):
    """A sharp volume and it blurred, with light from beyond the stack."""
    wide = blocks(tuple(n + k - 1 for n, k in zip(shape, kernel.shape, strict=True)), seed)
    inner = tuple(slice(k // 2, k // 2 + n) for n, k in zip(shape, kernel.shape, strict=True))
    blurred = fftconvolve(wide, kernel, "valid")
    return wide[inner], (blurred + noise * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def rms(a, b=0.0):
    return float(np.sqrt(np.mean((a - b) ** 2)))


KERNEL = gaussian((5, 7, 7), (1.2, 1.5, 1.5))


@pytest.mark.parametrize("kernel_shape", [(5, 4, 7), (9, 3, 12)])
def test_blur_of_a_volume_and_its_adjoint_agree(kernel_shape):
    random = torch.Generator().manual_seed(0)
    kernel = torch.rand(1, 1, *kernel_shape, generator=random, dtype=torch.float64)
    observation = pad_zero(torch.zeros(1, 1, 6, 9, 10, dtype=torch.float64), [n - 1 for n in kernel_shape])
    transfer = transfer_function(crop_kernel(kernel, observation.shape), observation.shape)
    x = torch.randn(observation.canvas.shape, generator=random, dtype=torch.float64)
    y = torch.randn((1, 1, *observation.data_shape), generator=random, dtype=torch.float64)
    there, back = (observation.blur(x, transfer) * y).sum(), (x * observation.blur_adjoint(y, transfer)).sum()
    assert float(there) == pytest.approx(float(back), rel=1e-12)
    weights = (0.3, 1.0, 0.7)
    g = torch.randn((3, *x.shape), generator=random, dtype=torch.float64)
    there = (differences(x, weights) * g).sum()
    assert float(there) == pytest.approx(float((x * differences_adjoint(g, weights)).sum()), rel=1e-12)


def test_blur_on_the_canvas_is_the_plain_convolution_of_what_lies_around():
    wide = np.random.default_rng(1).random((10, 14, 15))
    kernel = np.random.default_rng(2).random((3, 5, 4))
    shape = tuple(n - k + 1 for n, k in zip(wide.shape, kernel.shape, strict=True))
    observation = pad_zero(torch.zeros(1, 1, *shape, dtype=torch.float64), (2, 4, 3))
    x = torch.zeros(observation.shape, dtype=torch.float64)
    x[: wide.shape[0], : wide.shape[1], : wide.shape[2]] = torch.from_numpy(wide)
    # "valid" sees a kernel's width behind each voxel: bring the volume's first voxel to the origin
    x = x.roll(tuple(-(k - 1 - k // 2) for k in kernel.shape), (0, 1, 2))
    transfer = transfer_function(torch.from_numpy(kernel)[None, None], observation.shape)
    blurred = observation.blur(x[None, None], transfer)[0, 0].numpy()
    np.testing.assert_allclose(blurred, fftconvolve(wide, kernel, "valid"), atol=1e-10)


def test_power_of_differences_is_that_of_their_spectrum():
    x, weights = torch.randn(1, 1, 6, 8, 9, dtype=torch.float64), (0.5, 1.0, 2.0)
    spectrum = torch.fft.rfftn(x, dim=(-3, -2, -1))
    power = slope_power((6, 8, 9), x.device, weights).double()
    twice = differences_adjoint(differences(x, weights), weights)
    got = torch.fft.irfftn(power * spectrum, s=(6, 8, 9), dim=(-3, -2, -1))
    assert torch.allclose(got, twice, atol=1e-5)


def test_noise_is_measured_as_it_was_made():
    _, blurred = scene(gaussian((7, 9, 9), (1.8, 2.2, 2.2)), (24, 48, 48))
    rng = np.random.default_rng(0)
    photons = torch.from_numpy((rng.poisson(blurred.clip(0) * 100) / 100).astype(np.float32))[None, None]
    poisson = estimate_noise_model(photons)
    assert poisson.gain == pytest.approx(0.01, rel=0.15)
    assert poisson.read_variance < 0.2 * poisson.mean_variance(photons)
    white = torch.from_numpy((blurred + 0.03 * rng.standard_normal(blurred.shape)).astype(np.float32))[None, None]
    assert estimate_noise_model(white).mean_variance(white) == pytest.approx(0.03**2, rel=0.1)


@pytest.mark.parametrize(("solver", "left"), [("tv", 0.5), ("richardson-lucy", 0.75), ("wiener", 0.9)])
def test_known_kernel_undoes_blur_without_noise(solver, left):
    narrow = gaussian((5, 5, 5), (0.7, 0.8, 0.8))
    sharp, blurred = scene(narrow)
    result = deblur(blurred, kernel=narrow, mode="3d", device="cpu", settings={"solver": solver, "steps": 150})
    inner = (slice(2, -2), slice(3, -3), slice(3, -3))
    assert rms(result.image[inner], sharp[inner]) < left * rms(blurred[inner], sharp[inner])
    assert result.image.dtype == np.float32
    assert result.image.min() >= 0
    assert result.image.sum() == pytest.approx(sharp.sum(), rel=0.06), "light is neither made nor lost"


def test_first_and_last_planes_neither_ring_nor_darken():
    """Even ground that goes on beyond the stack stays even: its light is not missed at the top and the bottom."""
    kernel = gaussian((9, 5, 5), (2.5, 1, 1))
    sharp, blurred = np.full((10, 20, 20), 0.5, np.float32), np.full((10, 20, 20), 0.5, np.float32)
    rng = np.random.default_rng(0)
    blurred = blurred + 0.01 * rng.standard_normal(blurred.shape).astype(np.float32)
    for solver in ("tv", "richardson-lucy"):
        image = deblur(blurred, kernel=kernel, mode="3d", device="cpu", settings={"solver": solver}).image
        assert np.abs(image.mean((1, 2)) - 0.5).max() < 0.02
        assert rms(image, sharp) < 0.03


def test_planes_beyond_the_stack_are_unknowns_rather_than_those_of_its_other_end():
    kernel = gaussian((7, 5, 5), (1.5, 1, 1))
    k, noise, ends = torch.from_numpy(kernel)[None, None], NoiseModel(0.0, 0.005**2), np.zeros(2)
    for seed in range(3):
        sharp, blurred = scene(kernel, noise=0.005, seed=seed)
        for i, margin in enumerate((kernel_reach(k, KERNEL_TAIL), (0, 0, 0))):
            observation = pad_zero(torch.from_numpy(blurred)[None, None], margin)
            transfer = transfer_function(crop_kernel(k, observation.shape), observation.shape)
            state = run_to_end(tv_weighted(observation, transfer, noise, strength=4.0))
            ends[i] += ((observation.crop(state.image)[0, 0].numpy() - sharp)[[0, -1]] ** 2).mean()
    assert ends[0] < 0.5 * ends[1]


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.002, 0.01])
def test_first_and_last_planes_come_nearly_as_near_as_the_rest_in_little_noise(noise):
    """Half of their light is missing: they come last, and with a bad pace of the splitting not at all."""
    inner, ends, before = [], [], []
    for seed in range(3):
        sharp, blurred = scene(KERNEL, (14, 28, 28), noise, seed)
        wrong = deblur(blurred, kernel=KERNEL, mode="3d", device="cpu").image - sharp
        inner.append(rms(wrong[1:-1]))
        ends.append(rms(wrong[[0, -1]]))
        before.append(rms((blurred - sharp)[[0, -1]]))
    assert np.mean(ends) < 0.7 * np.mean(before)
    assert np.mean(ends) < 1.5 * np.mean(inner)


@pytest.mark.slow
def test_flat_voxels_are_smoothed_by_length_not_by_count():
    _, blurred = scene(KERNEL, noise=0.05)
    cubes = deblur(blurred, kernel=KERNEL, mode="3d", device="cpu").image
    tall = deblur(blurred, kernel=KERNEL, mode="3d", voxel_size_um=(0.5, 0.1, 0.1), device="cpu").image
    assert np.abs(np.diff(tall, axis=0)).mean() > 1.1 * np.abs(np.diff(cubes, axis=0)).mean()
    scaled = deblur(blurred, kernel=KERNEL, mode="3d", voxel_size_um=(500, 100, 100), device="cpu").image
    np.testing.assert_allclose(scaled, tall, atol=1e-5)


def test_intensities_keep_their_scale():
    _, blurred = scene(KERNEL, noise=0.01)
    plain = deblur(blurred, kernel=KERNEL, mode="3d", device="cpu").image
    bright = deblur(blurred * 2.0**12, kernel=7 * KERNEL, mode="3d", device="cpu").image
    assert rms(bright / 2.0**12, plain) < 0.01
    assert bright.mean() / 2.0**12 == pytest.approx(plain.mean(), rel=0.01)


def test_periodic_volumes_are_known_by_their_seams():
    inside, apart = blocks((14, 24, 24), 1), np.full((14, 24, 24), 0.1, np.float32)
    apart[5:9, 8:14, 8:14] = 1
    for volume, expected in ((apart, (True,) * 3), (np.cumsum(inside, 0), (False,))):
        found = periodic_axes(torch.from_numpy(volume)[None, None], 0.0)
        assert found[: len(expected)] == expected


def test_closing_the_generator_stops_and_the_result_can_be_saved(tmp_path):
    _, blurred = scene(KERNEL, noise=0.01)
    search = iter_deblur(blurred, kernel=KERNEL, mode="3d", device="cpu", settings={"steps": 50})
    first = next(search)
    assert (first.image.shape, first.kernel.shape) == (blurred.shape, KERNEL.shape)
    assert 0 <= first.fraction < 1
    search.close()
    with pytest.raises(StopIteration):
        next(search)
    result = run_to_end(iter_deblur(blurred, kernel=KERNEL, mode="3d", device="cpu"))
    assert result.verdict.improved, result.verdict.reason
    again = DeblurResult.load(result.save(tmp_path / "volume.npz"))
    np.testing.assert_array_equal(again.image, result.image)
    assert again.provenance.input_shape == blurred.shape


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"volume": np.zeros((10, 10))}, "Z, Y, X"),
        ({"volume": np.ones((10, 10, 10))}, "constant"),
        ({"volume": np.full((10, 10, 10), np.nan)}, "NaN"),
        ({"volume": np.arange(200.0).reshape(2, 10, 10)}, "planes"),
        ({"kernel": np.ones((3, 3))}, "kz, kh, kw"),
        ({"kernel": -np.ones((3, 3, 3))}, ">= 0"),
        ({"voxel_size_um": (0.1, 0.1)}, "three lengths"),
        ({"voxel_size_um": (0.0, 0.1, 0.1)}, "three lengths"),
        ({"method": "magic"}, "known-kernel"),
        ({"method": "evidence"}, "there are: auto, known-kernel"),
        ({"seed": -1}, "seed"),
        ({"settings": {"solver": "best"}}, "solver"),
    ],
)
def test_bad_input_is_refused_at_the_call(change, says):
    arguments = {"volume": scene(KERNEL)[1], "kernel": KERNEL} | change
    with pytest.raises(InputError, match=says):
        iter_deblur(arguments.pop("volume"), kernel=arguments.pop("kernel"), mode="3d", **arguments)


@pytest.mark.parametrize(
    ("settings", "sides_um", "says"),
    [
        ({"na": 1.4, "immersion_index": 1.333}, None, "below the refractive index"),
        ({"na": 1.4}, (5.0, 2.0, 2.0), "in um"),
        ({"na": 1.4, "wavelength_nm": 520}, (2e-7, 1e-7, 1e-7), "pixel_size_nm"),
        ({"microscope": "confocal"}, (0.3, 0.1, 0.2), "square"),
        ({"microscope": "light-sheet"}, None, "microscope"),
    ],
)
def test_what_no_microscope_is_like_is_refused(settings, sides_um, says):
    with pytest.raises(InputError, match=says):
        iter_deblur(blocks((10, 20, 20)), mode="3d", settings=settings, voxel_size_um=sides_um)


@pytest.mark.slow
def test_all_candidates_have_what_is_known():
    rng, prior = np.random.default_rng(0), load_prior("microscope-3d")
    told = {"microscope": "confocal", "na": 1.4, "wavelength_nm": 520, "immersion_index": 1.515}
    known = microscopes.parse_constraints(VolumeSettings(**told), (0.2, 0.08, 0.08))
    optic, kernel = microscopes.sample_candidates(rng, prior, known, None, 0.0)
    near = microscopes.PsfCandidate(0.0, 1.0, kernel, optic)
    varied, other = microscopes.sample_candidates(rng, prior, known, near, 0.2)
    for each in (optic, varied):
        assert {name: getattr(each.microscope, name) for name in known.fields} == known.fields
        assert each.microscope.pixel_size_nm == pytest.approx(80)
        assert each.step_nm == pytest.approx(200)
        assert each.microscope.defocus_um == 0
    assert not torch.equal(kernel, other)
    # with a kind alone, sides of voxels need not be in um: only their ratio is known
    known = microscopes.parse_constraints(VolumeSettings(microscope="confocal"), (25, 10, 10))
    optic, _ = microscopes.sample_candidates(rng, prior, known, None, 0.0)
    assert optic.microscope.kind == "confocal"
    assert 50 <= optic.microscope.pixel_size_nm <= 400
    assert optic.step_nm == pytest.approx(2.5 * optic.microscope.pixel_size_nm)


@pytest.mark.parametrize("noise", [0.0025, 0.005, 0.02, 0.05])
def test_held_out_voxels_are_predicted_best_by_the_true_kernel(noise):
    _, blurred = scene(KERNEL, (16, 32, 32), noise)
    volume = observe(torch.from_numpy(blurred)[None, None])
    split = held_out.hold_out(held_out.padded_volume(volume, (1.0, 1.0, 1.0), (4, 6, 6)), volume, seed=0)
    kernels = [torch.from_numpy(gaussian((9, 11, 11), (1.2 * w, 1.5 * w, 1.5 * w)))[None, None] for w in (0.5, 1, 1.6)]
    found = [held_out.held_out_error(split, kernel) for kernel in kernels]
    assert min(found) == found[1]
    assert held_out.held_out_error(split, kernels[0]) == found[0], "equal seeds hold out equal voxels"


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.005, 0.05])
def test_the_regularization_of_lowest_held_out_error_is_near_the_best(noise):
    sharp, blurred = scene(KERNEL, (16, 32, 32), noise)
    volume = observe(torch.from_numpy(blurred)[None, None])
    split = held_out.hold_out(held_out.padded_volume(volume, (1.0, 1.0, 1.0), (4, 6, 6)), volume, seed=0)
    _, suits = held_out.held_out_error(split, torch.from_numpy(KERNEL)[None, None])
    arguments = {"device": "cpu"}
    found = [
        rms(
            deblur(blurred, kernel=KERNEL, mode="3d", settings={"regularization": factor / suits}, **arguments).image,
            sharp,
        )
        for factor in held_out.STRENGTHS
    ]
    chosen = rms(deblur(blurred, kernel=KERNEL, mode="3d", **arguments).image, sharp)
    assert chosen < 1.2 * min(found)


def microscope_scene(kind="widefield", shape=(12, 28, 28)):
    """A volume under a microscope that is described by settings, with its kernel."""
    told = {"na": 1.1, "immersion_index": 1.333, "wavelength_nm": 560}
    kernel = optics.microscope_psf_3d(kind, shape=(17, 33, 33), step_z_nm=300, pixel_size_nm=120, **told)
    sharp, blurred = scene(kernel, shape)
    blurred = (np.random.default_rng(0).poisson(blurred.clip(0) * 500) / 500).astype(np.float32)
    return sharp, blurred, kernel, {"microscope": kind, **told}


def along(kernel):
    """Root mean square distances of the light from the centre, along z and across, voxels."""
    z, y = (np.arange(n) - n // 2 for n in kernel.shape[:2])
    return np.sqrt([(kernel.sum((1, 2)) * z**2).sum(), (kernel.sum((0, 2)) * y**2).sum()])


@pytest.mark.slow
def test_a_known_microscope_gives_its_blur():
    _, blurred, kernel, told = microscope_scene("confocal", (12, 24, 24))
    arguments = {"voxel_size_um": (0.3, 0.12, 0.12), "device": "cpu"}
    result = deblur(blurred, mode="3d", settings={**told, "n_candidates": 3}, **arguments)
    np.testing.assert_allclose(along(result.kernel), along(kernel), rtol=0.2)
    assert result.verdict.improved, result.verdict.reason
    assert result.verdict.features["likelihood_gain"] > 5


@pytest.mark.slow
def test_where_no_blur_does_as_well_the_input_is_kept():
    """A confocal volume that is said to be a widefield one: any such kernel would make it worse."""
    _, blurred, _, _ = microscope_scene("confocal", (10, 20, 20))
    wrong = {"microscope": "widefield", "na": 0.5, "wavelength_nm": 560, "immersion_index": 1.0, "n_candidates": 2}
    arguments = {"voxel_size_um": (0.3, 0.12, 0.12), "device": "cpu", "settings": wrong}
    result = deblur(blurred, mode="3d", **arguments)
    assert result.verdict.label is VerdictLabel.REJECTED, result.verdict.reason
    np.testing.assert_array_equal(result.image, blurred)
    assert result.found.shape == blurred.shape
    assert not np.array_equal(result.found, blurred)
    stack = gp.deblur(blurred, axes="ZYX", mode="3d", **arguments)
    np.testing.assert_array_equal(stack.image, blurred)
    assert not stack.improved


@pytest.mark.slow
def test_blind_finds_the_width_of_a_microscope_it_has_not_seen():
    sharp, blurred, kernel, _ = microscope_scene()
    arguments = {"voxel_size_um": (0.3, 0.12, 0.12), "device": "cpu"}
    result = deblur(blurred, mode="3d", seed=3, settings={"n_candidates": 4}, **arguments)
    assert result.kernel.shape == kernel.shape
    assert result.kernel.sum() == pytest.approx(1, abs=1e-4)
    known = deblur(blurred, kernel=kernel, mode="3d", **arguments)
    assert rms(result.image, sharp) < 0.5 * (rms(blurred, sharp) + rms(known.image, sharp))
    assert len(result.candidates) >= 2


def test_sides_of_voxels_are_brought_to_um():
    units = {"Z": "nanometer", "Y": "micrometer", "X": "pixel"}
    assert voxel_size_um({"Z": 300, "Y": 0.1, "X": 0.1, "T": 2}, units) == pytest.approx((0.3, 0.1, 0.1))
    assert voxel_size_um({"Y": 0.1, "X": 0.1}, units) is None


@pytest.mark.slow
def test_the_terminal_takes_what_is_known(tmp_path, capsys):
    source, output = tmp_path / "v.tif", tmp_path / "sharp.tif"
    volume = (200 * blocks((6, 16, 16))).astype(np.uint8)
    size = {"spacing": 300, "unit": "nm", "axes": "ZYX"}
    tifffile.imwrite(source, volume, imagej=True, resolution=(0.01, 0.01), metadata=size)
    command = ["deblur", str(source), "-o", str(output), "--mode", "3d", "--quiet"]
    told = ["--setting", "microscope=confocal", "--setting", "na=1.2", "--setting", "n_candidates=1"]
    assert main([*command, *told, "--setting", "immersion_index=1.0"]) == 2
    assert "refractive index" in capsys.readouterr().err
    assert not output.exists()
    report = tmp_path / "report.json"
    assert main([*command, *told, "--setting", "immersion_index=1.33", "--report", str(report)]) == 0
    assert tifffile.imread(output).shape == volume.shape
    provenance = json.loads(report.read_text())["provenance"]
    assert provenance["settings"]["na"] == 1.2
    assert provenance["arguments"]["voxel_size_um"] == pytest.approx([0.3, 0.1, 0.1])
