"""Can the result be trusted? Judged from the result alone, by a rule that was fitted where the truth is known.

:mod:`.figures` and :mod:`.kernel` measure, :mod:`.rule` weighs. ``genprior bench verdict`` prints how often each word
is right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ..core.result import Status, StatusCode, Verdict, Word
from ..zoo.card import Card
from .classifier import classify
from .features import figures_of, generator_figures

# The restarts of a search agree far better than they are right: what the generator cannot show is missing. Both
# together, so many times, hold 95% of the pixels of good results within two standard deviations.
BAND = 2.5
USUAL_RANGE_DB = 25.0  # a generator's own error where its card does not tell


@dataclass(frozen=True)
class RunContext:
    """What a run knows beside image and kernel.

    Parameters
    ----------
    candidates : sequence of Tensor [1, 1, kh, kw]
        Kernels that were to choose among, the best first.
    generated : Tensor [1, C, Y, X] or None
        The image in the range of a pretrained generator, working units; the result itself where that is one.
    range_error : float
        See :func:`range_error`.
    spread : float or None
        Median over the pixels of the standard deviation among restarts, fraction of the range.
    """

    candidates: Sequence[Tensor] = ()
    generated: Tensor | None = None
    range_error: float = 10 ** (-USUAL_RANGE_DB / 20)
    spread: float | None = None


def range_error(card: Card) -> float:
    """Root mean square of what an image prior leaves of images it was not trained on, by its card."""
    return float(10 ** (-card.metrics.get("psnr_range_db", USUAL_RANGE_DB) / 20))


def judge(
    blurred: Tensor,
    image: Tensor,
    kernel: Tensor,
    status: Status,
    kernel_given: bool,
    clues: RunContext | None = None,
    may_keep: bool = False,
) -> Verdict:
    """Judge a result.

    Parameters
    ----------
    blurred, image : Tensor [1, C, Y, X]
        Working units.
    kernel : Tensor [1, 1, kh, kw]
    kernel_given : bool
        The user vouches for the kernel: its shape is not questioned.
    clues : Clues, optional
    may_keep : bool
        The caller hands out the input where the verdict is :attr:`~.Word.KEPT`; without, it is "doubtful" at worst.

    Returns
    -------
    Verdict
        Its figures are those of :mod:`.figures`; ``chance``: that the result is nearer to the truth than the input, by
        the rule's reckoning; and with an image generator ``uncertainty``: standard deviation of a pixel's error,
        fraction of the range, if the result is a good one.
    """
    clues = clues or RunContext()
    figures = figures_of(blurred, image, kernel, clues.candidates, circular=clues.generated is not None)
    if clues.generated is not None:
        figures |= generator_figures(blurred, image, kernel, clues.generated, figures["noise"], clues.range_error)
        figures["uncertainty"] = BAND * math.hypot(clues.range_error, clues.spread or 0.0)
    if clues.spread is not None:
        figures["spread"] = clues.spread
    word, reason, chance = classify(figures, kernel_given)
    if status.code is StatusCode.DIVERGED:
        word, reason = Word.KEPT, "The search diverged."
    if word is Word.KEPT and not may_keep:
        word = Word.DOUBTFUL
    figures["chance"] = chance
    return Verdict(word is Word.IMPROVED, reason, {name: round(value, 5) for name, value in figures.items()}, word)
