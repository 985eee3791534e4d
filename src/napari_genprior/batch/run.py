"""Many files in one go: what was done is written down as it comes, so that a batch can be killed and goes on.

>>> import napari_genprior as gp
>>> for entry in gp.batch("scans/*.tif", "sharp", method="classical", resume=True):
...     print(entry.name, entry.state, entry.reason)
"""

from __future__ import annotations

import os
from collections.abc import Generator as Yields
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import Any

from ..core.errors import DeviceError, InputError
from ..core.image_io import READABLE
from ..core.iteration import run_to_end
from ..core.lazy_io import is_zarr
from ..core.provenance import array_hash
from ..core.result import Progress
from ..pipeline import plan as planning
from ..zoo.store import load_prior
from .manifest import Entry, Manifest, free_names
from .task import OF_STACKS, Task, do, file_hash, size_and_time

Sources = str | Path | Iterable[str | Path]


@dataclass(frozen=True)
class BatchProgress:
    """Where a batch stands.

    Parameters
    ----------
    done, failed : int
        Of the files of this run.
    there : int
        Files that an earlier run had done.
    again : int
        Files that are done again, for they or the arguments changed.
    total : int
        Files of this run: ``done + failed`` at its end.
    fraction : float
        Of this run, 0 to 1; also within a file, where it is done in this process.
    stage : str
        For a person.
    entry : Entry or None
        The file that has just been finished.
    """

    done: int
    failed: int
    there: int
    again: int
    total: int
    fraction: float
    stage: str
    entry: Entry | None = None


def batch(sources: Sources, output: str | Path, **arguments: Any) -> list[Entry]:
    """Deblur many files; see :func:`iter_batch`, which also says how it stands."""
    return run_to_end(iter_batch(sources, output, **arguments))


def iter_batch(
    sources: Sources,
    output: str | Path,
    *,
    resume: bool = False,
    jobs: int = 1,
    cluster: str | None = None,
    **arguments: Any,
) -> Yields[BatchProgress, None, list[Entry]]:
    """Deblur many files, handing out where it stands; the generator's return value is what came of each file.

    Results keep name and type of their file; what was done goes into ``manifest.jsonl`` beside them. A batch that ends
    anywhere, killed too, is gone on with by ``resume``: what is done is not done again, unless the file or the
    arguments changed; what failed is tried again.

    Parameters
    ----------
    sources : path, glob, or several of them
        Folders stand for the images in them, not for those in folders in them; ``**`` in a glob does.
    output : path
        Folder for the results. Never one of the inputs' folders.
    resume : bool
        Go on with the batch that is in ``output``.
    jobs : int
        Processes on this machine, >= 1. Scripts that ask for more than one need ``if __name__ == "__main__":``.
    cluster : str, optional
        Address of a Dask scheduler (``tcp://host:8786``), whose workers do it instead of this machine.
    **arguments
        Of :func:`napari_genprior.deblur`, the same for all files; for stacks also ``axes``, ``kernels`` and
        ``depth`` of :func:`napari_genprior.deblur_stack`. Zarr, and TIFF of more than 4096 pixels, go by tiles, as
        :func:`napari_genprior.deblur_large` has it.

    Yields
    ------
    BatchProgress

    Returns
    -------
    list of Entry
        In the order of the sources. One that failed says why in ``reason``.

    Raises
    ------
    InputError
        No files, arguments that cannot be used, or an output folder that holds something else.
    FileError
        Nothing can be written there, or another batch writes there.
    DeviceError
        No cluster answers.
    """
    folder = _absolute(output)
    inputs = find_inputs(sources, folder)
    if isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1:
        raise InputError(f"jobs must be a whole number >= 1; got {jobs!r}.")
    if cluster and jobs > 1:
        raise InputError("Give jobs or cluster, not both: the cluster's workers do the work.")
    asked = _asked(arguments | {"device": "cpu"} if cluster else arguments)  # the workers' device is not known here
    return _run(inputs, folder, resume, jobs, cluster, arguments, asked)


