"""What a run hands out: progress on the way, and a result that says where it came from. Plain numpy, no torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from .errors import LONGEST, FileError

FORMAT = 1  # of saved results
SPREAD = "spread over restarts"  # among a result's layers: grey, a standard deviation in the input's units
GENERATED = "generator image"  # among a result's layers: the nearest image of the generator's own
REJECTED = "rejected"  # among a result's layers: the image found, where the verdict keeps the input instead


class StatusCode(StrEnum):
    """How a run ended."""

    DONE = "done"
    STOPPED = "stopped"  # by the user; the best so far is kept
    DIVERGED = "diverged"  # losses became NaN or infinite; the last good state is kept


@dataclass(frozen=True)
class Status:
    """How the run ended, with a sentence for a person."""

    code: StatusCode
    sentence: str


@dataclass(frozen=True)
class Progress:
    """A snapshot of a run: detached copies, safe to keep.

    Parameters
    ----------
    step, total : int
        Work done and work planned, in steps of the method; ``step <= total``.
    stage : str
        What is being done, for a person ("kernel, level 3 of 9").
    image : float32 array, shape of the input, or None
        The image so far, in the input's intensity scale.
    kernel : float32 array [kh, kw] or None
        The kernel so far, >= 0, sum 1.
    losses : dict of str to float array [R]
        Terms of the objective, one value per restart.
    """

    step: int
    total: int
    stage: str
    image: np.ndarray | None = None
    kernel: np.ndarray | None = None
    losses: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def fraction(self) -> float:
        return self.step / self.total if self.total else 0.0


@dataclass(frozen=True)
class History:
    """Losses over a run: ``steps`` int [T]; each term float64 [T, R].

    NaN where a term was not in use, and behind the restarts that were still under way.
    """

    steps: np.ndarray
    terms: dict[str, np.ndarray]

    @classmethod
    def of(cls, snapshots: list[Progress]) -> History:
        kept = [s for s in snapshots if s.losses]
        names = list(dict.fromkeys(name for s in kept for name in s.losses))
        restarts = max((np.size(v) for s in kept for v in s.losses.values()), default=0)
        terms = {name: np.array([_padded(s.losses.get(name, np.nan), restarts) for s in kept]) for name in names}
        return cls(np.array([s.step for s in kept], dtype=np.int64), terms)


def _padded(values: Any, length: int) -> np.ndarray:
    """One value goes for all; fewer values than ``length`` are followed by NaN."""
    row = np.full(length, values if np.size(values) == 1 else np.nan, dtype=np.float64)
    if np.size(values) > 1:
        row[: np.size(values)] = values
    return row


class Word(StrEnum):
    """What a verdict comes to."""

    IMPROVED = "improved"
    DOUBTFUL = "doubtful"
    KEPT = "no improvement"  # the input is handed out in place of what was found


@dataclass(frozen=True)
class Verdict:
    """Can the result be trusted?

    Parameters
    ----------
    improved : bool
        Whether ``word`` is "improved".
    reason : str
        A sentence for a person.
    figures : dict of str to float
        What the judgement rests on, see :mod:`.quality.features`.
    word : Word
        Verdicts of results that were saved before there were three words are "improved" or "doubtful".
    """

    improved: bool
    reason: str
    figures: dict[str, float]
    word: Word | None = None

    def __post_init__(self) -> None:
        usual = Word.IMPROVED if self.improved else Word.DOUBTFUL
        object.__setattr__(self, "word", usual if self.word is None else Word(self.word))

    @property
    def sentence(self) -> str:
        """Word and reason, as one sentence."""
        because = f"because {self.reason[:1].lower()}{self.reason[1:]}"
        match self.word:
            case Word.IMPROVED:
                return f"improved: {self.reason}"
            case Word.DOUBTFUL:
                return f"doubtful: {because}"
            case _:
                return f"no improvement: input kept, {because}"


@dataclass(frozen=True)
class Provenance:
    """All that is needed to repeat a run (bit for bit on the same CPU with as many threads)."""

    method: str
    settings: dict[str, Any]
    arguments: dict[str, Any]  # kernel_size, kernel_sha256: what the user gave besides the image
    seed: int
    device: str
    dtype: str
    threads: int
    input_sha256: str
    input_shape: tuple[int, ...]
    versions: dict[str, str]
    started: str  # ISO 8601, UTC
    seconds: float


@dataclass(frozen=True)
class DeblurResult:
    """A restored image and its kernel.

    Parameters
    ----------
    image : float32 array
        Shape and intensity scale of the input; the input itself where the verdict is "no improvement".
    kernel : float32 array [kh, kw]
        >= 0, sum 1; its centre is pixel ``(kh // 2, kw // 2)``.
    chosen : int
        Which restart or candidate was taken.
    layers : dict of str to float32 array
        What else a method shows, in the input's units: images like ``image``, and under :data:`SPREAD` [Y, X]. Under
        :data:`REJECTED` the image that was found, where the input was kept.
    candidates : tuple of (float32 array [kh, kw], float)
        Kernels that were to choose among, the taken one too, each with what speaks against it: only differences mean
        anything. ``known_kernel`` makes an image with any of them.
    """

    image: np.ndarray
    kernel: np.ndarray
    verdict: Verdict
    history: History
    status: Status
    provenance: Provenance
    chosen: int = 0
    layers: dict[str, np.ndarray] = field(default_factory=dict)
    candidates: tuple[tuple[np.ndarray, float], ...] = ()

    @property
    def found(self) -> np.ndarray:
        """The image that the method found, whatever the verdict says of it."""
        return self.layers.get(REJECTED, self.image)

    def report(self) -> dict[str, Any]:
        """Everything but the arrays, ready for JSON."""
        return {
            "format": FORMAT,
            "status": asdict(self.status),
            "verdict": asdict(self.verdict),
            "chosen": self.chosen,
            "against_candidates": [against for _, against in self.candidates],
            "kernel_shape": list(self.kernel.shape),
            "provenance": asdict(self.provenance),
        }

    def save(self, path: str | Path) -> Path:
        """Write arrays and report to one ``.npz`` file; nothing half-written is left if it fails.

        Raises
        ------
        FileError
            The file cannot be written.
        """
        from .image_io import write_atomic

        arrays: dict[str, Any] = {f"history_{name}": values for name, values in self.history.terms.items()}
        arrays |= {f"layer_{name}": values for name, values in self.layers.items()}
        arrays |= {f"rival_{number}": kernel for number, (kernel, _) in enumerate(self.candidates)}
        with write_atomic(path) as beside, beside.open("wb") as file:
            np.savez_compressed(
                file,
                image=self.image,
                kernel=self.kernel,
                history_steps=self.history.steps,
                report=np.array(json.dumps(self.report())),
                **arrays,
            )
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> DeblurResult:
        """Read what :meth:`save` wrote.

        Raises
        ------
        FileError
            The file is missing, damaged, or not a saved result.
        """
        try:
            with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as stored:
                arrays = dict(stored)
            report = json.loads(str(arrays.pop("report")))
            if report["format"] != FORMAT:
                raise FileError(f"{path} has format {report['format']}; this version reads {FORMAT}.")
            provenance = report["provenance"] | {"input_shape": tuple(report["provenance"]["input_shape"])}
            status = report["status"]
            history, layers = (
                {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
                for start in ("history_", "layer_")
            )
            return cls(
                image=arrays["image"],
                kernel=arrays["kernel"],
                chosen=report["chosen"],
                verdict=Verdict(**report["verdict"]),
                history=History(history.pop("steps"), history),
                status=Status(StatusCode(status["code"]), status["sentence"]),
                provenance=Provenance(**provenance),
                layers=layers,
                candidates=tuple(
                    (arrays[f"rival_{number}"], against)
                    for number, against in enumerate(report.get("against_candidates", ()))
                ),
            )
        except FileError:
            raise
        except Exception as error:
            raise FileError(f"{path} is not a readable saved result ({str(error)[:LONGEST]}).") from error
