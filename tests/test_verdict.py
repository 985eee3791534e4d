"""The verdict: good results are accepted, failures are named, and the input is returned where nothing was gained."""

import csv
import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

import napari_genprior as gp
from images import blocks
from napari_genprior import blur
from napari_genprior.cli import main
from napari_genprior.core.result import REJECTED_ESTIMATE, DeblurResult, Status, StatusCode, Verdict, VerdictLabel
from napari_genprior.evaluation import benchmark_verdict as bench
from napari_genprior.evaluation.benchmark_verdict_cases import Case
from napari_genprior.methods import Snapshot, Solution
from napari_genprior.methods.registry import METHODS, Method
from napari_genprior.operators.convolution import convolve
from napari_genprior.quality.classifier import FEATURES, MESSAGES, classify
from napari_genprior.quality.kernel_features import kernel_features, kernel_similarity
from napari_genprior.quality.verdict import RunContext, judge
from napari_genprior.settings import ClassicalSettings

FIT = Path(__file__).parents[1] / "benchmarks" / "fit_verdict.py"
SHARP = torch.from_numpy(blocks())[None, None]
KERNEL = torch.from_numpy(blur.motion(9, 30, size=15))[None, None]
NOISE = 0.01 * torch.randn(SHARP.shape, generator=torch.Generator().manual_seed(0))
BLURRED = convolve(SHARP, KERNEL, "reflect") + NOISE
DONE = Status(StatusCode.DONE, "")
POINT = torch.ones(1, 1, 1, 1)
GOOD = {
    "residual": 0.01, "noise": 0.01, "unexplained": 1.0, "residual_correlation": 0.05, "likelihood_gain": 100.0,
    "noise_gain": 0.2, "overshoot": 0.05, "disagreement": 0.1, "kernel_scattered_mass": 0.0, "kernel_peak": 0.1,
    "kernel_border_mass": 0.0, "kernel_width_px": 6.0, "sharpness_gain": 2.0, "shape_gain": 20.0, "ghosts": 0.008,
    "structure": 100.0,
}  # fmt: skip


def spread(kernel: torch.Tensor, share: float) -> torch.Tensor:
    """Move a share of the mass into a corner."""
    moved = kernel * (1 - share)
    moved[..., 0, 0] += share
    return moved


def test_the_truth_is_called_improved_with_its_features():
    verdict = judge(BLURRED, SHARP, KERNEL, DONE, kernel_given=False)
    assert verdict.improved
    assert verdict.label is VerdictLabel.IMPROVED
    assert verdict.sentence.startswith("improved: The kernel")
    assert verdict.features["residual"] == pytest.approx(0.01, rel=0.1)
    assert verdict.features["noise"] == pytest.approx(0.01, rel=0.2)
    assert verdict.features["residual_correlation"] < 0.1
    assert verdict.features["kernel_width_px"] == pytest.approx(2 * 8 / 12**0.5, rel=0.05)
    assert verdict.features["kernel_border_mass"] == 0
    assert verdict.features["sharpness_gain"] > 1
    assert verdict.features["likelihood_gain"] > 0


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
    assert verdict.sentence.startswith("doubtful: because the ")


def test_a_kernel_that_reaches_its_border_is_reported_unless_it_was_given():
    kernel = spread(KERNEL, 0.1)
    blurred = convolve(SHARP, kernel, "reflect") + NOISE
    assert "larger kernel size" in judge(blurred, SHARP, kernel, DONE, kernel_given=False).reason
    assert judge(blurred, SHARP, kernel, DONE, kernel_given=True).improved


def test_noise_in_the_input_does_not_count_as_sharpness():
    noisy = judge(BLURRED + 3 * NOISE, SHARP, KERNEL, DONE, kernel_given=True)
    clean = judge(BLURRED - NOISE, SHARP, KERNEL, DONE, kernel_given=True)
    assert noisy.features["sharpness_gain"] == pytest.approx(clean.features["sharpness_gain"], rel=0.1)


def test_a_sharp_image_is_evidence_against_blur():
    sharp = SHARP + NOISE
    made_up = judge(sharp, convolve(SHARP, -KERNEL, "reflect") + 2 * SHARP, KERNEL, DONE, kernel_given=True)
    assert made_up.features["likelihood_gain"] < 0
    assert not made_up.improved


def test_a_result_is_rejected_only_where_the_caller_returns_the_input():
    assert judge(BLURRED, BLURRED, POINT, DONE, kernel_given=False).label is VerdictLabel.DOUBTFUL
    assert judge(BLURRED, BLURRED, POINT, DONE, kernel_given=False, may_reject=True).label is VerdictLabel.REJECTED


