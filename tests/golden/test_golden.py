"""Hold the quality of every method to what was recorded in ``golden.json``: see README.md beside this file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from cases import CASES, kernel_error, noise_of, package_folder, psnr
from scenes import Case

RECORD = Path(__file__).with_name("golden.json")
KERNEL_TOLERANCE, LEAST_KERNEL_TOLERANCE = 0.05, 0.002  # relative; and of errors next to nothing
LOOSE_KERNEL_TOLERANCE = 0.15  # of cases whose PSNR is held to more than 0.1 dB
OBSERVED_TOLERANCE_DB, NOISE_TOLERANCE = 0.01, 0.01  # of the scene itself; relative
FLUX_TOLERANCE, LOOSE_FLUX_TOLERANCE = 0.0005, 0.01

Record = dict[str, float | str]
pytestmark = pytest.mark.golden


def measured(case: Case) -> Record:
    """Run a case."""
    scene = case.scene()
    outcome = case.run(scene)
    return {
        "flux": round(float(outcome.image.mean() / scene.observed.mean()), 4),
        "kernel_error": round(kernel_error(outcome.kernel, scene.kernel), 3),
        "noise_std": float(f"{noise_of(scene.observed, volume=scene.kernel.ndim == 3):.4g}"),
        "psnr": round(psnr(outcome.image, scene), 3),
        "psnr_observed": round(psnr(scene.observed.astype(np.float64), scene), 3),
        "verdict": outcome.verdict,
    }


def differences(case: Case, got: Record, recorded: Record) -> list[str]:
    """Say which values differ from the record by more than they may."""
    kernel_tolerance = KERNEL_TOLERANCE if case.tolerance_db <= 0.1 else LOOSE_KERNEL_TOLERANCE
    allowed = {
        "flux": FLUX_TOLERANCE if case.tolerance_db <= 0.1 else LOOSE_FLUX_TOLERANCE,
        "kernel_error": max(LEAST_KERNEL_TOLERANCE, kernel_tolerance * recorded["kernel_error"]),
        "noise_std": NOISE_TOLERANCE * recorded["noise_std"],
        "psnr": case.tolerance_db,
        "psnr_observed": OBSERVED_TOLERANCE_DB,
    }
    found = [
        f"{name}: got {got[name]:g}, recorded {recorded[name]:g}, allowed +-{most:.3g}"
        for name, most in allowed.items()
        if not abs(got[name] - recorded[name]) <= most + 1e-9
    ]
    if got["verdict"] != recorded["verdict"]:
        found.append(f"verdict: got {got['verdict']!r}, recorded {recorded['verdict']!r}")
    return found


def read() -> dict[str, Record]:
    return json.loads(RECORD.read_text()) if RECORD.exists() else {}


def write(record: dict[str, Record]) -> None:
    RECORD.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")


def parameter(case: Case):
    marks = [pytest.mark.golden_quick] if case.quick else []
    if not case.name.startswith("known-"):  # those of known kernels take less than a second
        marks.append(pytest.mark.slow)
    return pytest.param(case, id=case.name, marks=marks)


@pytest.mark.parametrize("case", [parameter(case) for case in CASES])
def test_quality_is_as_recorded(case, request):
    got, record = measured(case), read()
    if request.config.getoption("update_golden"):
        write(record | {case.name: got})
        return
    assert case.name in record, f"{case.name} has no record. Got {got}. Accept: pytest {__file__} --update-golden"
    found = differences(case, got, record[case.name])
    assert not found, (
        f"The quality of golden case {case.name!r} changed.\n  " + "\n  ".join(found) + "\n"
        "A loss is a fault: find it. If the change is meant and better, accept it and let it be reviewed:\n"
        f"  pytest tests/golden -k {case.name} --update-golden"
    )


def test_the_package_under_test_is_the_one_that_is_meant():
    """``tools/mutants`` runs these cases against changed copies; it names the folder."""
    meant = os.environ.get("GOLDEN_PACKAGE")
    assert meant is None or package_folder() == Path(meant)


def test_the_record_has_these_cases_and_no_others(request):
    names = {case.name for case in CASES}
    if request.config.getoption("update_golden"):
        write({name: values for name, values in read().items() if name in names})
    assert set(read()) <= names
    assert len(names) == len(CASES)
