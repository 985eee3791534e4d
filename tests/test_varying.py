"""Spatially varying blur: kernels by tile, the deconvolution between them, and their estimation."""

import numpy as np
import pytest
from scipy import ndimage

import napari_genprior as gp
from images import blocks
from napari_genprior.blur.support import pad_to
from napari_genprior.cli import main
from napari_genprior.core.errors import InputError
from napari_genprior.core.kernel_map import draw_kernel_map
from napari_genprior.pipeline.tiled_deconvolution import interpolate_kernel

SIDE, TURN, SAMPLES = 240, 2.0, 31  # px, degrees to both sides, poses


@pytest.fixture(scope="module")
def turned():
    """An image, and the same seen by a camera that turns about its middle: the middle stays sharp."""
    sharp = blocks(SIDE, SIDE, seed=3)
    centre = (SIDE - 1) / 2
    poses = []
    for angle in np.deg2rad(np.linspace(-TURN, TURN, SAMPLES)):
        matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        offset = centre - matrix @ np.array([centre, centre])
        poses.append(ndimage.affine_transform(sharp, matrix, offset, order=1, mode="reflect"))
    noise = 0.004 * np.random.default_rng(0).standard_normal(sharp.shape)
    return sharp, (np.mean(poses, 0) + noise).astype(np.float32)


def kernels_of_a_turn(tiles):
    """What the turn does in the middle of each tile: a straight line across the radius."""
    kernels = np.zeros((*tiles, 11, 11), np.float32)
    for i, j in np.ndindex(*tiles):
        y, x = ((i + 0.5) / tiles[0] - 0.5) * SIDE, ((j + 0.5) / tiles[1] - 0.5) * SIDE
        length = 2 * np.deg2rad(TURN) * np.hypot(y, x)
        # the radius is (x right, -y up); the line stands at right angles to it
        kernel = gp.blur.motion(max(length, 1.0), float(np.degrees(np.arctan2(x, y))) % 180)
        at = [slice(5 - side // 2, 5 - side // 2 + side) for side in kernel.shape]
        kernels[i, j][tuple(at)] = kernel
    return kernels


def inner(image):
    return image[16:-16, 16:-16]


@pytest.mark.slow
def test_known_kernels_beat_one(turned):
    sharp, blurred = turned
    result = gp.deblur(blurred, tiles=(3, 3), kernel=kernels_of_a_turn((3, 3)))
    single = gp.known_kernel(blurred, kernels_of_a_turn((3, 3)).mean((0, 1))).image
    before, one, many = (gp.metrics.psnr(inner(image), inner(sharp)) for image in (blurred, single, result.image))
    assert many > max(before, one) + 0.5
    assert result.image.shape == blurred.shape
    assert result.provenance.arguments["tiles"] == [3, 3]


@pytest.fixture(scope="module")
def two_motions():
    """An image [150, 300] that moved to the side at its left and up at its right, in between both."""
    sharp = blocks(150, 300, seed=3)
    right = np.interp(np.arange(300) + 0.5, [75, 225], [0, 1])
    parts = [
        ndimage.convolve(sharp * weight, gp.blur.motion(9, angle).astype(float))
        for weight, angle in ((1 - right, 0), (right, 90))
    ]
    noise = 0.004 * np.random.default_rng(0).standard_normal(sharp.shape)
    return sharp, (sum(parts) + noise).astype(np.float32)


@pytest.mark.slow
def test_true_kernels_by_place_restore_what_one_cannot(two_motions):
    sharp, blurred = two_motions
    kernels = np.stack([pad_to(gp.blur.motion(9, angle), (11, 11)) for angle in (0, 90)])[None]
    many = gp.deblur(blurred, tiles=(1, 2), kernel=kernels)
    one = gp.known_kernel(blurred, kernels.mean((0, 1)))
    assert gp.metrics.psnr(inner(many.image), inner(sharp)) > gp.metrics.psnr(inner(one.image), inner(sharp)) + 5
    assert gp.metrics.psnr(inner(many.image), inner(sharp)) > gp.metrics.psnr(inner(blurred), inner(sharp)) + 5


@pytest.mark.slow
def test_kernels_are_found_by_place(two_motions):
    fractions = []
    run = gp.iter_deblur(two_motions[1], tiles=(1, 2), kernel_size=13, method="classical")
    while True:
        try:
            fractions.append(next(run).fraction)
        except StopIteration as end:
            result = end.value
            break
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert result.kernels.shape == (1, 2, 13, 13)
    np.testing.assert_allclose(result.kernels.sum((2, 3)), 1, rtol=1e-5)
    left, right = (gp.blur.measure_kernel(kernel).angle_deg for kernel in result.kernels[0])
    assert abs((left + 90) % 180 - 90) < 15
    assert abs(right - 90) < 15


@pytest.mark.slow
def test_a_blank_tile_takes_the_kernel_of_all(turned):
    blurred = turned[1].copy()
    blurred[: SIDE // 2, : SIDE // 2] = 0.5
    result = gp.deblur(blurred, tiles=(2, 2), kernel_size=13)
    assert np.isfinite(result.kernels).all()
    assert gp.blur.measure_kernel(result.kernels[0, 0]).fwhm_long < 13


@pytest.mark.slow
def test_images_without_blur_or_without_anything_but_noise_come_through():
    sharp = blocks(100, 100, seed=1)
    result = gp.deblur(sharp, tiles=(2, 2))
    assert result.kernels.shape == (2, 2, 1, 1)
    np.testing.assert_allclose(result.image, sharp, atol=0.1)
    noise = np.random.default_rng(0).standard_normal((100, 100))
    assert np.isfinite(gp.deblur(noise, tiles=(2, 1), kernel_size=5).image).all()


def test_an_image_prior_of_one_size_is_refused_with_tiles(turned):
    with pytest.raises(InputError, match="tiles are smaller"):
        gp.iter_deblur(turned[1][:64, :64], "evidence", tiles=(1, 1), image_prior="nuclei-64-linear")


@pytest.mark.slow
def test_one_tile_is_one_kernel(turned):
    _, blurred = turned
    kernel = gp.blur.motion(5, 20)
    whole = gp.known_kernel(blurred, kernel).image
    tiled = gp.deblur(blurred, tiles=(1, 1), kernel=kernel[None, None]).image
    np.testing.assert_allclose(tiled, whole, atol=2e-3)


def test_kernels_between_tiles_are_linear():
    kernels = np.arange(6.0).reshape(2, 3, 1, 1)
    assert interpolate_kernel(kernels, 0.25, 0.5).item() == 1  # middle of tile [0, 1]
    assert interpolate_kernel(kernels, 0.0, 1.0).item() == 2  # beyond the outermost middles they stay
    assert interpolate_kernel(kernels, 0.5, 1 / 3).item() == pytest.approx(2)


def test_the_map_draws_kernels_at_their_places():
    kernels = np.zeros((2, 3, 5, 5), np.float32)
    kernels[..., 2, 2] = 0.7
    kernels[..., 2, 3] = 0.35
    drawn = draw_kernel_map(kernels, (40, 60))
    assert drawn.shape == (40, 60)
    assert sorted(map(tuple, np.argwhere(drawn == 1))) == [(y, x) for y in (10, 30) for x in (10, 30, 50)]
    assert (drawn == 0.5).sum() == 6
    small = draw_kernel_map(np.ones((2, 2, 31, 31), np.float32), (40, 60))  # kernels larger than their tiles
    assert small.max() == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"tiles": (0, 3)}, "from 1 to"),
        ({"tiles": "3x3"}, "rows and columns"),
        ({"tiles": (9, 9)}, "Choose fewer"),
        ({"kernel": np.ones((3, 5, 5))}, r"must be \[kh, kw\] or \["),
        ({"tiles": (2, 2), "kernel": -np.ones((2, 2, 5, 5))}, "negative"),
        ({"method": "wizardry"}, "Unknown method"),
    ],
)
def test_bad_input(turned, arguments, words):
    with pytest.raises(InputError, match=words):
        gp.iter_deblur(turned[1], **({"tiles": (3, 3)} | arguments))


