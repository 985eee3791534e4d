"""Successive halving: few restarts remain, the limit of steps holds, and the callback between rounds."""

import torch

from napari_genprior.core.iteration import run_to_end
from napari_genprior.optim.successive_halving import halving


def wells(x, rows):
    """Evaluate a function with minima of 0 near (5, ...) and of 3 near (-5, ...)."""
    deep, shallow = (x - 5).square().sum(1), 3 + (x + 5).square().sum(1)
    return torch.minimum(deep, shallow)


def spread(n, d=3):
    return 4 * torch.randn(n, d, generator=torch.Generator().manual_seed(0))


def test_the_deepest_well_is_found_and_a_tenth_remains():
    found = run_to_end(halving(wells, spread(40), steps=100))
    assert len(found.x) == 4
    torch.testing.assert_close(found.x[0], torch.full((3,), 5.0), atol=1e-2, rtol=0)
    assert (found.values.diff() >= 0).all()


def test_a_single_start_is_optimized_to_the_end():
    found = run_to_end(halving(wells, torch.full((1, 3), -4.0), steps=100))
    torch.testing.assert_close(found.x, torch.full((1, 3), -5.0), atol=1e-2, rtol=0)


def test_steps_count_all_rounds_and_the_best_comes_first():
    for budget in (1, 12, 35):
        steps = []
        for state in halving(lambda x, rows: (x**4).sum(1), spread(30), steps=budget):
            steps.append(state.step)
            assert state.values[0] == state.values.min()
        assert steps == sorted(set(steps))
        assert steps[-1] <= budget


def test_the_objective_may_change_between_the_rounds():
    centre, told = torch.tensor(5.0), []

    def between(best):
        told.append(best.clone())
        centre.fill_(1.0)

    found = run_to_end(halving(lambda x, rows: (x - centre).square().sum(1), spread(20), steps=50, between=between))
    assert [len(best) for best in told] == [1, 1]
    torch.testing.assert_close(told[0], torch.full((1, 3), 5.0), atol=1e-2, rtol=0)
    torch.testing.assert_close(found.x[0], torch.ones(3), atol=1e-2, rtol=0)


def test_starts_without_a_finite_value_are_dropped():
    start = spread(10)
    start[:5] = float("nan")
    assert torch.isfinite(run_to_end(halving(wells, start, steps=30)).values).all()
    nothing = run_to_end(halving(wells, start[:5], steps=30))
    assert not torch.isfinite(nothing.values).any()
