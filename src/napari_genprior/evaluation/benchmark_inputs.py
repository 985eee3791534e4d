"""Measure what known and estimated kernels do to inputs with faults of all kinds (:mod:`.benchmark_input_cases`).

The gain of a result is its PSNR less that of the input, on sound pixels far from faults. With a known kernel a result
must not be shifted, so nothing is aligned. Apart from that, the share of pixels that are taken for defects in images
without any is measured.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
from scipy import ndimage
from scipy.signal import fftconvolve

from ..core.errors import GenPriorError
from ..operators.pixel_survey import survey_pixels
from ..pipeline.front_door import deblur
from ..pipeline.observe import as_planes
from .benchmark_input_cases import FAULTS, InputCase, blur_kernel, make_case
from .benchmark_input_scenes import SCENES, photographs, scene
from .benchmark_report import Report, Row

BETTER, WORSE, FAR_WORSE = 1.0, -0.2, -0.5  # dB
WORST = 15  # cases that are listed
EQUAL = 99.0  # dB, of an image without error
SHIFT_PX = 5  # largest of an estimated kernel
SHIFT_STEPS = np.arange(-0.75, 1, 0.25)  # px, about the best whole shift
CLEAN_SIDE_PX = 192
CLEAN_COUNT = 8  # images of each kind
JPEG_QUALITY = (80, 95)
COUNTS = (5, 30, 300)  # photons at full scale


@dataclass(frozen=True)
class Outcome:
    """PSNR before and after in dB, and the verdict; NaN and the error where there was no result."""

    case: InputCase
    before: float = np.nan
    after: float = np.nan
    improved: bool = False
    said: str = ""
    error: str = ""
    refused: bool = False

    @property
    def gain(self) -> float:
        """PSNR after less PSNR before, dB."""
        return self.after - self.before

    @property
    def line(self) -> str:
        """Say what happened, and to what."""
        verdict = "improved" if self.improved else "not called improved"
        got = f"{self.before:6.2f} -> {self.after:6.2f} dB ({self.gain:+6.2f}), {verdict}; {self.said}"
        return f"{self.case.seed:6}  {self.error or got}  [{self.case.description}]"


def lines(
    count: int, seed: int = 0, photos: Path | None = None, only: int | None = None, per_image: bool = False
) -> Report:
    """Run the benchmark: yield the tables line by line, and return their rows.

    Parameters
    ----------
    count : int
        Number of combinations.
    seed : int
        Of the first combination; the others follow.
    photos : Path, optional
        Folder of photographs, for more scenes than the samples of the package.
    only : int, optional
        Run the combination of this seed alone, then without each of its faults.
    per_image : bool
        Yield a line per combination too.
    """
    images = photographs(photos)
    if only is not None:
        yield measure(make_case(only, images)).line
        for fault in FAULTS:
            yield f"without {fault}: {measure(make_case(only, images, without=[fault])).line}"
        yield f"without all: {measure(make_case(only, images, without=FAULTS)).line}"
        return []
    outcomes = []
    for number in range(seed, seed + count):
        outcomes.append(measure(make_case(number, images)))
        if per_image:
            yield outcomes[-1].line
    rows = []
    for name in ("known", "blind"):
        part = [each for each in outcomes if (each.case.kernel is None) == (name == "blind")]
        if part:
            metrics = rates(part)
            yield from ("", f"{name} kernel", *(f"{value:10.4g}  {key}" for key, value in metrics.items()))
            yield from ("", f"{'worst cases':>11}", *(each.line for each in worst(part)))
            details = [{"seed": each.case.seed, "gain": each.gain, "improved": each.improved} for each in part]
            rows.append(Row(f"inputs, kernel {name}", "all", metrics, images=details))
    yield from ("", *ingredient_table(outcomes))
    shares = false_alarms(images)
    yield from ("", "% of the pixels of clean images taken for defects: mean, worst")
    yield from (f"{100 * np.mean(each):10.4f} {100 * np.max(each):8.4f}  {kind}" for kind, each in shares.items())
    rows.append(
        Row("inputs, clean images", "survey", {f"{k}, % masked": 100 * float(np.mean(v)) for k, v in shares.items()})
    )
    return rows


def measure(case: InputCase) -> Outcome:
    """Deblur a case and compare the result with the truth; an error is an outcome too."""
    try:
        result = deblur(case.image, kernel=case.kernel) if case.kernel is not None else deblur(case.image)
    except GenPriorError as error:
        return Outcome(case, error=f"refused: {error}", refused=True)
    except Exception as error:  # what this benchmark looks for
        return Outcome(case, error=f"{type(error).__name__}: {error}")
    if not case.sound.any():
        return Outcome(case, error="refused: no pixel is sound", refused=True)
    before, after = (score(case, image) for image in (case.image, result.found))
    return Outcome(case, before, after, result.verdict.improved, result.status.sentence)


def score(case: InputCase, image: np.ndarray) -> float:
    """Compute the PSNR of an image at the sound pixels, dB; of estimated kernels at the best shift."""
    colours = np.asarray(image, np.float64)[..., :3] if case.truth.ndim == 3 else np.asarray(image, np.float64)
    errors = [_mean_square(case, colours)]
    if case.kernel is None:
        filled = np.where(np.isfinite(colours), colours, case.truth)
        span = range(-SHIFT_PX, SHIFT_PX + 1)
        whole = {(dy, dx): _mean_square(case, np.roll(filled, (dy, dx), (0, 1))) for dy in span for dx in span}
        y, x = min(whole, key=lambda shift: whole[shift])
        around = ((y + dy, x + dx) for dy in SHIFT_STEPS for dx in SHIFT_STEPS)
        errors += [_mean_square(case, _shifted(filled, shift)) for shift in around]
    least = min(errors)
    return float(10 * np.log10(case.signal**2 / least)) if least > 0 else EQUAL


def _mean_square(case: InputCase, image: np.ndarray) -> float:
    error = ((image - case.truth) ** 2)[case.sound]
    return float(error.mean()) if error.size and np.isfinite(error).all() else np.inf


def _shifted(image: np.ndarray, shift: tuple[float, float]) -> np.ndarray:
    return ndimage.shift(image, (*shift, *[0] * (image.ndim - 2)), order=1, mode="nearest")


def rates(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Count how often results are better or worse than their input, and how often the verdict is wrong."""
    done = [each for each in outcomes if not each.error]
    gains = np.array([each.gain for each in done])
    improved = np.array([each.improved for each in done], bool)
    share = 100 / max(1, len(done))
    return {
        "combinations": len(outcomes),
        "% better than the input by 1 dB": share * (gains > BETTER).sum(),
        "% worse by 0.2 dB": share * (gains < WORSE).sum(),
        "% worse by 0.5 dB": share * (gains < FAR_WORSE).sum(),
        "worse by 0.2 dB, called improved": int(((gains < WORSE) & improved).sum()),
        "worse by 0.5 dB, called improved": int(((gains < FAR_WORSE) & improved).sum()),
        "% better by 1 dB, not called improved": share * ((gains > BETTER) & ~improved).sum(),
        "median gain, dB": float(np.median(gains)) if done else np.nan,
        "tracebacks": sum(bool(each.error) and not each.refused for each in outcomes),
        "refused": sum(each.refused for each in outcomes),
    }


