"""Split the terms of a total-variation problem for ADMM: the variables of one step, updated in place."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, avg_pool3d

from ..operators.finite_differences import Weights, add_differences, add_differences_adjoint, second_order_count
from ..operators.noise import NoiseModel
from ..operators.observation import Observation

LEAST_VARIANCE = 1e-3  # of the mean variance: no pixel is trusted further
ADAPT_EVERY, ADAPT_UNTIL = 10, 60  # steps after which a penalty relative to the noise follows the image


@dataclass(frozen=True)
class Splitting:
    """Choose the terms that ADMM splits off, and their penalties.

    Attributes
    ----------
    rho_data, rho : float
        Penalties of the blurred image, and of everything else.
    second_order : float
        Weight of second-order over first-order total variation; 0: none.
    non_negative : bool
        Keep the image >= 0.
    relative : bool
        Divide the differences by the standard deviation of the noise that data as bright as the image would have.
    tolerance : float
        Stop at a relative change below this; 0: never.
    """

    rho_data: float
    rho: float
    second_order: float = 0.0
    non_negative: bool = False
    relative: bool = False
    tolerance: float = 0.0


class SplitVariables:
    """Update the (scaled) multipliers of :func:`~.total_variation.tv_admm`, in place.

    Of the differences, only the multipliers u are kept: with w the multiplier and the differences together, the split
    variable d is what the soft threshold leaves of w, the new u is the rest, and the image step needs
    ``D'(d - u) = D'D x + D'u_before - 2 D'u``, whose first term is a product in Fourier space. Memory is kept from step
    to step: to allocate anew takes longer than the sums.
    """

    def __init__(
        self,
        observation: Observation,
        x: Tensor,
        strength: float,
        splitting: Splitting,
        noise: NoiseModel,
        weights: Weights | None,
    ) -> None:
        self.noise, self.weights, self.splitting = noise, weights, splitting
        self.mean_variance = noise.mean_variance(observation.crop(observation.canvas))
        self.low, self.high = observation.bounds()
        self.threshold: float | Tensor = strength * self.mean_variance / splitting.rho
        self.noise_std: float | Tensor = 1.0  # relative
        dimensions = len(observation.shape)
        self.u_data, self.v = torch.zeros_like(x), torch.empty_like(x)
        self.u1, self.u2 = x.new_zeros(dimensions, *x.shape), None
        if splitting.second_order:
            self.u2 = x.new_zeros(second_order_count(dimensions), *x.shape)
        self.u_positive = torch.zeros_like(x) if splitting.non_negative else None
        self.pulled, self.rest = torch.zeros_like(x), torch.empty_like(x)  # D'u; what is returned
        self.scratch = x.new_empty(max(3, dimensions + 1 if splitting.second_order else 1), *x.shape)

    def follow(self, x: Tensor) -> None:
        """Measure the noise that data as bright as the image would have, relative to its mean."""
        if self.splitting.relative and self.noise.gain:
            variance = self.noise.variance(box_mean(x)).clamp_(min=LEAST_VARIANCE * self.mean_variance)
            self.noise_std = variance.div_(self.mean_variance).sqrt_()

    def fit_data(self, model: Tensor) -> Tensor:
        """Return the split blurred image less its multiplier: between ``model`` and what agrees with the data."""
        u, v, rho_data = self.u_data.add_(model), self.v, self.splitting.rho_data
        torch.maximum(u, self.low, out=v)
        torch.minimum(v, self.high, out=v)
        if self.noise.gain:
            trust = torch.clamp(model, min=0, out=self.scratch[0]).mul_(self.noise.gain).add_(self.noise.read_variance)
            trust.clamp_(min=LEAST_VARIANCE * self.mean_variance).reciprocal_().mul_(self.mean_variance)
            v.mul_(trust).add_(u, alpha=rho_data).div_(trust.add_(rho_data))
        else:  # all data count alike
            v.add_(u, alpha=rho_data).div_(1 + rho_data)
        u.sub_(v)
        return v.sub_(u)

    def fit_rest(self, x: Tensor) -> Tensor:
        """Return what the other split variables, less their multipliers, say of the image, but for ``D'D x``."""
        add_differences(x, self.u1, self.u2, self.scratch, self.weights)
        _clip(self.u1, self.threshold, self.noise_std, self.scratch)
        if self.u2 is not None:
            _clip(self.u2, self.splitting.second_order * self.threshold, self.noise_std, self.scratch)
        pulled = add_differences_adjoint(self.u1, self.u2, self.scratch, self.weights)
        rest = torch.sub(self.pulled, pulled, alpha=2, out=self.rest)
        self.pulled.copy_(pulled)
        if self.u_positive is not None:
            u = self.u_positive.add_(x)
            rest.add_(torch.abs(u, out=self.scratch[1]))  # of u + x, the positive part is split off; the rest is u
            u.clamp_(max=0)
        return rest


def box_mean(x: Tensor) -> Tensor:
    """Average squares or cubes of three pixels of ``[R, C, (Z,) Y, X]``."""
    return avg_pool2d(x, 3, 1, 1) if x.ndim == 4 else avg_pool3d(x, 3, 1, 1)


def _clip(w: Tensor, threshold: float | Tensor, noise_std: float | Tensor, scratch: Tensor) -> None:
    """Shorten the vectors along the first axis of w to ``threshold / noise_std``, in place."""
    factor = torch.mul(w[0], w[0], out=scratch[0])
    for component in w[1:]:
        factor.addcmul_(component, component)
    factor.sqrt_().mul_(noise_std).clamp_(min=1e-12).reciprocal_().mul_(threshold).clamp_(max=1)
    w.mul_(factor)
