"""Stacks, from Python and from the command line: shared kernels are estimated once, bad requests are refused."""

import json

import numpy as np
import pytest
import tifffile
from scipy import ndimage

import napari_genprior as gp
from images import blocks
from napari_genprior.blur.support import center_subpixel
from napari_genprior.cli import main
from napari_genprior.core.axes import make_layout
from napari_genprior.core.iteration import run_to_end
from napari_genprior.core.lazy_io import open_lazy
from napari_genprior.core.result import VerdictLabel
from napari_genprior.operators.detail import detail
from napari_genprior.pipeline import run as deblurring
from napari_genprior.pipeline.input_hash import input_hash
from napari_genprior.pipeline.plan import make_plan
from napari_genprior.pipeline.stack import most_textured_pieces, smooth_over_time

KERNELS = [gp.blur.motion(length=7, angle_deg=angle) for angle in (20, 110)]
SIZE = 11


def blurred(kernel, seed, noise=0.005):
    return gp.simulate(blocks(96, 112, seed), kernel, noise=noise, seed=seed).blurred


@pytest.fixture(scope="module")
def movie():
    """float32 [T=3, C=2, Y, X]: a kernel for each channel."""
    return np.stack([[blurred(KERNELS[c], 2 * t + c) for c in range(2)] for t in range(3)])


@pytest.fixture(scope="module")
def by_channel(movie):
    return gp.deblur(movie, axes="TCYX", kernel_per="channel", kernel_size=SIZE)


@pytest.mark.slow
def test_a_kernel_for_each_channel_is_found_and_sharpens_every_plane(movie, by_channel):
    assert by_channel.image.shape == movie.shape
    assert by_channel.image.dtype == np.float32
    assert by_channel.kernels.shape[0] == 2
    np.testing.assert_allclose(by_channel.kernels.sum((1, 2)), 1, atol=2e-3)
    for t, c in np.ndindex(3, 2):
        truth = blocks(96, 112, 2 * t + c)
        before = gp.metrics.psnr(movie[t, c], truth, crop=8)
        assert gp.metrics.psnr(by_channel.image[t, c], truth, align=True, crop=8) > before + 3
    for found, true in zip(by_channel.kernels, KERNELS, strict=True):
        assert gp.metrics.kernel_error(found, true) < gp.metrics.kernel_error(found, KERNELS[0] + KERNELS[1])


@pytest.mark.slow
def test_the_report_speaks_for_each_kernel_and_goes_into_a_file(by_channel, tmp_path):
    assert list(by_channel.verdicts) == [(0,), (1,)]
    assert all(v.features["pieces"] == v.features["explained"] == 3 for v in by_channel.verdicts.values())
    trusted = sum(v.improved for v in by_channel.verdicts.values())
    assert by_channel.improved == (trusted == 2)
    assert f"{trusted} of 2 kernels" in by_channel.sentence
    path = by_channel.save(tmp_path / "r.npz")
    with np.load(path) as stored:
        np.testing.assert_array_equal(stored["image"], by_channel.image)
        np.testing.assert_array_equal(stored["kernels"], by_channel.kernels)
        report = json.loads(str(stored["report"]))
    assert report["layout"]["axes"] == "TCYX"
    assert report["provenance"]["input_shape"] == list(by_channel.image.shape)


@pytest.mark.slow
def test_kernels_lie_in_the_middle_so_that_no_plane_jumps(by_channel):
    for kernel in by_channel.kernels:
        y, x = (np.arange(n) - n // 2 for n in kernel.shape)
        assert abs((kernel.sum(1) * y).sum()) < 0.05
        assert abs((kernel.sum(0) * x).sum()) < 0.05


@pytest.mark.slow
def test_given_kernels_do_what_they_do_to_single_images(movie):
    result = gp.deblur(movie[:1], axes="TCYX", kernel_per="channel", kernel=np.stack(KERNELS))
    for c in range(2):
        np.testing.assert_array_equal(result.image[0, c], gp.known_kernel(movie[0, c], KERNELS[c]).image)
    result = gp.deblur(movie[:, 0], axes="TYX", kernel_per="plane", kernel=KERNELS[0])
    np.testing.assert_array_equal(result.image[2], gp.known_kernel(movie[2, 0], KERNELS[0]).image)
    assert result.kernels.shape == (3, *KERNELS[0].shape)


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, {"kernel_per": "channel"}, {"tile_size": "auto"}, {"kernel_per": "frame"}])
def test_the_hash_of_the_input_is_known_before_the_run(movie, more):
    plan = make_plan(movie, axes="TCYX", kernel=KERNELS[0], **more)
    assert input_hash(plan) == run_to_end(deblurring.run(plan)).provenance.input_sha256


