"""Record finished files of a batch in a manifest, a line of JSON per file, from which a killed batch resumes.

A result is first written into a temporary folder; then its line is appended to the manifest, which commits it, and
only then is it renamed to its final name. So whenever a batch is killed, each file is either done (results that were
not renamed yet are renamed by the next run) or not done at all. This module does not import torch.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from ..core.errors import FileError, InputError
from ..core.run_records import VerdictLabel

NAME = "manifest.jsonl"
PARTS = ".parts"
LOCK = ".batch.lock"
FORMAT = 1


@dataclass(frozen=True)
class Entry:
    """The outcome of one file.

    Parameters
    ----------
    input : str
        Absolute path.
    name : str
        Name of its result in the output folder, also where it failed.
    state : {"done", "failed"}
    reason : str
        The verdict's sentence, or the reason of the failure.
    arguments : dict
        The request as plain values; the kernel and priors by their hash.
    improved : bool
        Whether the verdict is "improved".
    fault : bool
        Whether it failed because of a bug, not because of its input.
    sha256, bytes, mtime_ns
        Hash, size and modification time of the input file when it was read.
    outputs : dict of str to str
        "image" and, where it was estimated, "kernel": paths in the output folder.
    parts : dict of str to str
        Paths of the same outputs in the temporary folder, before they are renamed.
    sizes : dict of str to int
        Sizes of the outputs in bytes.
    seconds : float
        Wall time.
    report : dict
        Report of the result: verdict with its features, settings, versions (see :meth:`.DeblurResult.report`).
    """

    input: str
    name: str
    state: str
    reason: str
    arguments: dict[str, Any]
    improved: bool = False
    fault: bool = False
    sha256: str = ""
    bytes: int = 0
    mtime_ns: int = 0
    outputs: dict[str, str] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        return self.state == "done"

    @property
    def label(self) -> str:
        """The label of the verdict, or "failed"."""
        if not self.done:
            return "failed"
        default = VerdictLabel.IMPROVED if self.improved else VerdictLabel.DOUBTFUL
        return str(self.report.get("verdict", {}).get("label", default))

    def __repr__(self) -> str:
        """Return name, outcome and seconds; report and arguments are not printed."""
        return f"<Entry {self.name}: {self.label}, {self.seconds:.1f} s; {self.reason}>"


class Manifest:
    """The manifest of an output folder, locked by one batch at a time.

    Parameters
    ----------
    folder : Path
        Output folder; created where it is missing.
    resume : bool
        Resume the batch in the folder.

    Raises
    ------
    InputError
        The folder holds a batch already and ``resume`` is false, or the manifest cannot be read.
    FileError
        The folder cannot be created or written to, or another batch is writing to it.
    """

    def __init__(self, folder: Path, resume: bool) -> None:
        from filelock import FileLock, Timeout

        self.folder, self.path = folder, folder / NAME
        self.latest: dict[str, Entry] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder / LOCK)
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise FileError(
                f"Another batch is writing to {folder}; wait until it ends, or give another folder."
            ) from error
        except OSError as error:
            raise FileError(f"Cannot write to the folder {folder}: {error.strerror or error}.") from error
        try:
            self._open(resume)
        except BaseException:
            self.close()
            raise

    def _open(self, resume: bool) -> None:
        if not self.path.exists():
            self._append({"format": FORMAT})
        elif resume:
            self._read()
        else:
            raise InputError(f"{self.folder} holds a batch already; resume it, or give another folder.")
        self._recover()

    def commit(self, entry: Entry) -> Entry:
        """Record a file as done or failed, and rename its outputs to their final names."""
        self._append(asdict(entry))
        self._rename_outputs(entry)
        self.latest[entry.input] = entry
        return entry

    def outputs_complete(self, entry: Entry) -> bool:
        """Return whether all outputs of an entry exist and have the size that was written."""
        for role, name in entry.outputs.items():
            path = self.folder / name
            if not path.exists() or byte_size(path) != entry.sizes[role]:
                return False
        return True

    def close(self) -> None:
        """Remove unfinished outputs and release the lock on the folder."""
        with suppress(OSError):
            shutil.rmtree(self.folder / PARTS)
        self._lock.release()

    def _rename_outputs(self, entry: Entry) -> None:
        try:
            for role, part in entry.parts.items():
                if (self.folder / part).exists():
                    target = self.folder / entry.outputs[role]
                    target.parent.mkdir(exist_ok=True)
                    if target.is_dir():  # a Zarr folder; renaming replaces files only
                        shutil.rmtree(target)
                    (self.folder / part).replace(target)
        except OSError as error:
            raise FileError(f"Cannot write to {self.folder}: {error.strerror or error}.") from error

    def _recover(self) -> None:
        """Rename the outputs that a killed batch had committed, and delete those that it had not."""
        for entry in self.latest.values():
            self._rename_outputs(entry)
        try:
            shutil.rmtree(self.folder / PARTS, ignore_errors=True)
            (self.folder / PARTS).mkdir(exist_ok=True)
        except OSError as error:
            raise FileError(f"Cannot write to {self.folder}: {error.strerror or error}.") from error

    def _read(self) -> None:
        try:
            content = self.path.read_bytes()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):  # the batch was killed while writing the last line
                os.truncate(self.path, whole)
        except OSError as error:
            raise FileError(f"Cannot read and write {self.path}: {error.strerror or error}.") from error
        lines = content[:whole].split(b"\n")[:-1]
        if not lines:
            self._append({"format": FORMAT})
        for number, line in enumerate(lines, 1):
            try:
                read = json.loads(line)
                if number > 1:
                    entry = Entry(**read)
                    self.latest[entry.input] = entry
                elif read != {"format": FORMAT}:
                    raise ValueError(f"format {read}; this version reads format {FORMAT}")
            except (ValueError, TypeError) as error:
                raise InputError(
                    f"{self.path}, line {number}, is not a valid manifest line ({error}); fix it, or give another "
                    "folder."
                ) from error

    def _append(self, content: dict[str, Any]) -> None:
        line = json.dumps(content) + "\n"
        try:
            with self.path.open("ab", buffering=0) as file:
                file.write(line.encode())
        except OSError as error:
            raise FileError(
                f"Cannot write {self.path}: {error.strerror or error}. The lines before are kept."
            ) from error


def byte_size(path: Path) -> int:
    """Return the size in bytes of a file, or of all files in a folder (Zarr)."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def output_names(inputs: Iterable[Path], entries: dict[str, Entry]) -> dict[Path, str]:
    """Choose a name in the output folder for each input.

    An input that the manifest holds keeps its name there; any other has its own file name, with a number where that
    is in use already (regardless of case).
    """
    used = {entry.name.casefold() for entry in entries.values()}
    names = {}
    for path in inputs:
        if str(path) in entries:
            names[path] = entries[str(path)].name
            continue
        candidates = (path.name if number == 1 else f"{path.stem}-{number}{path.suffix}" for number in count(1))
        names[path] = next(name for name in candidates if name.casefold() not in used)
        used.add(names[path].casefold())
    return names
