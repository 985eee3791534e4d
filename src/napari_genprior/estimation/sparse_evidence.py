"""Evidence of a kernel under a linear Gaussian image prior with sparse edges, by variational bounds.

The image prior is the product of a linear generator's Gaussian N(m, C) and, for every difference g_i of
neighbouring pixels, a heavy-tailed factor (1 + g_i^2 / e^2)^(-nu/2). For weights w each factor is bounded from below
by a Gaussian, so that log p(y | k) is bounded by

    F(k, w, a) = -(|y - k x|^2 / s2 + a (x - m)' C^-1 (x - m) + sum w g^2 + log det A - N log a + h(w)) / 2,
    A = K'K / s2 + a C^-1 + D'WD,   x = A^-1 (K'y / s2 + a C^-1 m),   h(w) = w e^2 - nu log(w e^2 / nu) - nu,

maximal at w = nu / (e^2 + E g^2), a = N / E[(x - m)' C^-1 (x - m)] (a: the image's contrast). Unlike the mode, which
prefers no blur, the bound accounts for how well each kernel determines the image (log det A), and unlike a Gaussian it
distinguishes edges from ringing. The matrices are dense, N the number of pixels of the grey, low-passed image.

References
----------
Levin, Weiss, Durand, Freeman, Efficient marginal likelihood optimization in blind deconvolution, CVPR 2011.
Palmer, Wipf, Kreutz-Delgado, Rao, Variational EM algorithms for non-Gaussian latent variable models, NIPS 2005.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.arrays import half_spectrum_weights, low_spectrum, lowpass
from ..nets.linear_gaussian import LinearGenerator
from ..operators.convolution import transfer_function

EDGE = 0.004  # e: differences of this size and above count as edges
LATENT = 200  # principal components kept; the others are added to the spectrum of the generator's residual


def low_noise(blurred: Tensor, side: int, noise: float) -> float:
    """Return the noise level that remains once channels are averaged and the image is low-passed to ``side`` pixels."""
    channels, height, width = blurred.shape[1:]
    return noise * side / (height * width * channels) ** 0.5


@dataclass
class Weights:
    """Variational parameters of R kernels: ``edges [R, 2, N]`` (w) and ``contrast [R]`` (a)."""

    edges: Tensor
    contrast: Tensor

    def __getitem__(self, rows: Tensor) -> Weights:
        """Select rows (kernels)."""
        return Weights(self.edges[rows], self.contrast[rows])


class SparseEvidence:
    """The bound F of one blurred image, for any kernels.

    Parameters
    ----------
    net : LinearGenerator
    blurred : Tensor [1, C, Y, X]
        Working units.
    side : int
        The image is low-passed to ``side`` x ``side`` pixels.
    noise : float
        Standard deviation in the grey, low-passed image; see :func:`low_noise`.
    edges : float
        nu, the weight of the factor of the edges. The Gaussian already accounts for the mean power of edges, so nu
        is small; images of few, strong edges need more (``card.edges``).
    """

    def __init__(self, net: LinearGenerator, blurred: Tensor, side: int, noise: float, edges: float) -> None:
        channels, height, width = blurred.shape[1:]
        self.full = (height, width)
        self.side = side
        self.noise = noise
        self.nu = edges
        pixels = side * side
        basis = lowpass(net.basis.view(-1, channels, height, width).mean(1), side).flatten(1)
        kept, dropped = basis[:LATENT], basis[LATENT:]
        rest = low_spectrum(net.residual_spectrum.sqrt().mean(0).square(), side) * (pixels / (height * width))
        if len(dropped):
            rest = rest + torch.fft.rfft2(dropped.view(-1, side, side), norm="ortho").abs().square().sum(0)
        self._shifts = _differences(side, blurred.device).flatten()
        covariance = kept.T @ kept + self._circulant(torch.fft.irfft2(rest, s=(side, side)))
        small = 1e-4 * covariance.diagonal().mean() * torch.eye(pixels, device=blurred.device)
        self.precision = torch.linalg.inv((covariance + small).double()).float()
        self.mean = lowpass(net.mean.view(channels, height, width).mean(0), side).flatten()
        self.weighted_mean = self.precision @ self.mean
        self.data = lowpass(blurred.mean(1), side)[0]
        index = torch.arange(pixels, device=blurred.device)
        grid = index.view(side, side)
        self._index = index
        self._next = torch.stack([grid.roll(-1, 1).flatten(), grid.roll(-1, 0).flatten()])
        here = index.expand(2, -1)
        rows, columns = (
            torch.stack([here, self._next, here, self._next]),
            torch.stack([here, self._next, self._next, here]),
        )
        self._places = (rows * pixels + columns).flatten()  # of w, w, -w, -w in D'WD

    def initial_weights(self, count: int) -> Weights:
        """Return the weights of ``count`` kernels before the first update."""
        pixels = self.side**2
        device = self.data.device
        edges = torch.full((count, 2, pixels), self.nu / (EDGE**2 + 0.02**2), device=device)
        return Weights(edges, torch.ones(count, device=device))

    def transfer(self, kernels: Tensor) -> Tensor:
        """Return the low frequencies of the transfer functions of kernels, ``[R, side, side // 2 + 1]``."""
        return low_spectrum(transfer_function(kernels, self.full)[:, 0], self.side)

    @torch.no_grad()
    def update(self, kernels: Tensor, weights: Weights) -> Weights:
        """Update the weights once, which never lowers F."""
        _, x, factor = self._posterior(self.transfer(kernels), weights)
        inverse = _inverse(factor)
        spread = inverse.diagonal(dim1=-2, dim2=-1)
        across = torch.stack([inverse[:, self._index, to] for to in self._next], 1)
        variance = spread[:, None] + spread[:, self._next] - 2 * across
        power = (x[:, self._next] - x[:, None]).square() + variance.clamp(min=0)
        off = x - self.mean
        distance = ((off @ self.precision) * off).sum(1) + inverse.flatten(1) @ self.precision.flatten()
        return Weights(self.nu / (EDGE**2 + power), self.side**2 / distance)

    def __call__(self, kernels: Tensor, weights: Weights) -> Tensor:
        """Compute F, ``[R]``, for kernels ``[R, 1, kh, kw]``; its gradient is with respect to the kernels.

        Notes
        -----
        F depends on k through ``K'K`` and ``K'y`` alone, and x is optimal for k: the gradient is that of
        ``-(|y - k x|^2 + sum_f c_f |k_f|^2) / (2 s2)`` at fixed x and c, c the spectrum of the posterior covariance.
        """
        transfer = self.transfer(kernels)
        with torch.no_grad():
            value, x, factor = self._posterior(transfer, weights)
            lags = torch.zeros(len(x), self.side**2, device=x.device)
            lags.index_add_(1, self._shifts, _inverse(factor).flatten(1))
            spectrum = torch.fft.rfft2(lags.view(-1, self.side, self.side)).real.clamp(min=0)
            image = torch.fft.rfft2(x.view(-1, self.side, self.side))
        misfit = torch.fft.irfft2(transfer * image, s=(self.side, self.side)) - self.data
        counts = half_spectrum_weights(self.side, x.device)
        spread = (counts * spectrum * (transfer.real.square() + transfer.imag.square())).sum((1, 2)) / self.side**2
        surrogate = -(misfit.square().sum((1, 2)) + spread) / (2 * self.noise**2)
        return value + surrogate - surrogate.detach()

    @torch.no_grad()
    def _posterior(self, transfer: Tensor, weights: Weights) -> tuple[Tensor, Tensor, Tensor]:
        """Compute F, the posterior mean ``[R, N]`` and the Cholesky factor of its precision A."""
        variance = self.noise**2
        size = (self.side, self.side)
        a = weights.contrast
        w = weights.edges
        # in place and by flat indices: filling these matrices takes as long as factorizing them
        precision = self._circulant(torch.fft.irfft2(transfer.abs().square(), s=size) / variance).flatten(1)
        precision.addcmul_(a[:, None], self.precision.flatten())
        flat = w.flatten(1)
        precision.index_add_(1, self._places, torch.cat([flat, flat, -flat, -flat], 1))
        back = torch.fft.irfft2(transfer.conj() * torch.fft.rfft2(self.data), s=size).flatten(1) / variance
        factor = torch.linalg.cholesky_ex(precision.view(-1, self.side**2, self.side**2)).L
        x = torch.cholesky_solve((back + a[:, None] * self.weighted_mean)[..., None], factor)[..., 0]
        misfit = torch.fft.irfft2(transfer * torch.fft.rfft2(x.view(-1, *size)), s=size) - self.data
        off = x - self.mean
        edges = (
            w * ((x[:, self._next] - x[:, None]).square() + EDGE**2) - self.nu * (w * EDGE**2 / self.nu).log() - self.nu
        )
        volume = 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(1) - self.side**2 * a.log()
        cost = misfit.square().sum((1, 2)) / variance + a * ((off @ self.precision) * off).sum(1)
        return -(cost + edges.sum((1, 2)) + volume) / 2, x, factor

    def _circulant(self, row: Tensor) -> Tensor:
        """Build the matrices ``[..., N, N]`` of periodic convolutions with even ``row [..., side, side]``."""
        pixels = self.side**2
        return row.flatten(-2).index_select(-1, self._shifts).unflatten(-1, (pixels, pixels))


def _inverse(factor: Tensor) -> Tensor:
    """Invert symmetric matrices, given by their Cholesky factors: ``[R, N, N]``, contiguous."""
    return torch.cholesky_inverse(factor).mT


def _differences(side: int, device: torch.device) -> Tensor:
    """Return the index ``[N, N]`` into an image of pixel i minus pixel j, periodic."""
    index = torch.arange(side, device=device)
    rows, columns = (part.flatten() for part in torch.meshgrid(index, index, indexing="ij"))
    return (rows[:, None] - rows[None]) % side * side + (columns[:, None] - columns[None]) % side