@pytest.mark.slow
def test_candidates_that_lead_to_other_images_lower_the_probability():
    same = judge(BLURRED, SHARP, KERNEL, DONE, False, RunContext(candidates=[KERNEL, spread(KERNEL, 0.01)])).features
    other = judge(BLURRED, SHARP, KERNEL, DONE, False, RunContext(candidates=[KERNEL, KERNEL.flip(-1)])).features
    assert same["agreement"] > 0.98 > other["agreement"]
    assert same["disagreement"] < 0.5 * other["disagreement"]
    assert same["probability"] > other["probability"]
    assert "agreement" not in judge(BLURRED, SHARP, KERNEL, DONE, False, RunContext(candidates=[KERNEL])).features


def test_an_image_of_another_class_than_the_generators_is_never_called_improved():
    context = RunContext(generated=SHARP, range_error=0.05, spread=0.02)
    blurred = convolve(SHARP, KERNEL) + NOISE
    of_class = judge(blurred, SHARP, KERNEL, DONE, False, context)
    assert of_class.improved
    assert of_class.features["spread"] == 0.02
    other = judge(blurred, SHARP, KERNEL, DONE, False, RunContext(generated=SHARP.flip(-1), range_error=0.05))
    assert not other.improved
    assert "not of the generator's class" in other.reason


@pytest.mark.parametrize(
    ("feature", "value"),
    [
        ("likelihood_gain", -50.0), ("shape_gain", -100.0), ("ghosts", 0.1), ("noise_gain", 3.0),
        ("disagreement", 1.0), ("residual_correlation", 0.8), ("overshoot", 1.0),
        ("kernel_scattered_mass", 0.6),
    ],
)  # fmt: skip
def test_each_feature_lowers_the_probability_and_has_its_message(feature, value):
    _, _, typical = classify(GOOD, False)
    label, reason, probability = classify(GOOD | {feature: value}, False)
    assert probability < typical
    assert label is VerdictLabel.IMPROVED or reason.startswith(MESSAGES[feature][:12])


@pytest.mark.slow
def test_a_kernel_of_another_shape_explains_the_spectrum_less_than_a_round_blur_and_leaves_ghosts():
    right, turned, none = (
        judge(BLURRED, SHARP, kernel, DONE, kernel_given=True).features
        for kernel in (KERNEL, KERNEL.transpose(-1, -2), POINT)
    )
    assert right["shape_gain"] > 0 > turned["shape_gain"]
    assert right["ghosts"] < 0.02 < turned["ghosts"]
    assert none["likelihood_gain"] == pytest.approx(0)
    assert right["likelihood_gain"] > right["shape_gain"]


def test_the_shape_of_a_given_kernel_is_not_assessed():
    odd = GOOD | {"kernel_scattered_mass": 0.6, "kernel_peak": 0.95, "kernel_border_mass": 0.2}
    assert classify(odd, True) == classify(GOOD, True)
    assert classify(odd, False)[2] < classify(GOOD, False)[2]


def test_features_are_clipped_to_their_usual_range():
    feature = next(feature for feature in FEATURES if feature.name == "overshoot")
    assert feature.transformed({"overshoot": 1e9}) == feature.high
    assert feature.transformed({"overshoot": 0.0}) == feature.low


def test_features_of_kernels():
    features = kernel_features(spread(KERNEL, 0.25))
    assert features["kernel_scattered_mass"] == pytest.approx(0.25, abs=0.07)
    assert features["kernel_border_mass"] == pytest.approx(0.25, abs=1e-6)
    two = torch.zeros(1, 1, 9, 9)
    two[..., 1, 1] = two[..., 7, 7] = 0.5
    assert kernel_features(two)["kernel_modes"] == 2
    assert kernel_similarity(two, two.roll(1, -1)) == pytest.approx(1, abs=0.05)
    assert kernel_features(POINT)["kernel_peak"] == 1


def test_features_are_finite_for_large_kernels_and_constant_parts():
    wide = torch.from_numpy(blur.motion(61, 10, size=63))[None, None]
    flat = torch.full_like(BLURRED, 0.5)
    flat[..., 40:44, 40:44] = 0.6
    for image, kernel in ((SHARP, wide), (flat, KERNEL), (SHARP * 0, KERNEL)):
        features = judge(flat, image, kernel, DONE, kernel_given=True).features
        assert np.isfinite(list(features.values())).all()


