"""Judge restored volumes by a few limits; the classifier of images was fitted to images."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..core.result import Verdict, VerdictLabel
from ..operators.convolution import convolve, crop_kernel
from ..operators.finite_differences import differences
from ..operators.photon_noise import estimate_noise_model
from .structure import MIN_STRUCTURE, NOISE_ONLY, structure

UNEXPLAINED, INVISIBLE = 3.0, 0.01  # residual over noise, and part of the range below which none is seen
POINT_PEAK, SMALL_PEAK = 0.5, 0.2  # share of light in one voxel: little to undo; and as sharp volumes were mistaken
LEAST_GAIN = 5.0  # nats for a thousand voxels


def likelihood_gain(candidates: Sequence[Tensor], costs: Sequence[float]) -> float | None:
    """Return how much better the best candidate predicts held-out voxels than no blur, nats for a thousand voxels.

    None without candidates. A cost is twice a negative log-likelihood for a voxel
    (:func:`.estimation.cross_validation.held_out_error`); the candidates come in its order, "no blur" among them.
    """
    points = [cost for kernel, cost in zip(candidates, costs, strict=True) if float(kernel.max()) == 1]
    return 500 * (max(points) - costs[0]) if points else None


def judge_volume(
    blurred: Tensor, volume: Tensor, kernel: Tensor, misfit: float | None, gain_in_likelihood: float | None
) -> Verdict:
    """Judge a restored volume ``[1, 1, Z, Y, X]`` in working units.

    Parameters
    ----------
    misfit : float or None
        Mean squared residual over the variance of the noise, from the deconvolution; None: measured here.
    gain_in_likelihood : float or None
        See :func:`likelihood_gain`; None: the kernel was given.

    Notes
    -----
    A truncated kernel is no fault here: widefield blur extends without end along z. For a given kernel the input is
    never returned in place of the estimate.
    """
    noise = estimate_noise_model(blurred)
    typical = noise.mean_variance(blurred)
    residual = _residual(blurred, volume, kernel) if misfit is None else (misfit * typical) ** 0.5
    before, after = (float(differences(x, (1.0, 1.0, 1.0)).square().sum(0).mean()) for x in (blurred, volume))
    gain = (after / max(before - 6 * typical, 1e-12)) ** 0.5  # white noise adds 2 v to each of three
    features = {
        "residual": residual, "noise": typical**0.5, "gain": noise.gain, "kernel_peak": float(kernel.max()),
        "sharpness_gain": gain, "structure": structure(blurred),
    }  # fmt: skip
    if gain_in_likelihood is not None:
        features["likelihood_gain"] = gain_in_likelihood
    failed = VerdictLabel.DOUBTFUL if gain_in_likelihood is None else VerdictLabel.REJECTED
    label, reason = (
        VerdictLabel.IMPROVED,
        f"The kernel explains the volume to {residual:.4f} of the range (noise {typical**0.5:.4f}); "
        f"gradients are {gain:.2f} times as strong.",
    )
    if features["structure"] < MIN_STRUCTURE:
        label, reason = failed, NOISE_ONLY
    elif residual > max(UNEXPLAINED * typical**0.5, INVISIBLE):
        label = failed
        reason = (
            f"The kernel does not explain the volume: residual {residual:.4f} of the range, noise {typical**0.5:.4f}."
        )
    elif gain_in_likelihood is not None and features["kernel_peak"] > POINT_PEAK:
        label = failed
        reason = (
            "No simulated microscope predicts held-out voxels better than no blur: "
            "the volume is sharp, or blurred otherwise."
        )
    elif gain <= 1:
        label, reason = failed, "The result is no sharper than the input."
    elif gain_in_likelihood is not None and gain_in_likelihood < LEAST_GAIN:
        label = VerdictLabel.DOUBTFUL
        reason = f"The volume gives little evidence of this blur ({gain_in_likelihood:.1f} nats for a thousand voxels)."
    elif gain_in_likelihood is not None and features["kernel_peak"] > SMALL_PEAK:
        label = VerdictLabel.DOUBTFUL
        reason = (
            f"The estimated kernel is hardly wider than a voxel ({features['kernel_peak']:.0%} of its light in one)."
        )
    return Verdict(
        label is VerdictLabel.IMPROVED, reason, {name: round(value, 5) for name, value in features.items()}, label
    )


def _residual(blurred: Tensor, volume: Tensor, kernel: Tensor) -> float:
    """Compute the root mean square residual where the unknown surroundings of the volume matter least.

    That is its middle half along each axis: microscope PSFs are often longer than a stack, so no voxel is free of what
    lies beyond it.
    """
    model = convolve(volume, crop_kernel(kernel, volume.shape[2:]))
    z, y, x = (slice(n // 4, n - n // 4) for n in volume.shape[2:])
    return float((model - blurred)[..., z, y, x].square().mean().sqrt())
