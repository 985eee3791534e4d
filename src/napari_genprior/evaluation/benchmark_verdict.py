"""How often the verdict is right, on results whose truth is known (:mod:`.verdict_cases`).

A result's gain is its PSNR less that of the blurry input, both at their best shift, their border left out and clipped
to [0, 1]. The rule was fitted on the results of one half of the images; what counts are the figures of the other.
"""

from __future__ import annotations

import csv
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import FileError
from ..core.image_io import write_atomic
from ..core.result import SPREAD, DeblurResult, Verdict, Word
from ..metrics import align, psnr
from ..pipeline.finalize import verdict_on
from ..pipeline.plan import plan
from ..pipeline.run import deblur
from .benchmark_verdict_cases import Case, cases

WORSE, BETTER = -0.2, 1.0  # dB: below, a result must not be called improved; above, it should not be refused
SIGMAS = 2
HELD = 0.95  # of the pixels a band of so many standard deviations should hold


@dataclass(frozen=True)
class Judged:
    """What a case came to: PSNR before and after, dB, and the verdict.

    ``errors`` [Y, X]: from result to truth, at the best shift and inside the border (of colours the root mean square);
    ``spread`` [Y, X]: among restarts, at the same pixels; None where there is none.
    """

    case: Case
    before: float
    after: float
    verdict: Verdict
    errors: np.ndarray
    spread: np.ndarray | None

    @property
    def gain(self) -> float:
        return self.after - self.before

    @property
    def fitted(self) -> bool:
        """Whether the rule was fitted on it."""
        return zlib.crc32(self.case.image.encode()) % 2 == 0


def lines(folder: Path, keep: Path | None = None, count: int | None = None, each: bool = False) -> Iterator[str]:
    """The tables, line by line.

    Parameters
    ----------
    folder : Path
        Holds bsd400, nuclei_dsb2018, faces64 and mnist.
    keep : Path, optional
        Results are put there, and those that are there are not computed again, only judged; at the end also
        ``figures.csv``, a row for each result.
    count : int, optional
        The first so many cases. By default all.
    each : bool
        A line per case too.
    """
    judged = []
    for judgement in judge_all(folder, keep, count):
        judged.append(judgement)
        if each:
            yield f"{judgement.gain:+7.2f} dB  {judgement.case.name}: {judgement.verdict.sentence}"
    if keep:
        _write(keep / "figures.csv", judged)
    for title, part in (
        ("images the rule was not fitted on", [j for j in judged if not j.fitted]),
        ("images it was fitted on", [j for j in judged if j.fitted]),
    ):
        if part:
            yield from ("", *table(title, part), *band_lines(part))


def judge_all(folder: Path, keep: Path | None, count: int | None) -> Iterator[Judged]:
    """Deblur and judge the cases one by one."""
    if keep:
        try:
            keep.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"The folder {keep} cannot be made: {error.strerror or error}.") from error
    for number, make in enumerate(cases(folder)):
        if count is not None and number >= count:
            return
        case = make()
        place = keep / (re.sub(r"[^\w.-]+", "_", case.name) + ".npz") if keep else None
        result = _result(case, place)
        request = plan(case.blurred, case.method, **case.arguments)
        verdict = verdict_on(request, result.found, result.kernel, result.status, result.layers, result.candidates)
        yield judged_case(case, result, verdict)


def judged_case(case: Case, result: DeblurResult, verdict: Verdict) -> Judged:
    """Measure a case's result against its truth."""
    aligned, shift = align(np.clip(result.found, 0, 1), case.truth, case.reach, case.reach)
    inside = (slice(case.reach, -case.reach),) * 2
    errors = np.abs(aligned - case.truth)[inside]
    spread = None
    if SPREAD in result.layers:
        spread = np.roll(result.layers[SPREAD], [-round(s) for s in shift], (0, 1))[inside]
    if errors.ndim == 3:
        errors = np.sqrt(np.mean(errors**2, -1))
    return Judged(case, _score(case, case.blurred), _score(case, result.found), verdict, errors, spread)