@pytest.mark.slow
def test_a_stack_of_colours_and_other_orders_of_axes(movie):
    colour = np.stack([np.stack([blurred(KERNELS[0], s) for s in range(3)], -1)] * 2)
    result = gp.deblur(colour, axes="TYXS", kernel=KERNELS[0])
    np.testing.assert_array_equal(result.image[1], gp.known_kernel(colour[1], KERNELS[0]).image)
    turned = gp.deblur(np.moveaxis(movie[0], 0, -1), axes="YXC", kernel=KERNELS[0])
    np.testing.assert_array_equal(turned.image[..., 0], gp.known_kernel(movie[0, 0], KERNELS[0]).image)


def test_integers_keep_their_range_and_blank_planes_stay(movie):
    whole = np.clip(movie[:, 0] * 200, 0, 255).astype(np.uint8)
    whole[1] = 7
    result = gp.deblur(whole, axes="TYX", kernel=KERNELS[0])
    assert result.constant_pieces == ((1,),)
    assert "1 without any contrast" in result.sentence
    np.testing.assert_array_equal(result.image[1], 7)
    assert result.image.min() >= 0
    assert 150 < result.image[0].max() <= 255


def test_pieces_come_one_by_one_and_may_go_anywhere(movie):
    out = np.full(movie.shape, np.nan)
    run = gp.iter_deblur(movie, axes="TCYX", kernel=KERNELS[0], out=out)
    first = next(run)
    assert first.index == (0, 0)
    assert (first.step, first.total) == (1, 6)
    np.testing.assert_allclose(out[0, 0], first.image)
    run.close()
    assert np.isfinite(out).sum() == first.image.size  # what was done is kept, nothing else was begun


def test_lazy_stacks_are_read_piece_by_piece(movie):
    da = pytest.importorskip("dask.array")
    read = []
    lazy = da.from_array(movie, chunks=(1, 1, -1, -1)).map_blocks(lambda b: (read.append(b.shape), b)[1], dtype="f4")
    read.clear()
    run = gp.iter_deblur(lazy, axes="TCYX", kernel=KERNELS[0])
    assert not read
    next(run)
    run.close()
    assert set(read) == {(1, 1, 96, 112)}
    assert len(read) <= 2


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "several ways"),
        ({"axes": "TYX"}, "one per axis"),
        ({"axes": "TZYX", "kernel_per": "channel"}, "needs a C axis"),
        ({"axes": "TCYX", "method": "nonsense"}, "Unknown method"),
        ({"axes": "TCYX", "method": "known-kernel"}, "needs a kernel"),
        ({"axes": "TCYX", "kernel_size": 999}, "larger than the image"),
        ({"axes": "TCYX", "kernel": np.ones((3, 3)) * -1}, "negative"),
        ({"axes": "TCYX", "kernel": np.ones((3, 5, 5))}, r"shape \(3, 5, 5\)"),
        ({"axes": "TCYX", "seed": -1}, "seed"),
        ({"axes": "TCYX", "settings": {"gamma": 1}}, "Unknown setting"),
    ],
)
def test_what_cannot_be_is_refused_at_the_call(movie, arguments, reason):
    with pytest.raises(gp.GenPriorError, match=reason):
        gp.iter_deblur(movie, **arguments)


def test_stacks_that_hold_nothing_are_refused(movie):
    with pytest.raises(gp.GenPriorError, match="constant"):
        gp.deblur(np.ones((2, 40, 48)), axes="TYX")
    with pytest.raises(gp.GenPriorError, match="data type"):
        gp.deblur(np.ones((2, 40, 48), complex), axes="TYX")
    with pytest.raises(gp.GenPriorError, match="constant"):
        gp.deblur(np.full((2, 40, 48), np.nan), axes="TYX", kernel=KERNELS[0])


def test_a_pixel_that_is_not_finite_is_left_out(movie):
    bad = movie[:, 0].copy()
    bad[1, 3, 3] = np.nan
    result = gp.deblur(bad, axes="TYX", kernel=KERNELS[0])
    assert np.isnan(result.image).sum() == 1
    assert "1 not finite" in result.status.sentence


