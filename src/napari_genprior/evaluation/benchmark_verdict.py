"""Measure how often the verdict is right, on results whose true image is known (:mod:`.benchmark_verdict_cases`).

The gain of a result is its PSNR less that of the blurred input, both clipped to [0, 1], at their best shift and
without the border. The classifier was fitted to the results of one half of the images; the other half tests it.
"""

from __future__ import annotations

import csv
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import FileError
from ..core.image_io import write_atomic
from ..core.result import RESTART_STD, DeblurResult, Verdict, VerdictLabel
from ..metrics import align, psnr
from ..pipeline.front_door import deblur
from ..pipeline.plan import make_plan
from ..pipeline.recipe_run import assess_result
from .benchmark_report import Report, Row
from .benchmark_verdict_cases import Case, cases

WORSE, BETTER = -0.2, 1.0  # dB: a result below must not be called improved, one above should not be rejected
N_SIGMAS = 2
COVERAGE = 0.95  # fraction of the pixels whose error should lie within N_SIGMAS standard deviations


@dataclass(frozen=True)
class AssessedCase:
    """A deblurred case: PSNR before and after in dB, and the verdict.

    ``errors`` [Y, X] holds the absolute error of the result at the best shift, without the border (the root mean square
    over colours); ``spread`` [Y, X] the standard deviation over restarts at the same pixels, None where there is none.
    """

    case: Case
    before: float
    after: float
    verdict: Verdict
    errors: np.ndarray
    spread: np.ndarray | None

    @property
    def gain(self) -> float:
        """PSNR after less PSNR before, dB."""
        return self.after - self.before

    @property
    def fitted(self) -> bool:
        """Whether the classifier was fitted to this case."""
        return zlib.crc32(self.case.image.encode()) % 2 == 0


def lines(folder: Path, cache: Path | None = None, count: int | None = None, per_image: bool = False) -> Report:
    """Run the benchmark: yield the tables line by line, and return their rows.

    Parameters
    ----------
    folder : Path
        Folder that holds bsd400, nuclei_dsb2018, faces64 and mnist.
    cache : Path, optional
        Folder that keeps the results: those in it are not computed again, only assessed. At the end
        ``features.csv`` is written there, a row per result.
    count : int, optional
        Number of cases, from the first. By default all.
    per_image : bool
        Yield a line per case too.
    """
    assessed = []
    for case in assess_all(folder, cache, count):
        assessed.append(case)
        if per_image:
            yield f"{case.gain:+7.2f} dB  {case.case.name}: {case.verdict.sentence}"
    if cache:
        _write(cache / "features.csv", assessed)
    rows = []
    for name, part in (
        ("unseen images", [a for a in assessed if not a.fitted]),
        ("images of the fit", [a for a in assessed if a.fitted]),
    ):
        if part:
            yield from ("", *table(name, part), *coverage_lines(part))
            images = [
                {"case": a.case.name, "method": a.case.method, "gain": a.gain, "label": str(a.verdict.label)}
                for a in part
            ]
            rows.append(Row(f"verdict, {name}", "all", _rates(part), images=images))
    return rows


def assess_all(folder: Path, cache: Path | None, count: int | None) -> Iterator[AssessedCase]:
    """Deblur and assess the cases one by one; see :func:`lines` for the parameters."""
    if cache:
        try:
            cache.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"The folder {cache} cannot be created: {error.strerror or error}.") from error
    for number, make in enumerate(cases(folder)):
        if count is not None and number >= count:
            return
        case = make()
        path = cache / (re.sub(r"[^\w.-]+", "_", case.name) + ".npz") if cache else None
        result = _cached_result(case, path)
        verdict = assess_result(make_plan(case.blurred, case.method, **case.arguments), result)
        yield measured_case(case, result, verdict)


def measured_case(case: Case, result: DeblurResult, verdict: Verdict) -> AssessedCase:
    """Compare the result of a case with its true image."""
    aligned, shift = align(np.clip(result.found, 0, 1), case.truth, case.max_shift, case.max_shift)
    inside = (slice(case.max_shift, -case.max_shift),) * 2
    errors = np.abs(aligned - case.truth)[inside]
    spread = None
    if RESTART_STD in result.extra_images:
        spread = np.roll(result.extra_images[RESTART_STD], [-round(s) for s in shift], (0, 1))[inside]
    if errors.ndim == 3:
        errors = np.sqrt(np.mean(errors**2, -1))
    return AssessedCase(case, _score(case, case.blurred), _score(case, result.found), verdict, errors, spread)


