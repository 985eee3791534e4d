"""From figures to a word: a few plain limits, and one small logistic regression.

Its weights were fitted to the results of ``genprior bench verdict`` for one half of the images, and are measured on
the other: benchmarks/RESULTS.md. Each clue speaks for or against a result by its weight times the distance of its
figure from what is usual among good results; the one that speaks against it most is the reason given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..core.result import Word

TRUSTED = 0.84  # chance from which a result is called improved, ...
TRUSTED_GIVEN = 0.66  # ... where the user vouches for the kernel, ...
REFUSED = 0.14  # ... and below which the input is kept
POINT_PEAK = 0.9  # a kernel with this share of its mass in one pixel undoes next to nothing
BORDER_MASS = 0.05  # more than this in the outermost ring: the support was too small
UNEXPLAINED = 3.0  # residual over noise; a fair fit stays near 1, whitened borders and textures near 2
RESIDUAL_FLOOR = 0.01  # fraction of the range; below it a misfit is invisible even where there is no noise
STRANGE = 2.0  # what a generator's image leaves, over what it usually does

# Figures are weighed by their logarithm, of the figure and so much; or where they may be negative by asinh ...
FLOORS = {
    "noise_gain": 0.05,
    "disagreement": 0.003,
    "overshoot": 0.01,
    "ghosts": 0.005,
}
BENT = ("likelihood_gain", "shape_gain")
BEND = 5.0  # ... from about here on
ABSENT = {"disagreement": 0.15}  # where there are no candidates


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
        elif self.figure in BENT:
            value = math.asinh(value / BEND)
        return min(max(value, self.least), self.most)


CLUES = (
    Clue("likelihood_gain", 0.384, 3.462, -4.645, 5.452),
    Clue("shape_gain", 0.143, 1.921, -4.760, 4.984),
    Clue("ghosts", -0.935, -4.481, -4.879, -3.299),
    Clue("noise_gain", -0.335, -1.543, -2.891, 1.285),
    Clue("disagreement", -0.658, -1.877, -3.308, 1.515),
    Clue("residual_correlation", -2.833, 0.073, 0.014, 0.773),
    Clue("overshoot", -0.300, -2.192, -4.603, 1.688),
    Clue("kernel_scattered_mass", -3.071, 0.010, 0.000, 0.727),
)
INTERCEPT = 1.672  # of a result all of whose figures are usual

PRAISE = (
    "The kernel ({kernel_width_px:.1f} px wide) explains the image to {residual:.4f} of the range (noise "
    "{noise:.4f}); gradients are {sharpness_gain:.2f} times as strong."
)
REASONS = {
    "likelihood_gain": "The image's spectrum hardly speaks for this blur against none ({likelihood_gain:.1f} nats "
    "for a thousand pixels): it may be sharp already, or blurred otherwise.",
    "shape_gain": "A plain round blur explains the image's spectrum about as well as this kernel, or better "
    "({shape_gain:.1f} nats for a thousand pixels).",
    "ghosts": "What the kernel leaves unexplained holds ghosts of the result's edges (correlated by {ghosts:.3f}).",
    "noise_gain": "The result holds {noise_gain:.1f} times as much fine grain as the input: sharpened noise.",
    "disagreement": "The candidate kernels lead to other images, {disagreement:.0%} of the contrast apart.",
    "unexplained": "The kernel does not explain the image: residual {residual:.4f} of the range, noise {noise:.4f}.",
    "residual_correlation": "What the kernel leaves unexplained is no noise: neighbouring pixels are correlated "
    "({residual_correlation:.2f}).",
    "overshoot": "The result rings: it leaves what its surroundings hold by {overshoot:.1%} of the contrast.",
    "kernel_scattered_mass": "The kernel is in pieces ({kernel_scattered_mass:.0%} of its mass beside the largest).",
    "kernel_border_mass": "The kernel runs into its border ({kernel_border_mass:.0%} of its mass there): try a larger "
    "kernel size.",
    "generator_residual": "The image is unlike those the generator knows: it leaves {generator_residual:.1f} times "
    "what it leaves of its own class.",
}


def counted(figures: Mapping[str, float], kernel_given: bool) -> dict[str, float]:
    """The figures that count: the shape of a kernel that the user vouches for is not questioned."""
    return {name: value for name, value in figures.items() if not (kernel_given and name.startswith("kernel_"))}


def classify(figures: Mapping[str, float], kernel_given: bool) -> tuple[Word, str, float]:
    """Word, reason, and the chance that the result is nearer to the truth than the input.

    Parameters
    ----------
    figures : mapping
        See :mod:`.figures`.
    kernel_given : bool
        The user vouches for the kernel: its shape is not questioned.
    """
    if not kernel_given and figures["kernel_peak"] > POINT_PEAK:
        return Word.KEPT, "The kernel found is nearly a single point: the image is sharp or its blur not found.", 0.0
    asked = counted(figures, kernel_given)
    says = {clue.figure: clue.weight * (clue.seen(asked) - clue.usual) for clue in CLUES}
    chance = 1 / (1 + math.exp(-INTERCEPT - sum(says.values())))
    broken = _broken_limit(figures, kernel_given)
    if chance >= (TRUSTED_GIVEN if kernel_given else TRUSTED) and not broken:
        return Word.IMPROVED, PRAISE.format(**figures), chance
    against = broken or min((name for name in says if name in asked), key=lambda name: says[name])
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
