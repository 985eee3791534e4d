"""The verdict: good results are called improved, each kind of failure is named."""

import pytest
import torch

from napari_genprior import blur
from napari_genprior.forward.convolve import convolve
from napari_genprior.result import Status, StatusCode
from napari_genprior.verdict import judge
from pictures import blocks

SHARP = torch.from_numpy(blocks())[None, None]
KERNEL = torch.from_numpy(blur.motion(9, 30, size=15))[None, None]
NOISE = 0.01 * torch.randn(SHARP.shape, generator=torch.Generator().manual_seed(0))
BLURRED = convolve(SHARP, KERNEL, "reflect") + NOISE
DONE = Status(StatusCode.DONE, "")
POINT = torch.ones(1, 1, 1, 1)


def spread(kernel: torch.Tensor, share: float) -> torch.Tensor:
    """Move a share of the mass into a corner."""
    moved = kernel * (1 - share)
    moved[..., 0, 0] += share
    return moved


def test_the_truth_is_called_improved_with_its_figures():
    verdict = judge(BLURRED, SHARP, KERNEL, DONE, kernel_given=False)
    assert verdict.improved
    assert verdict.figures["residual"] == pytest.approx(0.01, rel=0.1)
    assert verdict.figures["noise"] == pytest.approx(0.01, rel=0.2)
    assert verdict.figures["kernel_width_px"] == pytest.approx(2 * 8 / 12**0.5, rel=0.05)
    assert verdict.figures["kernel_border_mass"] == 0
    assert verdict.figures["sharpness_gain"] > 1


@pytest.mark.parametrize(
    ("image", "kernel", "status", "words"),
    [
        (SHARP, KERNEL, Status(StatusCode.DIVERGED, ""), "diverged"),
        (SHARP.flip(-1), KERNEL, DONE, "does not explain"),
        (BLURRED, POINT, DONE, "single point"),
        (SHARP, KERNEL.flip(-1), DONE, "does not explain"),
    ],
)
def test_failures_are_named(image, kernel, status, words):
    verdict = judge(BLURRED, image, kernel, status, kernel_given=False)
    assert not verdict.improved
    assert words in verdict.reason


def test_a_kernel_that_runs_into_its_border_is_named_unless_it_was_given():
    kernel = spread(KERNEL, 0.1)
    blurred = convolve(SHARP, kernel, "reflect") + NOISE
    assert "larger kernel size" in judge(blurred, SHARP, kernel, DONE, kernel_given=False).reason
    assert judge(blurred, SHARP, kernel, DONE, kernel_given=True).improved


def test_noise_in_the_input_does_not_pass_for_sharpness():
    noisy = judge(BLURRED + 3 * NOISE, SHARP, KERNEL, DONE, kernel_given=True)
    clean = judge(BLURRED - NOISE, SHARP, KERNEL, DONE, kernel_given=True)
    assert noisy.figures["sharpness_gain"] == pytest.approx(clean.figures["sharpness_gain"], rel=0.1)


def test_a_result_no_sharper_than_its_input_is_no_improvement():
    soft = convolve(SHARP, KERNEL, "reflect")
    verdict = judge(soft, 0.5 + 0.99 * (soft - 0.5), torch.ones(1, 1, 1, 1), DONE, kernel_given=True)
    assert not verdict.improved
    assert "no sharper" in verdict.reason