@pytest.mark.slow
def test_a_kernel_is_estimated_where_there_is_most_detail(movie, monkeypatch):
    dull = np.stack([movie[0, 0] * 0.5 + 0.2, movie[0, 0], np.full_like(movie[0, 0], 0.5), movie[0, 0] * 0.01 + 0.5])
    taken, run_recipe = [], deblurring.run_recipe

    def run(plan, parts, *others):
        taken.extend(parts)
        return (yield from run_recipe(plan, parts[:1], *others))

    monkeypatch.setattr(deblurring, "run_recipe", run)
    result = gp.deblur(dull, axes="TYX", kernel_size=SIZE)
    np.testing.assert_array_equal(taken, dull[[1, 0]])  # neither the constant one nor the faint one
    monkeypatch.undo()
    alone = gp.deblur(movie[0, 0], kernel_size=SIZE)
    np.testing.assert_array_equal(result.kernel, center_subpixel(alone.kernel))
    [verdict] = result.verdicts.values()
    assert verdict.reason == alone.verdict.reason
    # noise is no detail
    rng = np.random.default_rng(0)
    assert detail(0.1 * rng.standard_normal((96, 112))) < detail(movie[0, 0]) / 10
    assert most_textured_pieces({(i,): 10.0 + i for i in range(9)}) == [(8,), (7,), (6,), (5,)]


@pytest.mark.slow
def test_planes_that_share_a_kernel_find_it_together():
    kernel = gp.blur.motion(length=9, angle_deg=90)
    rng = np.random.default_rng(0)
    bars = np.tile(np.repeat(rng.random(28), 4), (96, 1))  # a motion along them leaves no trace
    planes = [gp.simulate(sharp, kernel, noise=0.005, seed=0).blurred for sharp in (bars, blocks(96, 112, 0))]
    assert detail(planes[0]) > detail(planes[1])
    together = gp.deblur(np.stack(planes), axes="TYX", kernel_size=SIZE)
    alone = gp.deblur(planes[0][None], axes="TYX", kernel_size=SIZE)
    errors = [gp.metrics.kernel_error(result.kernels, kernel) for result in (together, alone)]
    assert errors[0] < 0.7 * errors[1]


def test_kernels_of_frames_are_smoothed_where_they_are_alike():
    steady, other = (np.pad(k, 2) for k in (KERNELS[0], KERNELS[1]))
    rng = np.random.default_rng(0)
    noisy = [steady * np.clip(1 + 0.3 * rng.standard_normal(steady.shape), 0, None) for _ in range(5)]
    noisy = [k / k.sum() for k in noisy]
    smooth = smooth_over_time(noisy)
    errors = [[np.linalg.norm(k - steady) for k in some] for some in (noisy, smooth)]
    assert np.mean(errors[1]) < 0.8 * np.mean(errors[0])
    jump = smooth_over_time([steady, other, steady])
    np.testing.assert_allclose(jump[1], other, atol=0.02 * other.max())


def test_points_and_even_kernels_are_smoothed_too():
    point, even = np.ones((1, 1), np.float32), np.full((3, 3), 1 / 9, np.float32)
    np.testing.assert_array_equal(smooth_over_time([point] * 3), [point] * 3)
    np.testing.assert_allclose(smooth_over_time([even, even])[0], even, rtol=1e-6)
    assert np.isfinite(smooth_over_time([point, even, point])).all()


def test_a_sentence_says_what_will_be_done(movie):
    plan = make_plan(movie, axes="TCYX", kernel_per="frame", kernel_size=9)
    assert plan.sentence == (
        "3 frames x 2 channels of 96x112 px, one kernel per frame (3); unknown kernel of 9x9 px, auto on cpu"
    )
    assert make_layout(movie.shape, "TCYX", "frame") == plan.layout


# --- the command line


