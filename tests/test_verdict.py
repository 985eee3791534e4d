"""The verdict: good results are called improved, failures are named, the input is kept where nothing was gained."""

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
from napari_genprior.core.result import REJECTED, DeblurResult, Status, StatusCode, Verdict, Word
from napari_genprior.evaluation import benchmark_verdict as bench
from napari_genprior.evaluation.benchmark_verdict_cases import Case
from napari_genprior.methods import Snapshot, Solution
from napari_genprior.methods.registry import METHODS, Method
from napari_genprior.operators.convolution import convolve
from napari_genprior.quality.classifier import CLUES, REASONS, classify
from napari_genprior.quality.kernel_features import kernel_figures, kernel_similarity
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
}  # fmt: skip


def spread(kernel: torch.Tensor, share: float) -> torch.Tensor:
    """Move a share of the mass into a corner."""
    moved = kernel * (1 - share)
    moved[..., 0, 0] += share
    return moved


def test_the_truth_is_called_improved_with_its_figures():
    verdict = judge(BLURRED, SHARP, KERNEL, DONE, kernel_given=False)
    assert verdict.improved
    assert verdict.word is Word.IMPROVED
    assert verdict.sentence.startswith("improved: The kernel")
    assert verdict.figures["residual"] == pytest.approx(0.01, rel=0.1)
    assert verdict.figures["noise"] == pytest.approx(0.01, rel=0.2)
    assert verdict.figures["residual_correlation"] < 0.1
    assert verdict.figures["kernel_width_px"] == pytest.approx(2 * 8 / 12**0.5, rel=0.05)
    assert verdict.figures["kernel_border_mass"] == 0
    assert verdict.figures["sharpness_gain"] > 1
    assert verdict.figures["likelihood_gain"] > 0


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


def test_a_kernel_that_runs_into_its_border_is_named_unless_it_was_given():
    kernel = spread(KERNEL, 0.1)
    blurred = convolve(SHARP, kernel, "reflect") + NOISE
    assert "larger kernel size" in judge(blurred, SHARP, kernel, DONE, kernel_given=False).reason
    assert judge(blurred, SHARP, kernel, DONE, kernel_given=True).improved


def test_noise_in_the_input_does_not_pass_for_sharpness():
    noisy = judge(BLURRED + 3 * NOISE, SHARP, KERNEL, DONE, kernel_given=True)
    clean = judge(BLURRED - NOISE, SHARP, KERNEL, DONE, kernel_given=True)
    assert noisy.figures["sharpness_gain"] == pytest.approx(clean.figures["sharpness_gain"], rel=0.1)


def test_a_sharp_image_speaks_against_a_blur():
    sharp = SHARP + NOISE
    made_up = judge(sharp, convolve(SHARP, -KERNEL, "reflect") + 2 * SHARP, KERNEL, DONE, kernel_given=True)
    assert made_up.figures["likelihood_gain"] < 0
    assert not made_up.improved


def test_the_input_is_kept_only_where_the_caller_hands_it_out():
    assert judge(BLURRED, BLURRED, POINT, DONE, kernel_given=False).word is Word.DOUBTFUL
    assert judge(BLURRED, BLURRED, POINT, DONE, kernel_given=False, may_keep=True).word is Word.KEPT


def test_candidates_that_lead_to_other_images_are_told_and_speak_against():
    same = judge(BLURRED, SHARP, KERNEL, DONE, False, RunContext(candidates=[KERNEL, spread(KERNEL, 0.01)])).figures
    other = judge(BLURRED, SHARP, KERNEL, DONE, False, RunContext(candidates=[KERNEL, KERNEL.flip(-1)])).figures
    assert same["agreement"] > 0.98 > other["agreement"]
    assert same["disagreement"] < 0.5 * other["disagreement"]
    assert same["chance"] > other["chance"]
    assert "agreement" not in judge(BLURRED, SHARP, KERNEL, DONE, False, RunContext(candidates=[KERNEL])).figures


def test_a_image_unlike_the_generators_is_never_called_improved():
    clues = RunContext(generated=SHARP, range_error=0.05, spread=0.02)
    blurred = convolve(SHARP, KERNEL) + NOISE
    of_class = judge(blurred, SHARP, KERNEL, DONE, False, clues)
    assert of_class.improved
    assert of_class.figures["spread"] == 0.02
    strange = judge(blurred, SHARP, KERNEL, DONE, False, RunContext(generated=SHARP.flip(-1), range_error=0.05))
    assert not strange.improved
    assert "unlike those the generator knows" in strange.reason


@pytest.mark.parametrize(
    ("figure", "value"),
    [
        ("likelihood_gain", -50.0), ("shape_gain", -100.0), ("ghosts", 0.1), ("noise_gain", 3.0),
        ("disagreement", 1.0), ("residual_correlation", 0.8), ("overshoot", 1.0),
        ("kernel_scattered_mass", 0.6),
    ],
)  # fmt: skip
def test_each_clue_lowers_the_chance_and_has_its_words(figure, value):
    _, _, usual = classify(GOOD, False)
    word, reason, chance = classify(GOOD | {figure: value}, False)
    assert chance < usual
    assert word is Word.IMPROVED or reason.startswith(REASONS[figure][:12])


