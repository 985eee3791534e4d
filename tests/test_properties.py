"""Properties that hold for all images and kernels: intensities, mirrors, colours, tiles, flux, files.

Those of the operators and their adjoints: test_operators.py.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_genprior as gp
from images import blocks


def some(count: int):
    """Run few examples, the same ones each time."""
    return settings(max_examples=count, derandomize=True, deadline=None, database=None)


seeds = st.integers(0, 1000)
odd = st.sampled_from([3, 5, 7, 9])


def kernel_of(seed: int, height: int = 7, width: int = 7) -> np.ndarray:
    """Make a kernel without any symmetry: sparse random values."""
    rng = np.random.default_rng(seed)
    kernel = rng.random((height, width)) * (rng.random((height, width)) < 0.4)
    kernel[height // 2, width // 2] += 0.5
    return (kernel / kernel.sum()).astype(np.float32)


def observed(kernel: np.ndarray, seed: int, side: int = 64, noise: float = 0.01) -> np.ndarray:
    """Observe blocks under a kernel: float32 [side, side + 8] within [0, 2], and more than 1 at places."""
    sharp = 2 * blocks(side, side + 8, seed)
    return gp.simulate(sharp, kernel, noise=noise, seed=seed, clip=False).blurred


def relative(a: np.ndarray, b: np.ndarray) -> float:
    """Compare two images: the root mean square difference over the standard deviation of the second."""
    return float(np.sqrt(np.mean((np.asarray(a, float) - b) ** 2)) / np.std(b))


def known(image: np.ndarray, kernel: np.ndarray, **arguments) -> np.ndarray:
    return gp.known_kernel(image, kernel, device="cpu", **arguments).found


# ---- intensities: deblur(a y + b) = a deblur(y) + b ----
# Working units are read off an image: (y - offset) / scale, with the offset min(0, least value) and the scale up to the
# greatest one; floats within [0, 1] that use more than half of it have the scale 1. So the property holds for every a
# where no end of [0, 1] is crossed, and for b only where the least value stays below 0.

factors = st.sampled_from([1e-3, 0.2, 3.0, 1e4])


@pytest.mark.slow
@given(factors, seeds)
@some(6)
def test_scaled_intensities_give_the_scaled_image(a, seed):
    kernel = kernel_of(seed)
    image = observed(kernel, seed)
    assert relative(known(a * image, kernel), a * known(image, kernel)) < 1e-4


@pytest.mark.slow
@given(factors, st.sampled_from([-3.0, -0.5, -0.2]), seeds)
@some(6)
def test_intensities_from_below_0_may_be_scaled_and_moved(a, b, seed):
    kernel = kernel_of(seed)
    image = observed(kernel, seed) - 1
    b *= a * abs(float(image.min()))  # the least value stays below 0
    assert relative(known(a * image + b, kernel), a * known(image, kernel) + b) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(("a", "b", "allowed"), [(16.0, 0.0, 1e-4), (3.0, 0.0, 0.05), (8.0, -2.0, 0.05)])
def test_blind_too_where_a_size_is_given(a, b, allowed):
    """Powers of 2 leave every bit; else thresholds of the search turn the last bits into some percent of a kernel."""
    image = observed(kernel_of(5), 5) - (b < 0)
    one, other = (gp.deblur(each, kernel_size=7, device="cpu") for each in (image, a * image + b))
    assert gp.metrics.kernel_error(other.kernel, one.kernel) < allowed
    assert relative(other.found, a * one.found + b) < allowed
    assert other.verdict.label is one.verdict.label


@pytest.mark.slow
@given(seeds, odd, odd)
@some(6)
def test_flux_is_kept_channel_by_channel(seed, height, width):
    """Where no light was cut off: less than 1 pixel in 1000 stands at the upper end of the range."""
    kernel = kernel_of(seed, height, width)
    image = np.stack([observed(kernel, seed + number) for number in range(3)], -1)
    for each in (image, np.rint(20_000 * image.clip(0)).astype(np.uint16)):
        np.testing.assert_allclose(known(each, kernel).mean((0, 1)), each.mean((0, 1)), rtol=1e-4)


# ---- mirrors, transposes, colours ----

MIRRORS = {
    "up-down": lambda x: x[::-1],
    "left-right": lambda x: x[:, ::-1],
    "rotated by 180 degrees": lambda x: x[::-1, ::-1],
    "transposed": lambda x: np.swapaxes(x, 0, 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MIRRORS)
@given(seeds, odd, odd)
@some(3)
def test_the_mirrored_image_under_the_mirrored_kernel_gives_the_mirrored_result(name, seed, height, width):
    mirrored, kernel = MIRRORS[name], kernel_of(seed, height, width)
    image = observed(kernel, seed)
    got, wanted = known(mirrored(image), mirrored(kernel)), mirrored(known(image, kernel))
    assert relative(got, wanted) < (1e-4 if name == "transposed" else 0.03)


@pytest.mark.slow
@pytest.mark.parametrize("name", MIRRORS)
def test_blind_the_kernel_is_mirrored_too(name):
    """Exactly where axes are exchanged; else roughly: differences are taken forwards, and small ones decide."""
    mirrored, kernel = MIRRORS[name], kernel_of(5)
    image = observed(kernel, 5, noise=0.003)
    one, other = (gp.deblur(each, kernel_size=7, device="cpu") for each in (image, mirrored(image)))
    allowed = 1e-3 if name == "transposed" else 0.2
    assert gp.metrics.kernel_error(other.kernel, mirrored(one.kernel)) < allowed
    assert relative(other.found, mirrored(one.found)) < allowed / 2


@pytest.mark.slow
@given(st.permutations([0, 1, 2]), seeds)
@some(5)
def test_permuted_channels_give_the_permuted_image(order, seed):
    kernel = kernel_of(seed)
    image = np.stack([observed(kernel, seed + number) for number in range(3)], -1)
    assert relative(known(image[..., order], kernel), known(image, kernel)[..., order]) < 1e-4


@pytest.mark.slow
def test_blind_permuted_channels_give_the_same_kernel():
    image = np.stack([observed(kernel_of(1), number) for number in range(3)], -1)
    one, other = (gp.deblur(each, kernel_size=7, device="cpu") for each in (image, image[..., [2, 0, 1]]))
    assert relative(other.kernel, one.kernel) < 0.01
    assert relative(other.found, one.found[..., [2, 0, 1]]) < 0.01


# ---- tiles and files ----


@pytest.mark.slow
@given(seeds, st.sampled_from([64, 90]), odd)
@some(3)
def test_tiled_is_whole_away_from_borders(tmp_path_factory, seed, tile, side):
    kernel = kernel_of(seed, side, side)
    image = observed(kernel, seed, 190)
    out = tmp_path_factory.mktemp("tiles") / "out.tif"
    result = gp.deblur(image, out=out, kernel=kernel, tile_size=tile, device="cpu")
    assert result.provenance.arguments["tiles_per_plane"] > 1
    inside = (slice(30, -30),) * 2
    assert np.abs(tifffile.imread(out) - known(image, kernel))[inside].max() < 2e-3 * image.max()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["known-kernel", "classical"])
def test_a_saved_result_loads_as_it_was(tmp_path, method):
    kernel = kernel_of(2)
    asked = {"kernel": kernel} if method == "known-kernel" else {"kernel_size": 7}
    result = gp.deblur(observed(kernel, 2), method, device="cpu", **asked)
    again = gp.DeblurResult.load(result.save(tmp_path / "result.npz"))
    assert again.report() == result.report()
    assert json.loads(json.dumps(again.report())) == json.loads(json.dumps(result.report()))
    np.testing.assert_array_equal(again.image, result.image)
    np.testing.assert_array_equal(again.kernel, result.kernel)
    np.testing.assert_array_equal(again.history.steps, result.history.steps)
    for ours, theirs in ((again.extra_images, result.extra_images), (again.history.terms, result.history.terms)):
        assert list(ours) == list(theirs)
        for name in ours:
            np.testing.assert_array_equal(ours[name], theirs[name])
    assert len(again.candidates) == len(result.candidates)
    for (ours, cost), (theirs, other) in zip(again.candidates, result.candidates, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert cost == other
