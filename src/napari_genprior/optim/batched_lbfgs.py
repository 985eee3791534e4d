"""Limited-memory BFGS for many small independent problems at once, each with its own step lengths.

``torch.optim.LBFGS`` takes a batch for one problem: one step length and one history for all, which couples
independent restarts. Here every row of a matrix is a problem of its own.

References
----------
J. Nocedal, S. J. Wright, "Numerical Optimization", 2nd ed. 2006, algorithms 7.4 (two loops) and 3.5 (line search).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
from torch import Tensor

Objective = Callable[[Tensor, Tensor], Tensor]
"""``objective(x, rows)``: values ``[n]`` of the points ``x [n, d]`` of problems ``rows [n]`` (indices into R).
Differentiable; NaN or infinity marks a point that must not be accepted."""

DECREASE = 1e-4  # least decrease as a fraction of that predicted by the slope (Wolfe's first condition)
LINE_SEARCH_TRIALS = 20
EXPANSION = 3.0  # factor of the trial step while no upper bound is known


@dataclass(frozen=True)
class LbfgsState:
    """The state after ``step`` updates: best points ``x [R, d]``, their values ``[R]``, and the active rows ``[R]``."""

    step: int
    x: Tensor
    values: Tensor
    active: Tensor


def lbfgs(
    objective: Objective,
    start: Tensor,
    *,
    steps: int = 200,
    memory: int = 15,
    tolerance: float = 1e-6,
    curvature: float = 0.9,
) -> Generator[LbfgsState, None, LbfgsState]:
    """Minimise R independent functions of d variables.

    Parameters
    ----------
    objective : callable
        See :data:`Objective`. It is evaluated at active rows only.
    start : Tensor [R, d]
    steps : int
        Largest number of updates of a row; one costs 1 to 2 evaluations, rarely more.
    memory : int
        Number of pairs of steps and gradient changes.
    tolerance : float
        A row has converged when its gradient's norm is below this times ``max(1, |x|)``, when its value decreases by
        less than this (relative) in three consecutive updates, or when the line search finds no lower value.
    curvature : float
        Fraction of the slope that may remain after a step (Wolfe's second condition), in (1e-4, 1): 0.9 saves
        evaluations, 0.01 is an almost exact line search.

    Yields
    ------
    LbfgsState
        The state after each update; the last one is returned. Rows without a finite first value stay at their start.
    """
    x = start.detach().clone()
    everyone = torch.arange(len(x), device=x.device)
    values, gradients = _evaluate(objective, x, everyone)
    history = _History(memory, x)
    active = torch.isfinite(values) & (gradients.norm(dim=1) > tolerance)
    slow = torch.zeros_like(everyone)  # consecutive updates with hardly any decrease
    fresh = torch.ones_like(active)  # rows without history, whose next direction is that of the gradient
    step = 0
    for step in range(1, steps + 1):
        rows = everyone[active]
        if not len(rows):
            break
        x_now, value, gradient = x[rows], values[rows], gradients[rows]
        direction, slope, first = _descent_direction(history, gradient, rows, fresh)
        reached = _line_search(objective, x_now, value, direction, slope, first, rows, curvature)
        moved = reached.values < value
        history.add(reached.x - x_now, reached.gradients - gradient, rows, moved)
        lost = ~moved & ~fresh[rows]  # the history may be bad: discard it and try the gradient once
        history.forget(rows[lost])
        fresh[rows] = lost
        small = value - reached.values <= tolerance * value.abs().clamp(min=1e-30)
        slow[rows] = torch.where(small & moved, slow[rows] + 1, torch.zeros_like(rows))
        at = rows[moved]
        x[at], values[at], gradients[at] = reached.x[moved], reached.values[moved], reached.gradients[moved]
        flat = gradients[rows].norm(dim=1) <= tolerance * x[rows].norm(dim=1).clamp(min=1.0)
        active[rows] = (moved | lost) & ~flat & (slow[rows] < 3)
        yield LbfgsState(step, x.clone(), values.clone(), active.clone())
    return LbfgsState(step, x, values, active)


def _evaluate(objective: Objective, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Evaluate values and gradients; where either is not finite the value is infinite and the gradient 0."""
    with torch.enable_grad():
        point = x.detach().requires_grad_()
        values = objective(point, rows)
        (gradients,) = torch.autograd.grad(values.sum(), point)
    bad = ~(torch.isfinite(values) & torch.isfinite(gradients).all(1))
    values = values.detach().masked_fill(bad, float("inf"))
    return values, gradients.masked_fill(bad[:, None], 0.0)


def _descent_direction(
    history: _History, gradient: Tensor, rows: Tensor, fresh: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute directions ``[n, d]``, their slopes ``[n]`` and first trial steps ``[n]``; mark rows without history."""
    direction = -history.times(gradient, rows)
    slope = (direction * gradient).sum(1)
    uphill = ~(slope < 0)
    direction[uphill], slope[uphill] = -gradient[uphill], -gradient[uphill].square().sum(1)
    fresh[rows[uphill]] = True
    # without history the scale is unknown: the first trial has length 1, or less where the gradient is small
    first = torch.where(fresh[rows], (1 / gradient.norm(dim=1)).clamp(max=1.0), torch.ones_like(slope))
    return direction, slope, first


class _History:
    """Pairs (s, y) of steps and gradient changes of each row, which approximate the inverse Hessian."""

    def __init__(self, memory: int, x: Tensor) -> None:
        self.memory = memory
        self.steps, self.changes = (x.new_zeros(memory, *x.shape) for _ in range(2))
        self.weights = x.new_zeros(memory, len(x))  # 1 / (s' y); 0 where there is no pair
        self.scale = x.new_ones(len(x))
        self.next = 0

    def add(self, s: Tensor, y: Tensor, rows: Tensor, valid: Tensor) -> None:
        """Store a pair of each of these rows where it is valid."""
        product, power = (s * y).sum(1), y.square().sum(1)
        # a pair without positive curvature would make the matrix indefinite
        valid = valid & (product > 1e-8 * power.sqrt() * s.norm(dim=1)) & (power > 0)
        slot = self.next % self.memory
        self.weights[slot] = 0.0
        self.steps[slot, rows], self.changes[slot, rows] = s, y
        self.weights[slot, rows] = torch.where(valid, 1 / product, torch.zeros_like(product))
        self.scale[rows] = torch.where(valid, product / power, self.scale[rows])
        self.next += 1

    def forget(self, rows: Tensor) -> None:
        """Discard all pairs of these rows."""
        self.weights[:, rows] = 0.0
        self.scale[rows] = 1.0

    def times(self, gradient: Tensor, rows: Tensor) -> Tensor:
        """Multiply the inverse Hessian with gradients ``[n, d]`` (two-loop recursion)."""
        newest_first = [i % self.memory for i in range(self.next - 1, max(self.next - self.memory, 0) - 1, -1)]
        steps, changes, weights = self.steps, self.changes, self.weights
        if len(rows) < steps.shape[1]:
            steps, changes, weights = steps[:, rows], changes[:, rows], weights[:, rows]
        direction, factors = gradient.clone(), {}
        for i in newest_first:
            factors[i] = (weights[i] * (steps[i] * direction).sum(1))[:, None]
            direction.addcmul_(factors[i], changes[i], value=-1)
        direction *= self.scale[rows, None]
        for i in reversed(newest_first):
            back = (weights[i] * (changes[i] * direction).sum(1))[:, None]
            direction.addcmul_(factors[i] - back, steps[i])
        return direction


@dataclass
class _Reached:
    """Points reached by a line search ``[n, d]``, their values ``[n]`` and gradients ``[n, d]``."""

    x: Tensor
    values: Tensor
    gradients: Tensor


def _line_search(
    objective: Objective,
    x: Tensor,
    value: Tensor,
    direction: Tensor,
    slope: Tensor,
    first: Tensor,
    rows: Tensor,
    curvature: float,
) -> _Reached:
    """Find a step of each row that meets the strong Wolfe conditions, else the lowest point; tensors ``[n, ...]``.

    ``low`` is the best step with sufficient decrease so far, ``high`` one beyond the minimum (infinite: not known yet).
    """
    low, low_value, low_slope = torch.zeros_like(value), value.clone(), slope.clone()
    high, high_value = torch.full_like(value, float("inf")), torch.full_like(value, float("inf"))
    high_slope = torch.zeros_like(value)
    best = _Reached(x.clone(), value.clone(), torch.zeros_like(x))
    trial = first.clone()
    open_ = torch.arange(len(x), device=x.device)
    for _ in range(LINE_SEARCH_TRIALS):
        t = trial[open_]
        point = x[open_] + t[:, None] * direction[open_]
        values, gradient = _evaluate(objective, point, rows[open_])
        along = (gradient * direction[open_]).sum(1)
        better = values < best.values[open_]
        at = open_[better]
        best.x[at], best.values[at], best.gradients[at] = point[better], values[better], gradient[better]
        enough = (values <= value[open_] + DECREASE * t * slope[open_]) & (values <= low_value[open_])
        done = enough & (along.abs() <= -curvature * slope[open_])
        beyond = ~enough | (along >= 0)
        at = open_[beyond]
        high[at], high_value[at], high_slope[at] = t[beyond], values[beyond], along[beyond]
        at = open_[~beyond]
        low[at], low_value[at], low_slope[at] = t[~beyond], values[~beyond], along[~beyond]
        # the accepted point itself, not a lower one before it that violates the second condition
        at = open_[done]
        best.x[at], best.values[at], best.gradients[at] = point[done], values[done], gradient[done]
        narrow = (high - low)[open_] <= 1e-7 * t
        open_ = open_[~done & ~narrow]
        if not len(open_):
            break
        trial[open_] = _next_trial(
            low[open_], low_value[open_], low_slope[open_], high[open_], high_value[open_], high_slope[open_],
            trial[open_],
        )  # fmt: skip
    return best


def _next_trial(
    low: Tensor, f_low: Tensor, g_low: Tensor, high: Tensor, f_high: Tensor, g_high: Tensor, last: Tensor
) -> Tensor:
    """Minimise the cubic through both bounds, a tenth of the interval inside; without an upper bound, expand."""
    bounded = torch.isfinite(high)
    width = torch.where(bounded, high - low, torch.ones_like(low))
    rise = torch.where(torch.isfinite(f_high) & bounded, f_high - f_low, torch.full_like(low, float("nan")))
    a = g_low + g_high - 3 * rise / width
    root = (a.square() - g_low * g_high).clamp(min=0).sqrt()
    cubic = low + width * (1 - (g_high + root - a) / (g_high - g_low + 2 * root))
    inside = torch.minimum(torch.maximum(cubic, low + 0.1 * width), low + 0.9 * width)
    # the value at the upper bound is not finite, or the cubic has no minimum
    inside = torch.where(torch.isfinite(cubic), inside, low + 0.3 * width)
    return torch.where(bounded, inside, last * EXPANSION)
