"""The evidence of a kernel under a linear Gaussian picture prior: exact, differentiable, one small Cholesky factor.

The picture is ``x = mu + B z + e`` with z ~ N(0, 1) and e stationary Gaussian noise of spectrum S
(:class:`~napari_genprior.nets.linear.LinearGenerator`), the data ``y = k * x + n`` (circular), n white of variance
s2. In the (unitary) Fourier domain e and n are independent at each frequency, so that

    D = S |k|^2 + s2,   r = y - k mu,   P = 1 + B' diag(|k|^2 / D) B,   b = B' (conj(k) r / D),
    -2 log p(y | k) = sum log D + log det P + r' D^-1 r - b' P^-1 b,
    E[z | y, k] = P^-1 b,   E[x | y, k] = mu + B z + F^-1 [S conj(k) / D (r - k B z)].

Principal components left out of B go into S, as if they were stationary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._tensors import half_spectrum_weights
from ..forward.convolve import transfer_function
from ..nets.linear import LinearGenerator


@dataclass(frozen=True)
class View:
    """What of the data a search looks at.

    Attributes
    ----------
    latent : int
        Leading principal components that are kept.
    grey : bool
        The mean of the channels instead of each.
    """

    latent: int
    grey: bool = True


class LinearEvidence:
    """log p(y | k) of one blurred picture and any number of kernels.

    Parameters
    ----------
    net : LinearGenerator
        Of pictures, without a refiner's correction.
    blurred : Tensor [1, C, Y, X]
        Of the generator's size.
    view : View
    """

    def __init__(self, net: LinearGenerator, blurred: Tensor, view: View) -> None:
        channels, height, width = blurred.shape[1:]
        self.size = (height, width)
        self.channels = 1 if view.grey else channels
        self.noise_part = 1 / channels if view.grey else 1.0  # averaging the channels averages their noise
        self.latent = min(view.latent, net.latent)
        self.weight = half_spectrum_weights(width, blurred.device).repeat(height)

        def spectrum(planes: Tensor) -> Tensor:
            """``[n, C, Y, X]`` to the half spectrum ``[n, C, F]``."""
            planes = planes.mean(1, keepdim=True) if view.grey else planes
            return torch.fft.rfft2(planes, norm="ortho").flatten(2)

        basis = spectrum(net.basis.view(-1, channels, height, width))
        self.mean = spectrum(net.mean.view(1, channels, height, width))
        self.data = spectrum(blurred)
        rest = net.residual_spectrum.flatten(1)
        if view.grey:  # residuals of colours are alike: their amplitudes add
            rest = rest.sqrt().mean(0, keepdim=True).square()
        self.power = rest + basis[self.latent :].abs().square().sum(0)
        kept = basis[: self.latent].flatten(1) * self.weight.repeat(self.channels).sqrt()
        self.basis = torch.cat([kept.real, kept.imag], 1).T.contiguous()  # [2 C F, d], isometric to the pixels' one

    def __call__(self, kernels: Tensor, noise: float, scales: Tensor) -> Tensor:
        """``log p(y | k)`` up to a constant, ``[R]``, for kernels ``[R, 1, kh, kw]``.

        Parameters
        ----------
        noise : float
            Standard deviation, of each channel.
        scales : Tensor [R, 2]
            Logarithms of the picture's contrast relative to the prior's: of the generator's part, and of the rest.
        """
        return self._solve(kernels, noise, scales)[0]

    def posterior(self, kernels: Tensor, noise: float) -> Tensor:
        """Mean of the latents given y and k, ``[R, latent]``."""
        return self._solve(kernels, noise, kernels.new_zeros(1, 2))[1]

    def _solve(self, kernels: Tensor, noise: float, scales: Tensor) -> tuple[Tensor, Tensor]:
        contrast, detail = scales.exp()[:, :1, None], scales.exp()[:, 1:, None]
        k = transfer_function(kernels, self.size).flatten(2)  # [R, 1, F]
        strength = k.real.square() + k.imag.square()
        variance = detail**2 * self.power * strength + noise**2 * self.noise_part  # D
        rest = self.data - k * self.mean  # r
        gain = (contrast**2 * strength / variance).flatten(1).repeat(1, 2)
        precision = (self.basis.T * gain[:, None]) @ self.basis
        precision = precision + torch.eye(self.latent, device=precision.device)
        scaled = (contrast * k.conj() * rest / variance * self.weight.sqrt()).flatten(1)
        b = torch.cat([scaled.real, scaled.imag], 1) @ self.basis
        factor = torch.linalg.cholesky_ex(precision).L
        z = torch.cholesky_solve(b[..., None], factor)[..., 0]
        misfit = (self.weight * (rest.real.square() + rest.imag.square()) / variance).flatten(1).sum(1) - (b * z).sum(1)
        volume = (self.weight * variance.log()).flatten(1).sum(1)
        volume = volume + 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(1)
        return -(misfit + volume) / 2, z
