"""The front door: every bad input refused with a reason, every good one restored in its own scale and shape."""

import numpy as np
import pytest
import torch

import napari_genprior as gp
from images import blocks
from napari_genprior.core import provenance
from napari_genprior.core.arrays import resolve_device
from napari_genprior.core.errors import DeviceError, GenPriorError, InputError
from napari_genprior.core.intensity import Intensity
from napari_genprior.core.result import StatusCode
from napari_genprior.methods import Snapshot, Solution
from napari_genprior.methods.registry import METHODS, Method
from napari_genprior.pipeline import finalize
from napari_genprior.pipeline import run as deblurring
from napari_genprior.pipeline.plan import make_plan
from napari_genprior.pipeline.request import check_kernel_size, parse_request
from napari_genprior.settings import ClassicalSettings, KnownKernelSettings, Settings

SHARP = blocks()
KERNEL = gp.blur.motion(9, 30)


@pytest.fixture(scope="module")
def blurred():
    return gp.simulate(SHARP, KERNEL, noise=0.005, seed=0).blurred


@pytest.fixture(scope="module")
def blind(blurred):
    return gp.deblur(blurred, kernel_size=11)


@pytest.mark.slow
def test_blind_deblurring_finds_image_and_kernel(blurred, blind):
    before, after = (gp.metrics.psnr(image, SHARP, align=True, crop=8) for image in (blurred, blind.image))
    assert after > before + 3
    assert gp.metrics.kernel_error(blind.kernel, KERNEL) < 0.5
    assert blind.verdict.improved, blind.verdict.reason
    assert blind.status.code is StatusCode.DONE
    assert blind.image.dtype == np.float32
    assert blind.kernel.min() >= 0
    assert blind.kernel.sum() == pytest.approx(1, abs=1e-5)
    best, against = blind.candidates[blind.selected]
    np.testing.assert_array_equal(best, blind.kernel)
    assert against == min(value for _, value in blind.candidates)


@pytest.mark.slow
def test_the_same_run_gives_the_same_bits(blurred, blind):
    again = gp.deblur(blurred, kernel_size=11)
    assert np.array_equal(again.image, blind.image)
    assert np.array_equal(again.kernel, blind.kernel)


@pytest.mark.slow
def test_iterating_shows_progress_and_returns_the_result(blurred, blind):
    snapshots, progress = [], gp.iter_deblur(blurred, kernel_size=11)
    while True:
        try:
            snapshots.append(next(progress))
        except StopIteration as end:
            result = end.value
            break
    assert np.array_equal(result.image, blind.image)
    fractions = [s.fraction for s in snapshots]
    assert fractions == sorted(fractions)
    assert fractions[0] >= 0
    assert fractions[-1] <= 1
    assert all(s.image.shape == blurred.shape for s in snapshots if s.image is not None)
    assert any(s.image is not None for s in snapshots)


@pytest.mark.slow
def test_provenance_names_everything(blurred, blind):
    p = blind.provenance
    assert p.method == "auto"
    assert p.arguments["kernel_size"] == [11, 11]
    assert p.input_sha256 == provenance.array_hash(blurred)
    assert p.threads == 1
    assert p.device == str(torch.device(resolve_device("auto")))
    assert p.versions["torch"] == torch.__version__
    assert ClassicalSettings(**p.settings) == ClassicalSettings()


def test_a_known_kernel_beats_the_input_and_is_returned_as_it_was(blurred):
    result = gp.known_kernel(blurred, KERNEL * 7)
    np.testing.assert_allclose(result.kernel, KERNEL, atol=1e-6)
    assert gp.metrics.psnr(result.image, SHARP, crop=8) > gp.metrics.psnr(blurred, SHARP, crop=8) + 5
    assert result.verdict.improved, result.verdict.reason


def test_auto_with_a_kernel_uses_it(blurred):
    assert gp.deblur(blurred, kernel=KERNEL).provenance.method == "known-kernel"


