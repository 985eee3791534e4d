"""Deblur many files, with a manifest of finished files from which an interrupted batch resumes.

For example ``gp.batch("scans/*.tif", "sharp", method="classical", resume=True)``.
"""

from __future__ import annotations

import os
from collections.abc import Generator as Yields
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from difflib import get_close_matches
from glob import glob, has_magic
from pathlib import Path
from typing import Any, Unpack

from ..core.errors import DeviceError, InputError
from ..core.image_io import READABLE
from ..core.iteration import run_to_end
from ..core.lazy_io import is_zarr
from ..core.paths import absolute, exists, is_folder
from ..core.provenance import array_hash
from ..core.result import Progress
from ..pipeline.request import Request, RequestArguments, parse_request
from ..zoo.store import load_prior
from .manifest import Entry, Manifest, output_names
from .task import Task, file_hash, process, size_and_time

Sources = str | Path | Iterable[str | Path]


@dataclass(frozen=True)
class BatchProgress:
    """Progress of a batch.

    Parameters
    ----------
    done, failed : int
        Numbers of files that this run has finished.
    skipped : int
        Number of files that an earlier run had finished.
    repeated : int
        Number of files that are processed again, because they or the arguments changed.
    total : int
        Number of files of this run: ``done + failed`` at its end.
    fraction : float
        Completed fraction of this run, 0 to 1; includes a part of a file that is processed in this process.
    stage : str
        Human-readable description of the progress.
    entry : Entry or None
        The file that was just finished.
    """

    done: int
    failed: int
    skipped: int
    repeated: int
    total: int
    fraction: float
    stage: str
    entry: Entry | None = None


def batch(
    sources: Sources,
    output: str | Path,
    *,
    resume: bool = False,
    jobs: int = 1,
    cluster: str | None = None,
    method: str = "auto",
    **arguments: Unpack[RequestArguments],
) -> list[Entry]:
    """Deblur many files; see :func:`iter_batch`, which also yields the progress."""
    _check_names("batch", arguments)
    run = iter_batch(sources, output, resume=resume, jobs=jobs, cluster=cluster, method=method, **arguments)
    return run_to_end(run)


def iter_batch(
    sources: Sources,
    output: str | Path,
    *,
    resume: bool = False,
    jobs: int = 1,
    cluster: str | None = None,
    method: str = "auto",
    **arguments: Unpack[RequestArguments],
) -> Yields[BatchProgress, None, list[Entry]]:
    """Deblur many files and yield the progress; the generator's return value lists the outcome of each file.

    Results keep the name and type of their file; ``manifest.jsonl`` beside them records the finished files. A batch
    that was interrupted or killed resumes with ``resume=True``: finished files are skipped, unless the file or the
    arguments changed, and failed files are tried again.

    Parameters
    ----------
    sources : path, glob, or several of them
        A folder stands for the images in it, without its subfolders; use ``**`` in a glob for those.
    output : path
        Folder of the results, which must hold no inputs.
    resume : bool
        Resume the batch in ``output``.
    jobs : int
        Number of processes on this machine, >= 1. Scripts with more than one need ``if __name__ == "__main__":``.
    cluster : str, optional
        Address of a Dask scheduler (``tcp://host:8786``), whose workers process the files instead of this machine.
    method, **arguments
        Arguments of :func:`napari_genprior.deblur`, the same for all files, but for ``out`` and ``checkpoint``. Images
        of more than 4096 pixels a side are restored in tiles.

    Yields
    ------
    BatchProgress

    Returns
    -------
    list of Entry
        In the order of the sources. The ``reason`` of a failed one holds the error.

    Raises
    ------
    InputError
        There are no files, the arguments cannot be used, or the output folder holds other files of the same names.
    FileError
        The output folder cannot be written to, or another batch is writing to it.
    DeviceError
        No cluster answers at ``cluster``.
    """
    _check_names("iter_batch", arguments)
    folder = _absolute(output)
    inputs = find_inputs(sources, folder)
    if not resume and not any(exists(path) for path in inputs):
        raise InputError(f"There is no file or folder {inputs[0]}; nothing was written.")
    if isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1:
        raise InputError(f"jobs must be a whole number >= 1; got {jobs!r}.")
    if cluster and jobs > 1:
        raise InputError("Give jobs or cluster, not both: the workers of the cluster process the files.")
    # the devices of the workers are unknown here, so the request is checked for the CPU
    given: dict[str, Any] = {"method": method, **arguments}
    request = parse_request(**(given | {"device": "cpu"} if cluster else given))
    if request.kernel is not None:  # read once, also where it is given as a path
        given["kernel"] = request.kernel
    return _run(inputs, folder, resume, jobs, cluster, given, _plain(request))


def _check_names(function: str, arguments: Mapping[str, Any]) -> None:
    """Raise the TypeError of a call with an unknown keyword argument, as if ``function`` named all of them."""
    known = RequestArguments.__annotations__
    for name in arguments:
        if name not in known:
            similar = get_close_matches(name, known, n=1)
            hint = f"; did you mean {similar[0]!r}?" if similar else ""
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}{hint}")