def test_a_kernel_of_another_shape_explains_the_spectrum_less_than_a_round_blur_and_leaves_ghosts():
    right, turned, none = (
        judge(BLURRED, SHARP, kernel, DONE, kernel_given=True).figures
        for kernel in (KERNEL, KERNEL.transpose(-1, -2), POINT)
    )
    assert right["shape_gain"] > 0 > turned["shape_gain"]
    assert right["ghosts"] < 0.02 < turned["ghosts"]
    assert none["likelihood_gain"] == pytest.approx(0)
    assert right["likelihood_gain"] > right["shape_gain"]


def test_the_shape_of_a_kernel_that_was_given_is_not_questioned():
    odd = GOOD | {"kernel_scattered_mass": 0.6, "kernel_peak": 0.95, "kernel_border_mass": 0.2}
    assert classify(odd, True) == classify(GOOD, True)
    assert classify(odd, False)[2] < classify(GOOD, False)[2]


def test_figures_beyond_all_measure_change_no_more_than_the_worst_seen():
    clue = next(clue for clue in CLUES if clue.figure == "overshoot")
    assert clue.seen({"overshoot": 1e9}) == clue.most
    assert clue.seen({"overshoot": 0.0}) == clue.least


def test_figures_of_kernels():
    figures = kernel_figures(spread(KERNEL, 0.25))
    assert figures["kernel_scattered_mass"] == pytest.approx(0.25, abs=0.07)
    assert figures["kernel_border_mass"] == pytest.approx(0.25, abs=1e-6)
    two = torch.zeros(1, 1, 9, 9)
    two[..., 1, 1] = two[..., 7, 7] = 0.5
    assert kernel_figures(two)["kernel_modes"] == 2
    assert kernel_similarity(two, two.roll(1, -1)) == pytest.approx(1, abs=0.05)
    assert kernel_figures(POINT)["kernel_peak"] == 1


def test_large_kernels_and_flat_parts_do_no_harm_to_the_figures():
    wide = torch.from_numpy(blur.motion(61, 10, size=63))[None, None]
    flat = torch.full_like(BLURRED, 0.5)
    flat[..., 40:44, 40:44] = 0.6
    for image, kernel in ((SHARP, wide), (flat, KERNEL), (SHARP * 0, KERNEL)):
        figures = judge(flat, image, kernel, DONE, kernel_given=True).figures
        assert np.isfinite(list(figures.values())).all()


@pytest.fixture
def invents(monkeypatch):
    """A method that sharpens noise and finds a point."""

    def recipe(problem):
        yield Snapshot(1, 1, "all", problem.blurred, POINT)
        return Solution(problem.blurred.flip(-1), POINT)

    monkeypatch.setitem(METHODS, "invents", Method("invents", recipe, ClassicalSettings, ""))


def test_the_input_is_kept_where_nothing_was_gained_and_what_was_found_is_set_aside(invents):
    image = (200 * blocks()).astype(np.uint8)
    result = gp.deblur(image, "invents")
    assert result.verdict.word is Word.KEPT
    assert result.verdict.sentence.startswith("no improvement: input kept, because the kernel found is nearly a single")
    np.testing.assert_array_equal(result.image, image)
    assert result.found is result.layers[REJECTED]
    assert not np.array_equal(result.found, image)
    assert result.kernel.max() == 1


def test_a_sharp_image_is_left_alone():
    sharp = np.clip(blocks() + 0.004 * np.random.default_rng(0).standard_normal(blocks().shape), 0, 1)
    result = gp.deblur(sharp)
    assert result.verdict.word is Word.KEPT, result.verdict.sentence
    np.testing.assert_array_equal(result.image, sharp.astype(np.float32))


def test_nothing_is_kept_back_from_who_gave_the_kernel_or_stopped_the_run(invents):
    given = gp.deblur(blocks(), "invents", kernel=np.ones((1, 1)))
    assert given.verdict.word is Word.DOUBTFUL
    assert REJECTED not in given.layers
    stopped = gp.deblur(blocks(), "invents", time_limit_s=1e-9)
    assert stopped.status.code is StatusCode.STOPPED
    assert stopped.verdict.word is Word.DOUBTFUL


def test_words_survive_saving_and_old_files_load(tmp_path):
    result = gp.deblur(blocks(64, 64), "project", image_prior="nuclei-64")
    assert result.found is result.image
    back = DeblurResult.load(result.save(tmp_path / "result.npz"))
    assert back.verdict == result.verdict
    with np.load(tmp_path / "result.npz") as stored:
        arrays = dict(stored)
    report = json.loads(str(arrays["report"]))
    del report["verdict"]["word"]  # as before there were three
    np.savez(tmp_path / "old.npz", **{**arrays, "report": np.array(json.dumps(report))})
    old = DeblurResult.load(tmp_path / "old.npz").verdict
    assert old.word is (Word.IMPROVED if old.improved else Word.DOUBTFUL)


