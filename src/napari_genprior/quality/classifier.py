"""Classify results by their features: a few fixed limits, and one small logistic regression.

Its weights were fitted to the results of ``genprior bench verdict`` for one half of the images, and are evaluated on
the other: docs/evaluation/verdict.md. Each feature contributes its weight times the difference of its value from the
typical value of good results; the feature with the most negative contribution is the reason given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..core.result import VerdictLabel
from .structure import MIN_STRUCTURE, NOISE_ONLY

ACCEPT_PROBABILITY = 0.84  # from here on a result is called improved, ...
ACCEPT_PROBABILITY_KERNEL_GIVEN = 0.66  # ... or from here on if the user gave the kernel, ...
REJECT_PROBABILITY = 0.14  # ... and below this it is rejected: the input is returned
MAX_PEAK_MASS = 0.9  # a kernel with a larger share of its mass in one pixel removes next to no blur
MAX_BORDER_MASS = 0.05  # with a larger share of the mass in the outermost ring the support was too small
MAX_RESIDUAL_NOISE_RATIO = 3.0  # a good fit is near 1; whitened borders and textures near 2
VISIBLE_RESIDUAL = 0.01  # fraction of the range; a smaller residual is invisible even without noise
OUT_OF_CLASS = 2.0  # residual of the generator's image over the usual one, from which the image is of another class

# Features are used by the logarithm of their value plus an offset, or those of either sign by asinh ...
LOG_OFFSETS = {
    "noise_gain": 0.05,
    "disagreement": 0.003,
    "overshoot": 0.01,
    "ghosts": 0.005,
}
SIGNED = ("likelihood_gain", "shape_gain")
ASINH_SCALE = 5.0  # ... of the value over this
DEFAULTS = {"disagreement": 0.15}  # value where there are no other candidates


@dataclass(frozen=True)
class Feature:
    """A feature of the logistic regression.

    Attributes
    ----------
    name : str
        See :func:`.features.features_of`.
    weight : float
        Weight of a unit of :meth:`transformed`.
    typical : float
        Median among results that are better than their input by more than 1 dB.
    low, high : float
        2nd and 98th percentile of all results, to which values are clipped.
    """

    name: str
    weight: float
    typical: float
    low: float
    high: float

    def transformed(self, features: Mapping[str, float]) -> float:
        """Return the transformed and clipped value of this feature."""
        value = features.get(self.name, DEFAULTS.get(self.name, 0.0))
        if self.name in LOG_OFFSETS:
            value = math.log(max(value, 0.0) + LOG_OFFSETS[self.name])
        elif self.name in SIGNED:
            value = math.asinh(value / ASINH_SCALE)
        return min(max(value, self.low), self.high)


FEATURES = (
    Feature("likelihood_gain", 0.384, 3.462, -4.645, 5.452),
    Feature("shape_gain", 0.143, 1.921, -4.760, 4.984),
    Feature("ghosts", -0.935, -4.481, -4.879, -3.299),
    Feature("noise_gain", -0.335, -1.543, -2.891, 1.285),
    Feature("disagreement", -0.658, -1.877, -3.308, 1.515),
    Feature("residual_correlation", -2.833, 0.073, 0.014, 0.773),
    Feature("overshoot", -0.300, -2.192, -4.603, 1.688),
    Feature("kernel_scattered_mass", -3.071, 0.010, 0.000, 0.727),
)
INTERCEPT = 1.672  # log odds of a result with typical features

MESSAGES = {
    "improved": "The kernel ({kernel_width_px:.1f} px wide) explains the image up to a residual of {residual:.4f} of "
    "the range (noise {noise:.4f}); gradients are {sharpness_gain:.2f} times as strong.",
    "point": "The estimated kernel is nearly a single point: the image is sharp, or its blur could not be estimated.",
    "sharpness_gain": "The result is no sharper than the input: gradients are {sharpness_gain:.2f} times as strong.",
    "likelihood_gain": "The power spectrum gives little evidence of this blur ({likelihood_gain:.1f} nats per thousand "
    "pixels compared with no blur): the image may already be sharp, or blurred in another way.",
    "shape_gain": "A round Gaussian blur explains the power spectrum about as well as this kernel, or better "
    "({shape_gain:.1f} nats per thousand pixels).",
    "ghosts": "The residual contains ghosts of the result's edges (correlation {ghosts:.3f}), so the kernel does not "
    "fit.",
    "noise_gain": "The result has {noise_gain:.1f} times as much high-frequency noise as the input: it is sharpened "
    "noise.",
    "disagreement": "The candidate kernels lead to different images: the difference is {disagreement:.0%} of the "
    "contrast.",
    "unexplained": "The kernel does not explain the image: residual {residual:.4f} of the range, noise {noise:.4f}.",
    "residual_correlation": "The residual is spatially correlated ({residual_correlation:.2f}), so the kernel does not "
    "fit.",
    "overshoot": "The result rings: it exceeds the local range of the input by {overshoot:.1%} of the contrast.",
    "kernel_scattered_mass": "The kernel is fragmented: {kernel_scattered_mass:.0%} of its mass is outside its largest "
    "component.",
    "kernel_border_mass": "The kernel reaches the border of its support ({kernel_border_mass:.0%} of its mass is "
    "there): use a larger kernel size.",
    "generator_residual": "The image is not of the generator's class: the residual of the generator's image is "
    "{generator_residual:.1f} times the usual one.",
}


def _reasons(contributions: Mapping[str, float], used: Mapping[str, float]) -> list[str]:
    """List the features that can be named as a reason: less noise than in the input is none."""
    named = [name for name in contributions if name in used]
    return [name for name in named if name != "noise_gain" or used[name] > 1] or named


def applicable(features: Mapping[str, float], kernel_given: bool) -> dict[str, float]:
    """Select the features that apply: those of the kernel's shape are ignored if the user gave the kernel."""
    return {name: value for name, value in features.items() if not (kernel_given and name.startswith("kernel_"))}


