"""One file of a batch, an image, a stack or a large image: read, restored, put into the folder of parts."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Generator as Yields
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..core.axes import COLOURS
from ..core.errors import FileError, GenPriorError
from ..core.image_io import as_type, read_image, write_image
from ..core.lazy_io import TIFFS, Lazy, is_zarr, open_lazy, scale_of
from ..core.result import Progress
from ..core.tiled_io import open_writer, write_image_file
from ..pipeline.large import LARGE, iter_deblur_large
from ..pipeline.run import iter_deblur
from ..pipeline.stack import iter_deblur_stack
from .manifest import PARTS, Entry, size_of

OF_STACKS = ("axes", "kernels", "depth")  # arguments that only stacks have


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
        Of :func:`.deblurring.deblur`, and of stacks :data:`OF_STACKS`.
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

    @property
    def large(self) -> bool:
        """Whether it is restored from file to file: Zarr, and TIFF too large for one piece. Only heads are read."""
        return is_zarr(self.input) or ((head := _tiff_head(self.input)) is not None and head.longest > LARGE)


@dataclass(frozen=True)
class Look:
    """A file as it is: SHA-256 of its content, bytes, time of the last change. Of a Zarr folder, all files."""

    sha256: str
    bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class Loaded:
    """An image or stack and its file as it was when it was read; ``stack`` has the axes of one, as far as known."""

    image: np.ndarray
    look: Look
    stack: Lazy | None


@dataclass(frozen=True)
class Solved:
    """What is kept of a result: ``image`` in the type of the file, ``kernel`` float32 [..., kh, kw].

    ``image_axes`` and ``kernel_axes`` are letters, None for images.
    """

    image: np.ndarray
    kernel: np.ndarray
    improved: bool
    reason: str
    report: dict[str, Any]
    image_axes: str | None = None
    kernel_axes: str | None = None


def do(task: Task) -> Yields[Progress, None, Entry]:
    """Read, restore, write into the folder of parts. What goes wrong with the image is the entry's reason.

    Raises
    ------
    FileError
        The result cannot be written: the others could not either.
    """
    clock = time.perf_counter()
    try:
        if task.large:
            return (yield from _from_file_to_file(task))
        loaded = load(task)
        solved = yield from solve(loaded.image, loaded.stack, task.arguments)
    except Exception as error:
        return failed(task, error)
    return store(task, loaded, solved, time.perf_counter() - clock)


def load(task: Task) -> Loaded:
    """Read a task's image; raises what :func:`.io.read_image` raises."""
    image = read_image(task.input)
    return Loaded(image, look_at(task.input), _as_stack(task, image))


def _as_stack(task: Task, image: np.ndarray) -> Lazy | None:
    if image.ndim == 2:
        return None
    if (head := _tiff_head(task.input)) is not None:
        if len(head.axes.replace("S", "")) == 2:
            return None
        with open_lazy(task.input) as file:
            return replace(file, data=None)
    is_image = image.ndim == 3 and image.shape[-1] in COLOURS and "axes" not in task.arguments
    return None if is_image else Lazy(None)


def solve(image: np.ndarray, stack: Lazy | None, arguments: dict[str, Any]) -> Yields[Progress, None, Solved]:
    """Restore an image or stack; raises what :func:`.deblurring.deblur` and :func:`.stack.deblur_stack` raise."""
    alone = {name: value for name, value in arguments.items() if name in OF_STACKS}
    others = {name: value for name, value in arguments.items() if name not in OF_STACKS}
    if stack is None:
        result = yield from iter_deblur(image, **others)
        verdict, restored = result.verdict, as_type(result.image, image.dtype)
        return Solved(restored, result.kernel, verdict.improved, verdict.reason, result.report())
    made = yield from iter_deblur_stack(image, **{"axes": stack.axes, **alone}, **others)
    restored, layout = as_type(made.image, image.dtype), made.layout
    names = layout.axes, layout.own + layout.space
    return Solved(restored, made.kernels, made.improved, made.sentence, made.report(), *names)