def find_inputs(sources: Sources, output: Path) -> list[Path]:
    """The files that folders, globs and names stand for, absolute, each once.

    What lies in ``output`` is left out of globs. Names of files that are not there are kept: each fails by itself.

    Raises
    ------
    InputError
        A folder or glob without images, or an input in ``output``.
    """
    found: dict[Path, None] = {}
    for source in [sources] if isinstance(sources, str | Path) else sources:
        path = _absolute(source)
        if path.is_dir() and not is_zarr(path):
            matches = [each for each in sorted(path.iterdir()) if _is_image(each)]
        elif not path.exists() and has_magic(str(source)):
            every = map(Path, sorted(glob(str(path), recursive=True)))  # noqa: PTH207 (the pattern is absolute)
            matches = [each for each in every if _is_image(each) and not _lies_in(each, output)]
        else:
            matches = [path]
        if not matches:
            raise InputError(f"{source} holds no images; those read are {', '.join(READABLE)}.")
        found.update(dict.fromkeys(matches))
    inside = next((path for path in found if _lies_in(path, output)), None)
    if inside is not None:
        raise InputError(f"{inside} lies in the output folder; inputs are never overwritten. Give another folder.")
    if not found:
        raise InputError("No files were given.")
    return list(found)


def _absolute(path: str | Path) -> Path:
    """Without ``..``, but links are not followed: a result has the name that the user sees."""
    return Path(os.path.normpath(Path(path).absolute()))


def _is_image(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    suffix = path.suffix.lower()
    return (suffix in READABLE and path.is_file()) or (suffix == ".zarr" and path.is_dir())


def _lies_in(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _asked(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments, checked, as plain values to compare. Where it runs (device) changes nothing worth another run."""
    request = planning.parse_request(**{name: value for name, value in arguments.items() if name not in OF_STACKS})
    names = {field: getattr(request.settings, field, None) for field in ("image_prior", "kernel_prior")}
    return {
        "method": request.method.name,
        "settings": request.settings.model_dump(mode="json"),
        "kernel_size": None if request.kernel_size is None else list(request.kernel_size),
        "kernel_sha256": None if request.kernel is None else array_hash(request.kernel),
        "seed": request.seed,
        "time_limit_s": request.time_limit_s,
        "stack": {name: arguments[name] for name in OF_STACKS if name in arguments},
        "priors": {field: load_prior(name).card.sha256 for field, name in names.items() if name},
    }


def _run(
    inputs: list[Path],
    folder: Path,
    resume: bool,
    jobs: int,
    cluster: str | None,
    arguments: dict[str, Any],
    asked: dict[str, Any],
) -> Yields[BatchProgress, None, list[Entry]]:
    with closing(Manifest(folder, resume)) as manifest:
        names = free_names(inputs, manifest.latest)
        tasks = [Task(path, names[path], folder, arguments, asked) for path in inputs]
        todo = [task for task in tasks if not _is_done(task, manifest)]
        _refuse_strangers(todo, manifest)
        again = sum(str(task.input) in manifest.latest and manifest.latest[str(task.input)].done for task in todo)
        done = failed = 0

        def state(stage: str, within: float = 0.0, entry: Entry | None = None) -> BatchProgress:
            fraction = min(1.0, (done + failed + within) / len(todo)) if todo else 1.0
            there = len(tasks) - len(todo)
            return BatchProgress(done, failed, there, again, len(todo), fraction, stage, entry)

        yield state(f"{len(todo)} of {len(tasks)} files to do" + (f", {again} of them again" if again else ""))
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
    """Finished files, in any order, and where those stand that are done in this process."""
    if cluster and todo:
        try:
            from .dask_cluster import on_cluster
        except ModuleNotFoundError as error:
            raise DeviceError(f'A cluster needs Dask ({error}): pip install "napari-genprior[cluster]".') from error
        yield from on_cluster(todo, cluster)
    elif min(jobs, len(todo)) > 1:
        from .processes import in_processes

        yield from in_processes(todo, min(jobs, len(todo)))
    else:
        for task in todo:
            yield (yield from do(task))


def _is_done(task: Task, manifest: Manifest) -> bool:
    """Whether the result that is there is this file's, as it is now, and what the arguments ask for."""
    entry = manifest.latest.get(str(task.input))
    if entry is None or not entry.done or entry.arguments != task.asked or not manifest.intact(entry):
        return False
    try:
        untouched = size_and_time(task.input) == (entry.bytes, entry.mtime_ns)
        return untouched or file_hash(task.input) == entry.sha256
    except OSError:
        return True  # the file is gone, its result is not


def _refuse_strangers(todo: list[Task], manifest: Manifest) -> None:
    """Nothing is written over that a batch did not write."""
    for task in todo:
        if str(task.input) not in manifest.latest:
            for name in task.outputs.values():
                if (task.folder / name).exists():
                    raise InputError(
                        f"{task.folder / name} is there already and not of this batch; move it away, or give another "
                        "folder."
                    )
