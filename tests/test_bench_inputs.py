"""Combinations of defects, margins, offsets, data types and kernel faults do no harm that is called an improvement."""

import json

import numpy as np
import pytest

from napari_genprior.cli import main
from napari_genprior.evaluation import benchmark_inputs as inputs
from napari_genprior.evaluation.benchmark_input_cases import BLIND_EVERY, FAULTS, make_case
from napari_genprior.evaluation.benchmark_input_scenes import SCENES

KNOWN = [seed for seed in range(1000, 1032) if seed % BLIND_EVERY != BLIND_EVERY - 1]


@pytest.mark.slow
def test_no_harm_is_called_an_improvement():
    rates = inputs.rates([inputs.measure(make_case(seed)) for seed in KNOWN])
    assert rates["combinations"] == len(KNOWN)
    assert rates["tracebacks"] == rates["refused"] == 0
    assert rates["worse by 0.5 dB, called improved"] == 0
    assert rates["% better than the input by 1 dB"] > 75


def test_a_case_is_the_same_each_time_and_faults_are_left_out_alone():
    seed = next(s for s in KNOWN if make_case(s).ingredients["outliers"] == "dead")
    case, again, clean = make_case(seed), make_case(seed), make_case(seed, without=FAULTS)
    np.testing.assert_array_equal(case.image, again.image)
    np.testing.assert_array_equal(case.truth, again.truth)
    assert clean.sound.sum() > case.sound.sum()
    assert inputs.measure(clean).gain > 1


def test_errors_are_counted_not_raised(monkeypatch):
    def fail(image, kernel=None):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(inputs, "deblur", fail)
    outcome = inputs.measure(make_case(0))
    assert "ZeroDivisionError" in outcome.line
    assert inputs.rates([outcome])["tracebacks"] == 1


@pytest.mark.slow
def test_blurred_images_without_defects_have_none():
    shares = inputs.false_alarms([], count=1)
    assert len({kind.split(",")[0] for kind in shares}) == len(SCENES)
    for kind, each in shares.items():
        if "blurred" in kind:
            assert max(each) < 5e-4, kind


@pytest.mark.slow
def test_the_benchmark_prints_and_writes_its_tables(tmp_path, capsys):
    assert main(["bench", "inputs", "--count", "3", "--per-image", "--json", str(tmp_path / "inputs.json")]) == 0
    out = capsys.readouterr().out
    assert "tracebacks" in out
    assert "scene" in out
    rows = json.loads((tmp_path / "inputs.json").read_text())["rows"]
    assert rows[0]["metrics"]["combinations"] == 3