def classify(features: Mapping[str, float], kernel_given: bool) -> tuple[VerdictLabel, str, float]:
    """Classify a result by its features.

    Parameters
    ----------
    features : mapping of str to float
        See :func:`.features.features_of`.
    kernel_given : bool
        The user gave the kernel: its shape is not assessed.

    Returns
    -------
    VerdictLabel, str, float
        The label, a sentence with the reason, and the probability that the result is closer to the truth than the
        input.
    """
    if features["structure"] < MIN_STRUCTURE:
        return VerdictLabel.REJECTED, NOISE_ONLY, 0.0
    if not kernel_given and features["kernel_peak"] > MAX_PEAK_MASS:
        return VerdictLabel.REJECTED, MESSAGES["point"], 0.0
    used = applicable(features, kernel_given)
    contributions = {each.name: each.weight * (each.transformed(used) - each.typical) for each in FEATURES}
    probability = 1 / (1 + math.exp(-INTERCEPT - sum(contributions.values())))
    exceeded = _exceeded_limit(features, kernel_given)
    if probability >= (ACCEPT_PROBABILITY_KERNEL_GIVEN if kernel_given else ACCEPT_PROBABILITY) and not exceeded:
        return VerdictLabel.IMPROVED, MESSAGES["improved"].format(**features), probability
    worst = exceeded or min(_reasons(contributions, used), key=lambda name: contributions[name])
    reason = MESSAGES[worst].format(**features)
    if not exceeded:  # beyond a limit, the regression says nothing
        reason += f" Chance of an improvement: {probability:.0%}."
    return (VerdictLabel.REJECTED if probability < REJECT_PROBABILITY else VerdictLabel.DOUBTFUL), reason, probability


def _exceeded_limit(features: Mapping[str, float], kernel_given: bool) -> str | None:
    """Return the feature whose limit is exceeded: such a result is never called improved."""
    if features["residual"] > max(MAX_RESIDUAL_NOISE_RATIO * features["noise"], VISIBLE_RESIDUAL):
        return "unexplained"
    if features["sharpness_gain"] < 1:
        return "sharpness_gain"
    if not kernel_given and features["kernel_border_mass"] > MAX_BORDER_MASS:
        return "kernel_border_mass"
    if features.get("generator_residual", 0) > OUT_OF_CLASS:
        return "generator_residual"
    return None