@pytest.mark.parametrize(
    ("dtype", "factor", "offset"),
    [(np.uint8, 255, 0), (np.uint16, 900, 100), (np.uint16, 60000, 0), (np.int16, 900, -300), (np.float64, 1e-3, 0)],
)
def test_intensities_of_every_type_and_range_survive(dtype, factor, offset):
    sharp = (SHARP * factor + offset).astype(dtype)
    blurred = gp.simulate(sharp, KERNEL, noise=0.003, seed=0).blurred
    blurred = np.rint(blurred).astype(dtype) if np.dtype(dtype).kind in "ui" else blurred.astype(dtype)
    result = gp.known_kernel(blurred, KERNEL)
    assert result.image.dtype == np.float32
    assert result.image.mean() == pytest.approx(blurred.mean(), rel=0.01, abs=0.01 * factor)
    assert result.image.std() > blurred.std()
    if np.dtype(dtype).kind == "u":
        assert result.image.min() >= 0


def test_colour_shares_one_kernel_and_keeps_alpha(blurred):
    colour = np.stack([blurred, blurred[::-1], 0.5 * blurred, np.full_like(blurred, 0.25)], axis=-1)
    result = gp.known_kernel(colour, gp.blur.gaussian(1.5))
    assert result.image.shape == colour.shape
    np.testing.assert_array_equal(result.image[..., 3], 0.25)
    alone = gp.known_kernel(blurred, gp.blur.gaussian(1.5)).image
    assert np.abs(result.image[..., 0] - alone).mean() < 0.02


BAD_IMAGES = {
    "empty": (np.zeros((0, 10)), "empty"),
    "1-D": (np.ones(50), "1 axes"),
    "4-D": (np.ones((2, 3, 20, 20)), "can be read in several ways"),
    "stack": (np.ones((5, 20, 20)), "Say which: axes="),
    "nan": (np.where(np.arange(400).reshape(20, 20) < 385, np.nan, np.eye(20)), "385 are NaN or infinite"),
    "inf": (np.full((20, 20), np.inf), "400 are NaN or infinite"),
    "constant": (np.full((30, 30), 7), "constant"),
    "tiny": (np.random.default_rng(0).random((4, 50)), "4x50"),
    "complex": (np.ones((20, 20), complex), "complex128"),
    "bool": (np.eye(20, dtype=bool), "bool"),
    "text": (np.full((20, 20), "a"), "data type"),
    "nothing": (None, "data type"),
    "ragged": ([[1, 2], [3]], "cannot be read as an array"),
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_bad_images_are_refused_at_the_call(name):
    image, words = BAD_IMAGES[name]
    with pytest.raises(InputError, match=words):
        gp.iter_deblur(image)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"method": "magic"}, "Unknown method 'magic'; there are: auto"),
        ({"method": "known-kernel"}, "needs a kernel"),
        ({"kernel": -KERNEL}, "negative"),
        ({"kernel": KERNEL * 0}, "zero everywhere"),
        ({"kernel": KERNEL * np.nan}, "NaN"),
        ({"kernel": np.ones((200, 5))}, "larger than the image"),
        ({"kernel": np.ones(5)}, r"must be \[kh, kw\]"),
        ({"kernel_size": 301}, "larger than the image"),
        ({"kernel_size": 0}, "at least 1"),
        ({"kernel_size": "large"}, "kernel_size"),
        ({"kernel_size": 7.5}, "kernel_size"),
        ({"kernel_size": (3, 4, 5)}, "kernel_size"),
        ({"kernel_size": 9, "kernel_prior": "motion-28"}, "motion-28 has kernels of one size"),
        ({"kernel_size": 9, "method": "generator", "image_prior": "digits-28"}, "motion-28 has kernels of one size"),
        ({"restarts": 3}, "takes no restarts"),
        ({"image_prior": "faces-64"}, "takes no image_prior"),
        ({"settings": {"nonsense": 1}}, "Unknown setting 'nonsense'"),
        ({"settings": KnownKernelSettings()}, "takes ClassicalSettings"),
        ({"seed": -1}, "seed"),
        ({"seed": 0.5}, "seed"),
        ({"method": "selfdeblur", "steps": 0}, "steps"),
    ],
)
def test_bad_arguments_are_refused_at_the_call(blurred, arguments, words):
    with pytest.raises(InputError, match=words):
        gp.iter_deblur(blurred, **arguments)