def _from_file_to_file(task: Task) -> Yields[Progress, None, Entry]:
    clock = time.perf_counter()
    arguments = {name: value for name, value in task.arguments.items() if name not in ("kernels", "depth")}
    look = look_at(task.input)
    parts = _parts(task)
    made = yield from iter_deblur_large(task.input, task.folder / parts["image"], **arguments)
    if "kernel" in parts:
        write_image(task.folder / parts["kernel"], made.kernel)
    told = made.verdict.improved, made.verdict.reason, made.report()
    return _entry(task, look, parts, *told, time.perf_counter() - clock)


def store(task: Task, loaded: Loaded, solved: Solved, seconds: float) -> Entry:
    """Write a result into the folder of parts; it counts when the manifest has its entry."""
    parts = _parts(task)
    arrays = {"image": (solved.image, solved.image_axes), "kernel": (solved.kernel, solved.kernel_axes)}
    for role, part in parts.items():
        _write(task.folder / part, *arrays[role], loaded.stack or scale_of(task.input))
    return _entry(task, loaded.look, parts, solved.improved, solved.reason, solved.report, seconds)


def _parts(task: Task) -> dict[str, str]:
    token = uuid.uuid4().hex
    return {role: f"{PARTS}/{token}-{role}{Path(name).suffix}" for role, name in task.outputs.items()}


def _write(path: Path, array: np.ndarray, axes: str | None, like: Lazy) -> None:
    if axes is None or path.suffix.lower() not in TIFFS or not axes.endswith(("YX", "YXS")):
        write_image_file(path, array, like)
        return
    with open_writer(path, array.shape, array.dtype.newbyteorder("="), like, axes) as write:
        for index in np.ndindex(array.shape[: axes.index("Y")]):
            write(index, 0, array[index])


def _entry(
    task: Task, look: Look, parts: dict[str, str], improved: bool, reason: str, report: dict[str, Any], seconds: float
) -> Entry:
    return Entry(
        input=str(task.input),
        name=task.name,
        state="done",
        reason=reason,
        arguments=task.asked,
        improved=improved,
        sha256=look.sha256,
        bytes=look.bytes,
        mtime_ns=look.mtime_ns,
        outputs=task.outputs,
        parts=parts,
        sizes={role: size_of(task.folder / part) for role, part in parts.items()},
        seconds=round(seconds, 3),
        report=report,
    )


def failed(task: Task, error: BaseException) -> Entry:
    """The entry of a file that came to nothing."""
    usual = isinstance(error, GenPriorError | MemoryError)
    reason = str(error) if isinstance(error, GenPriorError) else f"{type(error).__name__}: {error}"
    return Entry(str(task.input), task.name, "failed", reason, task.asked, fault=not usual)


@dataclass(frozen=True)
class _Head:
    axes: str
    longest: int


def _tiff_head(path: Path) -> _Head | None:
    """Axes and longest side of a TIFF, None for other files and for those that cannot be read."""
    if path.suffix.lower() not in TIFFS:
        return None
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            series = tiff.series[0]
            return _Head(series.axes, max(series.shape))
    except Exception:
        return None  # whoever reads it says what is wrong


def look_at(path: Path) -> Look:
    """See :class:`Look`; raises FileError."""
    try:
        return Look(file_hash(path), *size_and_time(path))
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}.") from error


def size_and_time(path: Path) -> tuple[int, int]:
    """Bytes, and time of the last change in ns."""
    found = [each.stat() for each in _files(path)]
    return sum(each.st_size for each in found), max((each.st_mtime_ns for each in found), default=0)


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content; of a folder, of its files' names and contents."""
    if path.is_dir():
        each = (f"{file.relative_to(path).as_posix()} {file_hash(file)}" for file in _files(path))
        return hashlib.sha256("\n".join(each).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(path: Path) -> list[Path]:
    return sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
