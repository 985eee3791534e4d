"""SelfDeblur, at one scale and coarse to fine, small: phases, seeds, shapes, previews, cancelling, divergence."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import napari_genprior as gp
from images import blocks
from napari_genprior.core.result import RESTART_STD
from napari_genprior.methods import Problem
from napari_genprior.methods.deep_prior import resampled
from napari_genprior.methods.selfdeblur import enlarged, multiscale, selfdeblur
from napari_genprior.operators.convolution import convolve
from napari_genprior.settings import MultiscaleSettings, SelfDeblurSettings
from napari_genprior.settings import untrained as constants

SMALL = {"steps": 10, "channels": 8, "report_every": 4}
RECIPES = {selfdeblur: SelfDeblurSettings, multiscale: MultiscaleSettings}


@pytest.fixture(autouse=True)
def few_coarse_steps(monkeypatch):
    for name, schedule in constants.MULTISCALE.items():
        monkeypatch.setitem(constants.MULTISCALE, name, replace(schedule, steps=10, coarse_steps=(8, 8), channels=8))
    monkeypatch.setattr(constants, "FIT_STEPS", 5)


def blurred_squares(channels=1, side=30, kernel=5):
    """Make bright squares under a diagonal motion blur, and the sharp squares under the same pixels."""
    sharp = torch.full((1, channels, side + kernel - 1, side + kernel - 1), 0.1)
    sharp[..., 8:18, 6:14] = 0.8
    sharp[..., 20:28, 18:30] = 0.5
    motion = torch.eye(kernel)[None, None] / kernel
    margin = kernel // 2
    return convolve(sharp, motion, "valid"), sharp[..., margin:-margin, margin:-margin], motion


def run(blurred, seed=0, kernel=None, kernel_size=(5, 5), recipe=selfdeblur, **settings):
    steps = recipe(Problem(blurred, RECIPES[recipe](**(SMALL | settings)), kernel, kernel_size, seed))
    snapshots = []
    while True:
        try:
            snapshots.append(next(steps))
        except StopIteration as end:
            return end.value, [
                snapshot for snapshot in snapshots if snapshot.losses
            ]  # without those of fitted initial states


@pytest.mark.parametrize("schedule", ["fast", "paper"])
@pytest.mark.parametrize(("channels", "side"), [(1, 30), (3, 21)])
def test_shapes_previews_and_losses(schedule, channels, side):
    blurred, _, _ = blurred_squares(channels, side)
    solution, snapshots = run(blurred, schedule=schedule, kernel_size=(5, 3))
    assert solution.image.shape == blurred.shape
    assert solution.kernel.shape == (1, 1, 5, 3)
    assert solution.kernel.min() >= 0
    torch.testing.assert_close(solution.kernel.sum(), torch.tensor(1.0))
    assert not solution.diverged
    assert ("network image" in solution.extra_images) == (schedule == "fast")
    assert [s.step for s in snapshots] == [0, 4, 8, 10]
    assert snapshots[1].image.shape == blurred.shape
    assert not snapshots[1].image.requires_grad
    assert set(snapshots[0].losses) == {"squared error", "total"}
    assert set(snapshots[2].losses) == {"1 - SSIM", "total"}
    assert not torch.equal(snapshots[1].image, snapshots[2].image)  # copies, not the live image


@pytest.mark.slow
def test_the_published_multiscale_search_runs_all_its_phases():
    blurred, _, _ = blurred_squares(side=36)
    solution, snapshots = run(blurred, recipe=multiscale, schedule="paper", kernel_size=(11, 11))
    assert [s.step for s in snapshots] == [0, 4, 8, 8, 12, 16, 16, 20, 24, 26]
    assert [s.stage for s in snapshots[::3]] == ["Scale 1/3", "Scale 2/3", "Scale 3/3", "Scale 3/3"]
    assert {s.total for s in snapshots} == {26}
    assert all(s.image.shape == blurred.shape for s in snapshots)
    assert [s.kernel.shape[-1] for s in snapshots[::3]] == [7, 7, 11, 11]
    first, last = snapshots[0], snapshots[-1]
    assert set(first.losses) == {"squared error", "kernel energy", "total"}
    assert set(last.losses) == {"1 - SSIM", "total variation", "total"}
    flat = snapshots[0].kernel  # the initial kernel is the wide Gaussian
    assert flat.max() < 2 * flat.mean()
    for one, two in ((0, 2), (3, 5), (7, 9)):
        assert snapshots[two].losses["total"] < snapshots[one].losses["total"]
    assert solution.extra_images == {}


@pytest.mark.slow
def test_a_scale_is_initialized_by_the_previous_one(monkeypatch):
    monkeypatch.setattr(constants, "FIT_STEPS", 100)
    monkeypatch.setitem(constants.MULTISCALE, "fast", replace(constants.MULTISCALE["fast"], coarse_steps=(30, 1)))
    _, snapshots = run(blurred_squares(side=40)[0], recipe=multiscale, kernel_size=(7, 7), report_every=100)
    small, large = snapshots[1], snapshots[2]
    assert (small.stage, large.stage) == ("Scale 1/3", "Scale 2/3")
    assert (small.image - large.image).square().mean() ** 0.5 < 0.06  # 10/255 and what resampling rounds


def test_a_scene_is_enlarged_about_its_middle():
    y, x = torch.meshgrid(torch.arange(9.0), torch.arange(7.0), indexing="ij")
    large = enlarged((y - 4 + 10 * (x - 3))[None, None], (11, 9), 2.0)
    assert large[0, 0, 5, 4] == pytest.approx(0, abs=1e-5)
    assert large[0, 0, 7, 4] == pytest.approx(1, abs=1e-5)
    assert large[0, 0, 5, 6] == pytest.approx(10, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_same_seed_same_bits_other_seed_other_result(recipe):
    blurred, _, _ = blurred_squares()
    first, second, other = (run(blurred, seed=seed, recipe=recipe)[0] for seed in (3, 3, 4))
    assert torch.equal(first.image, second.image)
    assert torch.equal(first.kernel, second.kernel)
    assert not torch.equal(first.image, other.image)


@pytest.mark.slow
def test_the_run_of_least_loss_is_the_result_of_an_ensemble():
    blurred, _, _ = blurred_squares()
    alone = [run(blurred, seed=seed) for seed in (3, 4)]
    best = int(np.argmin([float(snapshots[-1].losses["total"]) for _, snapshots in alone]))
    both, snapshots = run(blurred, seed=3, ensemble=2)
    assert both.selected == best
    assert torch.equal(both.image, alone[best][0].image)
    images = torch.stack([solution.image for solution, _ in alone])
    torch.testing.assert_close(both.extra_images[RESTART_STD], images.std(0))
    assert [s.step for s in snapshots] == [0, 4, 8, 10, 10, 14, 18, 20]
    assert snapshots[-1].total == 20
    assert snapshots[-1].stage == "Run 2/2: Image and kernel"


@pytest.mark.slow
def test_with_the_true_kernel_it_sharpens_and_stays_registered():
    blurred, sharp, motion = blurred_squares()
    solution, _ = run(blurred, kernel=motion, kernel_size=None, steps=120, channels=16, report_every=300)
    assert torch.equal(solution.kernel, motion)

    def error(image):
        return (image - sharp).square().mean()

    assert error(solution.image) < 0.5 * error(blurred)


def test_the_coarser_scales_are_omitted_with_a_known_kernel():
    blurred, _, motion = blurred_squares()
    solution, snapshots = run(blurred, kernel=motion, recipe=multiscale)
    assert torch.equal(solution.kernel, motion)
    assert [s.step for s in snapshots] == [0, 4, 8, 10]


@pytest.mark.slow
def test_the_kernel_is_estimated_up_to_a_shift(monkeypatch):
    monkeypatch.setitem(constants.SELFDEBLUR, "fast", replace(constants.SELFDEBLUR["fast"], kernel_rate=0.1))
    generator = torch.Generator().manual_seed(0)
    sharp = torch.full((1, 1, 52, 52), 0.3)
    for _ in range(40):  # overlapping patches: the kernel is determined by many edges only
        (y, x), (h, w) = (torch.randint(*span, (2,), generator=generator).tolist() for span in ((0, 48), (3, 16)))
        sharp[..., y : y + h, x : x + w] = torch.rand(1, generator=generator)
    motion = torch.eye(5)[None, None] / 5
    blurred = convolve(sharp, motion, "valid")
    solution, _ = run(blurred, steps=150, channels=16, report_every=150)
    shifted = torch.nn.functional.pad(motion, (4, 4, 4, 4))
    cosine = torch.nn.functional.conv2d(shifted, solution.kernel).max() / (motion.norm() * solution.kernel.norm())
    assert cosine > 0.55  # a flat kernel has 0.45


@pytest.mark.parametrize("recipe", RECIPES)
def test_closing_stops_it(recipe):
    steps = recipe(Problem(blurred_squares()[0], RECIPES[recipe](**SMALL), kernel_size=(5, 5)))
    assert next(steps).step == 0
    steps.close()
    with pytest.raises(StopIteration):
        next(steps)


@pytest.mark.parametrize("recipe", RECIPES)
def test_divergence_returns_the_last_finite_state(recipe):
    blurred, _, _ = blurred_squares()
    blurred[..., 3, 3] = float("nan")
    solution, snapshots = run(blurred, recipe=recipe)
    assert solution.diverged
    assert snapshots == []
    assert torch.isfinite(solution.image).all()


@pytest.mark.slow
def test_without_a_kernel_size_one_is_estimated():
    solution, _ = run(blurred_squares()[0], kernel_size=None)
    kh, kw = solution.kernel.shape[-2:]
    assert kh % 2 == kw % 2 == 1
    assert 3 <= min(kh, kw) <= max(kh, kw) <= blurred_squares()[0].shape[-1] // 2


@pytest.mark.parametrize("schedule", ["fast", "paper"])
def test_a_time_limit_reached_at_a_coarser_scale_still_gives_a_complete_result(schedule):
    image = resampled(torch.from_numpy(blocks(64, 64))[None, None], (40, 40))[0, 0].numpy()
    settings = SMALL | {"schedule": schedule}
    snapshots = []
    run = gp.iter_deblur(image, "selfdeblur-multiscale", kernel_size=9, settings=settings, time_limit_s=1e-3)
    while True:
        try:
            snapshots.append(next(run))
        except StopIteration as end:
            result = end.value
            break
    assert {progress.stage for progress in snapshots} <= {"Scale 1/3", "Scale 1/3, initialization"}
    assert result.image.shape == image.shape
    assert result.kernel.shape >= (9, 9)
    assert result.kernel.sum() == pytest.approx(1, abs=1e-5)