@pytest.fixture
def invents(monkeypatch):
    """Register a method whose image is wrong and whose kernel is a point."""

    def recipe(problem):
        yield Snapshot(1, 1, "all", problem.blurred, POINT)
        return Solution(problem.blurred.flip(-1), POINT)

    monkeypatch.setitem(METHODS, "invents", Method("invents", recipe, ClassicalSettings, ""))


def test_the_input_is_returned_where_nothing_was_gained_and_the_estimate_is_an_extra_image(invents):
    image = (200 * blocks()).astype(np.uint8)
    result = gp.deblur(image, "invents")
    assert result.verdict.label is VerdictLabel.REJECTED
    assert result.verdict.sentence.startswith(
        "no improvement: input returned unchanged, because the estimated kernel is nearly a"
    )
    np.testing.assert_array_equal(result.image, image)
    assert result.found is result.extra_images[REJECTED_ESTIMATE]
    assert not np.array_equal(result.found, image)
    assert result.kernel.max() == 1


def test_a_sharp_image_is_returned_unchanged():
    sharp = np.clip(blocks() + 0.004 * np.random.default_rng(0).standard_normal(blocks().shape), 0, 1)
    result = gp.deblur(sharp)
    assert result.verdict.label is VerdictLabel.REJECTED, result.verdict.sentence
    np.testing.assert_array_equal(result.image, sharp.astype(np.float32))


def test_an_estimate_with_a_given_kernel_or_of_a_stopped_run_is_not_rejected(invents):
    given = gp.deblur(blocks(), "invents", kernel=np.ones((1, 1)))
    assert given.verdict.label is VerdictLabel.DOUBTFUL
    assert REJECTED_ESTIMATE not in given.extra_images
    stopped = gp.deblur(blocks(), "invents", time_limit_s=1e-9)
    assert stopped.status.code is StatusCode.STOPPED
    assert stopped.verdict.label is VerdictLabel.DOUBTFUL


@pytest.mark.slow
def test_labels_survive_saving_and_old_files_load(tmp_path):
    result = gp.deblur(blocks(64, 64), "project", image_prior="nuclei-64")
    assert result.found is result.image
    back = DeblurResult.load(result.save(tmp_path / "result.npz"))
    assert back.verdict == result.verdict
    with np.load(tmp_path / "result.npz") as stored:
        arrays = dict(stored)
    report = json.loads(str(arrays["report"]))
    del report["verdict"]["label"]  # as in files of the first edition
    np.savez(tmp_path / "old.npz", **{**arrays, "report": np.array(json.dumps(report))})
    old = DeblurResult.load(tmp_path / "old.npz").verdict
    assert old.label is (VerdictLabel.IMPROVED if old.improved else VerdictLabel.DOUBTFUL)


def test_a_verdict_without_a_label_has_the_default_one():
    assert Verdict(True, "", {}).label is VerdictLabel.IMPROVED
    assert Verdict(False, "", {}).label is VerdictLabel.DOUBTFUL


def judged_as(gain, word, errors=0.0, spread=None, uncertainty=None):
    case = Case("", "blind", "a", BLURRED[0, 0].numpy(), SHARP[0, 0].numpy(), "classical")
    figures = {} if uncertainty is None else {"uncertainty": uncertainty}
    verdict = Verdict(word is VerdictLabel.IMPROVED, "", figures, word)
    plane = np.full((20, 20), errors)
    return bench.AssessedCase(
        case, 20.0, 20.0 + gain, verdict, plane, None if spread is None else np.full((20, 20), spread)
    )


def test_the_bench_counts_what_was_caught_in_the_strict_sense_and_what_was_refused_in_both():
    judged = (
        [judged_as(-1, word) for word in VerdictLabel]
        + [judged_as(2, word) for word in VerdictLabel]
        + [judged_as(0, VerdictLabel.REJECTED)]
    )
    lines = bench.table("all", judged)
    assert lines[-1] == (
        "worse results caught (not called improved): 2 of 3 (66.7%); better results rejected (the input is returned): "
        "1 of 3 (33.3%), rejected or doubtful: 2 of 3 (66.7%)"
    )
    assert [int(n) for n in re.findall(r"\d+", lines[-2])] == [7, 1, 0, 1, 1, 0, 1, 1, 1, 1]