@pytest.mark.slow
def test_the_tiles_option_of_genprior_deblur(turned, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("in.npy", turned[1])
    np.save("kernels.npy", kernels_of_a_turn((2, 2)))
    words = ["deblur", "in.npy", "-o", "out.npy", "--tiles", "2x2", "--kernel", "kernels.npy", "--kernel-out", "k.npy"]
    assert main(words) == 0
    np.testing.assert_allclose(np.load("k.npy"), kernels_of_a_turn((2, 2)), atol=1e-6)
    expected = gp.deblur(turned[1], tiles=(2, 2), kernel=kernels_of_a_turn((2, 2))).image
    np.testing.assert_allclose(np.load("out.npy"), expected, atol=1e-5)
    assert main([*words, "--report", "r.json"]) == 0
    assert main(["deblur", "--rerun", "r.json", "-o", "again.npy", "--quiet"]) == 0
    np.testing.assert_array_equal(np.load("again.npy"), np.load("out.npy"))
    assert main([*words, "--kernel-out", "k.zarr"]) == 0
    assert main([*words, "--kernel-out", "k.tif"]) == 0
    assert main(["deblur", "in.npy", "-o", "read.npy", "--tiles", "2x2", "--kernel", "k.tif"]) == 0
    np.testing.assert_allclose(np.load("read.npy"), expected, atol=1e-5)
    assert main(["deblur", "in.npy", "-o", "out.npy", "--tiles", "three"]) == 2


@pytest.mark.slow
def test_a_path_or_an_array_takes_the_result(turned, tmp_path):
    arguments = {"tiles": (2, 2), "kernel": kernels_of_a_turn((2, 2))}
    expected = gp.deblur(turned[1], **arguments)
    out = np.zeros_like(turned[1])
    assert gp.deblur(turned[1], out=out, **arguments).image is out
    np.testing.assert_array_equal(out, expected.image)
    result = gp.deblur(turned[1], out=tmp_path / "out.npy", **arguments)
    assert result.path == tmp_path / "out.npy"
    np.testing.assert_array_equal(np.load(result.path), expected.image)
