"""Assess whether a result can be trusted, from the result alone.

Images are judged by a rule that was fitted where the truth is known: :mod:`.features` and :mod:`.kernel_features`
measure, :mod:`.classifier` weighs. Volumes are judged by a few limits (:mod:`.volumes`). ``genprior bench verdict``
prints how often each label is right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from ..core.result import Status, StatusCode, Verdict, VerdictLabel
from ..operators.observed import Observed, as_observed
from ..zoo.card import USUAL_RANGE_DB
from .classifier import classify
from .features import features_of, generator_features
from .volumes import judge_volume, likelihood_gain

# The restarts of a search agree far better than they are right: what the generator cannot show is missing. Both
# together, so many times, hold 95% of the pixels of good results within two standard deviations.
BAND = 2.5


@dataclass(frozen=True)
class RunContext:
    """What a run knows beside image and kernel.

    Parameters
    ----------
    candidates : sequence of Tensor [1, 1, kh, kw]
        Kernels that were compared, the best first.
    generated : Tensor [1, C, Y, X] or None
        The image in the range of a pretrained generator, working units; the result itself where that is one.
    range_error : float
        Representation error of the generator (:attr:`.Card.range_error`).
    spread : float or None
        Median over the pixels of the standard deviation among restarts, fraction of the range.
    costs : sequence of float
        Of the candidates, lower is better.
    misfit : float or None
        Of volumes: mean squared residual over the variance of the noise.
    """

    candidates: Sequence[Tensor] = ()
    costs: Sequence[float] = ()
    misfit: float | None = None
    generated: Tensor | None = None
    range_error: float = 10 ** (-USUAL_RANGE_DB / 20)
    spread: float | None = None


def judge(
    blurred: Tensor | Observed,
    image: Tensor,
    kernel: Tensor,
    status: Status,
    kernel_given: bool,
    context: RunContext | None = None,
    may_reject: bool = False,
) -> Verdict:
    """Judge a restored image or volume.

    Parameters
    ----------
    blurred : Tensor [1, C, (Z,) Y, X] or Observed
        Input, working units.
    image : Tensor [1, C, (Z,) Y, X]
        Estimate, working units.
    kernel : Tensor [1, 1, (kz,) kh, kw]
    kernel_given : bool
        The user vouches for the kernel: its shape is not questioned.
    context : RunContext, optional
    may_reject : bool
        The caller returns the input where the label is "no improvement"; without, the label is "doubtful" at worst.

    Returns
    -------
    Verdict
        Its features are those of :mod:`.features`; ``probability``: that the estimate is closer to the truth than the
        input; and with an image generator ``uncertainty``: standard deviation of a pixel's error, fraction of the
        range, if the result is a good one.
    """
    context = context or RunContext()
    blurred = as_observed(blurred)
    if not kernel_given:  # as in its deconvolution
        blurred = blurred.without_clipped()
    if image.ndim == 5:
        gain = likelihood_gain(context.candidates, context.costs)
        verdict = judge_volume(blurred.explained_by(image, kernel), image, kernel, context.misfit, gain)
        return _capped(verdict, may_reject)
    features = features_of(blurred, image, kernel, context.candidates, periodic=context.generated is not None)
    if context.generated is not None:
        features |= generator_features(
            blurred.values, image, kernel, context.generated, features["noise"], context.range_error
        )
        features["uncertainty"] = BAND * math.hypot(context.range_error, context.spread or 0.0)
    if context.spread is not None:
        features["spread"] = context.spread
    label, reason, probability = classify(features, kernel_given)
    if status.code is StatusCode.DIVERGED:
        label, reason = VerdictLabel.REJECTED, "The search diverged."
    features["probability"] = probability
    rounded = {name: round(value, 5) for name, value in features.items()}
    return _capped(Verdict(label is VerdictLabel.IMPROVED, reason, rounded, label), may_reject)


def _capped(verdict: Verdict, may_reject: bool) -> Verdict:
    """Lower "no improvement" to "doubtful" where the estimate is returned in any case."""
    if verdict.rejected and not may_reject:
        return replace(verdict, label=VerdictLabel.DOUBTFUL)
    return verdict
