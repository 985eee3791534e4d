"""One file of a batch: read, restored, put into the folder of parts."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Generator as Yields
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..deblurring import iter_deblur
from ..errors import GenPriorError
from ..io import as_type, read_image, write_image
from ..result import Progress
from .manifest import PARTS, Entry


@dataclass(frozen=True)
class Task:
    """A file, and what is to be done with it.

    Parameters
    ----------
    input : Path
        Absolute.
    name : str
        Of the result.
    folder : Path
        Output folder, absolute.
    arguments : dict
        Of :func:`.deblurring.deblur`.
    asked : dict
        The same as plain values, for the manifest.
    """

    input: Path
    name: str
    folder: Path
    arguments: dict[str, Any]
    asked: dict[str, Any]

    @property
    def outputs(self) -> dict[str, str]:
        """Where results go, in the output folder; a kernel that is searched is one of them."""
        kernel = {"kernel": f"kernels/{self.name}.tif"} if self.arguments.get("kernel") is None else {}
        return {"image": self.name, **kernel}


@dataclass(frozen=True)
class Loaded:
    """A picture and its file as it was when it was read."""

    image: np.ndarray
    sha256: str
    bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class Solved:
    """What is kept of a result: ``image`` in the type of the file, ``kernel`` float32 [kh, kw]."""

    image: np.ndarray
    kernel: np.ndarray
    improved: bool
    reason: str
    report: dict[str, Any]


def do(task: Task) -> Yields[Progress, None, Entry]:
    """Read, restore, write into the folder of parts. What goes wrong with the picture is the entry's reason.

    Raises
    ------
    FileError
        The result cannot be written: the others could not either.
    """
    clock = time.perf_counter()
    try:
        loaded = load(task)
        solved = yield from solve(loaded.image, task.arguments)
    except Exception as error:
        return failed(task, error)
    return store(task, loaded, solved, time.perf_counter() - clock)


def load(task: Task) -> Loaded:
    """Read a task's picture; raises what :func:`.io.read_image` raises."""
    image = read_image(task.input)
    now = task.input.stat()
    return Loaded(image, file_hash(task.input), now.st_size, now.st_mtime_ns)


def solve(image: np.ndarray, arguments: dict[str, Any]) -> Yields[Progress, None, Solved]:
    """Restore a picture; raises what :func:`.deblurring.deblur` raises."""
    result = yield from iter_deblur(image, **arguments)
    verdict = result.verdict
    return Solved(as_type(result.image, image.dtype), result.kernel, verdict.improved, verdict.reason, result.report())


def store(task: Task, loaded: Loaded, solved: Solved, seconds: float) -> Entry:
    """Write a result into the folder of parts; it counts when the manifest has its entry."""
    token = uuid.uuid4().hex
    arrays = {"image": solved.image, "kernel": solved.kernel}
    parts = {role: f"{PARTS}/{token}-{role}{Path(name).suffix}" for role, name in task.outputs.items()}
    for role, part in parts.items():
        write_image(task.folder / part, arrays[role])
    return Entry(
        input=str(task.input),
        name=task.name,
        state="done",
        reason=solved.reason,
        arguments=task.asked,
        improved=solved.improved,
        sha256=loaded.sha256,
        bytes=loaded.bytes,
        mtime_ns=loaded.mtime_ns,
        outputs=task.outputs,
        parts=parts,
        sizes={role: (task.folder / part).stat().st_size for role, part in parts.items()},
        seconds=round(seconds, 3),
        report=solved.report,
    )


def failed(task: Task, error: BaseException) -> Entry:
    """The entry of a file that came to nothing."""
    usual = isinstance(error, GenPriorError | MemoryError)
    reason = str(error) if isinstance(error, GenPriorError) else f"{type(error).__name__}: {error}"
    return Entry(str(task.input), task.name, "failed", reason, task.asked, fault=not usual)


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
