"""Batched L-BFGS: known minima, and independent rows."""

import pytest
import torch

from napari_genprior.core.iteration import run_to_end
from napari_genprior.optim.batched_lbfgs import lbfgs


def quadratics(count=5, size=12, seed=0):
    """Make positive definite matrices [R, d, d] of condition up to 100, and minima [R, d]."""
    random = torch.Generator().manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(count, size, size, generator=random, dtype=torch.float64))[0]
    scales = torch.logspace(0, 2, size, dtype=torch.float64)
    return turn * scales @ turn.mT, torch.randn(count, size, generator=random, dtype=torch.float64)


def rosenbrock(x, rows):
    return (100 * (x[:, 1:] - x[:, :-1] ** 2) ** 2 + (1 - x[:, :-1]) ** 2).sum(1)


def test_a_quadratic_ends_after_as_many_steps_as_it_has_variables():
    matrices, minima = quadratics()

    def objective(x, rows):
        away = x - minima[rows]
        return (away[:, None] @ matrices[rows] @ away[..., None])[:, 0, 0]

    found = run_to_end(lbfgs(objective, torch.zeros_like(minima), steps=15, memory=15, curvature=0.001))
    torch.testing.assert_close(found.x, minima, atol=1e-4, rtol=1e-4)
    loose = run_to_end(lbfgs(objective, torch.zeros_like(minima), steps=60))
    torch.testing.assert_close(loose.x, minima, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("size", "steps"), [(2, 60), (10, 150)])
def test_rosenbrocks_valley_is_followed_to_its_end(size, steps):
    start = torch.tensor([-1.2, 1.0] * (size // 2), dtype=torch.float64).repeat(3, 1)
    start[1] *= 0.5
    start[2] = 0.0
    found = run_to_end(lbfgs(rosenbrock, start, steps=steps, tolerance=1e-10))
    torch.testing.assert_close(found.x, torch.ones_like(start), atol=1e-5, rtol=1e-5)
    assert found.values.max() < 1e-10


def test_a_row_is_independent_of_the_others():
    random = torch.Generator().manual_seed(1)
    start = torch.randn(4, 6, generator=random, dtype=torch.float64)
    together = run_to_end(lbfgs(rosenbrock, start, steps=25))
    for row in range(4):
        alone = run_to_end(lbfgs(rosenbrock, start[row : row + 1], steps=25))
        torch.testing.assert_close(together.x[row], alone.x[0])


def test_scales_may_differ_by_millions():
    scale = torch.tensor([1e-6, 1.0, 1e6], dtype=torch.float64)

    def objective(x, rows):
        return scale[rows] * ((x - 2) ** 2).sum(1) + 1

    found = run_to_end(lbfgs(objective, torch.zeros(3, 4, dtype=torch.float64), tolerance=1e-12))
    torch.testing.assert_close(found.x, torch.full((3, 4), 2.0, dtype=torch.float64), atol=1e-3, rtol=1e-3)


def test_values_never_rise_and_converged_rows_are_not_evaluated():
    asked = []

    def objective(x, rows):
        asked.append(rows.tolist())
        return torch.where(rows == 0, (x**2).sum(1), rosenbrock(x, rows))

    before = torch.full((2,), float("inf"), dtype=torch.float64)
    for state in lbfgs(objective, torch.tensor([[1e-9, 0.0], [-1.2, 1.0]], dtype=torch.float64), steps=30):
        assert (state.values <= before).all()
        before = state.values
    assert asked[-1] == [1]


def test_points_without_a_finite_value_are_not_accepted():
    def objective(x, rows):
        return (x - x.log()).sum(1)  # NaN for x <= 0, minimum at 1

    found = run_to_end(lbfgs(objective, torch.tensor([[8.0, 0.01], [-1.0, 1.0]], dtype=torch.float64)))
    torch.testing.assert_close(found.x[0], torch.ones(2, dtype=torch.float64), atol=1e-3, rtol=1e-3)
    assert found.x[1].tolist() == [-1.0, 1.0]  # without a finite value at its start it stays there
    assert not torch.isfinite(found.values[1])


def test_single_precision_converges_by_itself():
    found = run_to_end(lbfgs(rosenbrock, torch.zeros(2, 4), steps=500))
    assert found.step < 200
    torch.testing.assert_close(found.x, torch.ones(2, 4), atol=1e-2, rtol=1e-2)
