"""Blur simulation and its convolution."""

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d

import napari_genprior as gp
from napari_genprior.core.errors import InputError
from napari_genprior.operators.convolution import BOUNDARIES, convolve
from napari_genprior.settings import BlurSettings
from napari_genprior.simulation import make_kernel

SHAPES = [(1, 1), (3, 3), (4, 5), (5, 4), (2, 7)]


@pytest.mark.parametrize("shape", SHAPES)
def test_valid_convolution_is_scipys(shape):
    rng = np.random.default_rng(0)
    image, kernel = rng.random((13, 12)), rng.random(shape)
    ours = convolve(torch.from_numpy(image)[None, None], torch.from_numpy(kernel)[None, None], "valid")[0, 0]
    np.testing.assert_allclose(ours, convolve2d(image, kernel, mode="valid"), atol=1e-12)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_point_at_the_centre_changes_nothing(boundary, shape):
    image = torch.rand(2, 3, 13, 12, dtype=torch.float64)
    kernel = torch.zeros(1, 1, *shape, dtype=torch.float64)
    kernel[..., shape[0] // 2, shape[1] // 2] = 1
    kh, kw = shape
    seen = (
        image[..., kh - 1 - kh // 2 : 13 - kh // 2, kw - 1 - kw // 2 : 12 - kw // 2] if boundary == "valid" else image
    )
    torch.testing.assert_close(convolve(image, kernel, boundary), seen)


def test_reflect_is_numpys():
    rng = np.random.default_rng(0)
    image, kernel = rng.random((13, 12)), rng.random((5, 3))
    padded = np.pad(image, ((2, 2), (1, 1)), mode="reflect")
    ours = convolve(torch.from_numpy(image)[None, None], torch.from_numpy(kernel)[None, None], "reflect")[0, 0]
    np.testing.assert_allclose(ours, convolve2d(padded, kernel, mode="valid"), atol=1e-12)


def test_the_circular_boundary_is_periodic():
    image = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    image[..., 0, 0] = 1
    kernel = torch.full((1, 1, 3, 3), 1 / 9, dtype=torch.float64)
    blurred = convolve(image, kernel, "circular")[0, 0]
    assert blurred[7, 7].item() == pytest.approx(1 / 9)
    assert blurred.sum().item() == pytest.approx(1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, np.float64])
def test_simulation_keeps_the_intensity_scale_of_every_type(sharp, dtype):
    top = {"u": np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 0, "i": 5000, "f": 1}[np.dtype(dtype).kind]
    image = (sharp * top).astype(dtype)
    made = gp.simulate(image, gp.blur.gaussian(1.5), noise=0, seed=0)
    assert made.blurred.dtype == np.float32
    assert made.blurred.shape == image.shape
    assert made.blurred.mean() == pytest.approx(image.mean(), rel=0.02)
    assert made.blurred.std() < image.std()


def test_same_seed_same_noise_other_seed_other_noise(sharp):
    kernel = gp.blur.motion(7, 20)
    first, again, other = (gp.simulate(sharp, kernel, seed=seed).blurred for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_noise_is_in_fractions_of_the_range(sharp):
    image = (sharp * 200 + 20).astype(np.uint8)
    kernel = gp.blur.motion(7)
    clean, noisy = (gp.simulate(image, kernel, noise=level).blurred for level in (0, 0.02))
    assert (noisy - clean).std() == pytest.approx(0.02 * 255, rel=0.05)


def test_clipping_is_optional_and_recorded():
    image = np.tile(np.uint8([0, 255]), (64, 32))
    point = np.ones((1, 1))
    clipped, free = (gp.simulate(image, point, noise=0.05, clip=clip) for clip in (True, False))
    assert clipped.clipped == pytest.approx(0.5, abs=0.05)
    assert clipped.blurred.max() == 255
    assert free.clipped == 0


def test_the_valid_boundary_returns_the_covered_part(sharp):
    made = gp.simulate(sharp, np.eye(1, 9), noise=0, boundary="valid")  # a point 4 px left of the centre: a pure shift
    assert made.blurred.shape == made.sharp.shape == (96, 104)
    shifted = convolve2d(sharp, np.eye(1, 9), mode="valid")
    np.testing.assert_allclose(made.blurred, shifted, atol=1e-5)
    np.testing.assert_array_equal(made.sharp, sharp[:, 4:-4])


def test_colour_channels_share_the_kernel_and_alpha_is_kept(sharp):
    colour = np.stack([sharp, sharp[::-1], sharp[:, ::-1], np.ones_like(sharp)], axis=-1)
    made = gp.simulate(colour, gp.blur.motion(9, 45), noise=0)
    alone = gp.simulate(sharp, gp.blur.motion(9, 45), noise=0)
    assert made.blurred.shape == colour.shape
    np.testing.assert_allclose(made.blurred[..., 0], alone.blurred, atol=1e-5)
    np.testing.assert_array_equal(made.blurred[..., 3], 1)


@pytest.mark.parametrize("kind", BlurSettings.model_fields["kind"].annotation.__args__)
def test_every_kind_of_blur_can_be_made(kind):
    kernel = make_kernel(BlurSettings(kind=kind), seed=1)
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    assert (kernel > 0).sum() > 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"noise": -0.1}, "noise"),
        ({"noise": float("nan")}, "noise"),
        ({"boundary": "mirror"}, "boundary"),
        ({"kernel": np.ones((200, 3))}, "larger than the image"),
        ({"kernel": -np.ones((3, 3))}, "negative"),
    ],
)
def test_bad_arguments_are_named(sharp, arguments, words):
    with pytest.raises(InputError, match=words):
        gp.simulate(sharp, **{"kernel": np.ones((3, 3)), **arguments})


def test_a_simulation_prints_as_a_line():
    sim = gp.simulate(np.random.default_rng(0).random((20, 24)), gp.blur.box(3), noise=0.01, seed=5)
    assert repr(sim).startswith("<Simulation: blurred 20x24, kernel 3x3; noise 0.01, seed 5, ")
