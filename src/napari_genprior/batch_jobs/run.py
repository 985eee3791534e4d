"""Deblur many files, with a manifest of finished files from which an interrupted batch resumes.

For example ``gp.batch("scans/*.tif", "sharp", method="classical", resume=True)``.
"""

from __future__ import annotations

from collections.abc import Generator as Yields
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from ..core.errors import DeviceError, InputError
from ..core.iteration import run_to_end
from ..core.paths import exists
from ..core.result import Progress
from ..pipeline.request import RequestArguments
from .arguments import check_jobs, check_names, checked_request, plain_request
from .inputs import Sources, find_inputs, without_dots
from .manifest import Entry, Manifest, output_names
from .task import Task, file_hash, process, size_and_time


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
    check_names("batch", arguments)
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
    check_names("iter_batch", arguments)
    folder = without_dots(output)
    inputs = find_inputs(sources, folder)
    if not resume and not any(exists(path) for path in inputs):
        raise InputError(f"There is no file or folder {inputs[0]}; nothing was written.")
    check_jobs(jobs, cluster)
    given, request = checked_request({"method": method, **arguments}, cluster)
    return _run(inputs, folder, resume, jobs, cluster, given, plain_request(request))


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
