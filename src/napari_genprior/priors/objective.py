"""What is minimised: named terms on an image, a kernel and the blurred image they explain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..operators.bilinear import Bilinear
from .base import Prior

Schedule = Callable[[int], float]


@dataclass(frozen=True)
class Estimate:
    """What a term may look at: the unknowns, the modelled data ``A(k, x)``, the data, and the priors' own cost."""

    image: Tensor  # [R, C, Y, X]
    kernel: Tensor  # [R, 1, kh, kw]
    model: Tensor  # [R, C, ...]
    data: Tensor  # [1, C, ...]
    image_penalty: Tensor  # [R]
    kernel_penalty: Tensor  # [R]


@dataclass(frozen=True)
class Term:
    """One term: a function of the estimate with one value per restart, and its weight (may depend on the step)."""

    value: Callable[[Estimate], Tensor]
    weight: float | Schedule = 1.0

    def weight_at(self, step: int) -> float:
        return self.weight(step) if callable(self.weight) else self.weight


def during(first: int, stop: int | None = None, weight: float = 1.0) -> Schedule:
    """A weight that holds in steps ``first <= step < stop`` (None: to the end) and is 0 elsewhere."""
    return lambda step: weight if step >= first and (stop is None or step < stop) else 0.0


class Objective:
    """The weighted sum of terms over the blocks of two priors; a closure for the loop.

    Parameters
    ----------
    operator : Bilinear
        Forward operator ``A(k, x)``.
    data : Tensor [1, C, ...]
        What ``A(k, x)`` must explain.
    image, kernel : Prior
    terms : mapping of str to Term
        At every step at least one must have a weight other than 0.
    generator : torch.Generator
        Source of the starts and of the priors' jitter.
    restarts : int

    Attributes
    ----------
    image_block, kernel_block : Block
        What the optimiser changes.
    """

    def __init__(
        self,
        operator: Bilinear,
        data: Tensor,
        image: Prior,
        kernel: Prior,
        terms: Mapping[str, Term],
        generator: torch.Generator,
        restarts: int = 1,
    ) -> None:
        if "total" in terms:
            raise ValueError("the name 'total' is kept for the weighted sum of the terms")
        self.operator = operator
        self.data = data
        self.image = image
        self.kernel = kernel
        self.terms = dict(terms)
        self.generator = generator
        self.image_block = image.init(restarts, generator)
        self.kernel_block = kernel.init(restarts, generator)

    def __call__(self, step: int) -> dict[str, Tensor]:
        """The terms in use at a step, unweighted, and ``"total"``, their weighted sum: each ``[R]``."""
        estimate = self._estimate(
            self.image.perturbed(self.image_block, self.generator),
            self.kernel.perturbed(self.kernel_block, self.generator),
        )
        weights = {name: term.weight_at(step) for name, term in self.terms.items()}
        losses = {name: self.terms[name].value(estimate) for name, weight in weights.items() if weight}
        if not losses:
            raise ValueError(f"no term has a weight at step {step}")
        parts = torch.broadcast_tensors(*(weights[name] * value for name, value in losses.items()))
        return losses | {"total": torch.stack(parts).sum(0)}

    @torch.no_grad()
    def estimate(self) -> Estimate:
        """The estimate as it stands: detached copies, without the priors' jitter."""
        image, kernel = self.image.decode(self.image_block), self.kernel.decode(self.kernel_block)
        return self._estimate(image.clone(), kernel.clone())

    def _estimate(self, image: Tensor, kernel: Tensor) -> Estimate:
        return Estimate(
            image=image,
            kernel=kernel,
            model=self.operator(kernel, image),
            data=self.data,
            image_penalty=self.image.penalty(self.image_block),
            kernel_penalty=self.kernel.penalty(self.kernel_block),
        )
