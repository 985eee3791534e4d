"""What a batch did: a line of JSON per finished file in its output folder, from which a killed batch goes on.

A result is first written into a folder of parts; the line in the manifest then makes it count, and only then is it
renamed to its name. So of a batch that is killed anywhere, each file is either done (what was not yet renamed is
renamed by the next run) or not done at all. Imports no torch.
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

NAME = "manifest.jsonl"
PARTS = ".parts"
LOCK = ".batch.lock"
FORMAT = 1


@dataclass(frozen=True)
class Entry:
    """What came of one file.

    Parameters
    ----------
    input : str
        Absolute path.
    name : str
        Of its result in the output folder, also while there is none.
    state : {"done", "failed"}
    reason : str
        The verdict's sentence, or why it failed.
    arguments : dict
        What was asked for, plain values; the kernel and priors by their hash.
    improved : bool
        The verdict.
    fault : bool
        It failed, and not for its input: a fault of ours.
    sha256, bytes, mtime_ns
        Of the input file, when it was read.
    outputs : dict of str to str
        "image" and, where it was searched, "kernel": paths in the output folder.
    parts : dict of str to str
        The same, before they had their names.
    sizes : dict of str to int
        Of the outputs, bytes.
    seconds : float
    report : dict
        Of the result: verdict with its figures, settings, versions (see :meth:`.DeblurResult.report`).
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


class Manifest:
    """The manifest of an output folder, held by one batch at a time.

    Parameters
    ----------
    folder : Path
        Output folder; made where it is missing.
    resume : bool
        Go on with a batch that is there.

    Raises
    ------
    InputError
        There is a batch already and ``resume`` was not asked for, or the manifest cannot be read.
    FileError
        The folder cannot be made or written to, or another batch is writing there.
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
            raise FileError(f"Another batch is writing to {folder}; wait for it, or give another folder.") from error
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
            raise InputError(
                f"{self.folder} holds a batch already; go on with it (--resume, resume=True), or give another folder."
            )
        self._tidy()

    def commit(self, entry: Entry) -> Entry:
        """From here on the file counts as done (or failed); its outputs get their names."""
        self._append(asdict(entry))
        self._name(entry)
        self.latest[entry.input] = entry
        return entry

    def intact(self, entry: Entry) -> bool:
        """Whether the outputs of an entry are there, as long as they were written."""
        for role, name in entry.outputs.items():
            path = self.folder / name
            if not path.exists() or size_of(path) != entry.sizes[role]:
                return False
        return True

    def close(self) -> None:
        """Leave the folder to others; nothing unfinished stays in it."""
        with suppress(OSError):
            shutil.rmtree(self.folder / PARTS)
        self._lock.release()

    def _name(self, entry: Entry) -> None:
        try:
            for role, part in entry.parts.items():
                if (self.folder / part).exists():
                    target = self.folder / entry.outputs[role]
                    target.parent.mkdir(exist_ok=True)
                    if target.is_dir():  # Zarr; only files are replaced as they are renamed
                        shutil.rmtree(target)
                    (self.folder / part).replace(target)
        except OSError as error:
            raise FileError(f"Cannot write to {self.folder}: {error.strerror or error}.") from error

    def _tidy(self) -> None:
        """Finish what a killed batch had committed, drop what it had not."""
        for entry in self.latest.values():
            self._name(entry)
        try:
            shutil.rmtree(self.folder / PARTS, ignore_errors=True)
            (self.folder / PARTS).mkdir(exist_ok=True)
        except OSError as error:
            raise FileError(f"Cannot write to {self.folder}: {error.strerror or error}.") from error

    def _read(self) -> None:
        try:
            content = self.path.read_bytes()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):  # killed while it wrote a line
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
                    raise ValueError(f"format {read}, this version reads {FORMAT}")
            except (ValueError, TypeError) as error:
                raise InputError(
                    f"{self.path}, line {number}, is no line of a batch ({error}); mend it, or give another folder."
                ) from error

    def _append(self, content: dict[str, Any]) -> None:
        line = json.dumps(content) + "\n"
        try:
            with self.path.open("ab", buffering=0) as file:
                file.write(line.encode())
        except OSError as error:
            raise FileError(f"Cannot write {self.path}: {error.strerror or error}. What it holds is kept.") from error


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder (Zarr)."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def free_names(inputs: Iterable[Path], entries: dict[str, Entry]) -> dict[Path, str]:
    """A name in the output folder for each input: the one it has, or its own; equal ones, but for case, get numbers."""
    used = {entry.name.casefold() for entry in entries.values()}
    names = {}
    for path in inputs:
        if str(path) in entries:
            names[path] = entries[str(path)].name
            continue
        tried = (path.name if number == 1 else f"{path.stem}-{number}{path.suffix}" for number in count(1))
        names[path] = next(name for name in tried if name.casefold() not in used)
        used.add(names[path].casefold())
    return names
