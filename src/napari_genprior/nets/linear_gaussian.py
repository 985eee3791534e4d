"""The linear Gaussian generator: ``G(z) = mean + basis z``, z standard normal (principal components).

It is fitted in seconds and decodes by one matrix product. Its residuals are modelled too, as stationary Gaussian noise
of known spectrum, so that posteriors and evidences have closed forms.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import torch
from torch import Tensor, nn

from ..core.arrays import cpu_generator, half_spectrum_weights, normalize_kernels

EXACT_UP_TO = 2500  # side of the largest matrix whose eigenvectors are all computed (some seconds)
CHUNK = 512  # images that are converted to float at a time
SMALLEST_NOISE = 1e-10  # variance; keeps the encoder's system regular where the fit is exact


class LinearGenerator(nn.Module):
    """A linear generator of images, blur kernels or volumes.

    Parameters
    ----------
    latent, channels, height, width : int
        Length of the latent vector, and shape of the images.
    kernel : bool
        Decode to a blur kernel: negative values are set to 0 and the sum is normalized to 1.
    refiner : bool
        Add the output of a residual network to the linear image, and clip the sum to [0, 1].
    refiner_width : int
        Channels of the residual network.
    depth : int
        Planes of a volume; 0: decode to images. Volumes have no residual network.

    Attributes
    ----------
    mean : Tensor [C Y X]
    basis : Tensor [latent, C Y X]
        Rows are orthogonal; the norm of each is the standard deviation of the data along it.
    residual_spectrum : Tensor [C, Y, X // 2 + 1]
        Mean power spectrum (unitary Fourier transform) of the residuals of the training images,
        ``S(f) = mean |F(x - mean - basis' z)|^2``, half of the frequencies as :func:`torch.fft.rfft2` orders them.

    Notes
    -----
    The model is ``x = mean + basis' z + e`` with z ~ N(0, 1) and e stationary with spectrum S. Without a
    residual network the decoded image is that of e = 0, and may slightly exceed [0, 1].
    """

    mean: Tensor
    basis: Tensor
    residual_spectrum: Tensor

    def __init__(
        self,
        latent: int,
        channels: int,
        height: int,
        width: int,
        kernel: bool = False,
        refiner: bool = False,
        refiner_width: int = 48,
        depth: int = 0,
    ) -> None:
        super().__init__()
        if depth and refiner:
            raise ValueError("volumes have no residual network (refiner); it is made for images only")
        self.latent = latent
        self.shape = (channels, depth, height, width) if depth else (channels, height, width)
        self.kernel = kernel
        self.scale = 1.0
        self.register_buffer("mean", torch.zeros(prod(self.shape)))
        self.register_buffer("basis", torch.zeros(latent, prod(self.shape)))
        self.register_buffer("residual_spectrum", torch.zeros(*self.shape[:-1], width // 2 + 1))
        self.refiner = Refiner(channels, refiner_width) if refiner else None

    def linear(self, z: Tensor) -> Tensor:
        """Compute ``mean + basis' z``, ``[R, C, Y, X]``, without residual network and clipping."""
        return (self.mean + z @ self.basis).view(len(z), *self.shape)

    def raw(self, z: Tensor) -> Tensor:
        """Decode without clipping to the range of values: what the training of the residual network compares."""
        image = self.linear(z)
        return image if self.refiner is None else image + self.refiner(image)

    def forward(self, z: Tensor) -> Tensor:
        """Decode latents ``[R, latent]`` to ``[R, C, Y, X]`` or, for volumes, ``[R, C, Z, Y, X]``."""
        image = self.raw(z)
        if self.kernel:
            return normalize_kernels(image)
        return image if self.refiner is None else image.clamp(0, 1)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute mean and log variance ``[R, latent]`` of the latents of images ``[R, C, Y, X]``.

        Notes
        -----
        If the residual is white noise of variance s2 (the mean of its spectrum), the posterior of z is
        N(M b (x - mean) / s2, M) with M = (1 + b b' / s2)^-1; for an exact fit (s2 = 0) its mean is the least squares
        solution.
        """
        mean = (x.flatten(1) - self.mean) @ self.encoding_matrix().T
        variance = self._noise() * torch.cholesky_inverse(self._system()).diagonal()
        return mean, variance.log().expand_as(mean)

    def encoding_matrix(self) -> Tensor:
        """Compute ``(b b' + s2)^-1 b``, ``[latent, C Y X]``, which maps an image minus the mean to its latents."""
        return torch.cholesky_solve(self.basis, self._system())

    def _noise(self) -> Tensor:
        # a floor relative to the basis: float32 cannot tell 1 from 1 + 1e-8
        largest = float(self.basis.square().sum(1).max())
        return self.noise_variance().clamp(min=max(SMALLEST_NOISE, 1e-7 * largest))

    def _system(self) -> Tensor:
        """Compute the Cholesky factor of ``b b' + s2``."""
        return torch.linalg.cholesky(
            self.basis @ self.basis.T + self._noise() * torch.eye(self.latent, device=self.mean.device)
        )

    def noise_variance(self) -> Tensor:
        """Compute the mean variance of the residual's pixels: the mean of its spectrum over all frequencies."""
        weights = half_spectrum_weights(self.shape[-1], self.mean.device)
        return (self.residual_spectrum * weights).sum() / self.mean.numel()


class Refiner(nn.Module):
    """A residual network that predicts what the linear image lacks; its output is zero before training.

    Four 3x3 convolutions at half the size (pixels folded into channels, 2x2), at a quarter of the cost.
    """

    def __init__(self, channels: int, width: int = 48) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * channels, width, 3, padding=1), nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1), nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1), nn.SiLU(),
            nn.Conv2d(width, 4 * channels, 3, padding=1),
            nn.PixelShuffle(2),
        )  # fmt: skip
        last = self.layers[-2]
        nn.init.zeros_(last.weight)  # type: ignore[arg-type]
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        """Predict the residual ``[R, C, Y, X]`` of images of the same shape."""
        rows, columns = image.shape[-2:]
        even = nn.functional.pad(image, (0, columns % 2, 0, rows % 2), mode="replicate")
        return self.layers(even)[..., :rows, :columns]


