"""Process one file of a batch (an image, stack or volume): read, restore, write to the temporary folder."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Generator as Yields
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..core.conversion import Conversion
from ..core.errors import FileError, GenPriorError
from ..core.lazy_io import TIFFS, Lazy, is_zarr, open_lazy
from ..core.result import DeblurResult, Progress
from ..core.tiled_io import write_image_file
from ..pipeline.plan import is_large, make_plan
from ..pipeline.run import run
from .manifest import PARTS, Entry, byte_size


@dataclass(frozen=True)
class Task:
    """A file of a batch and the request for it.

    Parameters
    ----------
    input : Path
        Absolute.
    name : str
        Name of the result.
    folder : Path
        Output folder, absolute.
    arguments : dict
        Arguments of :func:`napari_genprior.deblur`.
    request : dict
        The same as plain values, for the manifest.
    """

    input: Path
    name: str
    folder: Path
    arguments: dict[str, Any]
    request: dict[str, Any]

    @property
    def outputs(self) -> dict[str, str]:
        """Paths of the results in the output folder; an estimated kernel is one of them."""
        kernel = {"kernel": f"kernels/{self.name}.tif"} if self.arguments.get("kernel") is None else {}
        return {"image": self.name, **kernel}

    @property
    def large(self) -> bool:
        """Whether the file is read and written row by row: Zarr, and large TIFF."""
        return is_zarr(self.input) or is_large(_sides(self.input))


@dataclass(frozen=True)
class Fingerprint:
    """SHA-256 of a file's content, size in bytes and modification time; of a Zarr folder, of all its files."""

    sha256: str
    bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class Loaded:
    """An image, stack or volume in memory with what its file says of it, and the fingerprint of the file."""

    source: Lazy
    fingerprint: Fingerprint


def process(task: Task) -> Yields[Progress, None, Entry]:
    """Read and restore a file and write its results to the temporary folder.

    An error of this file becomes the reason of its entry.

    Raises
    ------
    FileError
        The result cannot be written, so those of other files could not be written either.
    """
    clock = time.perf_counter()
    parts = temporary_paths(task)
    try:
        read = fingerprint(task.input)
        with open_lazy(task.input, task.arguments.get("series")) as source:
            out = task.folder / parts["image"] if task.large else None
            result = yield from restore(source, task.arguments, out)
    except Exception as error:
        return failed(task, error)
    return store(task, Loaded(source, read), result, time.perf_counter() - clock, parts)


def load(task: Task) -> Loaded:
    """Read the file of a task into memory; raises the errors of :func:`.lazy_io.open_lazy`."""
    read = fingerprint(task.input)
    with open_lazy(task.input, task.arguments.get("series")) as source:
        return Loaded(replace(source, data=np.asarray(source.data[...])), read)


def restore(source: Lazy, arguments: dict[str, Any], out: Path | None = None) -> Yields[Progress, None, DeblurResult]:
    """Restore an image, stack or volume; raises the errors of :func:`~napari_genprior.deblur`.

    Returns
    -------
    DeblurResult
        Without extra images; ``image`` has the type of the file unless it is written to ``out``.
    """
    plan = make_plan(source, out=out, to_file=True, **arguments)
    result = yield from run(plan)
    image, status = result.image, result.status
    if out is None:
        conversion = Conversion(plan.file_dtype)
        image = conversion(image)
        status = status.with_notes(conversion.sentence)
    return replace(result, image=image, status=status, extra_images={})


def store(
    task: Task, loaded: Loaded, result: DeblurResult, seconds: float, parts: dict[str, str] | None = None
) -> Entry:
    """Write a result to the temporary folder and return its entry, which the manifest then commits.

    Parameters
    ----------
    parts : dict, optional
        The :func:`temporary_paths` of the task, where the image is written there already.
    """
    parts = parts or temporary_paths(task)
    layout = result.layout
    assert layout is not None
    if result.path is None:
        write_image_file(task.folder / parts["image"], result.image, loaded.source, layout.axes)
    if "kernel" in parts:
        axes = None if result.kernels.ndim > len(layout.own + layout.space) else layout.own + layout.space
        write_image_file(task.folder / parts["kernel"], result.kernels, loaded.source.scale_only, axes)
    read = loaded.fingerprint
    return Entry(
        input=str(task.input),
        name=task.name,
        state="done",
        reason=result.verdict.reason,
        arguments=task.request,
        improved=result.improved,
        sha256=read.sha256,
        bytes=read.bytes,
        mtime_ns=read.mtime_ns,
        outputs=task.outputs,
        parts=parts,
        sizes={role: byte_size(task.folder / part) for role, part in parts.items()},
        seconds=round(seconds, 3),
        report=result.report(),
    )


def temporary_paths(task: Task) -> dict[str, str]:
    """Choose paths in the temporary folder for the outputs of a task."""
    token = uuid.uuid4().hex
    return {role: f"{PARTS}/{token}-{role}{Path(name).suffix}" for role, name in task.outputs.items()}


def failed(task: Task, error: BaseException) -> Entry:
    """Return the entry of a file that failed."""
    expected = isinstance(error, GenPriorError | MemoryError)
    reason = str(error) if isinstance(error, GenPriorError) else f"{type(error).__name__}: {error}"
    return Entry(str(task.input), task.name, "failed", reason, task.request, fault=not expected)


def _sides(path: Path) -> tuple[int, int]:
    """Read rows and columns of a TIFF from its header; 0 for other files and for unreadable ones."""
    if path.suffix.lower() not in TIFFS:
        return 0, 0
    from ..core.tiff_read import largest_sides

    return largest_sides(path)


def fingerprint(path: Path) -> Fingerprint:
    """Compute the fingerprint of a file; raises FileError where it cannot be read."""
    try:
        return Fingerprint(file_hash(path), *size_and_time(path))
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}.") from error


def size_and_time(path: Path) -> tuple[int, int]:
    """Return the size in bytes and the modification time in ns of a file or folder."""
    stats = [file.stat() for file in _files(path)]
    return sum(each.st_size for each in stats), max((each.st_mtime_ns for each in stats), default=0)


def file_hash(path: Path) -> str:
    """Compute the SHA-256 of a file's content; for a folder, of the names and contents of its files."""
    if path.is_dir():
        each = (f"{file.relative_to(path).as_posix()} {file_hash(file)}" for file in _files(path))
        return hashlib.sha256("\n".join(each).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(path: Path) -> list[Path]:
    return sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
