"""Block coordinate descent: order of the steps, independent rows, divergence, status."""

import pytest
import torch

from napari_genprior.core.iteration import map_states, run_to_end
from napari_genprior.core.result import StatusCode
from napari_genprior.optim.block_coordinate import alternate


def drive(search):
    """Collect all states of a generator, and its return value."""
    states = []

    def keep(state):
        states.append(state)

    return states, run_to_end(map_states(search, keep))


def leaf(*rows):
    return torch.tensor(rows, dtype=torch.float64, requires_grad=True)


def bilinear(first, second):
    """Make an objective that is zero where the product of the two means is 6."""
    return lambda step: {"total": (first.mean(1) * second.mean(1) - 6).square()}


def test_each_step_has_the_set_length_and_the_second_block_follows_the_first():
    seen = []
    a, b = leaf([1.0, 2.0]), leaf([3.0])

    def objective(step):
        seen.append((step, a.detach().clone(), b.detach().clone()))
        return {"total": (a.square().sum(1) + b.square().sum(1))}

    run_to_end(alternate(objective, [a, b], steps=1, rate=lambda step: 0.5))
    gradient = torch.tensor([[2.0, 4.0]], dtype=torch.float64)
    expected = torch.tensor([[1.0, 2.0]], dtype=torch.float64) - 0.5 * gradient / 10**0.5
    torch.testing.assert_close(a.detach(), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(b.detach(), torch.tensor([[2.5]], dtype=torch.float64), atol=1e-5, rtol=0)
    steps, firsts, seconds = zip(*seen, strict=True)
    assert steps == (0, 0, 1)
    assert torch.equal(firsts[1], a.detach())  # the second block's gradient
    assert float(seconds[1]) == 3.0


def test_a_bilinear_valley_is_reached_by_decreasing_steps():
    a, b = leaf([1.0, 0.5], [-1.0, -2.0]), leaf([1.0], [-0.5])
    status = run_to_end(alternate(bilinear(a, b), [a, b], steps=200, rate=lambda step: 0.1 * 0.97**step))
    assert status.code is StatusCode.DONE
    torch.testing.assert_close(
        (a.mean(1) * b.mean(1)).detach(), torch.full((2,), 6.0, dtype=torch.float64), rtol=1e-2, atol=0
    )


def test_rows_are_independent():
    starts = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def search(a):
        a, b = a.clone().requires_grad_(), (a[:, :1] + 1).clone().requires_grad_()
        run_to_end(alternate(bilinear(a, b), [a, b], steps=30, rate=lambda step: 0.05))
        return a.detach()

    together = search(starts)
    alone = torch.cat([search(row[None]) for row in starts])
    torch.testing.assert_close(together, alone)


def test_a_row_that_diverges_is_reset_and_the_others_continue():
    a = leaf([1.0], [1.0])

    def objective(step):
        value = (a[:, 0] - 3).square()
        return {"total": torch.where((torch.arange(2) == 1) & (a.detach()[:, 0] > 1.5), float("nan"), value)}

    states, status = drive(alternate(objective, [a], steps=40, rate=lambda step: 0.1, report_every=1))
    assert status.code is StatusCode.DONE
    assert a.detach().flatten().tolist() == pytest.approx([3, 1.5], abs=0.11)
    assert all(torch.isfinite(torch.from_numpy(state.losses["total"])).all() for state in states)


def test_where_no_row_is_finite_the_start_is_kept():
    a = leaf([1.0], [2.0])
    broken = alternate(lambda step: {"total": a[:, 0] * float("nan")}, [a], steps=5, rate=lambda step: 0.1)
    states, status = drive(broken)
    assert states == []
    assert status.code is StatusCode.DIVERGED
    assert a.detach().flatten().tolist() == [1.0, 2.0]


def test_closing_leaves_the_parameters_of_the_last_state():
    a, b = leaf([1.0]), leaf([1.0])
    with torch.no_grad():  # callers may well be
        search = alternate(bilinear(a, b), [a, b], steps=50, rate=lambda step: 0.1, report_every=5)
        assert [next(search).step for _ in range(3)] == [0, 5, 10]
        at_ten = a.detach().clone()
        search.close()
    assert torch.equal(a.detach(), at_ten)
    assert a.detach().item() != 1.0
