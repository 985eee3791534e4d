"""The SelfDeblur recipe, small: seeds, shapes, previews, cancel, divergence."""

import pytest
import torch

from napari_genprior.algorithms import Problem
from napari_genprior.algorithms.untrained import selfdeblur
from napari_genprior.forward.convolve import convolve
from napari_genprior.settings import SelfDeblurSettings

SMALL = {"steps": 10, "channels": 8, "skip_channels": 2, "depth": 2, "report_every": 4}


def blurred_squares(channels=1, side=30, kernel=5):
    """Bright squares under a diagonal motion blur, and the sharp squares under the same pixels."""
    sharp = torch.full((1, channels, side + kernel - 1, side + kernel - 1), 0.1)
    sharp[..., 8:18, 6:14] = 0.8
    sharp[..., 20:28, 18:30] = 0.5
    motion = torch.eye(kernel)[None, None] / kernel
    margin = kernel // 2
    return convolve(sharp, motion, "valid"), sharp[..., margin:-margin, margin:-margin], motion


def run(blurred, seed=0, kernel=None, kernel_size=(5, 5), **settings):
    recipe = selfdeblur(Problem(blurred, SelfDeblurSettings(**(SMALL | settings)), kernel, kernel_size, seed))
    snapshots = []
    while True:
        try:
            snapshots.append(next(recipe))
        except StopIteration as end:
            return end.value, snapshots


@pytest.mark.parametrize("kernel_net", ["softmax", "mlp"])
@pytest.mark.parametrize(("channels", "side"), [(1, 30), (3, 21)])
def test_shapes_previews_and_losses(kernel_net, channels, side):
    blurred, _, _ = blurred_squares(channels, side)
    solution, snapshots = run(blurred, kernel_net=kernel_net, kernel_size=(5, 3), ssim_from=0.5)
    assert solution.image.shape == blurred.shape
    assert solution.kernel.shape == (1, 1, 5, 3)
    assert solution.kernel.min() >= 0
    torch.testing.assert_close(solution.kernel.sum(), torch.tensor(1.0))
    assert not solution.diverged
    assert [s.step for s in snapshots] == [0, 4, 8, 10]
    assert snapshots[1].image.shape == blurred.shape
    assert not snapshots[1].image.requires_grad
    assert set(snapshots[1].losses) == {"squared error", "total"}
    assert set(snapshots[2].losses) == {"1 - SSIM", "total"}
    assert not torch.equal(snapshots[1].image, snapshots[2].image)  # copies, not the live picture


def test_same_seed_same_bits_other_seed_other_result():
    blurred, _, _ = blurred_squares()
    torch.set_num_threads(1)
    first, second, other = (run(blurred, seed=seed)[0] for seed in (3, 3, 4))
    assert torch.equal(first.image, second.image)
    assert torch.equal(first.kernel, second.kernel)
    assert not torch.equal(first.image, other.image)


def test_with_the_true_kernel_it_sharpens_and_stays_registered():
    blurred, sharp, motion = blurred_squares()
    solution, _ = run(blurred, kernel=motion, kernel_size=None, steps=300, channels=16, ssim_from=1, report_every=300)
    assert torch.equal(solution.kernel, motion)

    def error(image):
        return (image - sharp).square().mean()

    assert error(solution.image) < 0.5 * error(blurred)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_kernel_is_found_up_to_a_shift(seed):
    generator = torch.Generator().manual_seed(0)
    sharp = torch.full((1, 1, 52, 52), 0.3)
    for _ in range(40):  # overlapping patches: edges in plenty, or nothing tells the kernel
        (y, x), (h, w) = (torch.randint(*span, (2,), generator=generator).tolist() for span in ((0, 48), (3, 16)))
        sharp[..., y : y + h, x : x + w] = torch.rand(1, generator=generator)
    motion = torch.eye(5)[None, None] / 5
    blurred = convolve(sharp, motion, "valid")
    solution, _ = run(blurred, seed, steps=150, channels=16, depth=3, softmax_rate=0.1, report_every=150)
    shifted = torch.nn.functional.pad(motion, (4, 4, 4, 4))
    cosine = torch.nn.functional.conv2d(shifted, solution.kernel).max() / (motion.norm() * solution.kernel.norm())
    assert cosine > 0.55  # a flat kernel has 0.45


def test_closing_stops_it():
    recipe = selfdeblur(Problem(blurred_squares()[0], SelfDeblurSettings(**SMALL), kernel_size=(5, 5)))
    assert next(recipe).step == 0
    recipe.close()
    with pytest.raises(StopIteration):
        next(recipe)


def test_divergence_returns_the_last_good_state():
    blurred, _, _ = blurred_squares()
    blurred[..., 3, 3] = float("nan")
    solution, snapshots = run(blurred)
    assert solution.diverged
    assert snapshots == []
    assert torch.isfinite(solution.image).all()


def test_without_a_kernel_size_one_is_found():
    solution, _ = run(blurred_squares()[0], kernel_size=None)
    kh, kw = solution.kernel.shape[-2:]
    assert kh % 2 == kw % 2 == 1
    assert 3 <= min(kh, kw) <= max(kh, kw) <= blurred_squares()[0].shape[-1] // 2


def test_settings_carry_their_own_help():
    for name, field in SelfDeblurSettings.model_fields.items():
        assert field.title, name
        assert field.description, name
    again = SelfDeblurSettings.model_validate_json(SelfDeblurSettings(steps=77).model_dump_json())
    assert again == SelfDeblurSettings(steps=77)
