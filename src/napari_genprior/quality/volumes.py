"""Can a restored volume be trusted? A few plain limits; those of images (:mod:`.rule`) were fitted to images."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..core.result import Verdict, Word
from ..deconvolution.volumes import volume_noise
from ..operators.volumes import differences

UNEXPLAINED, INVISIBLE = 3.0, 0.01  # residual over noise, and part of the range below which none is seen
POINT_PEAK, SMALL_PEAK = 0.5, 0.2  # share of light in one voxel: little to undo; and as sharp volumes were mistaken
LEAST_GAIN = 5.0  # nats for a thousand voxels


def likelihood_gain(candidates: Sequence[tuple[Tensor, float]]) -> float | None:
    """By how much the best candidate foretells voxels better than no blur, nats for a thousand; None without candidates.

    A candidate's figure is twice a negative log-likelihood for a voxel (:func:`.estimation.cross_validation.foretold`).
    """
    points = [against for kernel, against in candidates if float(kernel.max()) == 1]
    return 500 * (max(points) - candidates[0][1]) if points else None


def judge_volume(blurred: Tensor, volume: Tensor, kernel: Tensor, misfit: float, foretold: float | None) -> Verdict:
    """Judge a restored volume ``[1, 1, Z, Y, X]`` (working units) as :func:`.judge` does an image.

    Parameters
    ----------
    misfit : float
        Mean squared residual over the noise's variance.
    foretold : float or None
        See :func:`likelihood_gain`; None: the kernel was given.

    Notes
    -----
    A kernel that is cut off is no fault here: widefield blur goes on for ever up and down. For a kernel that was given
    the input is never kept in place of the result.
    """
    noise = volume_noise(blurred)
    typical = noise.typical(blurred)
    residual = (misfit * typical) ** 0.5
    before, after = (float(differences(x, (1.0, 1.0, 1.0)).square().sum(0).mean()) for x in (blurred, volume))
    gain = (after / max(before - 6 * typical, 1e-12)) ** 0.5  # white noise adds 2 v to each of three
    figures = {
        "residual": residual, "noise": typical**0.5, "gain": noise.gain, "kernel_peak": float(kernel.max()),
        "sharpness_gain": gain,
    }  # fmt: skip
    if foretold is not None:
        figures["likelihood_gain"] = foretold
    fault = Word.DOUBTFUL if foretold is None else Word.KEPT
    word, reason = (
        Word.IMPROVED,
        f"The kernel explains the volume to {residual:.4f} of the range (noise {typical**0.5:.4f}); "
        f"gradients are {gain:.2f} times as strong.",
    )
    if residual > max(UNEXPLAINED * typical**0.5, INVISIBLE):
        word = fault
        reason = (
            f"The kernel does not explain the volume: residual {residual:.4f} of the range, noise {typical**0.5:.4f}."
        )
    elif foretold is not None and figures["kernel_peak"] > POINT_PEAK:
        word = fault
        reason = (
            "No simulated microscope foretells voxels left out better than no blur: it is sharp, or blurred otherwise."
        )
    elif gain <= 1:
        word, reason = fault, "The result is no sharper than the input."
    elif foretold is not None and foretold < LEAST_GAIN:
        word = Word.DOUBTFUL
        reason = f"The volume hardly speaks for this blur against none ({foretold:.1f} nats for a thousand voxels)."
    elif foretold is not None and figures["kernel_peak"] > SMALL_PEAK:
        word = Word.DOUBTFUL
        reason = f"The blur found is hardly wider than a voxel ({figures['kernel_peak']:.0%} of its light in one)."
    return Verdict(word is Word.IMPROVED, reason, {name: round(value, 5) for name, value in figures.items()}, word)
