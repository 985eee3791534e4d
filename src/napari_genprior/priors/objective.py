"""Objectives: weighted sums of named terms on an image, a kernel and the blurred image that they model."""

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
    """Arguments of a term: the unknowns, the modelled data ``A(k, x)``, the data, and the penalties of the priors."""

    image: Tensor  # [R, C, Y, X]
    kernel: Tensor  # [R, 1, kh, kw]
    model: Tensor  # [R, C, ...]
    data: Tensor  # [1, C, ...]
    image_penalty: Tensor  # [R]
    kernel_penalty: Tensor  # [R]


@dataclass(frozen=True)
class Term:
    """A term of an objective: a function of the estimate, with one value per restart, and a weight or its schedule."""

    value: Callable[[Estimate], Tensor]
    weight: float | Schedule = 1.0

    def weight_at(self, step: int) -> float:
        """Return the weight at a step."""
        return self.weight(step) if callable(self.weight) else self.weight


def during(first: int, stop: int | None = None, weight: float = 1.0) -> Schedule:
    """Schedule a weight that applies in steps ``first <= step < stop`` (None: to the end) and is 0 elsewhere."""
    return lambda step: weight if step >= first and (stop is None or step < stop) else 0.0


class Objective:
    """The weighted sum of terms over the blocks of two priors; called by the optimization loop.

    Parameters
    ----------
    operator : Bilinear
        Forward operator ``A(k, x)``.
    data : Tensor [1, C, ...]
        The blurred image that ``A(k, x)`` is fitted to.
    image, kernel : Prior
    terms : mapping of str to Term
        At every step at least one must have a non-zero weight.
    generator : torch.Generator
        Source of the initial states and of the noise that priors add.
    restarts : int

    Attributes
    ----------
    image_block, kernel_block : Block
        The states that the optimizer changes.

    Raises
    ------
    ValueError
        A term is named "total".
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
            raise ValueError("the name 'total' is reserved for the weighted sum of the terms; rename the term")
        self.operator = operator
        self.data = data
        self.image = image
        self.kernel = kernel
        self.terms = dict(terms)
        self.generator = generator
        self.image_block = image.init(restarts, generator)
        self.kernel_block = kernel.init(restarts, generator)

    def __call__(self, step: int) -> dict[str, Tensor]:
        """Evaluate the terms in use at a step, unweighted, and ``"total"``, their weighted sum: each ``[R]``.

        Raises
        ------
        ValueError
            No term has a weight at this step.
        """
        estimate = self._estimate(
            self.image.perturbed(self.image_block, self.generator),
            self.kernel.perturbed(self.kernel_block, self.generator),
        )
        weights = {name: term.weight_at(step) for name, term in self.terms.items()}
        losses = {name: self.terms[name].value(estimate) for name, weight in weights.items() if weight}
        if not losses:
            raise ValueError(f"no term has a non-zero weight at step {step}; give one a weight there")
        parts = torch.broadcast_tensors(*(weights[name] * value for name, value in losses.items()))
        return losses | {"total": torch.stack(parts).sum(0)}

    @torch.no_grad()
    def estimate(self) -> Estimate:
        """Return the present estimate: detached copies, without the noise that priors add."""
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
