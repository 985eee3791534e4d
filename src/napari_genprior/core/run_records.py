"""Record what happened in a run: progress, status, losses, verdict, provenance. Plain numpy."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

Index = tuple[int, ...]


class StatusCode(StrEnum):
    """How a run ended."""

    DONE = "done"
    STOPPED = "stopped"  # by the user or a time limit; the best so far is returned
    DIVERGED = "diverged"  # losses became NaN or infinite; the last finite state is returned


@dataclass(frozen=True)
class Status:
    """How the run ended, with a human-readable sentence."""

    code: StatusCode
    sentence: str

    def with_notes(self, *notes: str) -> Status:
        """Return this status with more sentences; empty ones are left out."""
        return Status(self.code, " ".join(filter(None, [self.sentence, *notes])))


@dataclass(frozen=True)
class Progress:
    """A snapshot of a run: detached copies, safe to keep.

    Parameters
    ----------
    step, total : int
        Work done and work planned; ``step <= total``.
    stage : str
        What is being done, human-readable ("Kernel candidate 3/14").
    image : float32 array or None
        The estimate so far in the input's intensity scale: the whole image, or the piece ``index`` of a stack.
    kernel : float32 array [(kz,) kh, kw] or None
        The kernel so far, >= 0, sum 1.
    losses : dict of str to float array [R]
        Terms of the objective, one value per restart.
    index : tuple of int or None
        Of a stack: which piece ``image`` is, along the looped axes (:class:`~.axes.Layout`); None while kernels are
        estimated.
    group : tuple of int or None
        Of several kernels: which one ``kernel`` is, as an index into :attr:`DeblurResult.kernels`.
    """

    step: int
    total: int
    stage: str
    image: np.ndarray | None = None
    kernel: np.ndarray | None = None
    losses: dict[str, np.ndarray] = field(default_factory=dict)
    index: Index | None = None
    group: Index | None = None

    @property
    def fraction(self) -> float:
        """Share of the planned work that is done, 0 to 1."""
        return self.step / self.total if self.total else 0.0


@dataclass(frozen=True)
class History:
    """Losses over a run: ``steps`` int [T]; each term float64 [T, R].

    NaN where a term was not in use, and beyond the number of restarts that were still active.
    """

    steps: np.ndarray
    terms: dict[str, np.ndarray]

    @classmethod
    def of(cls, snapshots: list[Progress]) -> History:
        """Collect the losses of snapshots."""
        kept = [s for s in snapshots if s.losses]
        names = list(dict.fromkeys(name for s in kept for name in s.losses))
        restarts = max((np.size(v) for s in kept for v in s.losses.values()), default=0)
        terms = {name: np.array([_padded(s.losses.get(name, np.nan), restarts) for s in kept]) for name in names}
        return cls(np.array([s.step for s in kept], dtype=np.int64), terms)


def _padded(values: Any, length: int) -> np.ndarray:
    """Repeat a single value ``length`` times; follow fewer values than that by NaN."""
    row = np.full(length, values if np.size(values) == 1 else np.nan, dtype=np.float64)
    if np.size(values) > 1:
        row[: np.size(values)] = values
    return row


class VerdictLabel(StrEnum):
    """The three outcomes of an assessment."""

    IMPROVED = "improved"
    DOUBTFUL = "doubtful"
    REJECTED = "no improvement"  # the input is returned in place of the estimate


@dataclass(frozen=True)
class Verdict:
    """Whether a result can be trusted.

    Parameters
    ----------
    improved : bool
        Whether ``label`` is "improved".
    reason : str
        A human-readable sentence.
    features : dict of str to float
        What the assessment rests on, see :mod:`napari_genprior.quality.features`.
    label : VerdictLabel, optional
        By default "improved" or "doubtful", as ``improved`` says.
    """

    improved: bool
    reason: str
    features: dict[str, float] = field(default_factory=dict)
    label: VerdictLabel | None = None

    def __post_init__(self) -> None:
        default = VerdictLabel.IMPROVED if self.improved else VerdictLabel.DOUBTFUL
        object.__setattr__(self, "label", default if self.label is None else VerdictLabel(self.label))

    @property
    def rejected(self) -> bool:
        """Whether the input is returned in place of the estimate."""
        return self.label is VerdictLabel.REJECTED

    @property
    def probability(self) -> float:
        """Probability that the estimate is closer to the truth than the input, 0 to 1; NaN where none was computed."""
        return self.features.get("probability", float("nan"))

    @property
    def sentence(self) -> str:
        """Label and reason, as one sentence."""
        because = f"because {self.reason[:1].lower()}{self.reason[1:]}"
        match self.label:
            case VerdictLabel.IMPROVED:
                return f"improved: {self.reason}"
            case VerdictLabel.DOUBTFUL:
                return f"doubtful: {because}"
            case _:
                return f"no improvement: input returned unchanged, {because}"

    @property
    def figures(self) -> dict[str, float]:
        """Deprecated name of :attr:`features`."""
        warn_renamed("verdict.figures", "verdict.features")
        return self.features

    @property
    def word(self) -> VerdictLabel | None:
        """Deprecated name of :attr:`label`."""
        warn_renamed("verdict.word", "verdict.label")
        return self.label


@dataclass(frozen=True)
class Provenance:
    """All that is needed to repeat a run (bit for bit on the same CPU with as many threads)."""

    method: str
    settings: dict[str, Any]
    arguments: dict[str, Any]  # the other arguments: axes, kernel_size, kernel_sha256, tiles ...
    seed: int
    device: str
    dtype: str
    threads: int
    input_sha256: str
    input_shape: tuple[int, ...]
    versions: dict[str, str]
    started: str  # ISO 8601, UTC
    seconds: float


def warn_renamed(old: str, new: str) -> None:
    """Warn that an attribute is used by its old name."""
    warnings.warn(f"{old} is now called {new}.", DeprecationWarning, stacklevel=3)