def table(title: str, assessed: list[AssessedCase]) -> list[str]:
    """Count each label by the gain of the results, for each group of cases, and compute the two error rates."""
    lines = [f"{title}: {len(assessed)} results (worse: below {WORSE} dB; better: above {BETTER} dB)"]
    lines.append(f"{'':24} {'n':>4} | " + " | ".join(f"{label:>20}" for label in VerdictLabel))
    lines.append(f"{'':24} {'':4} | " + " | ".join(f"{'worse':>6} {'same':>6} {'better':>6}" for _ in VerdictLabel))
    groups = list(dict.fromkeys(a.case.group for a in assessed))
    for name, part in [*((g, [a for a in assessed if a.case.group == g]) for g in groups), ("all", assessed)]:
        cells = []
        for label in VerdictLabel:
            gains = np.array([a.gain for a in part if a.verdict.label is label])
            worse, better = int((gains < WORSE).sum()), int((gains > BETTER).sum())
            cells.append(f"{worse:6} {len(gains) - worse - better:6} {better:6}")
        lines.append(f"{name:24} {len(part):4} | " + " | ".join(cells))
    (caught, worse), (rejected, better), (not_improved, _) = _counts(assessed)
    lines.append(
        f"worse results caught (not called improved): {_fraction(caught, worse)}; better results rejected (the input "
        f"is returned): {_fraction(rejected, better)}, rejected or doubtful: {_fraction(not_improved, better)}"
    )
    return lines


def _counts(assessed: Sequence[AssessedCase]) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Count worse results that are caught, better ones that are rejected, and better ones not called improved.

    Each count is followed by the number of worse or better results.
    """
    worse = [a.verdict.label for a in assessed if a.gain < WORSE]
    better = [a.verdict.label for a in assessed if a.gain > BETTER]
    caught = sum(label is not VerdictLabel.IMPROVED for label in worse)
    rejected = sum(label is VerdictLabel.REJECTED for label in better)
    not_improved = sum(label is not VerdictLabel.IMPROVED for label in better)
    return (caught, len(worse)), (rejected, len(better)), (not_improved, len(better))


def _rates(assessed: Sequence[AssessedCase]) -> dict[str, float]:
    names = ("worse results caught, %", "better results rejected, %", "better results not called improved, %")
    return {name: 100 * count / max(1, total) for name, (count, total) in zip(names, _counts(assessed), strict=True)}


def _fraction(count: int, total: int) -> str:
    return f"{count} of {total} ({count / max(1, total):.1%})"


def coverage_lines(assessed: Iterable[AssessedCase]) -> list[str]:
    """Measure the coverage of two standard deviations: of the spread over restarts, and of the uncertainty.

    Only results called improved count. The factor by which the standard deviation would have to grow is stated too.
    """
    improved = [a for a in assessed if a.verdict.improved]
    spreads = [a.errors / np.maximum(a.spread, 1e-6) for a in improved if a.spread is not None]
    known = [a.errors / a.verdict.features["uncertainty"] for a in improved if "uncertainty" in a.verdict.features]
    lines = []
    for name, parts in (("spread over restarts or an ensemble", spreads), ("uncertainty", known)):
        if not parts:
            lines.append(f"{name}: no result with this estimate was called improved")
            continue
        deviations = np.concatenate([part.ravel() for part in parts])
        factor = float(np.quantile(deviations, COVERAGE)) / N_SIGMAS
        lines.append(
            f"{name}: {len(parts)} results called improved; {N_SIGMAS} standard deviations cover "
            f"{np.mean(deviations <= N_SIGMAS):.1%} of the pixels; {factor:.2f} times as wide they would cover "
            f"{COVERAGE:.0%}"
        )
    return lines


def _cached_result(case: Case, path: Path | None) -> DeblurResult:
    if path and path.exists():
        return DeblurResult.load(path)
    result = deblur(case.blurred, case.method, **case.arguments)
    if path:
        result.save(path)
    return result


def _score(case: Case, image: np.ndarray) -> float:
    return psnr(np.clip(image, 0, 1), case.truth, align=True, peak=1, crop=case.max_shift, max_shift=case.max_shift)


def _write(path: Path, assessed: list[AssessedCase]) -> None:
    names = sorted({name for a in assessed for name in a.verdict.features})
    with write_atomic(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["case", "group", "image", "method", "fitted", "before", "after", "label", *names])
        for a in assessed:
            description = [a.case.name, a.case.group, a.case.image, a.case.method, int(a.fitted)]
            features = [a.verdict.features.get(name, "") for name in names]
            rows.writerow([*description, f"{a.before:.4f}", f"{a.after:.4f}", a.verdict.label, *features])