def find_inputs(sources: Sources, output: Path) -> list[Path]:
    """List the files that folders, globs and names stand for, as absolute paths, each once.

    Globs skip the files in ``output``. Missing files are listed: each of them fails on its own.

    Raises
    ------
    InputError
        A folder or glob matches no images, or an input lies in ``output``.
    """
    inputs: dict[Path, None] = {}
    for source in [sources] if isinstance(sources, str | Path) else sources:
        path = _absolute(source)
        if is_folder(path) and not is_zarr(path):
            matches = [each for each in sorted(path.iterdir()) if _is_image(each)]
        elif not exists(path) and has_magic(str(source)):
            every = map(Path, sorted(glob(str(path), recursive=True)))  # noqa: PTH207 (the pattern is absolute)
            matches = [each for each in every if _is_image(each) and not _lies_in(each, output)]
        else:
            matches = [path]
        if not matches:
            raise InputError(f"{source} holds no images; readable are {', '.join(READABLE)}.")
        inputs.update(dict.fromkeys(matches))
    inside = next((path for path in inputs if _lies_in(path, output)), None)
    if inside is not None:
        raise InputError(f"{inside} lies in the output folder; inputs are never overwritten. Give another folder.")
    if not inputs:
        raise InputError("No files were given; give files, folders or globs.")
    return list(inputs)


def _absolute(path: str | Path) -> Path:
    """Resolve ``..`` but not links: a result has the name that the user sees."""
    return Path(os.path.normpath(Path(path).absolute()))


def _is_image(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    suffix = path.suffix.lower()
    return (suffix in READABLE and path.is_file()) or (suffix == ".zarr" and path.is_dir())


def _lies_in(path: Path, folder: Path) -> bool:
    return absolute(path).is_relative_to(absolute(folder))


def _plain(request: Request) -> dict[str, Any]:
    """Return a request as plain values, without the device, which does not change results."""
    names = {field: getattr(request.settings, field, None) for field in ("image_prior", "kernel_prior")}
    return {
        "method": request.method.name,
        "settings": request.settings.model_dump(mode="json"),
        "kernel_size": None if request.kernel_size is None else list(request.kernel_size),
        "kernel_sha256": None if request.kernel is None else array_hash(request.kernel),
        "seed": request.seed,
        "time_limit_s": request.time_limit_s,
        "axes": None if request.axes is None else list(map(str, request.axes)),
        "kernel_per": request.kernel_per,
        "mode": request.mode,
        "tiles": None if request.tiles is None else list(request.tiles),
        "tile_size": (request.tile_size or "auto") if request.tiled else None,
        "voxel_size_um": None if request.voxel_size_um is None else list(request.voxel_size_um),
        "priors": {field: load_prior(name).card.sha256 for field, name in names.items() if name},
    }


def _run(
    inputs: list[Path],
    folder: Path,
    resume: bool,
    jobs: int,
    cluster: str | None,
    arguments: dict[str, Any],
    request: dict[str, Any],
) -> Yields[BatchProgress, None, list[Entry]]:
    with closing(Manifest(folder, resume)) as manifest:
        names = output_names(inputs, manifest.latest)
        tasks = [Task(path, names[path], folder, arguments, request) for path in inputs]
        todo = [task for task in tasks if not _is_done(task, manifest)]
        _check_no_overwrite(todo, manifest)
        repeated = sum(str(task.input) in manifest.latest and manifest.latest[str(task.input)].done for task in todo)
        done = failed = 0

        def state(stage: str, within: float = 0.0, entry: Entry | None = None) -> BatchProgress:
            fraction = min(1.0, (done + failed + within) / len(todo)) if todo else 1.0
            skipped = len(tasks) - len(todo)
            return BatchProgress(done, failed, skipped, repeated, len(todo), fraction, stage, entry)

        todo_text = f"{len(todo)} of {len(tasks)} files to process"
        yield state(todo_text + (f", {repeated} of them again" if repeated else ""))
        with closing(_entries(todo, jobs, cluster)) as entries:
            for each in entries:
                if isinstance(each, Entry):
                    manifest.commit(each)
                    done, failed = done + each.done, failed + (not each.done)
                    count = f"{done + failed} of {len(todo)}" + (f", {failed} failed" if failed else "")
                    yield state(count, entry=each)
                else:
                    yield state(f"{done + failed} of {len(todo)}, {each.stage}", each.fraction)
        return [manifest.latest[str(path)] for path in inputs]


def _entries(todo: list[Task], jobs: int, cluster: str | None) -> Yields[Entry | Progress, None, None]:
    """Process the tasks; yield finished files in any order, and the progress of files processed in this process."""
    if cluster and todo:
        try:
            from .dask_cluster import on_cluster
        except ModuleNotFoundError as error:
            raise DeviceError(f'A cluster needs Dask ({error}); pip install "napari-genprior[cluster]".') from error
        yield from on_cluster(todo, cluster)
    elif min(jobs, len(todo)) > 1:
        from .processes import in_processes

        yield from in_processes(todo, min(jobs, len(todo)))
    else:
        for task in todo:
            yield (yield from process(task))


def _is_done(task: Task, manifest: Manifest) -> bool:
    """Return whether the result of a task exists, for the present content of its file and the same request."""
    entry = manifest.latest.get(str(task.input))
    if entry is None or not entry.done or entry.arguments != task.request or not manifest.outputs_complete(entry):
        return False
    try:
        unchanged = size_and_time(task.input) == (entry.bytes, entry.mtime_ns)
        return unchanged or file_hash(task.input) == entry.sha256
    except OSError:
        return True  # the input was removed, its result exists


def _check_no_overwrite(todo: list[Task], manifest: Manifest) -> None:
    """Refuse to overwrite files that this batch did not write."""
    for task in todo:
        if str(task.input) not in manifest.latest:
            for name in task.outputs.values():
                if (task.folder / name).exists():
                    raise InputError(
                        f"{task.folder / name} exists already and is not of this batch; move it away, or give another "
                        "folder."
                    )
