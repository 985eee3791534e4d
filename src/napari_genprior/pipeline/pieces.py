"""What a run does piece by piece: the only thing in which images, stacks, volumes and tiles differ.

:mod:`.run` asks for the groups of pieces that share a kernel, estimates a kernel for each, and has the pieces restored.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator as Yields
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

import numpy as np

from ..core.result import Index, Progress, Status, StatusCode, Verdict
from .plan import Plan
from .recipe_run import DONE, Restored

TOTAL = 1000  # of the progress of runs over several pieces


@dataclass(frozen=True)
class Outcome:
    """What a run over pieces came to: the parts of a :class:`~napari_genprior.DeblurResult` that depend on the pieces.

    Parameters
    ----------
    input_sha256 : str
        As :func:`~napari_genprior.core.provenance.array_hash` of all the data.
    arguments : dict
        What the provenance records beside method and settings.
    """

    image: Any
    kernels: np.ndarray
    verdict: Verdict
    input_sha256: str
    status: Status = DONE
    verdicts: dict[Index, Verdict] | None = None
    constant_pieces: tuple[Index, ...] = ()
    restored: Restored | None = None
    device: str = ""
    arguments: dict[str, Any] | None = None


class Pieces(ABC):
    """Iterate over the pieces of an image: which share kernels, where these are estimated, how each is restored."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.files = ExitStack()
        self.estimations: list[Status] = []  # how each estimation of a kernel ended

    @property
    @abstractmethod
    def batches(self) -> Sequence[Sequence[Index]]:
        """The groups of kernels; those of a batch are all estimated before the first is used."""

    @abstractmethod
    def parts(self, group: Index) -> Yields[Progress, None, list[np.ndarray]]:
        """Return the parts in which the kernel of a group is estimated, the most textured first."""

    def part_mask(self, group: Index) -> np.ndarray | None:
        """Return what the user masked of the first part."""
        return None

    @abstractmethod
    def restore(self, batch: Sequence[Index]) -> Yields[Progress, None, None]:
        """Restore the pieces of a batch with the kernels in :attr:`estimates`."""

    @abstractmethod
    def outcome(self) -> Outcome:
        """Return what the run came to."""

    def survey(self) -> Yields[Progress, None, None]:
        """Look at all data, where something must be known of all before a kernel is estimated."""
        return
        yield

    def plan_of(self, group: Index) -> Plan:
        """Return the plan with which the kernel of a group is estimated."""
        return self.plan

    @abstractmethod
    def take(self, group: Index, estimate: Restored) -> None:
        """Keep the kernel that was estimated for a group."""

    def known(self, group: Index) -> bool:
        """Return whether a group's kernel needs no estimation: it is given, or was estimated by an earlier run."""
        return self.plan.kernels is not None

    def overall_status(
        self, completed: str = "Completed.", notes: Sequence[str] = (), volumes: Sequence[Status] = ()
    ) -> Status:
        """Return the status of the whole: diverged or stopped where any of its parts was.

        Parameters
        ----------
        completed : str
            The sentence where none was.
        notes : sequence of str
            Sentences that follow; empty ones are left out.
        volumes : sequence of Status
            How the restoration of each volume ended; that of a plane is one step.
        """
        code, sentence = StatusCode.DONE, completed
        parts = (("kernel estimations", self.estimations), ("volumes", volumes))
        for stop, text in (
            (StatusCode.STOPPED, f"The time limit of {self.plan.time_limit_s or 0:g} s was reached in {{}}; the best "
             "estimates so far are used."),
            (StatusCode.DIVERGED, "The losses became NaN or infinite in {}; the last finite states are used."),
        ):  # fmt: skip
            counts = [(sum(end.code is stop for end in ends), len(ends), noun) for noun, ends in parts]
            where = " and ".join(f"{count} of {total} {noun}" for count, total, noun in counts if count)
            if where:
                code, sentence = stop, text.format(where)
        return Status(code, sentence).with_notes(*notes)

    def while_estimating(self, group: Index, progress: Progress) -> Progress:
        """Return the progress of the whole run, from that of one estimation."""
        return progress

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.files.__exit__(kind, error, trace)


def at_fraction(fraction: float, stage: str, kernel: np.ndarray | None = None, group: Index | None = None) -> Progress:
    """Return a snapshot of a run over several pieces."""
    return Progress(round(TOTAL * fraction), TOTAL, stage, kernel=kernel, group=group)


def with_counts(verdict: Verdict, **counts: float) -> Verdict:
    """Return a verdict with counts of pieces among its features."""
    return replace(verdict, features={**verdict.features, **counts})