@pytest.fixture
def files(movie, tmp_path):
    """A folder with ImageJ, OME and plain TIFFs of the stack (uint16), and the kernels."""
    whole = np.clip(movie * 4000, 0, None).astype(np.uint16)
    place = {"axes": "TCYX", "unit": "um", "spacing": 2.0}
    tifffile.imwrite(tmp_path / "ij.tif", whole, imagej=True, metadata=place, resolution=(5, 5))
    place = {"axes": "TCYX", "PhysicalSizeX": 0.2, "PhysicalSizeXUnit": "µm"}
    tifffile.imwrite(tmp_path / "ome.tif", whole, ome=True, metadata=place)
    tifffile.imwrite(tmp_path / "plain.tif", whole[0])
    tifffile.imwrite(tmp_path / "k.tif", KERNELS[0])
    return tmp_path, whole


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ij.tif", "ome.tif"])
def test_a_stack_goes_from_file_to_file_with_its_axes_and_scale(files, name, capsys):
    folder, whole = files
    out, kernels = folder / "out.tif", folder / "kernels.tif"
    options = ["--kernel", str(folder / "k.tif"), "--kernel-per", "channel", "--kernel-out", str(kernels), "--quiet"]
    assert main(["deblur", str(folder / name), "-o", str(out), *options]) == 0
    with tifffile.TiffFile(out) as file:
        assert file.series[0].axes == "TCYX"
        assert file.is_imagej == (name == "ij.tif")
        assert file.is_ome == (name == "ome.tif")
        restored = file.asarray()
    with open_lazy(out) as opened:
        assert opened.pixel_size["X"] == pytest.approx(0.2)
    assert restored.dtype == whole.dtype
    expected = gp.known_kernel(whole[2, 0], KERNELS[0]).image
    assert np.abs(restored[2, 0] - expected).max() <= 0.002 * whole.max()
    with tifffile.TiffFile(kernels) as file:
        assert (file.series[0].axes, file.series[0].shape) == ("CYX", (2, *KERNELS[0].shape))


def test_axes_that_a_file_does_not_tell_are_asked_for_and_taken(files, capsys):
    folder, _ = files
    plain, out = str(folder / "plain.tif"), folder / "out.tif"
    assert main(["deblur", plain, "-o", str(out)]) == 2
    said = capsys.readouterr().err
    assert all(axes in said for axes in ("'TYX'", "'CYX'", "'ZYX'"))
    assert not out.exists()
    assert main(["deblur", plain, "-o", str(out), "--axes", "CYX", "--kernel", str(folder / "k.tif"), "--quiet"]) == 0
    with tifffile.TiffFile(out) as file:
        assert file.series[0].axes == "CYX"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--kernel-per", "frame", "--mode", "3d"], "no Z axis"),
        (["--axes", "CYX"], "one per axis"),
        (["--method", "nonsense"], "'nonsense' is not one of"),
    ],
)
def test_a_stack_that_cannot_be_restored_is_refused_and_nothing_written(files, options, reason, capsys):
    folder, _ = files
    before = set(folder.iterdir())
    assert main(["deblur", str(folder / "ij.tif"), "-o", str(folder / "out.tif"), *options]) == 2
    assert reason in capsys.readouterr().err
    assert set(folder.iterdir()) == before


@pytest.mark.slow
def test_a_run_on_a_stack_is_repeated_from_its_report_and_only_on_its_input(files, capsys):
    folder, whole = files
    first, again, report = folder / "a.tif", folder / "b.tif", folder / "r.json"
    options = ["--kernel", str(folder / "k.tif"), "--report", str(report), "--quiet"]
    assert main(["deblur", str(folder / "ome.tif"), "-o", str(first), *options]) == 0
    assert main(["deblur", "--rerun", str(report), "-o", str(again), "--quiet"]) == 0
    np.testing.assert_array_equal(tifffile.imread(again), tifffile.imread(first))
    tifffile.imwrite(folder / "ome.tif", whole + 1, ome=True, metadata={"axes": "TCYX"})
    again.unlink()
    assert main(["deblur", "--rerun", str(report), "-o", str(again), "--quiet"]) == 2
    assert "SHA-256" in capsys.readouterr().err
    assert not again.exists()


