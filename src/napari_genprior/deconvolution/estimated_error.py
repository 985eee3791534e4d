"""Estimate how much a restored image errs, without knowing the truth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..operators.convolution import apply_transfer
from ..operators.finite_differences import Weights
from ..operators.noise import NoiseModel
from ..operators.observation import Observation
from ..operators.spatial import crop_at, spatial_shape
from .splitting import box_mean

ADDED_NOISE = 0.5  # times that of the data, in the half that is restored; the other half gets one over it, subtracted
PASSBAND = 1e-2  # power of the transfer function below which a difference of the halves tells little


@dataclass(frozen=True)
class Halves:
    """Data that were split into two of independent errors: one to restore, one to compare with.

    Attributes
    ----------
    training : Observation
        To restore.
    held_out : Tensor [R, C, (Z,) Y, X]
        To compare with; where ``measured``, the same light as in the data.
    measured : bool Tensor
    transfer : Tensor
        Transfer function of the kernel on the canvas.
    noise : NoiseModel
        Of ``training``.
    weights : sequence of float, optional
        Of differences along each axis.
    """

    training: Observation
    held_out: Tensor
    measured: Tensor
    transfer: Tensor
    noise: NoiseModel
    weights: Weights | None

    @cached_property
    def inverse(self) -> Tensor:
        """Transfer function of the inverse filter."""
        return self.transfer.conj() / (self.transfer.abs().square() + PASSBAND)

    @torch.no_grad()
    def error(self, x: Tensor) -> float:
        """Estimate the mean squared error of a restored canvas, plus a constant.

        Where light from beyond the data matters most, up to a quarter of each side, errors do not count.
        """
        residual = self.training.embed(self.held_out - self.training.blur(x, self.transfer)).mul_(self.measured)
        error = self.training.crop(apply_transfer(residual, self.inverse))
        inner = []
        for n, side in zip(spatial_shape(error), self.training.shape, strict=True):
            margin = min((side - n) // 2, n // 4)
            inner.append(slice(margin, n - margin))
        return float(crop_at(error, tuple(inner)).square().mean())


@torch.no_grad()
def split_noise(
    observation: Observation, transfer: Tensor, noise: NoiseModel, weights: Weights | None = None, seed: int = 0
) -> Halves:
    """Split data into two of independent errors.

    Notes
    -----
    Noise e as strong as that of the data y splits them into ``y + a e`` and ``y - e / a`` [1]_; of photons, thinning
    does the same [2]_. The first is restored; the second, deconvolved without any prior, is an unbiased measurement of
    the scene in the passband of the kernel. The mean squared difference of the two is the error of the restored image
    plus a constant. To compare blurred images instead would say nothing of noise that the kernel does not pass.

    References
    ----------
    .. [1] N. Oliveira, J. Lei, R. Tibshirani, "Unbiased risk estimation in the normal means problem via coupled
       bootstrap techniques", Electronic Journal of Statistics 18, 2024.
    .. [2] A. Neufeld et al., "Data thinning for convolution-closed distributions", Journal of Machine Learning
       Research 25, 2024.
    """
    data = observation.crop(observation.canvas)
    random = torch.Generator().manual_seed(seed)
    added = torch.randn(data.shape, generator=random).to(data) * noise.variance(box_mean(data)).sqrt()
    more = 1 + ADDED_NOISE**2
    return Halves(
        training=observation.with_data(data + ADDED_NOISE * added),
        held_out=data - added / ADDED_NOISE,
        measured=observation.measured,
        transfer=transfer,
        noise=NoiseModel(more * noise.gain, more * noise.read_variance),
        weights=weights,
    )