@torch.no_grad()
def fit(images: Tensor, latent: int, kernel: bool = False, *, refiner: bool = False, seed: int = 0) -> LinearGenerator:
    """Fit a linear generator: principal components, scaled to standard normal latents, and the residual spectrum.

    Parameters
    ----------
    images : Tensor [N, C, Y, X] or [N, C, Z, Y, X]
        Float, or uint8 with 255 for 1, which is converted to float in chunks.
    latent : int
        Number of components. At most N - 1 and C Y X of them are not zero.
    kernel, refiner : bool
        See :class:`LinearGenerator`. The residual network is not trained here.
    seed : int
        Seed of the random projection by which large images are fitted.
    """
    count, channels, *depth, height, width = images.shape
    flat = images.reshape(count, -1)
    net = LinearGenerator(latent, channels, height, width, kernel, refiner, depth=depth[0] if depth else 0)
    axes = tuple(range(2, images.ndim))
    total = torch.zeros(flat.shape[1], dtype=torch.float64)
    for part in _float_chunks(flat):
        total += part.sum(0, dtype=torch.float64)
    net.mean.copy_(total / count)
    if flat.shape[1] <= EXACT_UP_TO:
        vectors, variances = _eigenvectors(_covariance(flat, net.mean), latent)
    else:
        vectors, variances = _randomised(flat, net.mean, latent, seed)
    components = vectors.shape[1]
    net.basis[:components].copy_((vectors * variances.clamp(min=0).sqrt()).T)
    power = torch.zeros(net.residual_spectrum.shape, dtype=torch.float64)
    for part in _float_chunks(flat):
        centred = part - net.mean
        residual = centred - (centred @ vectors) @ vectors.T
        power += torch.fft.rfftn(residual.view(-1, *net.shape), dim=axes, norm="ortho").abs().square().sum(0)
    net.residual_spectrum.copy_(power / count)
    return net


def _float_chunks(flat: Tensor) -> Iterator[Tensor]:
    """Yield the rows of a matrix as float32, :data:`CHUNK` at a time."""
    for part in flat.split(CHUNK):
        yield part.float() / 255 if part.dtype == torch.uint8 else part.float()


def _covariance(flat: Tensor, mean: Tensor) -> Tensor:
    """Compute the covariance of the rows of a matrix, in float64."""
    total = torch.zeros(flat.shape[1], flat.shape[1], dtype=torch.float64)
    for part in _float_chunks(flat):
        total += (part - mean).T.double() @ (part - mean).double()
    return total / len(flat)


def _eigenvectors(matrix: Tensor, latent: int) -> tuple[Tensor, Tensor]:
    """Compute the leading eigenvectors (columns) and eigenvalues of a symmetric matrix, the largest first."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors[:, -latent:].flip(1).float(), values[-latent:].flip(0).float()


def _randomised(flat: Tensor, mean: Tensor, latent: int, seed: int) -> tuple[Tensor, Tensor]:
    """Compute leading eigenvectors of the covariance by subspace iteration from a random subspace.

    References
    ----------
    Halko, Martinsson and Tropp, Finding structure with randomness, SIAM Review 53, 2011, algorithms 4.4 and 5.3.
    """
    directions = min(latent + 32, *flat.shape)
    subspace = torch.linalg.qr(torch.randn(flat.shape[1], directions, generator=cpu_generator(seed)))[0]
    for _ in range(3):
        image = torch.zeros_like(subspace)
        for part in _float_chunks(flat):
            centred = part - mean
            image += centred.T @ (centred @ subspace)
        subspace = torch.linalg.qr(image)[0]
    small = torch.zeros(directions, directions)
    for part in _float_chunks(flat):
        projected = (part - mean) @ subspace
        small += projected.T @ projected
    rotation, variances = _eigenvectors((small / len(flat)).double(), latent)
    return subspace @ rotation, variances