@pytest.mark.slow
def test_a_volume_goes_from_file_to_file_with_its_kernel_and_is_repeated_from_its_report(tmp_path, capsys):
    rng = np.random.default_rng(0)
    volume = ndimage.gaussian_filter(rng.random((6, 24, 26)), 1)
    whole = (volume * 4000).astype(np.uint16)
    kernel = np.zeros((3, 3, 3), np.float32)
    kernel[:, 1, 1] = 0.25, 0.5, 0.25
    place = {"axes": "ZYX", "unit": "um", "spacing": 0.3}
    tifffile.imwrite(tmp_path / "v.tif", whole, imagej=True, metadata=place, resolution=(10, 10))
    tifffile.imwrite(tmp_path / "k3.tif", kernel, photometric="minisblack")
    first, again, report = tmp_path / "a.tif", tmp_path / "b.tif", tmp_path / "r.json"
    options = ["--mode", "3d", "--kernel", str(tmp_path / "k3.tif"), "--report", str(report), "--quiet"]
    assert main(["deblur", str(tmp_path / "v.tif"), "-o", str(first), *options]) == 0
    expected = gp.deblur(whole, kernel=kernel, mode="3d", voxel_size_um=(0.3, 0.1, 0.1)).image
    np.testing.assert_allclose(tifffile.imread(first), expected.clip(0), atol=1)
    with tifffile.TiffFile(first) as file:
        assert file.series[0].axes == "ZYX"
    assert json.loads(report.read_text())["provenance"]["arguments"]["voxel_size_um"] == pytest.approx([0.3, 0.1, 0.1])
    assert main(["deblur", "--rerun", str(report), "-o", str(again), "--quiet"]) == 0
    np.testing.assert_array_equal(tifffile.imread(again), tifffile.imread(first))
    np.save(tmp_path / "k2.npy", np.ones((3, 3)))
    options[3] = str(tmp_path / "k2.npy")
    assert main(["deblur", str(tmp_path / "v.tif"), "-o", str(again), *options]) == 2
    assert "[kz, kh, kw]" in capsys.readouterr().err


def test_volumes_of_a_movie_are_solved_one_by_one_and_take_their_own_arguments():
    rng = np.random.default_rng(0)
    movie = rng.random((2, 6, 24, 24)).astype(np.float32)
    kernel = np.zeros((3, 3, 3))
    kernel[1, 1, 1], kernel[0, 1, 1], kernel[2, 1, 1] = 0.5, 0.25, 0.25
    run = gp.iter_deblur(movie, axes="TZYX", mode="3d", kernel=kernel, voxel_size_um=(0.3, 0.1, 0.1))
    first = next(run)
    assert (first.index, first.image.shape, first.kernel.shape) == ((0,), (6, 24, 24), (3, 3, 3))
    run.close()
    with pytest.raises(gp.GenPriorError, match="Volumes take no kernel size"):
        gp.iter_deblur(movie, axes="TZYX", mode="3d", kernel_size=5)


def test_the_bench_counts_planes_and_what_they_gain(monkeypatch):
    from napari_genprior.evaluation import benchmark_stacks as bench

    monkeypatch.setattr(bench, "SIDE_PX", 96)
    first = next(bench.lines(planes=3))
    gain = float(first.rpartition(", ")[2].removesuffix(" dB"))
    assert gain > 2
    assert "known kernel, 96x96" in first


def test_sharp_planes_are_left_as_they_are():
    sharp = np.stack([blocks(96, 112, seed) for seed in range(2)])
    result = gp.deblur(sharp, axes="TYX")
    assert not result.improved
    assert [verdict.label for verdict in result.verdicts.values()] == [VerdictLabel.REJECTED]
    np.testing.assert_array_equal(result.image, sharp)


@pytest.mark.slow
def test_stages_take_axes_and_assess_takes_volumes():
    kernel = KERNELS[0]
    planes = np.stack([gp.simulate(blocks(64, 72, seed), kernel, noise=0.01, seed=seed).blurred for seed in (1, 2)])
    estimate = gp.estimate_kernel(planes, axes="TYX", kernel_size=9)
    assert estimate.kernel.shape == (9, 9)
    image = gp.deconvolve(planes, kernel, axes="TYX")
    np.testing.assert_array_equal(image, gp.known_kernel(planes, kernel, axes="TYX").image)
    tiled = [gp.deconvolve(np.tile(planes[0], (2, 2)), each, tiles=(2, 2)) for each in (kernel, [[kernel] * 2] * 2)]
    np.testing.assert_array_equal(*tiled)
    volume = np.random.default_rng(0).random((8, 24, 24)).astype(np.float32)
    psf = np.full((3, 3, 3), 1 / 27)
    assert "residual" in gp.assess(volume, gp.deconvolve(volume, psf), psf, kernel_given=True).features