def test_an_absent_device_is_refused(blurred):
    with pytest.raises(DeviceError, match="cpu"):
        gp.iter_deblur(blurred, device="cuda:77")
    with pytest.raises(DeviceError, match="cpu"):
        gp.iter_deblur(blurred, device="abacus")


def test_even_kernel_sizes_are_raised_to_odd():
    assert check_kernel_size(28) == (29, 29)
    assert check_kernel_size((3, 4)) == (3, 5)
    assert check_kernel_size("auto") is None


@pytest.mark.slow
def test_the_smallest_images_work():
    tiny = np.random.default_rng(0).random((8, 9))
    assert gp.deblur(tiny).image.shape == (8, 9)
    assert gp.known_kernel(tiny, np.ones((8, 9))).image.shape == (8, 9)


class NoSettings(Settings):
    """Of the recipes below."""


def _recipe(problem):
    for step in range(5):
        losses = {"total": torch.tensor([5.0 - step, 9.0])}
        yield Snapshot(step, 5, f"step {step}", problem.blurred, torch.ones(1, 1, 1, 1), losses)
    return Solution(problem.blurred, torch.ones(1, 1, 1, 1), selected=1, diverged=problem.seed == 13)


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setitem(METHODS, "fake", Method("fake", _recipe, NoSettings, "for tests"))


def test_history_holds_each_term_for_each_restart(fake, blurred):
    result = gp.deblur(blurred, "fake")
    np.testing.assert_array_equal(result.history.steps, range(5))
    np.testing.assert_array_equal(result.history.terms["total"], [[5, 9], [4, 9], [3, 9], [2, 9], [1, 9]])
    assert result.selected == 1


def test_an_unchanged_image_is_not_called_improved(fake, blurred):
    verdict = gp.deblur(blurred, "fake").verdict
    assert not verdict.improved
    assert "single point" in verdict.reason


def test_divergence_is_told(fake, blurred):
    result = gp.deblur(blurred, "fake", seed=13)
    assert result.status.code is StatusCode.DIVERGED
    assert not result.verdict.improved


def test_a_stopped_run_keeps_what_it_had(fake, blurred):
    plan = make_plan(blurred, "fake")
    run = deblurring.run(plan)
    snapshot = [next(run), next(run)][-1]
    run.close()
    result = finalize.partial_result(plan, snapshot, seconds=1.0)
    assert result.status.code is StatusCode.STOPPED
    np.testing.assert_allclose(result.image, blurred, atol=1e-6)
    empty = gp.Progress(0, 5, "start")
    assert finalize.partial_result(plan, empty, seconds=1.0) is None


def test_a_time_limit_ends_the_run_with_the_best_so_far(fake, blurred):
    result = gp.deblur(blurred, "fake", time_limit_s=1e-9)
    assert result.status.code is StatusCode.STOPPED
    assert "The time limit of 1e-09 s was reached" in result.status.sentence
    np.testing.assert_array_equal(result.history.steps, [0])  # the first snapshot has an image and a kernel
    np.testing.assert_allclose(result.image, blurred, atol=1e-6)
    assert gp.deblur(blurred, "fake", time_limit_s=1e6).status.code is StatusCode.DONE


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "10", True, 10**400])
def test_a_time_limit_that_is_no_duration_is_refused(blurred, seconds):
    with pytest.raises(InputError, match="time_limit_s must be a number of seconds"):
        gp.deblur(blurred, time_limit_s=seconds)


