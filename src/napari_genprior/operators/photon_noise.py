"""Estimate noise that grows with the light: photons, and the level at which a camera reads none."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool3d

from .noise import MIN_NOISE_STD, NoiseModel, any_of_four, mixed_difference
from .observed import Observed
from .spatial import spatial_axes

FIT_ROUNDS = 5  # of reweighted least squares
BOX = (3, 5, 5)  # voxels that are averaged to see the darkest places ...
DARKEST = 0.001  # ... of which so many lie below the level returned
BINS, LEAST_IN_BIN = 20, 50  # of equal numbers of pixels, by their local mean
LEAST_GROWTH = 3.0  # of the variance of an image, from the darkest to the brightest bin over that of the darkest
LEAST_STD = 0.004  # of the range, where the image is brightest: less is texture, and too little to matter
UNEXPLAINED = 0.2  # of the variance's spread over the bins: more, and it is no line
READ_NOISE_PHOTONS = 1.5  # rms, of usual cameras; what the variance alone cannot tell from photons


@dataclass(frozen=True)
class PhotonNoise:
    """The value at which a camera reads no light, and the noise of values above it."""

    level: float
    model: NoiseModel


@dataclass(frozen=True)
class KnownNoise:
    """Say what the user knows of the noise, working units: counts a photon, variance without light; None: unknown."""

    gain: float | None = None
    read_variance: float | None = None


UNKNOWN = KnownNoise()


def estimate_noise_model(volume: Tensor, known: KnownNoise = UNKNOWN) -> NoiseModel:
    """Estimate the noise of a blurred volume ``[1, 1, Z, Y, X]`` as a function of the mean.

    The mixed difference along all axes keeps white noise and drops what is smooth along any of them, as everything is
    that a microscope has blurred. Its square is fitted, by least squares that know their own spread, to a line over
    the local mean, both coefficients >= 0.
    """
    corner, mean = volume, volume
    for axis in spatial_axes(volume):
        if volume.shape[axis] > 1:
            last = volume.shape[axis] - 1
            corner = (corner.narrow(axis, 1, last) - corner.narrow(axis, 0, last)) / 2**0.5
            mean = (mean.narrow(axis, 1, last) + mean.narrow(axis, 0, last)) / 2
    square, mean = corner.square().flatten().double(), mean.flatten().clamp(min=0).double()
    gain, read = known.gain, known.read_variance
    if gain is None and read is None:
        gain, read = 0.0, float(square.mean())
        for _ in range(FIT_ROUNDS):
            spread = (gain * mean + read).clamp(min=MIN_NOISE_STD**2)  # of a squared normal: sqrt 2 times its mean
            gain, read = _fit_line(mean, square, 1 / spread.square())
    elif read is None:
        assert gain is not None
        read = max(0.0, float(square.mean() - gain * mean.mean()))
    elif gain is None:
        gain = max(0.0, (float(square.mean()) - read) / max(float(mean.mean()), 1e-12))
    assert gain is not None
    return NoiseModel(gain, max(read, MIN_NOISE_STD**2))


def background_level(volume: Tensor) -> float | None:
    """Estimate the value at which a camera reads no light, in a volume ``[1, 1, Z, Y, X]`` with photon noise.

    Notes
    -----
    The variance of the noise is ``gain (mean - level) + read noise^2``: a line over the mean that leads to the level,
    also where everything in the volume glows. It is at most the value of the darkest places. None where the noise
    hardly grows with the mean.

    References
    ----------
    J. Janesick, "Photon Transfer", SPIE Press, 2007.
    """
    if min(volume.shape[2:]) < 2:
        return None
    box = tuple(min(side, n) for side, n in zip(BOX, volume.shape[2:], strict=True))
    smooth = avg_pool3d(volume, box, 1).flatten()
    darkest = float(smooth.kthvalue(max(1, round(DARKEST * smooth.numel()))).values)
    scale = float(volume.max()) - darkest
    if scale <= 0:
        return None
    noise = estimate_noise_model((volume - darkest) / scale)
    if noise.gain <= noise.read_variance:  # it does not even double from the darkest to the brightest voxel
        return None
    gain, variance = noise.gain * scale, noise.read_variance * scale**2
    return _level(darkest, gain, variance)


def _level(darkest: float, gain: float, variance: float) -> float:
    """Follow the line of the variance, which is that of the darkest places, down to where there is no light."""
    return min(darkest, darkest - variance / gain + READ_NOISE_PHOTONS**2 * gain)


def find_photon_noise(image: Observed) -> PhotonNoise | None:
    """Find noise that grows with the light in a grey image ``[1, 1, Y, X]``; None where it hardly does.

    Notes
    -----
    As :func:`estimate_noise_model`, by medians over pixels of about equal local mean: the edges of a photograph do not
    count. The darkest pixels must have a fraction of the noise of the brightest.
    """
    valid = ~any_of_four(image.masked | image.at_least)
    values = image.values
    corner = mixed_difference(values)
    mean = (values[..., :-1, :-1] + values[..., 1:, :-1] + values[..., :-1, 1:] + values[..., 1:, 1:]) / 4
    corner, mean = corner[valid].double(), mean[valid].double()
    if len(mean) < BINS * LEAST_IN_BIN:
        return None
    order = mean.argsort()
    means, variances = [], []
    for part in order.tensor_split(BINS):
        means.append(mean[part].mean())
        variances.append((corner[part].abs().median() / 0.6745).square())
    at, variance = torch.stack(means), torch.stack(variances)
    darkest = at[0].clone()
    gain, read = _fit_line(at - darkest, variance, torch.ones_like(at))
    growth = gain * float(at[-1] - darkest)
    if growth < max(LEAST_GROWTH * read, LEAST_STD**2) or not _is_line(at - darkest, variance, gain, read):
        return None
    level = _level(float(darkest), gain, read)
    return PhotonNoise(level, NoiseModel(gain, max(read - gain * (float(darkest) - level), MIN_NOISE_STD**2)))


def _is_line(x: Tensor, y: Tensor, slope: float, offset: float) -> bool:
    """Tell whether a line explains most of the spread of y."""
    return float((y - offset - slope * x).square().sum()) < UNEXPLAINED * float((y - y.mean()).square().sum())


def _fit_line(x: Tensor, y: Tensor, weights: Tensor) -> tuple[float, float]:
    """Fit a line by weighted least squares, slope and offset >= 0."""
    total = weights.sum()
    mx, my = (weights * x).sum() / total, (weights * y).sum() / total
    slope = float((weights * (x - mx) * (y - my)).sum() / (weights * (x - mx).square()).sum().clamp(min=1e-30))
    offset = float(my) - slope * float(mx)
    if slope < 0:
        return 0.0, float(my)
    if offset < 0:
        return float((weights * x * y).sum() / (weights * x.square()).sum()), 0.0
    return slope, offset
