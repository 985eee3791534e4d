"""Likelihood of a kernel, given the power spectrum of the blurred image.

A sharp image is modelled as a stationary Gaussian field whose power falls as ``|f|^-slope``; slope and height are those
of maximal likelihood for each kernel. The likelihood is Whittle's approximation.

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
GAUSSIAN_WIDTHS_PX = (0.6, 1.0, 1.5, 2.2, 3.2, 4.5)  # standard deviations of the round blurs that serve as reference


@dataclass(frozen=True)
class Spectrum:
    """Power spectrum of an image, on half of the frequency plane.

    Attributes
    ----------
    power : float64 Tensor [Y, X // 2 + 1]
    frequency : float64 Tensor [Y, X // 2 + 1]
        Squared angular frequency of a discrete Laplacian, in (radian / px)^2.
    weights : float64 Tensor [Y, X // 2 + 1]
        Multiplicity of each frequency; 0 where the window leaks from the mean.
    shape : (int, int)
        Sides of the image.
    """

    power: Tensor
    frequency: Tensor
    weights: Tensor
    shape: tuple[int, int]

    def log_likelihood(self, blur: Tensor, floor: float) -> float:
        """Compute the log likelihood in nats per thousand pixels.

        Parameters
        ----------
        blur : float64 Tensor [Y, X // 2 + 1]
            Squared transfer function.
        floor : float
            Power of the white noise.
        """
        best, total = -math.inf, self.weights.sum()
        for slope in SLOPES:
            sharp = self.frequency.clamp(min=LEAST_FREQUENCY) ** (-slope / 2) * blur
            height = float((self.weights * self.power).sum() / (self.weights * sharp).sum())

            def fit(step: float, sharp: Tensor = sharp, height: float = height) -> float:
                spectrum = sharp * (height * math.exp(step)) + floor
                return -float((self.weights * (spectrum.log() + self.power / spectrum)).sum() / total)

            at, value = 0.0, fit(0.0)
            for step in STEPS:
                value, at = max((value, at), *((fit(at + move), at + move) for move in (step, -step)))
            best = max(best, value)
        return 1000 * best / 2


def likelihood_features(blurred: Tensor, kernel: Tensor, noise: float, periodic: bool) -> dict[str, float]:
    """Measure how well a kernel explains the power spectrum of a blurred image.

    Parameters
    ----------
    blurred : Tensor [1, C, Y, X]
        Working units.
    kernel : Tensor [1, 1, kh, kw]
    noise : float
        Standard deviation, > 0.
    periodic : bool
        The boundary is periodic: no window is needed.

    Returns
    -------
    dict of str to float
        Nats per thousand pixels. ``likelihood_gain``: log likelihood of the kernel minus that of no blur.
        ``shape_gain``: minus that of the best of no blur and some round Gaussian blurs, which a wrong kernel does not
        reach even if the image is blurred.
    """
    spectrum = power_spectrum(blurred, periodic)
    transfer = transfer_function(kernel.to(blurred), spectrum.shape)[0, 0].abs().square().double()
    value = spectrum.log_likelihood(transfer, noise**2)
    no_blur = spectrum.log_likelihood(torch.ones_like(transfer), noise**2)
    gaussians = (torch.exp(-(width**2) * spectrum.frequency) for width in GAUSSIAN_WIDTHS_PX)
    reference = max(no_blur, *(spectrum.log_likelihood(blur, noise**2) for blur in gaussians))
    return {"likelihood_gain": value - no_blur, "shape_gain": value - reference}


def power_spectrum(blurred: Tensor, periodic: bool) -> Spectrum:
    """Compute the power spectrum of the channel mean of ``blurred`` [1, C, Y, X]; ``periodic``: without a window."""
    grey = blurred.mean(1)[0].double()
    shape = (grey.shape[-2], grey.shape[-1])
    window = torch.ones_like(grey)
    if not periodic:
        hann = (torch.hann_window(n, periodic=False, device=grey.device, dtype=grey.dtype) for n in shape)
        window = torch.outer(*hann)
    window = window / window.square().mean().sqrt()
    power = torch.fft.rfft2((grey - (grey * window.square()).mean()) * window, norm="ortho").abs().square()
    fy = torch.fft.fftfreq(shape[0], device=grey.device)[:, None]
    fx = torch.fft.rfftfreq(shape[1], device=grey.device)
    frequency = (torch.sin(torch.pi * fy).square() + torch.sin(torch.pi * fx).square()).double() * 4
    weights = half_spectrum_weights(shape[1], grey.device).double().expand(power.shape).clone()
    leakage = 0.5 if periodic else 2.0  # periods over the image; without a window only the mean is excluded
    weights[frequency < (2 * math.pi * leakage / min(shape)) ** 2] = 0
    return Spectrum(power, frequency, weights, shape)
