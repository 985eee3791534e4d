"""Fit the classifier of the verdict to results whose true image is known.

    genprior bench verdict --data FOLDER --cache OUT           # writes OUT/features.csv
    python benchmarks/fit_verdict.py OUT/features.csv

prints FEATURES, INTERCEPT and the three probabilities for src/napari_genprior/quality/classifier.py, and the rates that
they lead to. Only rows with fitted = 1 are used, one half of the images. A ridge-penalized logistic regression
separates results that gained more than 0.2 dB from the others; those near that limit have a lower weight. The
probabilities are selected by cross-validation over the images.
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
from napari_genprior.quality.classifier import FEATURES, applicable

MIN_GAIN_DB = 0.2  # from which a result counts as improved
WEIGHT_LIMITS = (0.1, 1.0)  # the weight of a result is its distance from MIN_GAIN_DB in dB, within these limits
RIDGE = 2.0  # penalty of the weights of standardized features
PERCENTILES = (2, 98)  # limits threshold which features are clipped
N_FOLDS = 10
CAUGHT, REJECTED = 0.97, 0.05  # fractions of worse and of better results: stricter than the targets, 95% and 10%
THRESHOLDS = np.arange(0.01, 1, 0.01)


def read(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Read transformed features ``[N, F]``, gains in dB, image names, and whether the kernel was given, ``[N]``."""
    unclipped = [replace(feature, low=-math.inf, high=math.inf) for feature in FEATURES]
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["fitted"] == "1"]
    descriptions = {"case", "group", "image", "method", "fitted", "before", "after", "label"}
    given = np.array([row["method"] == "known-kernel" for row in rows])
    transformed = []
    for row, kernel_given in zip(rows, given, strict=True):
        values = {name: float(value) for name, value in row.items() if name not in descriptions and value}
        transformed.append([feature.transformed(applicable(values, kernel_given)) for feature in unclipped])
    gains = np.array([float(row["after"]) - float(row["before"]) for row in rows])
    return np.array(transformed), gains, np.array([row["image"] for row in rows]), given


def fit(features: np.ndarray, gains: np.ndarray) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
    """Fit the logistic regression; return weights, intercept, and the limits of each feature."""
    low, high = np.percentile(features, PERCENTILES, 0)
    clipped = np.clip(features, low, high)
    centre, scale = clipped.mean(0), clipped.std(0)
    standardized, gained = (clipped - centre) / scale, gains > MIN_GAIN_DB
    case_weights = np.clip(np.abs(gains - MIN_GAIN_DB), *WEIGHT_LIMITS)

    def loss(free: np.ndarray) -> float:
        logits = free[0] + standardized @ free[1:]
        errors = case_weights * np.logaddexp(0, np.where(gained, -logits, logits))
        return float(errors.sum() + RIDGE / 2 * (free[1:] ** 2).sum())

    solution = minimize(loss, np.zeros(1 + standardized.shape[1]), method="BFGS").x
    weights = solution[1:] / scale
    return weights, float(solution[0] - weights @ centre), low, high


def probabilities(
    features: np.ndarray, weights: np.ndarray, intercept: float, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Return the probability of an improvement of each result, ``[N]``."""
    return 1 / (1 + np.exp(-intercept - np.clip(features, low, high) @ weights))


def cross_validated(features: np.ndarray, gains: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Return the probability of each result by weights that were fitted without its image, ``[N]``."""
    names, values = np.unique(images), np.empty(len(gains))
    fold_of = dict(zip(names, np.random.default_rng(0).permutation(len(names)) % N_FOLDS, strict=True))
    folds = np.array([fold_of[name] for name in images])
    for fold in range(N_FOLDS):
        held_out = folds == fold
        values[held_out] = probabilities(features[held_out], *fit(features[~held_out], gains[~held_out]))
    return values


def main(path: Path) -> None:
    """Fit the classifier to the CSV file of the benchmark, and print its constants."""
    features, gains, images, given = read(path)
    weights, intercept, low, high = fit(features, gains)
    typical = np.median(np.clip(features, low, high)[gains > BETTER], 0)
    probability, worse, better = cross_validated(features, gains, images), gains < WORSE, gains > BETTER
    print(f"# {len(gains)} results, {worse.sum()} worse, {better.sum()} better; rates by cross-validation over images:")
    for name, part in (("ACCEPT_PROBABILITY", ~given), ("ACCEPT_PROBABILITY_KERNEL_GIVEN", given)):
        threshold = next(t for t in THRESHOLDS if (probability[part & worse] < t).mean() >= CAUGHT)
        caught, doubted = (share(probability[part & cases] < threshold) for cases in (worse, better))
        print(f"{name} = {threshold:.2f}  # catches {caught}, does not call improved {doubted}")
    threshold = max(t for t in THRESHOLDS if (probability[~given & better] < t).mean() <= REJECTED)
    rejected = share(probability[~given & better] < threshold)
    print(f"REJECT_PROBABILITY = {threshold:.2f}  # rejects {rejected}\nFEATURES = (")
    for feature, *values in zip(FEATURES, weights, typical, low, high, strict=True):
        print(f'    Feature("{feature.name}", {", ".join(f"{value:.3f}" for value in values)}),')
    print(f")\nINTERCEPT = {intercept + typical @ weights:.3f}")


def share(selected: np.ndarray) -> str:
    """Format how many of a boolean array are true."""
    return f"{selected.sum()} of {len(selected)}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python benchmarks/fit_verdict.py FEATURES.csv")
    main(Path(sys.argv[1]))