def test_the_bench_tells_how_much_a_band_holds_and_how_wide_it_should_be():
    half = [
        judged_as(1, VerdictLabel.IMPROVED, 0.03, 0.01, 0.02),
        judged_as(1, VerdictLabel.IMPROVED, 0.01, 0.01, 0.02),
    ]
    output = "\n".join(bench.coverage_lines(half))
    assert "ensemble: 2 results called improved; 2 standard deviations cover 50.0%" in output
    assert "1.50 times as wide" in output  # 3 standard deviations for 95%
    assert "uncertainty: 2 results called improved; 2 standard deviations cover 100.0%" in output
    refused = bench.coverage_lines([judged_as(1, VerdictLabel.REJECTED, 1, 1)])
    assert all(line.endswith("no result with this estimate was called improved") for line in refused)


@pytest.mark.slow
def test_the_bench_keeps_results_and_judges_them_again(tmp_path, monkeypatch, capsys):
    (tmp_path / "bsd400").mkdir()
    np.savez(tmp_path / "bsd400" / "bsd400.npz", train=(255 * blocks(180, 180)).astype(np.uint8)[None])
    command = [
        "bench",
        "verdict",
        "--data",
        str(tmp_path),
        "--cache",
        str(tmp_path / "kept"),
        "--count",
        "1",
        "--per-image",
    ]
    assert main(command) == 0
    first = capsys.readouterr().out
    assert "0-000 blind, photograph 0" in first
    (kept,) = (tmp_path / "kept").glob("*.npz")
    assert DeblurResult.load(kept).found.shape == (96, 96)
    (row,) = csv.DictReader((tmp_path / "kept" / "features.csv").open())
    assert float(row["after"]) - float(row["before"]) == pytest.approx(float(first.split(" dB")[0]), abs=0.01)
    assert 0 <= float(row["probability"]) <= 1
    monkeypatch.setattr(bench, "deblur", None)  # what is there is not computed again
    assert main(command) == 0
    assert capsys.readouterr().out == first


def test_the_classifier_is_fitted_to_a_table_of_features(tmp_path, capsys):
    rng, rows = np.random.default_rng(0), []
    for number in range(200):
        gain = rng.uniform(-3, 3)
        rows.append({"image": f"p{number // 2}", "method": "classical", "fitted": 1, "before": 20, "after": 20 + gain})
        rows[-1]["method"] = ("classical", "known-kernel")[number % 2]
        rows[-1] |= {feature.name: rng.uniform(0.1, 2) for feature in FEATURES}
        rows[-1]["overshoot"] = np.exp(-gain + 0.1 * rng.standard_normal())  # the only informative one
    rows.append(rows[0] | {"fitted": 0, "after": -1e6, "overshoot": 0.0})  # of the other half: must be ignored
    with (tmp_path / "features.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    runpy.run_path(str(FIT))["main"](tmp_path / "features.csv")
    output = capsys.readouterr().out
    assert "200 results" in output
    effects = {}
    for name, *numbers in re.findall(r'Feature\("(\w+)", ([-.\d]+), [-.\d]+, ([-.\d]+), ([-.\d]+)', output):
        weight, low, high = map(float, numbers)
        effects[name] = weight * (high - low)
    assert set(effects) == {feature.name for feature in FEATURES}
    assert effects.pop("overshoot") < -5 * max(abs(effect) for effect in effects.values())
    caught, worse = map(int, re.search(r"ACCEPT_PROBABILITY = 0.\d+  # catches (\d+) of (\d+)", output).groups())
    assert caught >= 0.97 * worse > 30


@pytest.mark.parametrize("kernel_given", [False, True])
def test_noise_alone_is_never_improved(kernel_given):
    rng = np.random.default_rng(0)
    noises = rng.normal(0, 1, (96, 96)), rng.poisson(3.0, (96, 96)), rng.random((96, 96)), rng.integers(0, 2, (96, 96))
    for noise in noises:
        verdict = gp.assess(noise.astype(np.float32), noise * 0.5, gp.blur.gaussian(1.5), kernel_given=kernel_given)
        assert not verdict.improved
        assert "nothing but noise" in verdict.reason


def test_a_volume_of_noise_is_never_improved():
    rng = np.random.default_rng(0)
    kernel = np.ones((3, 3, 3)) / 27
    for noise in (rng.normal(10, 1, (12, 48, 48)), rng.poisson(3.0, (12, 48, 48))):
        verdict = gp.deblur(noise.astype(np.float32), kernel=kernel, mode="3d", settings={"steps": 5}).verdict
        assert not verdict.improved
        assert "nothing but noise" in verdict.reason