def worst(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return errors, then wrong verdicts, then the largest losses."""
    return sorted(outcomes, key=lambda each: (not each.error, not (each.improved and each.gain < WORSE), each.gain))[
        :WORST
    ]


def ingredient_table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield a line for each ingredient: how often it was used, the median gain, and how much was worse."""
    groups: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for each in outcomes:
        for key, value in each.case.ingredients.items():
            groups[key, value].append(each)
    yield f"{'n':>6} {'median':>8} {'% > 1':>7} {'% < -0.5':>9} {'wrongly improved':>17}"
    for (key, value), group in sorted(groups.items()):
        r = rates(group)
        cells = r["% better than the input by 1 dB"], r["% worse by 0.5 dB"], r["worse by 0.5 dB, called improved"]
        shown = f"{cells[0]:7.1f} {cells[1]:9.2f} {cells[2]:17}"
        yield f"{len(group):6} {r['median gain, dB']:+8.2f} {shown}  {key} {value}"


def false_alarms(photos: Sequence[np.ndarray], count: int = CLEAN_COUNT) -> dict[str, list[float]]:
    """Return the shares of masked pixels in images without defects, by kind of image."""
    shares: dict[str, list[float]] = defaultdict(list)
    for number, name in enumerate(SCENES):
        for index in range(count):
            rng = np.random.default_rng([number, index])
            sharp = scene(name, CLEAN_SIDE_PX, rng, photos)
            kernel = blur_kernel(str(rng.choice(["motion", "shake", "gaussian", "defocus"])), rng)
            kernel = kernel.reshape(*kernel.shape, *[1] * (sharp.ndim - 2))
            blurred = np.clip(fftconvolve(sharp, kernel, "valid", axes=(0, 1)), 0, 1)
            for degree, image in (("sharp", sharp), ("blurred", blurred)):
                for how, native in _recordings(image, rng):
                    shares[f"{name}, {degree}, {how}"].append(float(survey_pixels(as_planes(native)).masked.mean()))
    return dict(sorted(shares.items()))


def _recordings(light: np.ndarray, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """Yield an image as a camera would store it: 8 bits, JPEG, with photon noise."""
    eight = np.rint(255 * np.clip(light + rng.normal(0, 0.003, light.shape), 0, 1)).astype(np.uint8)
    yield "8 bits", eight
    for quality in JPEG_QUALITY:
        yield f"JPEG {quality}", imagecodecs.jpeg8_decode(imagecodecs.jpeg8_encode(eight, level=quality))
    for count in COUNTS:
        counts = rng.poisson(np.maximum(light, 0) * count)
        yield f"{count} photons", counts.astype(np.uint16)
        yield (
            f"{count} photons, read noise",
            np.rint(100 + 20 * counts + rng.normal(0, 8, counts.shape)).astype(np.uint16),
        )