def test_a_verdict_without_a_word_has_that_of_improved():
    assert Verdict(True, "", {}).word is Word.IMPROVED
    assert Verdict(False, "", {}).word is Word.DOUBTFUL


def judged_as(gain, word, errors=0.0, spread=None, uncertainty=None):
    case = Case("", "blind", "a", BLURRED[0, 0].numpy(), SHARP[0, 0].numpy(), "classical")
    figures = {} if uncertainty is None else {"uncertainty": uncertainty}
    verdict = Verdict(word is Word.IMPROVED, "", figures, word)
    plane = np.full((20, 20), errors)
    return bench.Judged(case, 20.0, 20.0 + gain, verdict, plane, None if spread is None else np.full((20, 20), spread))


def test_the_bench_counts_what_was_caught_in_the_strict_sense_and_what_was_refused_in_both():
    judged = [judged_as(-1, word) for word in Word] + [judged_as(2, word) for word in Word] + [judged_as(0, Word.KEPT)]
    lines = bench.table("all", judged)
    assert lines[-1] == (
        "worse results caught (not called improved): 2 of 3 (66.7%); better results refused (input kept): 1 of 3 "
        "(33.3%), refused or called doubtful: 2 of 3 (66.7%)"
    )
    assert [int(n) for n in re.findall(r"\d+", lines[-2])] == [7, 1, 0, 1, 1, 0, 1, 1, 1, 1]


def test_the_bench_tells_how_much_a_band_holds_and_how_wide_it_should_be():
    half = [judged_as(1, Word.IMPROVED, 0.03, 0.01, 0.02), judged_as(1, Word.IMPROVED, 0.01, 0.01, 0.02)]
    told = "\n".join(bench.band_lines(half))
    assert "ensemble: 2 results called improved; a band of 2 standard deviations holds 50.0%" in told
    assert "1.50 times as wide" in told  # 3 standard deviations for 95%
    assert "uncertainty: 2 results called improved; a band of 2 standard deviations holds 100.0%" in told
    refused = bench.band_lines([judged_as(1, Word.KEPT, 1, 1)])
    assert all(line.endswith("no result that has one was called improved") for line in refused)


def test_the_bench_keeps_results_and_judges_them_again(tmp_path, monkeypatch, capsys):
    (tmp_path / "bsd400").mkdir()
    np.savez(tmp_path / "bsd400" / "bsd400.npz", train=(255 * blocks(180, 180)).astype(np.uint8)[None])
    command = ["bench", "verdict", "--data", str(tmp_path), "--keep", str(tmp_path / "kept"), "--count", "1", "--each"]
    assert main(command) == 0
    first = capsys.readouterr().out
    assert "0-000 blind, photograph 0" in first
    (kept,) = (tmp_path / "kept").glob("*.npz")
    assert DeblurResult.load(kept).found.shape == (96, 96)
    (row,) = csv.DictReader((tmp_path / "kept" / "figures.csv").open())
    assert float(row["after"]) - float(row["before"]) == pytest.approx(float(first.split(" dB")[0]), abs=0.01)
    assert 0 <= float(row["chance"]) <= 1
    monkeypatch.setattr(bench, "deblur", None)  # what is there is not computed again
    assert main(command) == 0
    assert capsys.readouterr().out == first


def test_the_rule_is_fitted_to_a_table_of_figures(tmp_path, capsys):
    rng, rows = np.random.default_rng(0), []
    for number in range(200):
        gain = rng.uniform(-3, 3)
        rows.append({"image": f"p{number // 2}", "method": "classical", "fitted": 1, "before": 20, "after": 20 + gain})
        rows[-1]["method"] = ("classical", "known-kernel")[number % 2]
        rows[-1] |= {clue.figure: rng.uniform(0.1, 2) for clue in CLUES}
        rows[-1]["overshoot"] = np.exp(-gain + 0.1 * rng.standard_normal())  # the only one that tells
    rows.append(rows[0] | {"fitted": 0, "after": -1e6, "overshoot": 0.0})  # of the other half: must not count
    with (tmp_path / "figures.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    runpy.run_path(str(FIT))["main"](tmp_path / "figures.csv")
    told = capsys.readouterr().out
    assert "200 results" in told
    effects = {}
    for name, *figures in re.findall(r'Clue\("(\w+)", ([-.\d]+), [-.\d]+, ([-.\d]+), ([-.\d]+)', told):
        weight, least, most = map(float, figures)
        effects[name] = weight * (most - least)
    assert set(effects) == {clue.figure for clue in CLUES}
    assert effects.pop("overshoot") < -5 * max(abs(effect) for effect in effects.values())
    caught, worse = map(int, re.search(r"TRUSTED = 0.\d+  # catches (\d+) of (\d+)", told).groups())
    assert caught >= 0.97 * worse > 30
