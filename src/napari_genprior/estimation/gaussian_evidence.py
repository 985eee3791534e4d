"""Evidence of a kernel under a linear Gaussian image prior: exact, differentiable, one small Cholesky factor.

The image is ``x = mu + B z + e`` with z ~ N(0, 1) and e stationary Gaussian noise of spectrum S
(:class:`~napari_genprior.nets.linear_gaussian.LinearGenerator`), the data ``y = k * x + n`` (periodic boundary), n
white noise of variance s2. In the (unitary) Fourier domain e and n are independent at each frequency, so that

    D = S |k|^2 + s2,   r = y - k mu,   P = 1 + B' diag(|k|^2 / D) B,   b = B' (conj(k) r / D),
    -2 log p(y | k) = sum log D + log det P + r' D^-1 r - b' P^-1 b,
    E[z | y, k] = P^-1 b,   E[x | y, k] = mu + B z + F^-1 [S conj(k) / D (r - k B z)].

Principal components that are left out of B are added to S, as if they were stationary.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor

from ..core.arrays import half_spectrum_weights
from ..operators.convolution import transfer_function


class Gaussian(Protocol):
    """Protocol of a linear image prior: a :class:`~..nets.linear_gaussian.LinearGenerator` or R local generators.

    ``mean [C Y X]``, ``basis [latent, C Y X]`` (R of each for local generators) and
    ``residual_spectrum [C, Y, X // 2 + 1]``.
    """

    @property
    def latent(self) -> int: ...
    @property
    def mean(self) -> Tensor: ...
    @property
    def basis(self) -> Tensor: ...
    @property
    def residual_spectrum(self) -> Tensor: ...

    def linear(self, z: Tensor) -> Tensor:
        """Decode latents ``[R, latent]`` to images ``[R, C, Y, X]``."""


@dataclass(frozen=True)
class DataView:
    """The part of prior and data that an evidence is computed from.

    Attributes
    ----------
    latent : int
        Number of leading principal components that are kept.
    grey : bool
        Use the mean of the channels instead of each channel.
    """

    latent: int
    grey: bool = True


class LinearEvidence:
    """log p(y | k) of one blurred image and any number of kernels.

    Parameters
    ----------
    net : Gaussian
        Without a refiner's correction. R local generators belong to R kernels, one each.
    blurred : Tensor [1, C, Y, X]
        Of the generator's size, working units; periodic boundary.
    view : DataView
    """

    def __init__(self, net: Gaussian, blurred: Tensor, view: DataView) -> None:
        channels, height, width = blurred.shape[1:]
        self.size = (height, width)
        self.channels = 1 if view.grey else channels
        self.noise_part = 1 / channels if view.grey else 1.0  # averaging the channels averages their noise
        self.latent = min(view.latent, net.latent)
        self.weight = half_spectrum_weights(width, blurred.device).repeat(height)

        def spectrum(planes: Tensor) -> Tensor:
            """Transform ``[n, C, Y, X]`` to half spectra ``[n, C, F]``."""
            planes = planes.mean(1, keepdim=True) if view.grey else planes
            return torch.fft.rfft2(planes, norm="ortho").flatten(2)

        count = len(net.basis) if net.basis.ndim == 3 else 1
        basis = spectrum(net.basis.reshape(-1, channels, height, width)).unflatten(0, (count, -1))
        self.mean = spectrum(net.mean.reshape(-1, channels, height, width))
        self.data = spectrum(blurred)
        rest = net.residual_spectrum.flatten(1)
        if view.grey:  # the residuals of the channels are similar: their amplitudes add
            rest = rest.sqrt().mean(0, keepdim=True).square()
        self.power = rest + basis[:, self.latent :].abs().square().sum(1)  # [1 or R, C, F]
        kept = basis[:, : self.latent].flatten(2) * self.weight.repeat(self.channels).sqrt()
        # [1 or R, 2 C F, d], isometric to the basis in pixels
        self.basis = torch.cat([kept.real, kept.imag], 2).mT.contiguous()

    def __getitem__(self, rows: Tensor) -> Self:
        """Select rows (local generators)."""
        part = copy(self)
        part.mean, part.power, part.basis = self.mean[rows], self.power[rows], self.basis[rows]
        return part

    def __call__(self, kernels: Tensor, noise: float, scales: Tensor) -> Tensor:
        """Compute ``log p(y | k)`` up to a constant, ``[R]``, for kernels ``[R, 1, kh, kw]``.

        Parameters
        ----------
        noise : float
            Standard deviation in each channel.
        scales : Tensor [R, 2]
            Logarithms of the image's contrast relative to the prior's, of the generator's part and of the residual.
        """
        return self._solve(kernels, noise, scales)[0]

    def posterior(self, kernels: Tensor, noise: float) -> tuple[Tensor, Tensor]:
        """Compute ``log p(y | k)`` up to a constant, ``[R]``, and the posterior mean ``[R, latent]`` of the latents."""
        return self._solve(kernels, noise, kernels.new_zeros(1, 2))

    def joint(self, images: Tensor, kernels: Tensor, noise: float) -> Tensor:
        """Approximate ``log p(y | k) + |z|^2 / 2``, ``[R]``, by Laplace's method about the latents z of images.

        Parameters
        ----------
        images : Tensor [R, C, Y, X]
            The images that the latents decode to: their misfit replaces the minimal one of the linear images. For a
            linear generator, subtracting ``|z|^2 / 2`` at the latents that minimize the sum of misfit and
            ``|z|^2 / 2`` gives the evidence.
        """
        k = transfer_function(kernels, self.size).flatten(2)
        strength, variance = self._variance(k, noise)
        rest = self.data - k * torch.fft.rfft2(images, norm="ortho").flatten(2)
        return -(self._power(rest, variance) + self._volume(variance, self._factor(strength / variance))) / 2

    def _solve(self, kernels: Tensor, noise: float, scales: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the log evidence and the posterior mean of the latents."""
        contrast, detail = scales.exp()[:, :1, None], scales.exp()[:, 1:, None]
        k = transfer_function(kernels, self.size).flatten(2)  # [R, 1, F]
        strength, variance = self._variance(k, noise, detail)
        rest = self.data - k * self.mean  # r
        scaled = (contrast * k.conj() * rest / variance * self.weight.sqrt()).flatten(1)
        b = (torch.cat([scaled.real, scaled.imag], 1)[:, None] @ self.basis)[:, 0]
        factor = self._factor(contrast**2 * strength / variance)
        z = torch.cholesky_solve(b[..., None], factor)[..., 0]
        misfit = self._power(rest, variance) - (b * z).sum(1)
        return -(misfit + self._volume(variance, factor)) / 2, z

    def _variance(self, k: Tensor, noise: float, detail: Tensor | float = 1.0) -> tuple[Tensor, Tensor]:
        """Compute ``|k|^2`` and D."""
        strength = k.real.square() + k.imag.square()
        return strength, detail**2 * self.power * strength + noise**2 * self.noise_part

    def _factor(self, gain: Tensor) -> Tensor:
        """Compute the Cholesky factor of P from ``|k|^2 / D``."""
        precision = (self.basis.mT * gain.flatten(1).repeat(1, 2)[:, None]) @ self.basis
        return torch.linalg.cholesky_ex(precision + torch.eye(self.latent, device=precision.device)).L

    def _power(self, rest: Tensor, variance: Tensor) -> Tensor:
        """Compute ``r' D^-1 r``."""
        return (self.weight * (rest.real.square() + rest.imag.square()) / variance).flatten(1).sum(1)

    def _volume(self, variance: Tensor, factor: Tensor) -> Tensor:
        """Compute ``log det`` of the covariance of the data."""
        return (self.weight * variance.log()).flatten(1).sum(1) + 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(1)
