"""Run generators to completion, or map their states."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

State = TypeVar("State")
Mapped = TypeVar("Mapped")
Outcome = TypeVar("Outcome")


def run_to_end(run: Generator[Any, None, Outcome]) -> Outcome:
    """Run a generator to its end, and return its return value."""
    while True:
        try:
            next(run)
        except StopIteration as end:
            return end.value


def map_states(
    run: Generator[State, None, Outcome], convert: Callable[[State], Mapped]
) -> Generator[Mapped, None, Outcome]:
    """Yield ``convert(state)`` for each state of a generator, and return its return value."""
    try:
        while True:
            try:
                state = next(run)
            except StopIteration as end:
                return end.value
            yield convert(state)
    finally:
        run.close()
