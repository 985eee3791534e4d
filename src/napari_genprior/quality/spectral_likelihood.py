"""Does the blurry image's power spectrum speak for a kernel?

A sharp image is taken for a stationary Gaussian field whose power falls as ``|f|^-slope``; slope and height are those
that serve a kernel best. The likelihood is Whittle's approximation.

References
----------
P. Whittle, Estimation and information in stationary time series, Arkiv foer Matematik 2, 1953.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.arrays import half_spectrum_weights
from ..operators.convolution import transfer_function

SLOPES = (1.6, 2.0, 2.4, 2.8, 3.2, 3.6, 4.0, 4.5)  # of power spectra; natural images have about 2
STEPS = (4.0, 2.0, 1.0, 0.5)  # in the logarithm of a spectrum's height, up or down, one after another
LEAST_FREQUENCY = 1e-5
ROUND = (0.6, 1.0, 1.5, 2.2, 3.2, 4.5)  # px, standard deviations of the round blurs that a kernel is held against


@dataclass(frozen=True)
class Spectrum:
    """What is known of an image's spectrum, on half of the plane.

    Attributes
    ----------
    power : float64 Tensor [Y, X // 2 + 1]
    frequency : float64 Tensor [Y, X // 2 + 1]
        Squared angular frequency of a discrete Laplacian, in (radian / px)^2.
    counted : float64 Tensor [Y, X // 2 + 1]
        How often each is to be counted; 0 where the window smears the mean.
    shape : (int, int)
        Of the image.
    """

    power: Tensor
    frequency: Tensor
    counted: Tensor
    shape: tuple[int, int]

    def log_likelihood(self, blur: Tensor, floor: float) -> float:
        """Nats for each thousand pixels, for a squared transfer function and a power of white noise."""
        best, total = -math.inf, self.counted.sum()
        for slope in SLOPES:
            sharp = self.frequency.clamp(min=LEAST_FREQUENCY) ** (-slope / 2) * blur
            height = float((self.counted * self.power).sum() / (self.counted * sharp).sum())

            def fit(step: float, sharp: Tensor = sharp, height: float = height) -> float:
                spectrum = sharp * (height * math.exp(step)) + floor
                return -float((self.counted * (spectrum.log() + self.power / spectrum)).sum() / total)

            at, value = 0.0, fit(0.0)
            for step in STEPS:
                value, at = max((value, at), *((fit(at + move), at + move) for move in (step, -step)))
            best = max(best, value)
        return 1000 * best / 2


def likelihood_figures(blurred: Tensor, kernel: Tensor, noise: float, circular: bool) -> dict[str, float]:
    """How well a kernel explains a spectrum.

    Parameters
    ----------
    blurred : Tensor [1, C, Y, X]
    kernel : Tensor [1, 1, kh, kw]
    noise : float
        Standard deviation, > 0.
    circular : bool
        The image goes round at its border: no window is needed.

    Returns
    -------
    dict of str to float
        Nats for each thousand pixels. ``likelihood_gain``: the kernel against no blur. ``shape_gain``: against the best
        of no blur and some round Gaussian ones; a wrong kernel falls short of these even in a blurred image.
    """
    spectrum = spectrum_of(blurred, circular)
    of_kernel = transfer_function(kernel.to(blurred), spectrum.shape)[0, 0].abs().square().double()
    found = spectrum.log_likelihood(of_kernel, noise**2)
    none = spectrum.log_likelihood(torch.ones_like(of_kernel), noise**2)
    round_ones = (torch.exp(-(width**2) * spectrum.frequency) for width in ROUND)
    best = max(none, *(spectrum.log_likelihood(blur, noise**2) for blur in round_ones))
    return {"likelihood_gain": found - none, "shape_gain": found - best}


def spectrum_of(blurred: Tensor, circular: bool) -> Spectrum:
    """The spectrum of the mean of an image's channels."""
    grey = blurred.mean(1)[0].double()
    shape = (grey.shape[-2], grey.shape[-1])
    window = torch.ones_like(grey)
    if not circular:
        hann = (torch.hann_window(n, periodic=False, device=grey.device, dtype=grey.dtype) for n in shape)
        window = torch.outer(*hann)
    window = window / window.square().mean().sqrt()
    power = torch.fft.rfft2((grey - (grey * window.square()).mean()) * window, norm="ortho").abs().square()
    fy = torch.fft.fftfreq(shape[0], device=grey.device)[:, None]
    fx = torch.fft.rfftfreq(shape[1], device=grey.device)
    frequency = (torch.sin(torch.pi * fy).square() + torch.sin(torch.pi * fx).square()).double() * 4
    counted = half_spectrum_weights(shape[1], grey.device).double().expand(power.shape).clone()
    smeared = 0.5 if circular else 2.0  # periods over the image; without a window only the mean is left out
    counted[frequency < (2 * math.pi * smeared / min(shape)) ** 2] = 0
    return Spectrum(power, frequency, counted, shape)
