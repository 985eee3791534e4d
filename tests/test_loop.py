"""The gradient loop: it finds the minimum, reports, can be cancelled, and detects divergence."""

import numpy as np
import pytest
import torch

from napari_genprior.core.iteration import map_states
from napari_genprior.core.result import StatusCode
from napari_genprior.optim.gradient_loop import minimise

TARGET = torch.tensor([[1.0, -2.0], [3.0, 0.5], [0.0, 0.25]])  # one row per restart


def quadratic(point):
    return lambda step: {"total": (point - TARGET).square().sum(1)}


def run_to_end(search):
    states = []
    while True:
        try:
            states.append(next(search))
        except StopIteration as end:
            return states, end.value


def test_minimises_to_the_known_answer_and_reports():
    point = torch.zeros(3, 2, requires_grad=True)
    optimiser = torch.optim.Adam([point], lr=0.1)
    states, status = run_to_end(
        minimise(quadratic(point), optimiser, steps=305, milestones={150, 250}, report_every=100)
    )
    torch.testing.assert_close(point.detach(), TARGET, atol=1e-3, rtol=0)
    assert status.code is StatusCode.DONE
    assert [state.step for state in states] == [0, 100, 200, 300, 305]
    assert all(state.total == 305 for state in states)
    assert states[0].losses["total"].tolist() == TARGET.square().sum(1).tolist()
    np.testing.assert_allclose(states[-1].losses["total"], quadratic(point)(305)["total"].detach())
    assert optimiser.param_groups[0]["lr"] == pytest.approx(0.025)


def test_restarts_are_independent():
    together, alone = torch.zeros(3, 2, requires_grad=True), torch.zeros(1, 2, requires_grad=True)
    run_to_end(minimise(quadratic(together), torch.optim.Adam([together], lr=0.1), steps=20))
    only = {"total": lambda: (alone - TARGET[1:2]).square().sum(1)}
    run_to_end(minimise(lambda step: {"total": only["total"]()}, torch.optim.Adam([alone], lr=0.1), steps=20))
    assert torch.equal(together[1:2], alone)


def test_closing_cancels_and_keeps_the_parameters():
    point = torch.zeros(3, 2, requires_grad=True)
    search = minimise(quadratic(point), torch.optim.SGD([point], lr=0.1), steps=1000, report_every=7)
    next(search), next(search)
    at_report = point.detach().clone()
    search.close()
    assert torch.equal(point, at_report)
    torch.testing.assert_close(at_report, TARGET * (1 - 0.8**7))
    with pytest.raises(StopIteration):
        next(search)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_stops_on_non_finite_losses_and_restores(bad):
    point = torch.zeros(3, 2, requires_grad=True)
    seen = []

    def objective(step):
        seen.append(point.detach().clone())
        broken = torch.tensor([0.0, bad if step == 4 else 0.0, 0.0])  # one restart is enough
        return {"total": quadratic(point)(step)["total"] + broken}

    states, status = run_to_end(minimise(objective, torch.optim.SGD([point], lr=0.1), steps=10, report_every=1))
    assert status.code is StatusCode.DIVERGED
    assert "step 4" in status.sentence
    assert torch.equal(point, seen[3])
    assert [state.step for state in states] == [0, 1, 2, 3]


def test_an_infinite_gradient_in_the_last_step_is_detected():
    point = torch.zeros(1, requires_grad=True)  # sqrt has a finite value and an infinite slope at 0
    _, status = run_to_end(minimise(lambda step: {"total": point.sqrt()}, torch.optim.SGD([point], lr=0.1), steps=1))
    assert status.code is StatusCode.DIVERGED
    assert point.item() == 0


def test_yields_outside_of_any_torch_context_and_works_inside_no_grad():
    point = torch.zeros(3, 2, requires_grad=True)
    search = minimise(quadratic(point), torch.optim.SGD([point], lr=0.1), steps=3, report_every=1)
    with torch.no_grad():
        for state in search:
            assert not torch.is_grad_enabled()
            assert isinstance(state.losses["total"], np.ndarray)
    assert point.detach().abs().sum() > 0
    assert torch.is_grad_enabled()


def test_map_states_converts_returns_and_closes():
    closed = []

    def search():
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)
        return "end"

    assert run_to_end(map_states(search(), str)) == (["1", "2"], "end")
    half = map_states(search(), str)
    next(half)
    closed.clear()
    half.close()
    assert closed == [True]
