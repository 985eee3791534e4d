"""Split the terms of a total-variation problem for ADMM: the variables of one step, updated in place."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..operators.finite_differences import Weights, add_differences, add_differences_adjoint, second_order_count
from ..operators.noise import NoiseModel
from ..operators.observation import Observation

LEAST_VARIANCE = 1e-3  # of the mean variance: no pixel is trusted further


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
    tolerance : float
        Stop at a relative change below this; 0: never.
    """

    rho_data: float
    rho: float
    second_order: float = 0.0
    non_negative: bool = False
    tolerance: float = 0.0


class SplitVariables:
    """Update the split variables of :func:`~.total_variation.tv_admm` and their (scaled) multipliers, in place.

    Memory is kept from step to step: to allocate anew takes longer than the sums.
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
        self.noise, self.weights, self.rho_data = noise, weights, splitting.rho_data
        self.mean_variance = noise.mean_variance(observation.crop(observation.canvas))
        self.low, self.high = observation.bounds()
        self.threshold = strength * self.mean_variance / splitting.rho
        self.second_threshold = splitting.second_order * self.threshold
        dimensions = len(observation.shape)
        self.u_data, self.v = torch.zeros_like(x), torch.empty_like(x)
        self.u1, self.d1 = x.new_zeros(dimensions, *x.shape), x.new_empty(dimensions, *x.shape)
        self.u2: Tensor | None = None
        self.d2: Tensor | None = None
        if splitting.second_order:
            count = second_order_count(dimensions)
            self.u2, self.d2 = x.new_zeros(count, *x.shape), x.new_empty(count, *x.shape)
        self.u_positive = torch.zeros_like(x) if splitting.non_negative else None
        self.scratch = x.new_empty(dimensions + 1 if splitting.second_order else 2, *x.shape)

    def fit_data(self, model: Tensor) -> Tensor:
        """Return the split blurred image less its multiplier: between ``model`` and what agrees with the data."""
        u, v = self.u_data.add_(model), self.v
        torch.maximum(u, self.low, out=v)
        torch.minimum(v, self.high, out=v)
        if self.noise.gain:
            trust = torch.clamp(model, min=0, out=self.scratch[0]).mul_(self.noise.gain).add_(self.noise.read_variance)
            trust.clamp_(min=LEAST_VARIANCE * self.mean_variance).reciprocal_().mul_(self.mean_variance)
            v.mul_(trust).add_(u, alpha=self.rho_data).div_(trust.add_(self.rho_data))
        else:  # all data count alike
            v.add_(u, alpha=self.rho_data).div_(1 + self.rho_data)
        u.sub_(v)
        return v.sub_(u)

    def fit_rest(self, x: Tensor) -> Tensor:
        """Return what the split differences and the non-negative copy, less their multipliers, say of the image."""
        add_differences(x, self.u1, self.u2, self.scratch, self.weights)
        self.u1, self.d1 = _shrink(self.u1, self.threshold, self.d1, self.scratch[0])
        if self.u2 is not None and self.d2 is not None:
            self.u2, self.d2 = _shrink(self.u2, self.second_threshold, self.d2, self.scratch[0])
        rest = add_differences_adjoint(self.d1, self.d2, self.scratch, self.weights)
        if self.u_positive is not None:
            u = self.u_positive.add_(x)
            positive = torch.clamp(u, min=0, out=self.scratch[1])
            rest.add_(positive).sub_(u.sub_(positive))
        return rest


def _shrink(w: Tensor, threshold: float, out: Tensor, scratch: Tensor) -> tuple[Tensor, Tensor]:
    """Apply the soft threshold to the vectors along the first axis of w, the multiplier and the differences together.

    The part of w no longer than ``threshold`` is the new multiplier u (in ``out``); the rest is the split variable d.
    Returns u and ``d - u``, which takes the place of w.
    """
    torch.mul(w[0], w[0], out=scratch)
    for component in w[1:]:
        scratch.addcmul_(component, component)
    scratch.sqrt_().clamp_(min=1e-12).reciprocal_().mul_(threshold).clamp_(max=1)
    torch.mul(w, scratch, out=out)
    return out, w.sub_(out, alpha=2)
