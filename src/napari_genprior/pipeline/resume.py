"""Resume a large run that was killed: its partial output lies beside the destination, with a file that describes it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import FileError
from ..core.image_io import write_json
from ..core.paths import is_folder
from ..core.result import Status, StatusCode, Verdict


@dataclass
class ResumeState:
    """The progress of a run, stored beside its output.

    Parameters
    ----------
    part : Path
        Where the output is written until it is complete.
    identity : dict
        All that the output depends on, plain enough for JSON: only the same run resumes.
    kernel : float32 array [kh, kw] or None
        None: not estimated yet.
    estimations : list of Status
        How the estimation of the kernel ended; empty where it is given.
    planes, rows : int
        Number of complete planes, and of rows of the next one.
    """

    part: Path
    identity: dict[str, Any]
    kernel: np.ndarray | None = None
    verdict: Verdict | None = None
    estimations: list[Status] = field(default_factory=list)
    planes: int = 0
    rows: int = 0

    @property
    def path(self) -> Path:
        return self.part.with_name(f"{self.part.name}.json")

    def save(self, kernel: np.ndarray, verdict: Verdict, planes: int, rows: int) -> None:
        """Store the progress; what is written of the output must be safe by then."""
        self.kernel, self.verdict, self.planes, self.rows = kernel, verdict, planes, rows
        found = {"kernel": kernel.tolist(), "verdict": asdict(verdict), "planes": planes, "rows": rows}
        found["estimations"] = [asdict(status) for status in self.estimations]
        write_json(self.path, {"identity": self.identity, **found})


@contextmanager
def resume_or_start(destination: Path, identity: dict[str, Any]) -> Iterator[ResumeState]:
    """Open what a killed run of the same identity has left of ``destination``, or an empty state.

    At the end, good or bad, nothing is left beside the destination: only a killed run leaves its part.

    Raises
    ------
    FileError
        Another run is at work on the same destination.
    """
    from filelock import FileLock, Timeout

    if destination.is_symlink() and destination.suffix.lower() == ".zarr":  # the folder is replaced, not the link
        destination = destination.resolve()
    part = destination.with_name(f".{destination.name}.part")
    lock = FileLock(destination.with_name(f".{destination.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise FileError(f"Another run is writing {destination}; wait for its end, or give another name.") from error
    except OSError as error:
        raise FileError(f"Cannot write {destination}: {error.strerror or error}.") from error
    state = ResumeState(part, json.loads(json.dumps(identity)))
    try:
        _read(state)
        if not (state.planes or state.rows) or not part.exists():
            state.planes = state.rows = 0
            _remove(part)
        yield state
    finally:
        _remove(part)
        _remove(state.path)
        _remove(Path(lock.lock_file))
        lock.release()


def _read(state: ResumeState) -> None:
    try:
        found = json.loads(state.path.read_text(encoding="utf-8"))
        if found["identity"] == state.identity:
            state.kernel, state.verdict = np.asarray(found["kernel"], np.float32), Verdict(**found["verdict"])
            state.estimations = [Status(StatusCode(end["code"]), end["sentence"]) for end in found["estimations"]]
            state.planes, state.rows = int(found["planes"]), int(found["rows"])
    except (OSError, ValueError, KeyError, TypeError):  # none, or damaged: start anew
        return


def _remove(path: Path) -> None:
    if is_folder(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):  # of the lock, which Windows keeps while it is held, too
            path.unlink(missing_ok=True)