def table(title: str, judged: list[Judged]) -> list[str]:
    """Counts of each word by what the gain is, for each group of cases, and the two figures that count."""
    found = [f"{title}: {len(judged)} results (worse: below {WORSE} dB; better: above {BETTER} dB)"]
    found.append(f"{'':24} {'n':>4} | " + " | ".join(f"{word:>20}" for word in Word))
    found.append(f"{'':24} {'':4} | " + " | ".join(f"{'worse':>6} {'same':>6} {'better':>6}" for _ in Word))
    groups = list(dict.fromkeys(j.case.group for j in judged))
    for name, part in [*((g, [j for j in judged if j.case.group == g]) for g in groups), ("all", judged)]:
        cells = []
        for word in Word:
            gains = np.array([j.gain for j in part if j.verdict.word is word])
            worse, better = int((gains < WORSE).sum()), int((gains > BETTER).sum())
            cells.append(f"{worse:6} {len(gains) - worse - better:6} {better:6}")
        found.append(f"{name:24} {len(part):4} | " + " | ".join(cells))
    return [*found, _share(judged)]


def _share(judged: list[Judged]) -> str:
    worse = [j.verdict.word for j in judged if j.gain < WORSE]
    better = [j.verdict.word for j in judged if j.gain > BETTER]
    caught = sum(word is not Word.IMPROVED for word in worse)
    kept = sum(word is Word.KEPT for word in better)
    doubted = sum(word is Word.DOUBTFUL for word in better)
    return (
        f"worse results caught (not called improved): {_part(caught, len(worse))}; better results refused (input "
        f"kept): {_part(kept, len(better))}, refused or called doubtful: {_part(kept + doubted, len(better))}"
    )


def _part(count: int, total: int) -> str:
    return f"{count} of {total} ({count / max(1, total):.1%})"


def band_lines(judged: Iterable[Judged]) -> list[str]:
    """Does a band of two standard deviations hold 95% of the pixels: of the spread over restarts, of the uncertainty?

    Of results that are called improved. Where the spread is too small, the factor tells by how much.
    """
    trusted = [j for j in judged if j.verdict.improved]
    spreads = [j.errors / np.maximum(j.spread, 1e-6) for j in trusted if j.spread is not None]
    known = [j.errors / j.verdict.figures["uncertainty"] for j in trusted if "uncertainty" in j.verdict.figures]
    found = []
    for name, parts in (("spread over restarts or an ensemble", spreads), ("uncertainty", known)):
        if not parts:
            found.append(f"{name}: no result that has one was called improved")
            continue
        deviations = np.concatenate([part.ravel() for part in parts])
        factor = float(np.quantile(deviations, HELD)) / SIGMAS
        found.append(
            f"{name}: {len(parts)} results called improved; a band of {SIGMAS} standard deviations holds "
            f"{np.mean(deviations <= SIGMAS):.1%} of the pixels; {factor:.2f} times as wide it would hold {HELD:.0%}"
        )
    return found


def _result(case: Case, place: Path | None) -> DeblurResult:
    if place and place.exists():
        return DeblurResult.load(place)
    result = deblur(case.blurred, case.method, **case.arguments)
    if place:
        result.save(place)
    return result


def _score(case: Case, image: np.ndarray) -> float:
    return psnr(np.clip(image, 0, 1), case.truth, align=True, peak=1, crop=case.reach, max_shift=case.reach)


def _write(path: Path, judged: list[Judged]) -> None:
    names = sorted({name for j in judged for name in j.verdict.figures})
    with write_atomic(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["case", "group", "image", "method", "fitted", "before", "after", "word", *names])
        for j in judged:
            told = [j.case.name, j.case.group, j.case.image, j.case.method, int(j.fitted)]
            figures = [j.verdict.figures.get(name, "") for name in names]
            rows.writerow([*told, f"{j.before:.4f}", f"{j.after:.4f}", j.verdict.word, *figures])