@pytest.mark.parametrize("seconds", [np.float32(2), np.int64(2), 2])
def test_a_time_limit_may_be_a_number_of_numpy(seconds):
    assert parse_request(time_limit_s=seconds).time_limit_s == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"axes": 5}, "axes must be"),
        ({"axes": True}, "axes must be"),
        ({"axes": ["Y", 1]}, "axes must be"),
        ({"voxel_size_um": [1, 2, "a"]}, "voxel_size_um must be"),
        ({"voxel_size_um": [1, [2, 3], 4]}, "voxel_size_um must be"),
        ({"mode": np.ones(2)}, "mode must be"),
        ({"kernel_per": np.ones(2)}, "kernel_per must be"),
        ({"method": np.ones(2), "kernel": np.ones((3, 3))}, "Unknown method"),
        ({"kernel": [[1], [1, 2]]}, "kernel must be an array"),
        ({"tiles": "nonsense", "kernel": np.ones((2, 2, 3, 3))}, "tiles must be"),
        ({"tiles": (True, True)}, "tiles must be"),
        ({"tiles": (1, 2), "kernel": np.ones((2, 1, 3, 3))}, "do not agree"),
        ({"settings": {1: 2}}, "must be text"),
    ],
)
def test_an_argument_of_a_wrong_kind_is_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        parse_request(**arguments)


@pytest.mark.parametrize("path", [5, b"x"])
def test_a_checkpoint_and_a_saved_result_need_paths(fake, blurred, path):
    with pytest.raises(InputError, match="checkpoint must be a path"):
        gp.iter_deblur(blurred, "fake", checkpoint=path)
    with pytest.raises(InputError, match="needs a path"):
        gp.deblur(blurred, "fake").save(path)


def test_a_result_prints_as_a_line_without_arrays(blind):
    assert repr(blind).startswith("<DeblurResult: image ")
    assert blind.sentence in repr(blind)
    assert len(repr(blind)) < 500
    estimate = gp.KernelEstimate(blind.kernel, blind.candidates, blind.verdict)
    assert repr(estimate).startswith("<KernelEstimate: kernel ")
    assert len(repr(estimate)) < 500


def test_results_are_not_saved_under_the_name_of_an_image(blind, tmp_path):
    with pytest.raises(InputError, match="out= to deblur"):
        blind.save(tmp_path / "result.tif")
    assert not list(tmp_path.iterdir())


def test_results_are_saved_and_loaded_whole(blind, tmp_path):
    path = blind.save(tmp_path / "result.npz")
    back = gp.DeblurResult.load(path)
    np.testing.assert_array_equal(back.image, blind.image)
    np.testing.assert_array_equal(back.kernel, blind.kernel)
    assert (back.verdict, back.status, back.provenance) == (blind.verdict, blind.status, blind.provenance)
    assert back.history.terms.keys() == blind.history.terms.keys()
    assert len(back.candidates) == len(blind.candidates) > 1
    for (kernel, against), (kept, kept_against) in zip(blind.candidates, back.candidates, strict=True):
        np.testing.assert_array_equal(kernel, kept)
        assert against == kept_against
    for content in (b"", path.read_bytes()[:500], b"no npz"):
        path.write_bytes(content)
        with pytest.raises(GenPriorError, match="not a readable saved result"):
            gp.DeblurResult.load(path)


@pytest.mark.parametrize(
    ("largest", "absolute", "scale"), [(0.8, False, 1), (0.4, False, 0.4), (0.4, True, 1), (3.0, True, 3)]
)
def test_floats_within_unit_range_have_that_range_where_brightness_means_something(largest, absolute, scale):
    assert Intensity.of(np.array([[0.0, largest]]), absolute).scale == pytest.approx(scale)
