"""Driving the generators that all searches are: to the end, or handing their states on in other words."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

State = TypeVar("State")
Shown = TypeVar("Shown")
Outcome = TypeVar("Outcome")


def run_to_end(search: Generator[Any, None, Outcome]) -> Outcome:
    """Run a search to its end and return what it returns."""
    while True:
        try:
            next(search)
        except StopIteration as end:
            return end.value


def map_states(
    search: Generator[State, None, Outcome], translate: Callable[[State], Shown]
) -> Generator[Shown, None, Outcome]:
    """Drive a search, yielding ``translate(state)`` for each of its states and returning what it returns."""
    try:
        while True:
            try:
                state = next(search)
            except StopIteration as end:
                return end.value
            yield translate(state)
    finally:
        search.close()
