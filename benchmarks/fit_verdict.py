"""Fit the verdict's rule to results whose truth is known.

    genprior bench verdict --data FOLDER --keep OUT            # writes OUT/figures.csv
    python benchmarks/fit_verdict.py OUT/figures.csv

prints CLUES, INTERCEPT and the three chances for src/napari_genprior/quality/classifier.py, and what they would come to.
Only rows with fitted = 1 are used, one half of the images. A ridge-penalised logistic regression tells results that
gained more than 0.2 dB from the others; those near that limit count less. The chances are chosen where every image
is judged by weights that were fitted without it.
"""

from __future__ import annotations

import csv
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from napari_genprior.evaluation.benchmark_verdict import BETTER, WORSE
from napari_genprior.quality.classifier import CLUES, counted

GAINED = 0.2  # dB
WEIGHTS = (0.1, 1.0)  # of a result: its distance from GAINED in dB, within these
RIDGE = 2.0  # against weights for standardised figures
TAILS = (2, 98)  # percentiles beyond which a figure counts no more
FOLDS = 10
CAUGHT, REFUSED = 0.97, 0.05  # of worse results, of better ones: stricter than the targets, 95% and 10%
TRIED = np.arange(0.01, 1, 0.01)


def read(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Figures as they are weighed ``[N, clues]``; gains in dB, images, and whether the kernel was given, ``[N]``."""
    free = [replace(clue, least=-math.inf, most=math.inf) for clue in CLUES]
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["fitted"] == "1"]
    told = {"case", "group", "image", "method", "fitted", "before", "after", "word"}
    given = np.array([row["method"] == "known-kernel" for row in rows])
    seen = []
    for row, vouched in zip(rows, given, strict=True):
        figures = {name: float(value) for name, value in row.items() if name not in told and value}
        seen.append([clue.seen(counted(figures, vouched)) for clue in free])
    gains = np.array([float(row["after"]) - float(row["before"]) for row in rows])
    return np.array(seen), gains, np.array([row["image"] for row in rows]), given


def fit(seen: np.ndarray, gains: np.ndarray) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
    """Weights, intercept, and the least and most of each figure that counts."""
    least, most = np.percentile(seen, TAILS, 0)
    clipped = np.clip(seen, least, most)
    centre, scale = clipped.mean(0), clipped.std(0)
    figures, gained = (clipped - centre) / scale, gains > GAINED
    counts = np.clip(np.abs(gains - GAINED), *WEIGHTS)

    def loss(free: np.ndarray) -> float:
        says = free[0] + figures @ free[1:]
        return float(
            (counts * np.logaddexp(0, np.where(gained, -says, says))).sum() + RIDGE / 2 * (free[1:] ** 2).sum()
        )

    found = minimize(loss, np.zeros(1 + figures.shape[1]), method="BFGS").x
    weights = found[1:] / scale
    return weights, float(found[0] - weights @ centre), least, most


def chances(seen: np.ndarray, weights: np.ndarray, intercept: float, least: np.ndarray, most: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-intercept - np.clip(seen, least, most) @ weights))


def left_out(seen: np.ndarray, gains: np.ndarray, images: np.ndarray) -> np.ndarray:
    """The chance of each result by weights that were fitted without its image."""
    names, found = np.unique(images), np.empty(len(gains))
    fold_of = dict(zip(names, np.random.default_rng(0).permutation(len(names)) % FOLDS, strict=True))
    folds = np.array([fold_of[name] for name in images])
    for fold in range(FOLDS):
        out = folds == fold
        found[out] = chances(seen[out], *fit(seen[~out], gains[~out]))
    return found


def main(path: Path) -> None:
    seen, gains, images, given = read(path)
    weights, intercept, least, most = fit(seen, gains)
    usual = np.median(np.clip(seen, least, most)[gains > BETTER], 0)
    chance, worse, better = left_out(seen, gains, images), gains < WORSE, gains > BETTER
    print(f"# {len(gains)} results, {worse.sum()} worse, {better.sum()} better; by chances with images left out:")
    for name, part in (("TRUSTED", ~given), ("TRUSTED_GIVEN", given)):
        at = next(at for at in TRIED if (chance[part & worse] < at).mean() >= CAUGHT)
        print(f"{name} = {at:.2f}  # catches {share(chance[part & worse] < at)}, "
              f"does not call improved {share(chance[part & better] < at)}")  # fmt: skip
    at = max(at for at in TRIED if (chance[~given & better] < at).mean() <= REFUSED)
    print(f"REFUSED = {at:.2f}  # refuses {share(chance[~given & better] < at)}\nCLUES = (")
    for clue, *figures in zip(CLUES, weights, usual, least, most, strict=True):
        print(f'    Clue("{clue.figure}", {", ".join(f"{figure:.3f}" for figure in figures)}),')
    print(f")\nINTERCEPT = {intercept + usual @ weights:.3f}")


def share(which: np.ndarray) -> str:
    return f"{which.sum()} of {len(which)}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python benchmarks/fit_verdict.py FIGURES.csv")
    main(Path(sys.argv[1]))
