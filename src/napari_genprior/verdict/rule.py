"""From figures to a word: a few plain limits, and one small logistic regression.

Its weights were fitted to the results of ``genprior bench verdict`` for one half of the pictures, and are measured on
the other: benchmarks/RESULTS.md. Each clue speaks for or against a result by its weight times the distance of its
figure from what is usual among good results; the one that speaks against it most is the reason given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..result import Word

TRUSTED = 0.7  # chance from which a result is called improved ...
REFUSED = 0.2  # ... and below which the input is kept
POINT_PEAK = 0.9  # a kernel with this share of its mass in one pixel undoes next to nothing
BORDER_MASS = 0.05  # more than this in the outermost ring: the support was too small
UNEXPLAINED = 3.0  # residual over noise; a fair fit stays near 1, whitened borders and textures near 2
RESIDUAL_FLOOR = 0.01  # fraction of the range; below it a misfit is invisible even where there is no noise
STRANGE = 2.0  # what a generator's picture leaves, over what it usually does

# Figures are weighed by their logarithm, of the figure and so much; or where they may be negative by asinh ...
FLOORS = {
    "noise_gain": 0.05,
    "disagreement": 0.003,
    "unexplained": 0.001,
    "overshoot": 0.01,
    "generator_residual": 0.01,
}
BEND = 5.0  # ... from about here on
ABSENT = {"disagreement": 0.15, "generator_residual": 1.0}  # where there are no rivals, or no generator


@dataclass(frozen=True)
class Clue:
    """How a figure counts.

    Attributes
    ----------
    weight : float
        For each unit of what :meth:`seen` gives.
    usual : float
        Its median among results better than their input by more than 1 dB.
    least, most : float
        2% and 98% of all results; beyond, a figure counts no more.
    """

    figure: str
    weight: float
    usual: float
    least: float
    most: float

    def seen(self, figures: Mapping[str, float]) -> float:
        """The figure as it is weighed."""
        value = figures.get(self.figure, ABSENT.get(self.figure, 0.0))
        if self.figure in FLOORS:
            value = math.log(max(value, 0.0) + FLOORS[self.figure])
        elif self.figure == "likelihood_gain":
            value = math.asinh(value / BEND)
        return min(max(value, self.least), self.most)


CLUES = (
    Clue("likelihood_gain", 0.792, 3.498, -4.345, 5.491),
    Clue("noise_gain", -0.928, -1.680, -2.891, 1.338),
    Clue("disagreement", -0.467, -1.877, -3.578, 1.840),
    Clue("unexplained", -1.072, -0.045, -0.654, 2.281),
    Clue("residual_correlation", -2.636, 0.068, 0.014, 0.821),
    Clue("overshoot", -0.595, -2.473, -4.605, 1.678),
    Clue("kernel_scattered_mass", -1.960, 0.014, 0.000, 0.702),
    Clue("generator_residual", -0.788, 0.010, -0.629, 0.892),
)
INTERCEPT = 2.044  # of a result all of whose figures are usual

PRAISE = (
    "The kernel ({kernel_width_px:.1f} px wide) explains the picture to {residual:.4f} of the range (noise "
    "{noise:.4f}); gradients are {sharpness_gain:.2f} times as strong."
)
REASONS = {
    "likelihood_gain": "The picture's spectrum hardly speaks for this blur against none ({likelihood_gain:.1f} nats "
    "for a thousand pixels): it may be sharp already, or blurred otherwise.",
    "noise_gain": "The result holds {noise_gain:.1f} times as much fine grain as the input: sharpened noise.",
    "disagreement": "The rival kernels lead to other pictures, {disagreement:.0%} of the contrast apart.",
    "unexplained": "The kernel does not explain the picture: residual {residual:.4f} of the range, noise {noise:.4f}.",
    "residual_correlation": "What the kernel leaves unexplained is no noise: neighbouring pixels are correlated "
    "({residual_correlation:.2f}).",
    "overshoot": "The result rings: it leaves what its surroundings hold by {overshoot:.1%} of the contrast.",
    "kernel_scattered_mass": "The kernel is in pieces ({kernel_scattered_mass:.0%} of its mass beside the largest).",
    "kernel_border_mass": "The kernel runs into its border ({kernel_border_mass:.0%} of its mass there): try a larger "
    "kernel size.",
    "generator_residual": "The picture is unlike those the generator knows: it leaves {generator_residual:.1f} times "
    "what it leaves of its own class.",
}


def weigh(figures: Mapping[str, float], kernel_given: bool) -> tuple[Word, str, float]:
    """Word, reason, and the chance that the result is nearer to the truth than the input.

    Parameters
    ----------
    figures : mapping
        See :mod:`.figures`.
    kernel_given : bool
        The user vouches for the kernel: its shape is not questioned.
    """
    if not kernel_given and figures["kernel_peak"] > POINT_PEAK:
        return Word.KEPT, "The kernel found is nearly a single point: the picture is sharp or its blur not found.", 0.0
    says = {clue.figure: clue.weight * (clue.seen(figures) - clue.usual) for clue in CLUES}
    chance = 1 / (1 + math.exp(-INTERCEPT - sum(says.values())))
    broken = _broken_limit(figures, kernel_given)
    if chance >= TRUSTED and not broken:
        return Word.IMPROVED, PRAISE.format(**figures), chance
    against = broken or min((name for name in says if name in figures), key=lambda name: says[name])
    reason = f"{REASONS[against].format(**figures)} Chance of an improvement: {chance:.0%}."
    return (Word.KEPT if chance < REFUSED else Word.DOUBTFUL), reason, chance


def _broken_limit(figures: Mapping[str, float], kernel_given: bool) -> str | None:
    """The figure that forbids to trust a result, whatever the others say."""
    if figures["residual"] > max(UNEXPLAINED * figures["noise"], RESIDUAL_FLOOR):
        return "unexplained"
    if not kernel_given and figures["kernel_border_mass"] > BORDER_MASS:
        return "kernel_border_mass"
    if figures.get("generator_residual", 0) > STRANGE:
        return "generator_residual"
    return None
