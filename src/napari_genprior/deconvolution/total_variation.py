"""The image for a given kernel: total variation of first and second order, with an unknown border."""

from __future__ import annotations

import torch
from torch import Tensor

from ..operators.convolution import transfer_function
from ..operators.finite_differences import slope_power
from ..operators.observation import Seen, pad_periodic

STEPS = 50
SECOND = 0.5  # weight of second-order over first-order total variation
# Penalties of the splitting set the speed, not the solution; these need a third of the steps that fixed ones did.
RHO_DATA = 0.04  # and less where the strength is above its reference
JUMP = 0.2  # strength over the other penalty: a step of the image that is taken for an edge at once
LEAST_STRENGTH = 1e-7  # where none is wished, the splitting still needs some
REFERENCE = (0.01, 3e-4)  # at this noise (standard deviation) this strength restores simulated shakes best ...
POWER = 1.4  # ... and elsewhere it goes with this power of the noise


def strength_for(noise: float) -> float:
    """Weight of the total variation for a noise level, both for intensities in [0, 1]."""
    return REFERENCE[1] * (noise / REFERENCE[0]) ** POWER


def deconvolve(blurred: Tensor, kernel: Tensor, strength: float, steps: int = STEPS, circular: bool = False) -> Tensor:
    """Known-kernel solve: ``min_x |m (k * x - y)|^2 / 2 + strength (|D x|_1 + SECOND |D^2 x|_1)``.

    Parameters
    ----------
    blurred : Tensor [R, C, Y, X]
    kernel : Tensor [R, 1, kh, kw]
        >= 0, sum 1; either R may be 1. The mask m is 1 on the image and 0 beyond it: there the data are unknown,
        and x is free.
    strength : float
        Total-variation weight, intensities in [0, 1]; see :func:`strength_for`.
    steps : int
        Of ADMM.
    circular : bool
        The image goes on at its other side: nothing is unknown.

    Returns
    -------
    Tensor [R, C, Y, X]

    References
    ----------
    M. Almeida, M. Figueiredo, "Deconvolving images with unknown boundaries using the alternating direction method
    of multipliers", IEEE Trans. Image Processing 22(8), 2013.
    """
    seen = pad_periodic(blurred, (kernel.shape[-2], kernel.shape[-1]), circular)
    return tv_admm(seen, kernel, strength, steps)[..., : blurred.shape[-2], : blurred.shape[-1]]


@torch.no_grad()
def tv_admm(seen: Seen, kernel: Tensor, strength: float, steps: int = STEPS) -> Tensor:
    """:func:`deconvolve` on a canvas, ``[R, C, Y, X]``."""
    rho = max(strength, LEAST_STRENGTH) / JUMP
    rho_data = RHO_DATA * min(1.0, REFERENCE[1] / max(strength, LEAST_STRENGTH)) ** 0.4
    x, shape = seen.canvas, (seen.canvas.shape[-2], seen.canvas.shape[-1])
    transfer = transfer_function(kernel, shape)
    slope = slope_power(shape, x.device)
    denominator = rho_data * transfer.abs().square() + rho * (slope + slope.square())
    to_data, to_edges = rho_data * transfer.conj() / denominator, rho / denominator
    low, high = seen.bounds()
    # Multipliers, and what the splitting variables say to the image. Space is kept from step to step: asking for it
    # anew takes longer than the sums.
    u0, v = torch.zeros_like(x), torch.empty_like(x)
    u1, d1 = x.new_zeros(2, *x.shape), x.new_empty(2, *x.shape)
    u2, d2 = x.new_zeros(3, *x.shape), x.new_empty(3, *x.shape)
    space = torch.empty_like(u2)
    blurred_x = x
    for _ in range(steps):
        u0.add_(blurred_x)
        torch.maximum(u0, low, out=v)
        torch.minimum(v, high, out=v)
        v.add_(u0, alpha=rho_data).div_(1 + rho_data)
        u0.sub_(v)
        v.sub_(u0)
        _add_differences(x, u1, u2, space)
        u1, d1 = _split(u1, strength / rho, d1, space[0])
        u2, d2 = _split(u2, SECOND * strength / rho, d2, space[0])
        edges = _adjoint(d1, d2, space)
        spectrum = torch.fft.rfft2(v) * to_data + torch.fft.rfft2(edges) * to_edges
        x = torch.fft.irfft2(spectrum, s=shape)
        blurred_x = torch.fft.irfft2(spectrum * transfer, s=shape)
    return x


def _add_differences(x: Tensor, first: Tensor, second: Tensor, space: Tensor) -> None:
    """Add the differences of ``x`` along y and x to ``first``, and to ``second`` those yy, xx and (sqrt 2) xy.

    The root of 2 is for counting the mixed ones twice. ``space`` [3, ...] is for what comes between.
    """
    down, right, t = space
    _ahead(x, -2, down)
    _ahead(x, -1, right)
    first[0].add_(down)
    first[1].add_(right)
    second[0].add_(_behind(down, -2, t))
    second[1].add_(_behind(right, -1, t))
    second[2].add_(_ahead(right, -2, t), alpha=2**0.5)


def _adjoint(first: Tensor, second: Tensor, space: Tensor) -> Tensor:
    """The adjoint of :func:`_add_differences`, in ``space[0]``; ``first`` is used up."""
    edges, t, _ = space
    first[0].sub_(_ahead(second[0], -2, t))
    first[1].sub_(_ahead(second[1], -1, t)).sub_(_behind(second[2], -2, t), alpha=2**0.5)
    return _behind(first[0], -2, edges).add_(_behind(first[1], -1, t)).neg_()


def _ahead(x: Tensor, dim: int, out: Tensor) -> Tensor:
    """Circular differences ``x[i + 1] - x[i]``, into ``out``."""
    n = x.shape[dim] - 1
    torch.sub(x.narrow(dim, 1, n), x.narrow(dim, 0, n), out=out.narrow(dim, 0, n))
    torch.sub(x.narrow(dim, 0, 1), x.narrow(dim, n, 1), out=out.narrow(dim, n, 1))
    return out


def _behind(x: Tensor, dim: int, out: Tensor) -> Tensor:
    """Circular differences ``x[i] - x[i - 1]``, into ``out``: less the adjoint of :func:`_ahead`."""
    n = x.shape[dim] - 1
    torch.sub(x.narrow(dim, 1, n), x.narrow(dim, 0, n), out=out.narrow(dim, 1, n))
    torch.sub(x.narrow(dim, 0, 1), x.narrow(dim, n, 1), out=out.narrow(dim, 0, 1))
    return out


def _split(w: Tensor, threshold: float, out: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Of vectors along the first axis, the part no longer than ``threshold`` (in ``out``), and the rest less that part.

    With w the multiplier and the differences together, the rest is w after a soft threshold: the splitting variable d.
    The part is the new multiplier u, so that the second result is ``d - u``; it takes the place of w.
    """
    torch.mul(w[0], w[0], out=t)
    for component in w[1:]:
        t.addcmul_(component, component)
    t.sqrt_().clamp_(min=1e-12).reciprocal_().mul_(threshold).clamp_(max=1)
    torch.mul(w, t, out=out)
    return out, w.sub_(out, alpha=2)
