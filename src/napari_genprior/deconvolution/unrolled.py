"""Deconvolve with a trained network: rounds of fitting an image to the data and improving it by the network.

Half-quadratic splitting [1]_ with a network in the place of the proximal step: with z of the round before (at first
the total-variation image) and a few learned ridges r,

    x_r = argmin |k * x - y|^2 + r |x - z|^2,    z = network(z, x_r - z for each r).

Where the border is unknown or a pixel is saturated, y is what z predicts (:meth:`.Observation.impute`).

References
----------
.. [1] Zhang, Zuo, Gu and Zhang, Learning deep CNN denoiser prior for image restoration, CVPR 2017, section 3.1; the
   idea to train the rounds as a whole: Kruse, Rother and Schmidt, Learning to push the limits of efficient FFT-based
   image deconvolution, ICCV 2017.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..operators.convolution import apply_transfer, transfer_function
from ..operators.observation import Observation, pad_periodic
from ..operators.observed import Observed
from .total_variation import deconvolve_canvas, strength_for

STRIP = 512  # rows that the network processes at once: its memory
# Orthonormal, so that white noise stays white: the colours' sum, and two differences that hold little of an image.
OPPONENT = ((3**-0.5, 3**-0.5, 3**-0.5), (2**-0.5, 0.0, -(2**-0.5)), (6**-0.5, -2 * 6**-0.5, 6**-0.5))


class Network(Protocol):
    """Require of a network what :class:`..nets.restorer.Restorer` has; its parameters are explained there."""

    @property
    def rounds(self) -> int: ...

    @property
    def reach(self) -> int: ...

    def ridges(self, index: int, misfit: Tensor) -> Tensor: ...

    def __call__(self, image: Tensor, changes: Tensor, levels: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Averaged:
    """Average a network over eight transforms of its input: mirrored up-down, left-right, and negated.

    The average errs less. It is an odd function: zero stays zero, so that a grey image in three channels stays grey.
    """

    net: Network

    @property
    def rounds(self) -> int:
        return self.net.rounds

    @property
    def reach(self) -> int:
        return self.net.reach

    def ridges(self, index: int, misfit: Tensor) -> Tensor:
        return self.net.ridges(index, misfit)

    def __call__(self, image: Tensor, changes: Tensor, levels: Tensor) -> Tensor:
        answers = [
            sign * self.net(sign * image.flip(axes), sign * changes.flip(axes), levels).flip(axes)
            for axes in ((), (2,), (3,), (2, 3))
            for sign in (1, -1)
        ]
        return torch.stack(answers).mean(0)


@torch.no_grad()
def restore(blurred: Tensor | Observed, kernel: Tensor, noise: float, net: Network, periodic: bool = False) -> Tensor:
    """Restore an image for a given kernel with a network.

    Parameters
    ----------
    blurred : Tensor [R, C, Y, X] or Observed
        Intensities about [0, 1]; three channels are taken as red, green and blue.
    kernel : Tensor [R, 1, kh, kw]
        >= 0, sum 1; either R may be 1.
    noise : float
        Standard deviation of the noise; for an estimated kernel, of the error it causes.
    net : Network
        A trained one.
    periodic : bool
        The image is periodic: nothing is unknown.

    Returns
    -------
    Tensor [R, C, Y, X]
    """
    observation = pad_periodic(blurred, kernel.shape[2:], periodic)
    start = deconvolve_canvas(observation, kernel, strength_for(noise))
    *_, last = rounds(observation, kernel, start, torch.tensor([noise], device=kernel.device), Averaged(net))
    return observation.crop(last)


def rounds(observation: Observation, kernel: Tensor, start: Tensor, noise: Tensor, net: Network) -> Iterator[Tensor]:
    """Yield the image after each round, on the canvas ``[R, C, Y, X]``; gradients reach the network.

    Parameters
    ----------
    observation : Observation
    kernel : Tensor [R, 1, kh, kw]
    start : Tensor [R, C, Y, X]
        A first image on the canvas.
    noise : Tensor [R] or [1]
        Standard deviation.
    net : Network
    """
    transfer = transfer_function(kernel, observation.shape)
    power = transfer.abs().square()
    opponent = start.new_tensor(OPPONENT if start.shape[1] == 3 else ((1.0,),))

    misfit = _recolor(observation.impute(model := apply_transfer(start, transfer)) - model, opponent)
    misfit = (misfit.square().sum((2, 3)) / observation.valid.sum((2, 3))).sqrt()
    data = _recolor(observation.canvas, opponent)
    centre = data.mean((2, 3), keepdim=True)
    contrast = data.std((2, 3)).clamp(min=1e-6)
    z = _recolor(start, opponent) - centre
    for index in range(net.rounds):
        ridges = net.ridges(index, misfit / contrast)
        model = apply_transfer(z, transfer)
        y = _recolor(observation.impute(_recolor(model + centre, opponent.T)), opponent) - centre
        missed = transfer.conj() * torch.fft.rfft2(y - model)
        spectra = missed[:, :, None] / (power[:, :, None] + ridges[..., None, None])
        changes = torch.fft.irfft2(spectra, s=start.shape[-2:])
        known = torch.stack([noise[:, None].expand_as(misfit), misfit], -1)
        levels = torch.cat([known, misfit[..., None] / ridges.sqrt()], -1)
        z = _in_strips(net, z.flatten(0, 1)[:, None], changes.flatten(0, 1), levels.flatten(0, 1)).view_as(z)
        yield _recolor(z + centre, opponent.T)


def _recolor(image: Tensor, colours: Tensor) -> Tensor:
    """Transform the colours of ``[R, C, Y, X]``: new channel i is row i of ``colours`` [C, C] times the old ones."""
    return image if len(colours) == 1 else torch.einsum("dc,rcyx->rdyx", colours, image)


def _in_strips(net: Network, image: Tensor, changes: Tensor, levels: Tensor) -> Tensor:
    """Apply the network, strip by strip where there are many rows; the result is the same as at once."""
    height = image.shape[-2]
    if height <= STRIP:
        return net(image, changes, levels)
    answer = torch.empty_like(image)
    for top in range(0, height, STRIP):
        first, last = max(0, top - net.reach), min(height, top + STRIP + net.reach)
        for one in range(len(image)):
            rows = (slice(one, one + 1), slice(None), slice(first, last))
            part = net(image[rows], changes[rows], levels[one : one + 1])
            answer[one, :, top : top + STRIP] = part[0, :, top - first : top - first + STRIP]
    return answer
